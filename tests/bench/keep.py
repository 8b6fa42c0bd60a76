"""
Where do results go?

One JSON file a part, so that a part can be measured again by itself, and one picture of all that is there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.plot import svg
from tests.bench.rows import Row


def result(
    part: str, rows: Sequence[Row], *, machine: dict[str, Any], load_after: float, at: str, amount: str
) -> dict[str, Any]:
    """
    What is kept of one part.

    Args:
        at: When it was measured, ISO 8601.
        amount: `quick`, `normal` or `full`.
    """
    return {
        "part": part,
        "measured_at": at,
        "amount": amount,
        "machine": machine,
        "load_after": load_after,
        "rows": [row.as_dict() for row in rows],
    }


def write(folder: Path, results: Sequence[dict[str, Any]], *, order: Sequence[str]) -> list[Path]:
    """
    Write the results, and the picture of these and of what was kept there before.

    Returns:
        The files that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for found in results:
        file = folder / f"{found['part']}.json"
        file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        written.append(file)
    there = [json.loads(f.read_text("utf-8")) for part in order if (f := folder / f"{part}.json").exists()]
    picture = folder / "bench.svg"
    picture.write_text(svg({r["part"]: r["rows"] for r in there}, machine=machine_line(there)), "utf-8")
    return [*written, picture]


def machine_line(results: Sequence[dict[str, Any]]) -> str:
    """One line on the machine, as the newest result has it."""
    if not results:
        return "nothing measured yet"
    newest = max(results, key=lambda r: str(r["measured_at"]))
    m = newest["machine"]
    loads = [r["machine"]["load_1_5_15_min"][0] for r in results]
    busy = f"load {min(loads)} to {max(loads)} when parts began"
    return f"{m['processor']}, {m['cores']} cores, {m['memory_gb']} GB, {m['python']}; {busy}; {newest['measured_at']}"

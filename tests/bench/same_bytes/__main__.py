"""
Is what this tree decides, writes and delivers the same to the byte as at an earlier commit?

    python -m tests.bench.same_bytes COMMIT [--events 2000] [--seed 1]

Exit code 0: all the same, or decision records with fields added at their end. 1: something differs. 2: not compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import recording, worlds
from .compare import Comparison, compare
from .recording import Recording

ROOT = Path(__file__).resolve().parents[3]
#: Without one of these the story was too short to say anything.
MUST_BE_THERE = ("decision", "set aside", "notification", "view", "receipt", "parked", "file")
SHOWN = 5  # differences of each kind


class NotCompared(Exception):
    """One of the trees did not tell the story to its end."""


@contextmanager
def worktree(commit: str, folder: Path) -> Iterator[Path]:
    """The tree of a commit, for as long as the block lasts."""
    place = folder / "before"
    added = _git("worktree", "add", "--detach", str(place), commit)
    if added.returncode:
        raise NotCompared(f"no tree of `{commit}`: {added.stderr.strip()}")
    try:
        yield place
    finally:
        _git("worktree", "remove", "--force", str(place))


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)


def told(trees: dict[str, Path], folder: Path, *, events: int, seed: int) -> dict[str, Recording]:
    """The recording of each tree. They tell the story at the same time."""
    story = folder / "worlds.json"
    count = worlds.write(events // 4, among=seed, file=story)
    print(f"{count} small worlds, and events of a town until there are {events}; seed {seed}", file=sys.stderr)
    ours = folder / "path"
    ours.mkdir()
    (ours / "same_bytes").symlink_to(Path(__file__).resolve().parent)
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", "same_bytes.record", tree, story, str(events), str(seed), folder / f"{name}.json"],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{ours}", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        for name, tree in trees.items()
    }
    try:
        ended = {name: child.wait() for name, child in running.items()}
    finally:
        for child in running.values():
            child.kill()
    failed = sorted(name for name, code in ended.items() if code)
    if failed:
        raise NotCompared(f"the tree {' and the tree '.join(failed)} did not come to the end; see above")
    return {name: recording.read(folder / f"{name}.json") for name in trees}


def shown(before: Recording, after: Recording, found: Comparison) -> str:
    """The tables, and the first differences."""
    lines = ["what happened                                              before   after"]
    for what in sorted({*+before.counts, *+after.counts}):
        lines.append(f"  {what:<55}{before.counts[what]:>8}{after.counts[what]:>8}")
    lines.append("what was written      compared  same bytes  same fields, more at the end  different")
    for row in found.rows.values():
        lines.append(f"  {row.kind:<18}{row.compared:>10}{row.identical:>12}{row.widened:>30}{row.different:>11}")
    lines += [f"added in {count} places: {name}" for name, count in sorted(found.added.items())]
    for row in found.rows.values():
        lines += row.problems[:SHOWN]
        if row.different > SHOWN:
            lines.append(f"and {row.different - SHOWN} more of {row.kind}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Compare."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.same_bytes", description=__doc__)
    parser.add_argument("commit", help="the commit before")
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="safebus-same-bytes-") as folder:
        try:
            with worktree(asked.commit, Path(folder)) as before:
                trees = {"before": before, "after": ROOT}
                found = told(trees, Path(folder), events=asked.events, seed=asked.seed)
        except NotCompared as exc:
            print(exc, file=sys.stderr)
            return 2
    result = compare(found["before"], found["after"])
    print(shown(found["before"], found["after"], result))
    empty = [kind for kind in MUST_BE_THERE if not result.rows[kind].compared]
    if empty and not result.differences:
        print(f"there was no {', no '.join(empty)} to compare; ask for more events", file=sys.stderr)
        return 2
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())

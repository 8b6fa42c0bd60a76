"""
What of an act that had to be done while no broker could be reached, so that it still comes on record?

After a disaster keys are brought back before there is a broker. Such an act is noted in the home before it happens, in
a file of its own, and whoever next puts anything on record from there puts it on record first.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from safebus.deploy.service.operations import Act, put_on_record, system_user
from safebus.deploy.service.settings import Settings
from safebus.schemas.errors import BadInput

FOLDER: Final = "not-on-record"


def note(home: Path, act: Act, *, now: datetime) -> None:
    """
    Write down in the home what is about to be done.

    Raises:
        BadInput: It cannot be written, so it must not be done.
    """
    noted = {"at": f"{now:%Y-%m-%d %H:%M} UTC", "by": system_user(), "what": act.what, "about": act.about}
    text = json.dumps(noted | {"number": act.number, "reason": act.reason})
    folder = home / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.json"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        why = f"it could not be noted in `{folder}`: {exc.strerror}"
        raise BadInput(f"{act.what}: nothing was done, because {why}") from None


def waiting(home: Path) -> dict[Path, Act]:
    """
    What was done and is not on record, oldest first; when and by whom stands with the reason.

    Raises:
        BadInput: Somebody wrote something else into the folder.
    """
    return {path: _act(path) for path in sorted((home / FOLDER).glob("*.json"))}


def _act(path: Path) -> Act:
    try:
        noted: dict[str, Any] = json.loads(path.read_text("utf-8"))
        late = f"{noted['reason']} (done on {noted['at']} by {noted['by']}, when no broker could be reached)"
        return Act(str(noted["what"]), tuple(noted["about"]), late, noted["number"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(
            f"`{path}` is not as it was noted, or cannot be read; look who wrote it and move it away"
        ) from None


async def bring(found: Settings, *, clock: Callable[[], datetime]) -> None:
    """
    Put on record what waits for it. What stops half way may stand on record twice, and never not at all.

    Raises:
        NotReachable: As `operations.put_on_record`.
        BadInput: As `waiting`.
    """
    for path, act in waiting(found.home).items():
        await put_on_record(found, act, clock=clock)
        path.unlink(missing_ok=True)

"""
Where does this application stand, and what has it done?

Tasks and answers go through folders, for there is no server here. Celery's own way of it writes a file under the name
by which another process finds it, so that one may read what is half written: here each gets its name when it is whole.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any, Final

from celery.backends.filesystem import FilesystemBackend
from kombu.transport import filesystem
from kombu.utils.encoding import ensure_bytes
from kombu.utils.json import dumps

BUS: Final = os.environ["BUS"]
AGENCY: Final = os.environ["AGENCY"]
NOTES: Final = os.environ["NOTES"]

TASKS, DONE, ANSWERS = (Path(NOTES).with_name(name) for name in ("tasks", "done", "answers"))
for folder in (TASKS, DONE, ANSWERS):
    folder.mkdir(exist_ok=True)

CELERY: Final[dict[str, Any]] = {
    "broker_url": "filesystem://",
    "broker_transport_options": {
        "data_folder_in": str(TASKS),
        "data_folder_out": str(TASKS),
        "control_folder": str(TASKS),
        "processed_folder": str(DONE),
        "store_processed": True,
        "polling_interval": 0.02,
    },
    "result_backend": f"deploy.Answers+file://{ANSWERS}",
    # A task whose process was killed is begun again.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_lost_wait": 1,
    "worker_prefetch_multiplier": 1,
    "worker_enable_remote_control": False,
}


def _put_whole(_channel: Any, queue: str, payload: Any, **_: Any) -> None:
    name = f"{time.monotonic_ns():020}_{uuid.uuid4()}.{queue}.msg"
    (TASKS / f"{name}.part").write_text(dumps(payload), "utf-8")
    (TASKS / f"{name}.part").rename(TASKS / name)


filesystem.Channel._put = _put_whole


class Answers(FilesystemBackend):
    def set(self, key: bytes, value: str | bytes) -> None:
        file = ANSWERS / os.fsdecode(key)
        part = file.with_name(f"{uuid.uuid4()}.part")
        part.write_bytes(ensure_bytes(value))
        part.rename(file)


def note(*words: object) -> None:
    """A line of what was done, and by which process; it outlives a process that is killed."""
    with open(NOTES, "a", encoding="utf-8") as file:
        file.write(" ".join(map(str, [*words, os.getpid()])) + "\n")

"""
Who gives this application its tasks: for each case a thread, which waits for one answer before it asks again.

    python caller.py CASES EVENTS FILE

It notes in FILE what it asked and what it was told, as `a_caller.py` does; it goes on until it is ended.
"""

from __future__ import annotations

import sys
import threading
import uuid
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import tasks


def one_case(case: str, events: int, file: Path) -> None:
    def note(*words: object) -> None:
        with file.open("a") as out:
            out.write(" ".join(map(str, words)) + "\n")

    for number in count(1):
        told_at = datetime.now(UTC).isoformat()
        incident = {"id": str(uuid.uuid4()), "case": case, "reference": f"{number}", "told_at": told_at}
        note("asked", incident["id"], case)
        told = tasks.tell.delay(**incident).get(timeout=600, interval=0.02)
        note("told", incident["id"], case, told["partition"], told["offset"])
        if number == events:
            note("enough", case)


if __name__ == "__main__":
    for at in range(int(sys.argv[1])):
        threading.Thread(target=one_case, args=(f"case-{at}", int(sys.argv[2]), Path(sys.argv[3]))).start()

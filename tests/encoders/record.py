"""
What does an encoder write that cannot be had where the tests run?

    PYTHONPATH=tests/schemas python tests/encoders/record.py FILE COMMAND...

COMMAND reads and writes as the programs here do. Each line of FILE is one event as JSON with plain values, and its
value in hexadecimal.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import chance_events
from random_events import as_plain_avro

from safebus.schemas.event_schemas import event_schemas

COUNT = 25
MOST_SIGNS = 2600  # of an event, so that the file stays small


def main(file: Path, command: list[str]) -> None:
    drawn = [
        (name, json.dumps(as_plain_avro(event_schemas().of(name).raw, record)))
        for name, record in chance_events.events(1000)
    ]
    small = [(name, plain) for name, plain in drawn if len(plain) < MOST_SIGNS][:COUNT]
    with tempfile.TemporaryDirectory() as folder:
        for name, schema in event_schemas().current.items():
            Path(folder, f"{name}.avsc").write_text(json.dumps(schema.raw), "utf-8")
        given = "".join(f"{name}\t{plain}\n" for name, plain in small)
        done = subprocess.run([*command, folder], input=given, capture_output=True, text=True, check=True)
    lines = [
        f'{{"event": {plain}, "value": "{v}"}}\n' for (_, plain), v in zip(small, done.stdout.split(), strict=True)
    ]
    file.write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

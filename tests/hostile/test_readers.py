"""
Whatever is typed, cut off, pasted twice or saved in another encoding: a reader says what is wrong, or reads it whole.

Never another error, which a person would see as "a bug", and never a value that is not the one that was given. Texts
that are good are changed in a few places. `SECONDS=1200 pytest tests/hostile/test_readers.py` tries for twenty minutes
a reader, where two hundred changes each are part of every run.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
import yaml

from safebus.consumers.adapters import destinations
from safebus.deploy.local.demo import story
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.producers.importers.mns import import_signal
from safebus.producers.importers.nems import import_message
from safebus.producers.importers.outcome import Imported
from safebus.schemas import codec
from safebus.schemas.errors import BadInput
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import from_json
from safebus.schemas.keys import PersonKey
from safebus.schemas.plain_text import decoded
from safebus.streams.register import yaml_text
from safebus.streams.register.entries import read_folder

REAL = Path(__file__).parents[1] / "data" / "real"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = PersonKey(b"k" * 32)
TRIES = 200
SECONDS = float(os.environ.get("SECONDS", "0"))

#: What people paste and programs write; each alone changes what a careless reader understands.
PIECES = (
    *(
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\",
        b"'",
        b"&a ",
        b"*a",
        b"<<: ",
        b"- ",
        b"\n",
        b"\r\n",
        b"\t",
        b"  ",
    ),
    *(b"null", b"true", b"no", b"0123", b"12:30", b"1e400", b"NaN", b"-1", b"00000000", b"2026-02-30", b"9999999999"),
    *(b"\x00", b"\x1b[2J", b"\xff", b"\xe1", b"\xef\xbb\xbf", b"\xff\xfe", b"\\ud800", "\u202e".encode(), b"!!binary "),
    *(b"<!--", b"-->", b"<a>", b"</a>", b"&lt;", b"&x;", b"<!DOCTYPE a>", b"]]>", b"\x80", b"\x02", b"\x01"),
)


def changed(text: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at, to = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
        to = min(to, at + 40)
        what = chance.choice(("cut", "piece", "twice", "without", "flip", "move"))
        if what == "cut":
            text = text[:at]
        elif what == "piece":
            text = text[:at] + chance.choice(PIECES) + text[at:]
        elif what == "twice":
            text = text[:to] + text[at:to] + text[to:]
        elif what == "without":
            text = text[:at] + text[to:]
        elif what == "flip" and text:
            text = text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]
        else:
            elsewhere = chance.randint(0, len(text))
            text = text[:elsewhere] + text[at:to] + text[elsewhere:]
    return text


def an_event(data: bytes, _: Path) -> bool:
    event = from_json(data)
    assert from_json(event.model_dump_json()) == event
    return True


def an_avro_event(data: bytes, _: Path) -> bool:
    received = codec.decode(data)
    assert codec.decode(codec.encode(received.event)).event == received.event
    return True


def a_folder(data: bytes, _: Path) -> bool:
    try:
        text = decoded(data)
    except UnicodeError:
        return False
    found = yaml_text.parse("x.yaml", text).data
    assert yaml_text.parse("y.yaml", yaml.safe_dump(found, allow_unicode=True)).data == found
    return bool(read_folder({"x.yaml": text}, KEY, event_schemas()))


def where_to(data: bytes, folder: Path) -> bool:
    (folder / "destinations.yaml").write_bytes(data)
    return bool(destinations.read(folder / "destinations.yaml").partners)


def a_signal(data: bytes, _: Path) -> bool:
    outcome = import_signal(data, agency="nhs-england", received_at=NOW)
    if isinstance(outcome, Imported):
        return codec.decode(codec.encode(outcome.event)).event == outcome.event
    assert outcome.describe()
    return False


def a_message(data: bytes, _: Path) -> bool:
    outcome = import_message(data, agency="nhs-england", received_at=NOW)
    if isinstance(outcome, Imported):
        return codec.decode(codec.encode(outcome.event)).event == outcome.event
    assert outcome.describe()
    return False


DESTINATIONS = b"""ash-primary: {transport: folder, folder: drop/ash}
fordshire-mash: {transport: webhook, url: 'https://mash.example/hook', secrets_file: mash.secrets}
fordshire-0-19:
  transport: postgres
  dsn_file: health.dsn
"""
STORY = (story.incident(), story.attendance())
READERS: dict[str, tuple[Callable[[bytes, Path], bool], list[bytes]]] = {
    "JSON": (an_event, [event.model_dump_json(indent=1).encode() for event in STORY]),
    "Avro": (an_avro_event, [codec.encode(event) for event in STORY]),
    "YAML": (a_folder, [path.read_bytes() for path in sorted(DEMO_REGISTER.rglob("*.yaml"))]),
    "destinations": (where_to, [DESTINATIONS]),
    "MNS": (a_signal, [path.read_bytes() for path in sorted((REAL / "mns").rglob("*.json"))]),
    "NEMS": (a_message, [path.read_bytes() for path in sorted((REAL / "nems").rglob("*.xml"))]),
}


def turns() -> Iterator[int]:
    until = time.monotonic() + SECONDS
    for turn in count():
        if turn >= TRIES and time.monotonic() >= until:
            return
        yield turn


@pytest.mark.parametrize("kind", READERS)
def test_a_reader_says_what_is_wrong_or_reads_it_whole(kind: str, tmp_path: Path) -> None:
    read, good = READERS[kind]
    assert good
    taken = tried = 0
    for turn in turns():
        chance = random.Random(f"{kind} {turn}")
        data, tried = changed(chance.choice(good), chance), tried + 1
        try:
            taken += read(data, tmp_path)
        except BadInput as exc:
            assert str(exc).strip()
        except Exception as exc:
            raise AssertionError(f"turn {turn} of {kind}: {data[:4000]!r}") from exc
    print(f"{kind}: {tried} texts, {taken} taken")

    assert 0 < taken < tried

"""
Whatever encoder an agency has, its events are taken, and each has one content.

The programs here are those that `docs/how-to/publish-from-another-language.md` shows. All write the same thousand
events; what they may cut into blocks they cut as they like.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import chance_events
import fastavro
import programs
import pytest
import with_avro_python3
import with_fastavro
from random_events import as_plain_avro

from safebus.schemas import codec, gate
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import EVENT_CLASSES, Event
from safebus.schemas.keys import DigestKey

pytestmark = pytest.mark.xdist_group("encoders")

COUNT = 1000
KEY = DigestKey(b"k" * 32)
BEGINS = {name: (gate.MARKER + schema.fingerprint).hex() for name, schema in event_schemas().current.items()}

Written = list[list[bytes]]  # for each event what each encoder of a language makes of it


@cache
def records() -> list[tuple[str, dict[str, Any]]]:
    return chance_events.events(COUNT)


@cache
def published() -> list[tuple[Event, str]]:
    """Each event, and the digest that it has when our own publisher wrote it."""
    events = [EVENT_CLASSES[name].model_validate(record) for name, record in records()]
    return [(event, KEY.digest(codec.encode(event))) for event in events]


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `safebus schemas show` prints of each type."""
    folder = tmp_path_factory.mktemp("schemas")
    for name, schema in event_schemas().current.items():
        (folder / f"{name}.avsc").write_text(json.dumps(schema.raw, indent=2), "utf-8")
    return folder


def by_java(schemas: Path) -> Written:
    lines = io.StringIO()
    for name, record in records():
        lines.write(f"{name}\t")
        fastavro.json_writer(lines, event_schemas().of(name).parsed, [record])  # unions wrapped, as Java reads them
        lines.write("\n")
    return _hex(programs.java(lines.getvalue(), schemas, BEGINS))


def by_go(schemas: Path) -> Written:
    return _hex(programs.go(_plain_lines(), schemas, BEGINS))


def by_javascript(schemas: Path) -> Written:
    return _hex(programs.javascript(_plain_lines(), schemas, BEGINS))


def by_fastavro(schemas: Path) -> Written:
    parsed = {name: with_fastavro.schema_of(schemas / f"{name}.avsc") for name in BEGINS}
    return [[with_fastavro.value(parsed[name], record)] for name, record in records()]


def by_avro_python3(schemas: Path) -> Written:
    parsed = {name: with_avro_python3.schema_of(schemas / f"{name}.avsc") for name in BEGINS}
    return [[with_avro_python3.value(parsed[name], BEGINS[name], _plain(name, record))] for name, record in records()]


def _plain(event_type: str, record: dict[str, Any]) -> Any:
    return as_plain_avro(event_schemas().of(event_type).raw, record)


def _plain_lines() -> str:
    return "".join(f"{name}\t{json.dumps(_plain(name, record))}\n" for name, record in records())


def _hex(said: str) -> Written:
    return [[bytes.fromhex(value) for value in line.split(" ")] for line in said.splitlines()]


@pytest.mark.parametrize(
    ("write", "cuts"),
    [
        # Which of its encoders cut lists into blocks, or say how many bytes those have.
        pytest.param(by_java, [False, False, True, True], id="org.apache.avro"),
        pytest.param(by_go, [True, True, False], id="hamba/avro"),
        pytest.param(by_javascript, [False], id="avsc"),
        pytest.param(by_fastavro, [False], id="fastavro"),
        pytest.param(by_avro_python3, [False], id="avro-python3"),
    ],
)
def test_every_event_of_every_encoder_is_taken_and_has_one_content(
    write: Callable[[Path], Written], cuts: list[bool], schemas: Path
) -> None:
    written = write(schemas)

    assert len(written) == COUNT
    cut = [0] * len(cuts)
    for (event, digest), values in zip(published(), written, strict=True):
        received = [codec.decode(value) for value in values]
        assert [each.event for each in received] == [event] * len(cuts)
        assert [each.digest(KEY) for each in received] == [digest] * len(cuts)
        cut = [so_far + (each.value != each.content) for so_far, each in zip(cut, received, strict=True)]
    # They must write what they are said to write, or nothing would be shown.
    assert [many > COUNT // 2 for many in cut] == cuts


RECORDED = [json.loads(line) for line in (programs.HERE / "csharp" / "recorded.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["event"]["event_id"])
def test_what_apache_avro_of_csharp_wrote_is_taken(recorded: dict[str, Any]) -> None:
    """Where it cannot be had, it was recorded once (`csharp/Publish.cs` says how): here it does not run."""
    value = bytes.fromhex(recorded["value"])
    written_under = event_schemas().by_fingerprint[value[2:10]]

    received = codec.decode(value)

    assert as_plain_avro(written_under.raw, received.record) == recorded["event"]
    assert received.content == value

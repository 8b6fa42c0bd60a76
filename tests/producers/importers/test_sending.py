"""Every file that was given becomes something or is named: by path and content, never by its name alone."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from a_message import CASES, DIED, MOVED

from safebus.consumers.audit import quarantine
from safebus.deploy.local.brokers import Broker
from safebus.producers.importers.input_files import InputFile, NotRead, read_files
from safebus.producers.importers.outcome import ImportReason, NotImported
from safebus.producers.importers.sending import ImportedFile, Sink, import_all
from safebus.schemas import codec, sealing, topics
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic

NOW = datetime(2026, 6, 10, 9, tzinfo=UTC)
SECRET = b"only this agency has it, 32 byte"
SAME_NAME = sorted((CASES / "mns" / "samename").rglob("signal.json"))
BAD = b'{"specversion": "1.0", "type": "new-thing-1"}'


def given(folder: Path, **texts: bytes) -> list[Path]:
    """Files of one name, in folders of these names."""
    for name, data in texts.items():
        (folder / name).mkdir()
        (folder / name / "signal.json").write_bytes(data)
    return [folder / name / "signal.json" for name in texts]


async def dry(*paths: Path, kind: str = "mns") -> list[ImportedFile]:
    files, _ = read_files(paths)
    return await import_all(kind, files, agency="nhs-england", to=None, now=NOW)


async def test_two_files_of_one_name_in_two_folders_are_two() -> None:
    lines = await dry(*SAME_NAME)

    assert [(line.file, line.outcome) for line in lines] == [(str(path), "RECORD_CHANGED") for path in SAME_NAME]
    assert len({line.event_id for line in lines}) == 2


async def test_the_same_content_in_two_folders_counts_once_and_is_said(tmp_path: Path) -> None:
    data = SAME_NAME[0].read_bytes()
    first, second, spaced = await dry(*given(tmp_path, mon=data, tue=data, wed=data.replace(b": ", b":  ")))

    assert "the same message as" not in first.detail
    for line in (second, spaced):
        assert f"the same message as `{first.file}`, counts once" in line.detail
    assert len({line.event_id for line in (first, second, spaced)}) == 1


async def test_one_message_id_with_two_contents_is_said(tmp_path: Path) -> None:
    data = SAME_NAME[0].read_bytes()
    first, second = await dry(*given(tmp_path, mon=data, tue=data.replace(b"13:00:00Z", b"14:00:00Z")))

    assert (first.contradicts, second.contradicts) == (False, True)
    assert f"the message id of `{first.file}`, which says something else" in second.detail


@pytest.fixture
def sink(broker: Broker) -> tuple[Sink, bytes]:
    broker.create_topics({topics.QUARANTINE: 4, "in.nhs-england": 4})
    private, public = sealing.new_key()
    return Sink(Connection(broker.bootstrap), SECRET, public), private


async def published(sink: Sink) -> set[str]:
    return {
        codec.decode(m.value).event.event_id
        async for m in read_topic(sink.connection, "in.nhs-england")
        if m.value is not None
    }


async def test_what_cannot_be_imported_is_an_entry_for_each_path(sink: tuple[Sink, bytes], tmp_path: Path) -> None:
    """Two of one name, two with one content, one given twice, one that no message is as large as."""
    to, private = sink
    at = NOW.replace(minute=1)  # no other test's
    paths = given(tmp_path, mon=BAD, tue=BAD, wed=b"{", large=b"[" + b" " * 1_200_000)
    files, _ = read_files([*paths, paths[0]])
    lines = await import_all("mns", files, agency="nhs-england", to=to, now=at)
    await import_all("mns", files, agency="nhs-england", to=to, now=at)  # a redo
    found = [each.entry for each in await quarantine.entries(to.connection) if each.entry.at == at]

    assert [line.outcome for line in lines] == ["QUARANTINED"] * 5
    assert {line.detail.split("; entry ")[1][:36] for line in lines} == {entry.quarantine_id for entry in found}
    assert "given twice, one entry" in lines[-1].detail
    assert sorted((entry.reason, entry.size) for entry in found) == [
        ("NOT_JSON", 1),
        ("TOO_LARGE", 1_200_001),
        ("UNSUPPORTED_EVENT_TYPE", len(BAD)),
        ("UNSUPPORTED_EVENT_TYPE", len(BAD)),
    ]
    for entry in found:
        to_file = tmp_path / entry.quarantine_id
        quarantine.open_original(entry, private_keys=[private], to=to_file)
        assert len(to_file.read_bytes()) == (0 if entry.reason == "TOO_LARGE" else entry.size)
    assert str(tmp_path) not in str([(entry.topic, entry.detail) for entry in found])


async def test_what_can_be_imported_is_published_beside_it(sink: tuple[Sink, bytes], tmp_path: Path) -> None:
    to, _ = sink
    files, _ = read_files([*SAME_NAME, *given(tmp_path, mon=BAD, tue=SAME_NAME[0].read_bytes())])
    lines = await import_all("mns", files, agency="nhs-england", to=to, now=NOW)

    assert {line.event_id for line in lines if line.event_id} <= await published(to)


async def test_entries_are_not_found_by_trying_contents(sink: tuple[Sink, bytes]) -> None:
    """An id made of a plain digest of a message could be tried against every NHS number there is."""
    from safebus.producers.importers.sending import quarantined

    file = InputFile("a.json", "/a.json", BAD, len(BAD))
    outcome = NotImported(ImportReason.NOT_JSON, "x")
    to, _ = sink
    other = Sink(to.connection, b"another secret of another agency", to.seal_to)
    keys = {quarantined(file, outcome, agency="nhs-england", to=each, now=NOW).key for each in (to, other)}

    assert len(keys) == 2


def test_a_file_that_cannot_be_read_stops_itself_alone(tmp_path: Path) -> None:
    good = tmp_path / "good.json"
    good.write_bytes(BAD)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    read, not_read = read_files([tmp_path / "none.json", tmp_path, pipe, loop, Path("a\0b"), good])

    assert [each.path for each in read] == [str(good)]
    assert not_read[:3] == [
        NotRead(str(tmp_path / "none.json"), "there is no such file; look at the path"),
        NotRead(str(tmp_path), "it is a folder; name the files in it"),
        NotRead(str(pipe), "it is no regular file, so it may have no end; copy what it holds into one"),
    ]
    assert [each.problem.startswith("it cannot be read: ") for each in not_read[3:]] == [True, True]


def test_two_paths_to_one_file_are_one_place(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(BAD)
    (tmp_path / "y").mkdir()
    read, _ = read_files([file, tmp_path / "y" / ".." / "x.json"])

    assert len({each.place for each in read}) == 1


async def test_messages_of_nems_are_known_by_their_content_too(tmp_path: Path) -> None:
    lines = await dry(*given(tmp_path, mon=MOVED.encode(), tue=DIED.encode()), kind="nems")

    assert [line.outcome for line in lines] == ["ADDRESS_CHANGED", "DEATH"]
    assert lines[1].contradicts  # the cases share an id

"""A backup that would not bring this bus back is found out before it is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from safebus.deploy.local.brokers import Broker
from safebus.deploy.service import key_backup, key_drill, key_files
from safebus.schemas import codec, sealing, topics
from safebus.schemas.bus_records import Quarantined, RegisterRecord
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.keys import PersonKey
from safebus.streams.register.write import write_records

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
RECORD = RegisterRecord(
    record_id="partner/haven", kind="partner", recorded_at=NOW, recorded_by="x", reason="x", body=None
)


def keys_in(home: Path) -> dict[str, bytes]:
    key_files.init(home)
    return key_backup.keys_of(home)


def original(public: bytes, number: int = 0) -> Quarantined:
    sealed = sealing.seal(b"an original", public_key=public, context=f"in.ash/0/{number}")
    return Quarantined(
        quarantine_id=f"q-{number}", reason="TRUNCATED", topic="in.ash", partition=0, offset=number, detail="",
        sealed=sealed, size=11, at=NOW,
    )  # fmt: skip


@pytest.fixture
def here(broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setattr(topics, "REGISTER", f"register-{fresh}")
    monkeypatch.setattr(topics, "QUARANTINE", f"quarantine-{fresh}")
    broker.create_topics({topics.REGISTER: 1, topics.QUARANTINE: 4})
    return Connection(broker.bootstrap)


async def set_aside(connection: Connection, *values: bytes) -> None:
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    await outbound.send_all([Message(topics.QUARANTINE, b"k", value, (), 1) for value in values])
    await outbound.stop()


async def looked_at(keys: dict[str, bytes], connection: Connection) -> dict[str, tuple[bool, str]]:
    return {row.what.split("-")[0]: (row.fine, row.found) for row in await key_drill.with_bus(keys, connection)}


async def test_the_keys_of_this_bus_are_known_by_what_stands_on_it(here: Connection, tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    await write_records(here, [RECORD, RECORD], key=PersonKey(keys["person.key"]))
    await set_aside(here, b"junk", codec.encode_record(original(keys["seal.pub"])))

    assert await looked_at(keys, here) == {
        "register": (True, "all 2 records were written under keys of the backup"),
        "quarantine": (True, "the newest 1 originals open"),
    }


async def test_the_keys_of_another_bus_are_named(here: Connection, tmp_path: Path) -> None:
    keys, other = keys_in(tmp_path / "ours"), keys_in(tmp_path / "other")
    await write_records(here, [RECORD], key=PersonKey(keys["person.key"]))
    await write_records(here, [RECORD], key=PersonKey(other["person.key"]))
    await set_aside(here, codec.encode_record(original(other["seal.pub"], 7)))
    mark = PersonKey(other["person.key"]).fingerprint

    seen = await looked_at(keys, here)

    assert [fine for fine, _ in seen.values()] == [False, False]
    assert f"from offset 1 under {mark} " in seen["register"][1] and "not in the backup" in seen["register"][1]
    assert seen["quarantine"][1].startswith("q-7 do not open: sealed to another key")


async def test_a_backup_that_lacks_an_earlier_key_is_named(here: Connection, tmp_path: Path) -> None:
    """After a new key, records under the one before still stand in the register."""
    keys, before = keys_in(tmp_path / "now"), keys_in(tmp_path / "before")
    await write_records(here, [RECORD], key=PersonKey(before["person.key"]))
    await write_records(here, [RECORD], key=PersonKey(keys["person.key"]))

    assert (await looked_at(keys, here))["register"][0] is False
    assert (await looked_at(keys | {"person.2.key": before["person.key"]}, here))["register"][0] is True


async def test_an_adapter_is_compared_by_its_digest_key(here: Connection, tmp_path: Path) -> None:
    keys = keys_in(tmp_path / "bus")
    key_files.export(tmp_path / "bus", "adapter", tmp_path / "adapter")
    await write_records(here, [RECORD], key=PersonKey(keys["person.key"]))

    seen = await looked_at(key_backup.keys_of(tmp_path / "adapter"), here)

    assert seen == {"register": (True, "all 1 records were written under keys of the backup")}


async def test_an_importer_has_nothing_to_compare(here: Connection, tmp_path: Path) -> None:
    keys_in(tmp_path / "bus")
    key_files.export(tmp_path / "bus", "importer", tmp_path / "importer")

    assert await looked_at(key_backup.keys_of(tmp_path / "importer"), here) == {}


async def test_what_cannot_be_compared_does_not_pass(
    here: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "REGISTER", "register-that-is-not-there")

    assert (await looked_at(keys_in(tmp_path), here))["register"][0] is False


def test_each_file_of_a_home_is_compared(tmp_path: Path) -> None:
    keys, other = keys_in(tmp_path / "ours"), keys_in(tmp_path / "other")
    key_files.init_cases(tmp_path / "ours", ["a-school"])
    (tmp_path / "ours" / "keys" / "person.key").write_bytes(other["person.key"])
    (tmp_path / "ours" / "keys" / "seal.pub").unlink()

    rows = {row.what: (row.fine, row.found) for row in key_drill.with_home(keys, tmp_path / "ours")}

    assert {name: fine for name, (fine, _) in rows.items()} == {
        "case-a-school.key": False,
        "person.key": False,
        "seal.key": True,
        "seal.pub": True,
    }
    assert "and not in the backup" in rows["case-a-school.key"][1]
    assert " in the backup, " in rows["person.key"][1] and "not in `" in rows["seal.pub"][1]


def test_an_empty_home_speaks_against_nothing(tmp_path: Path) -> None:
    assert all(row.fine for row in key_drill.with_home(keys_in(tmp_path / "bus"), tmp_path / "empty"))

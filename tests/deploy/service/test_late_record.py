"""What had to be done without a broker is on record as soon as there is one."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safebus.consumers.audit import operations
from safebus.deploy.local.brokers import Broker
from safebus.deploy.service import late_record
from safebus.deploy.service.operations import Act, system_user
from safebus.deploy.service.settings import Settings, load
from safebus.schemas import topics
from safebus.schemas.errors import BadInput, NotReachable

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
RESTORE = Act("keys restore", ("backup duckling enlarge", "person.key 0123"), "fire", 4)
DRILL = Act("keys drill", ("backup duckling enlarge",), "after the fire")


def clock() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def here(broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setattr(topics, "OPERATIONS", f"operations-{fresh}")
    broker.create_topics({topics.OPERATIONS: 1})
    return load({"SAFEBUS_HOME": str(tmp_path / "home"), "SAFEBUS_BROKER": broker.bootstrap})


async def test_it_comes_on_record_once_in_its_order_with_when_and_by_whom(here: Settings) -> None:
    late_record.note(here.home, RESTORE, now=NOW)
    late_record.note(here.home, DRILL, now=NOW + timedelta(hours=1))
    for _ in range(2):
        await late_record.bring(here, clock=clock)

    found = [each.operation for each in await operations.entries(here.connection(), trusted=[])]

    assert [(one.what, one.about, one.number) for one in found] == [
        ("keys restore", RESTORE.about, 4),
        ("keys drill", DRILL.about, 1),
    ]
    late = f"(done on 2026-11-27 09:30 UTC by {system_user()}, when no broker could be reached)"
    assert found[0].reason == f"fire {late}"
    assert late_record.waiting(here.home) == {}


async def test_it_waits_as_long_as_it_must(tmp_path: Path) -> None:
    nowhere = load({"SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": "127.0.0.1:1"})
    late_record.note(tmp_path, RESTORE, now=NOW)

    with pytest.raises(NotReachable):
        await late_record.bring(nowhere, clock=clock)
    assert len(late_record.waiting(tmp_path)) == 1


async def test_where_nothing_waits_no_broker_is_asked(tmp_path: Path) -> None:
    await late_record.bring(load({"SAFEBUS_HOME": str(tmp_path)}), clock=clock)


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    late_record.note(tmp_path / "home", RESTORE, now=NOW)
    [path] = late_record.waiting(tmp_path / "home")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_cannot_be_noted_must_not_be_done(tmp_path: Path) -> None:
    (tmp_path / late_record.FOLDER).write_text("in its place")

    with pytest.raises(BadInput, match=r"^keys restore: nothing was done, because it could not be noted in "):
        late_record.note(tmp_path, RESTORE, now=NOW)


@pytest.mark.parametrize("text", ["{}", "not json", '{"what": 1, "about": null, "reason": "", "at": "", "by": ""}'])
def test_what_somebody_else_wrote_there_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / late_record.FOLDER).mkdir()
    (tmp_path / late_record.FOLDER / "x.json").write_text(text)

    with pytest.raises(BadInput, match=r"x\.json` is not as it was noted"):
        late_record.waiting(tmp_path)

"""A bus whose keys are gone does not start, and with them back from three of five people it answers as before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from a_bus import Bus, open_bus
from test_commands import incident, safebus

from safebus.deploy.service import key_files

pytestmark = pytest.mark.flow


@pytest.fixture
def own_bus(tmp_path: Path) -> Iterator[Bus]:
    """Its keys are removed while it runs, so no other test may be on it."""
    with open_bus("embedded", tmp_path) as running:
        yield running


async def test_a_bus_that_lost_its_keys_goes_on_with_the_same_answers(own_bus: Bus, tmp_path: Path) -> None:
    bus, before, after = own_bus, incident(), incident()
    shares, keys = tmp_path / "shares", bus.settings.home / "keys"
    await bus.publish(before)
    await bus.send_raw("in.fordshire-police", b"not an event")
    await bus.settled(before)
    pack = str(tmp_path / "bus.keys")
    made = safebus(bus, "keys", "backup", "--to", pack, "--shares-to", str(shares), "--reason", "goes live")
    three = [word for number in (5, 1, 4) for word in ("--share", str(shares / f"share-{number}.txt"))]
    drill = safebus(bus, "keys", "drill", pack, *three, "--reason", "quarterly", "-o", "json")
    content = {path.name: path.read_bytes() for path in key_files.held(bus.settings.home)}

    bus.kill_worker()
    shutil.rmtree(keys)
    refused = safebus(bus, "worker")
    two = safebus(bus, "keys", "restore", pack, *three[:4], "--reason", "the disk is gone")
    there_after_two = keys.exists()
    restored = safebus(bus, "keys", "restore", pack, *three, "--reason", "and the broker", "--no-broker")
    on_record_before = safebus(bus, "operations", "list", "-o", "json").stdout.count("keys restore")
    bus.start_worker()
    await bus.publish(after)
    seen = await bus.settled(after)
    verified = safebus(bus, "replay", "verify", "-o", "json")
    again = safebus(bus, "keys", "drill", pack, *three, "--reason", "after the disk")
    acts = json.loads(safebus(bus, "operations", "list", "-o", "json").stdout)

    assert made.returncode == 0, made.stderr
    assert drill.returncode == 0, drill.stderr
    looked_at = {row["what"]: row["found"] for row in json.loads(drill.stdout)}
    assert "were written under keys of the backup" in looked_at["register"]
    assert looked_at["quarantine"].startswith("the newest ") and looked_at["quarantine"].endswith(" open")
    assert refused.returncode == 1
    assert "there is no `" in refused.stderr and "`safebus keys restore` brings back" in refused.stderr
    assert (two.returncode, "3 shares are needed, and there are 2" in two.stderr, there_after_two) == (1, True, False)
    assert restored.returncode == 0, restored.stderr
    assert {path.name: path.read_bytes() for path in key_files.held(bus.settings.home)} == content
    answers = [
        {answer.recipient: (answer.outcome, answer.reasons) for answer in seen.decisions[one.event_id].answers}
        for one in (before, after)
    ]
    assert answers[0] == answers[1] != {}
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert again.returncode == 0, again.stderr
    assert on_record_before == 1
    [late] = [row["reason"] for row in acts if row["reason"].startswith("and the broker")]
    assert "when no broker could be reached" in late
    assert [row["what"] for row in acts if row["what"].startswith("keys")] == [
        "keys backup",
        "keys drill",
        "keys drill passed",
        "keys restore",
        "keys restore",
        "keys drill",
        "keys drill passed",
    ]


async def test_a_backup_of_another_bus_fails_its_drill(own_bus: Bus, tmp_path: Path) -> None:
    """It opens, and would bring back a bus to which every child is a stranger."""
    key_files.init(tmp_path / "other")
    mine = own_bus.settings.home / "keys"
    pack, shares = str(tmp_path / "other.keys"), tmp_path / "shares"
    mine.rename(tmp_path / "mine")
    shutil.copytree(tmp_path / "other" / "keys", mine)
    split = ["--shares", "2", "--needed", "2", "--shares-to", str(shares)]
    safebus(own_bus, "keys", "backup", "--to", pack, *split, "--reason", "x")
    words = [word for number in (1, 2) for word in ("--share", str(shares / f"share-{number}.txt"))]
    done = safebus(own_bus, "keys", "drill", pack, *words, "--reason", "x", "-o", "json")
    shutil.rmtree(mine)
    (tmp_path / "mine").rename(mine)

    assert done.returncode == 3, done.stderr
    wrong = {row["what"] for row in json.loads(done.stdout) if row["as it should be"] == "no"}
    assert wrong == {"register"}
    acts = json.loads(safebus(own_bus, "operations", "list", "-o", "json").stdout)
    assert [row["what"] for row in acts if row["what"].startswith("keys")] == ["keys backup", "keys drill"]

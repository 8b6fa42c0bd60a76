"""What became of a partner's deliveries, and how it gets some of them again: parked ones, and a day that it lost."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from a_bus import Bus, utc_now
from test_commands import incident, notification_id, safebus

from safebus.deploy.local.demo.demonstrate import RECIPIENTS
from safebus.deploy.service.operations import system_user
from safebus.schemas.bus_records import Stage
from safebus.streams.register.entries import Entry

pytestmark = pytest.mark.flow

ASH = "ash-primary"


async def publish(bus: Bus, *, in_the_way: bool, **not_known: None) -> str:
    """
    One incident, settled; returns the id of the school's notification.

    Args:
        not_known: What the police do not know of Ava.
    """
    event = incident()
    ava, *others = event.subjects
    event = event.model_copy(update={"subjects": (ava.model_copy(update=not_known), *others)})
    mine = await notification_id(bus, event, ASH)
    if in_the_way:
        (bus.partners.drop_folder(ASH) / f"{mine}.json").write_text("{}", "utf-8")
    await bus.publish(event)
    await bus.until(
        lambda seen: any(
            r.notification_id == mine and r.stage in (Stage.PARKED, Stage.HANDED_OVER) for r in seen.receipts
        ),
        "the school's to end",
    )
    return mine


def listed(bus: Bus, *more: str) -> dict[str, dict[str, Any]]:
    done = safebus(bus, "deliveries", "list", ASH, "-o", "json", *more)
    assert done.returncode == 0, done.stderr
    return {row["notification_id"]: row for row in json.loads(done.stdout)}


async def test_what_did_not_say_who_is_meant_was_handed_over_and_is_found(bus: Bus) -> None:
    clear = await publish(bus, in_the_way=False)
    unclear = await publish(bus, in_the_way=False, family_name=None, date_of_birth=None, upn=None)
    found = json.loads((bus.partners.drop_folder(ASH) / f"{unclear}.json").read_text("utf-8"))
    explained = safebus(bus, "explain", found["event_id"])

    assert {clear, unclear} <= listed(bus).keys()
    assert listed(bus, "--unclear").keys() & {clear, unclear} == {unclear}
    assert found["whom_to_ask"] == "Fordshire Police public protection desk, 01632 960101"
    assert "WHO IS MEANT IS UNCLEAR: what ash-primary may have" in explained.stdout


async def test_many_that_are_parked_are_tried_again_together(bus: Bus) -> None:
    parked = [await publish(bus, in_the_way=True) for _ in range(3)]
    destinations = bus.partners.destinations(RECIPIENTS)
    await bus.register_destination(ASH, destinations)
    before = listed(bus, "--stage", "PARKED", "--answer", "other_content")
    files = [bus.partners.drop_folder(ASH) / f"{each}.json" for each in parked]
    for file in files[:2]:
        file.unlink()
    redrive = ("deliveries", "redrive", ASH, "--answer", "other_content", "--destinations", str(destinations))
    dry = safebus(bus, *redrive)
    done = safebus(bus, *redrive, "--execute", "--reason", "they took away what was in the way")
    after = listed(bus)
    await bus.register_end(f"destination/{ASH}")
    for file in files:
        file.unlink()

    assert set(parked) <= before.keys()
    assert f"{len(before)} parked deliveries to {ASH} would be tried" in dry.stderr
    assert (done.returncode, f"2 of {len(before)} handed over to {ASH}" in done.stderr) == (3, True), done.stderr
    assert [after[each]["stage"] for each in parked] == ["HANDED_OVER", "HANDED_OVER", "PARKED"]
    assert after[parked[2]]["reason"] == "other_content; redriven: they took away what was in the way"


async def test_a_redrive_that_was_stopped_goes_on_with_those_that_it_did_not_try(bus: Bus) -> None:
    """The three oldest are refused each time. Begun with them again, it would never come to those that were mended."""
    since = utc_now()
    parked = [await publish(bus, in_the_way=True) for _ in range(6)]
    destinations = bus.partners.destinations(RECIPIENTS)
    await bus.register_destination(ASH, destinations)
    files = [bus.partners.drop_folder(ASH) / f"{each}.json" for each in parked]
    for file in files[3:]:
        file.unlink()
    redrive = ("deliveries", "redrive", ASH, "--from", since.isoformat(), "--destinations", str(destinations))
    execute = ("--execute", "--reason", "they mended a part of it")
    first, second = safebus(bus, *redrive, *execute), safebus(bus, *redrive, *execute)
    after = listed(bus)
    for file in files:
        file.unlink()
    third = safebus(bus, *redrive, *execute)
    await bus.register_end(f"destination/{ASH}")
    for file in files[:3]:
        file.unlink()

    assert (third.returncode, f"3 of 3 handed over to {ASH}" in third.stderr) == (0, True), third.stderr
    assert "3 in a row were not taken, so 3 were not tried; run it again later" in first.stderr
    assert (first.returncode, second.returncode) == (3, 3)
    assert f"3 of 6 handed over to {ASH}" in second.stderr, second.stderr
    assert [after[each]["stage"] for each in parked] == ["PARKED"] * 3 + ["HANDED_OVER"] * 3
    assert "{" not in first.stderr + second.stderr  # each is said once, to a person


async def test_a_partner_that_lost_what_it_was_handed_gets_exactly_that_again(bus: Bus) -> None:
    """Its system went back to the copy of last night. Same ids, same bytes; what came before is not repeated."""
    folder = bus.partners.drop_folder(ASH)
    before = await publish(bus, in_the_way=False)
    since = utc_now()
    lost = [await publish(bus, in_the_way=False) for _ in range(3)]
    content = {each: (folder / f"{each}.json").read_bytes() for each in lost}
    for each in (before, *lost):
        (folder / f"{each}.json").unlink()
    destinations = bus.partners.destinations(RECIPIENTS)
    await bus.register_destination(ASH, destinations)
    until = utc_now() + timedelta(seconds=1)
    again = ("deliveries", "again", ASH, "--from", since.isoformat(), "--to", until.isoformat(), "--restored")
    done = safebus(
        bus, *again, "--destinations", str(destinations), "--execute", "--reason", "their backup of last night"
    )
    await bus.register_end(f"destination/{ASH}")
    there = {path.stem: path.read_bytes() for path in folder.glob("*.json") if path.stem in (before, *lost)}
    rows = listed(bus)

    assert done.returncode == 0, done.stderr
    assert there == content
    assert {rows[each]["reason"] for each in lost} == {"redriven: restored: their backup of last night"}


async def test_nothing_is_sent_by_hand_to_a_partner_that_another_operator_has_paused(bus: Bus) -> None:
    """Unless whoever sends it says that they know."""
    parked = await publish(bus, in_the_way=True)
    destinations = bus.partners.destinations(RECIPIENTS)
    await bus.register_destination(ASH, destinations)
    file = bus.partners.drop_folder(ASH) / f"{parked}.json"
    file.unlink()
    redrive = ("parked", "redrive", ASH, parked, "--destinations", str(destinations))
    many = ("deliveries", "redrive", ASH, "--destinations", str(destinations))
    again = ("deliveries", "again", ASH, "--from", utc_now().isoformat(), "--to", utc_now().isoformat())
    execute = ("--execute", "--reason", "it was mended")
    paused = safebus(bus, "partners", "pause", ASH, "--execute", "--reason", "they move offices")
    try:
        said = {
            words: (done.returncode, "are paused, since" in done.stderr)
            for words in ((*redrive, *execute), (*many, *execute), redrive, many, again)
            for done in [safebus(bus, *words)]
        }
        there = file.exists()
        knowing = safebus(bus, *redrive, "--although-paused", *execute)
    finally:
        resumed = safebus(bus, "partners", "resume", ASH, "--execute", "--reason", "they have moved")
        await bus.register_end(f"destination/{ASH}")

    assert (paused.returncode, resumed.returncode) == (0, 0)
    assert list(said.values()) == [(3, True), (3, True), (0, True), (0, True), (0, True)]
    assert not there
    assert (knowing.returncode, file.exists()) == (0, True), knowing.stderr
    file.unlink()


async def test_one_delivery_is_shown_with_all_that_happened_to_it_and_who_sent_it_again(bus: Bus) -> None:
    mine = await publish(bus, in_the_way=True)
    destinations = bus.partners.destinations(RECIPIENTS)
    await bus.register_destination(ASH, destinations)
    parked = safebus(bus, "deliveries", "show", mine, "-o", "json")
    (bus.partners.drop_folder(ASH) / f"{mine}.json").unlink()
    redrive = ("--destinations", str(destinations), "--execute", "--reason", "it was taken away")
    redriven = safebus(bus, "parked", "redrive", ASH, mine, *redrive)
    done = safebus(bus, "deliveries", "show", mine, "--partner", ASH, "-o", "json")
    text = safebus(bus, "deliveries", "show", mine)
    nobody, no_id = (safebus(bus, "deliveries", "show", each) for each in (str(uuid.uuid4()), "4711"))
    await bus.register_end(f"destination/{ASH}")

    assert (redriven.returncode, parked.returncode, done.returncode) == (0, 0, 0), parked.stderr
    before, after = json.loads(parked.stdout), json.loads(done.stdout)
    assert before["partner"].startswith(f"{ASH} (")
    assert before["of"].startswith("police.encompass.v1, NEW, from fordshire-police")
    assert before["decision"].startswith("PERMIT, ") and before["because"] and before["agreement"]
    assert before["stands"] == "PARKED: a person must look at this message"
    assert before["in hand"].startswith("open since ")
    assert [(r["stage"], r["answer"], r["means"], r["by"]) for r in after["receipts"]] == [
        ("PARKED", "other_content", "it has other content of this id", ""),
        ("HANDED_OVER", "written", "the partner has it", system_user()),
    ]
    assert after["stands"] == "HANDED_OVER: done"
    assert f"by {system_user()} (`parked redrive`): it was taken away" in after["sent again"]
    assert "the partner has it" in text.stdout and mine in text.stdout
    assert nobody.returncode == 1 and "no delivery `" in nobody.stderr
    assert no_id.returncode == 2 and "`4711` is no id of a notification" in no_id.stderr


async def test_one_that_was_not_tried_yet_says_what_it_waits_for(bus: Bus) -> None:
    event = incident()
    mine = await notification_id(bus, event, ASH)
    safebus(bus, "partners", "pause", ASH, "--execute", "--reason", "they move offices")
    try:
        await bus.publish(event)
        await bus.until(lambda s: any(r.event_id == event.event_id for r in s.receipts), "the others to have it")
        shown = safebus(bus, "deliveries", "show", mine, "-o", "json")
        explained = safebus(bus, "explain", event.event_id)
        listed = safebus(bus, "deliveries", "list", ASH)
    finally:
        safebus(bus, "partners", "resume", ASH, "--execute", "--reason", "they have moved")
    await bus.settled(event)

    assert shown.returncode == 0, shown.stderr
    row = json.loads(shown.stdout)
    assert row["stands"].startswith("on its topic since ") and row["stands"].endswith(", no attempt on record")
    assert row["waits for"].startswith(f"an operator: deliveries to {ASH} are paused, since")
    assert "does `safebus deliver` run" not in shown.stdout + explained.stdout
    assert f"waits for an operator: deliveries to {ASH} are paused, since" in explained.stdout
    assert row["receipts"] == []
    assert mine not in listed.stdout and "not listed, for they have no receipt yet: 1 on the topic of" in listed.stderr


def test_restored_needs_to_know_where(bus: Bus) -> None:
    done = safebus(bus, "deliveries", "again", ASH, "--restored")

    assert done.returncode == 2 and "--destinations FILE goes with --restored or --stopped" in done.stderr


async def test_what_a_suspension_stopped_is_handed_over_once_that_is_lifted(bus: Bus) -> None:
    """Somebody suspended the wrong school for an hour. What it was owed is found, and handed over once it may be."""
    destinations = bus.partners.destinations(RECIPIENTS)
    await bus.register_destination(ASH, destinations)
    since = utc_now()
    school = (await bus.register_now()).partners[ASH]
    events = [incident(), incident()]
    mine = [await notification_id(bus, event, ASH) for event in events]
    safebus(bus, "partners", "pause", ASH, "--execute", "--reason", "they move offices")
    try:
        for event in events:
            await bus.publish(event)
        await bus.until(
            lambda s: {e.event_id for e in events} <= {r.event_id for r in s.receipts}, "the others to have it"
        )
        await bus.register(Entry(f"partner/{ASH}", "partner", school.model_copy(update={"suspended": True}), "test"))
        safebus(bus, "partners", "resume", ASH, "--execute", "--reason", "they have moved")
        stopped = {(each, Stage.STOPPED) for each in mine}
        await bus.until(lambda s: stopped <= {(r.notification_id, r.stage) for r in s.receipts}, "them to be stopped")
        again = ("deliveries", "again", ASH, "--from", since.isoformat())
        again = (*again, "--stopped", "--destinations", str(destinations))
        too_early = safebus(bus, *again, "-o", "json")
    finally:
        await bus.register(Entry(f"partner/{ASH}", "partner", school, "test"))
    dry = safebus(bus, *again)
    done = safebus(bus, *again, "--execute", "--reason", "it was the wrong school")
    twice = safebus(bus, *again, "--execute", "--reason", "it was the wrong school")
    await bus.register_end(f"destination/{ASH}")
    there = {path.stem for path in bus.partners.drop_folder(ASH).glob("*.json")}
    counts = json.loads(safebus(bus, "reconcile", "--from", since.isoformat(), "-o", "json").stdout)

    assert {row["state"] for row in json.loads(too_early.stdout)} == {
        "stopped: PARTNER_SUSPENDED (R01); still not permitted: PARTNER_SUSPENDED (R01)"
    }
    assert f"0 of 2 would be handed to {ASH}" in too_early.stderr
    assert f"2 of 2 would be handed to {ASH}" in dry.stderr
    assert (done.returncode, f"2 of 2 handed over to {ASH}" in done.stderr) == (0, True), done.stderr
    assert f"nothing that was stopped for {ASH} in that time can be handed over now" in twice.stderr
    assert set(mine) <= there
    assert {listed(bus)[each]["reason"] for each in mine} == {"redriven: it was the wrong school"}
    assert counts["partners"][ASH]["stopped"] == 0, counts


async def test_what_is_parked_is_assigned_closed_and_open_again_when_it_is_refused_again(bus: Bus) -> None:
    """And a bulk redrive leaves out what is closed: a person has said that it needs nothing more."""
    since = utc_now()
    closed, other = [await publish(bus, in_the_way=True) for _ in range(2)]
    destinations = bus.partners.destinations(RECIPIENTS)
    await bus.register_destination(ASH, destinations)

    def rows(*more: str) -> dict[str, tuple[str, str]]:
        done = safebus(bus, "parked", "list", ASH, "-o", "json", *more)
        assert done.returncode == 0, done.stderr
        said.append(done.stderr)
        mine = (row for row in json.loads(done.stdout) if row["notification_id"] in (closed, other))
        return {row["notification_id"]: (row["state"], row["assigned_to"]) for row in mine}

    def stands() -> tuple[str, int]:
        [row] = json.loads(safebus(bus, "partners", "show", ASH, "-o", "json").stdout)
        return row["how"], row["parked"]

    said: list[str] = []
    because = ("--execute", "--reason", "told by telephone")
    dry = safebus(bus, "parked", "assign", ASH, closed, "--to", "op-ben")
    new = rows()
    assigned = safebus(bus, "parked", "assign", ASH, closed, other, "--to", "op-ben", *because)
    in_hand = rows()
    both, listed_both = stands(), safebus(bus, "parked", "list", ASH, "-o", "json")
    done = safebus(bus, "parked", "close", ASH, closed, *because)
    one_less = stands()
    twice = safebus(bus, "parked", "close", ASH, closed, *because)
    unknown = safebus(bus, "parked", "close", ASH, other, "another", *because)
    without, all_of_them = rows(), rows("--all")
    why = safebus(bus, "parked", "list", ASH, "--all", "-o", "csv").stdout
    taken = safebus(bus, "parked", "assign", ASH, other, "--to", system_user())
    redrive = ("--destinations", str(destinations), "--execute", "--reason", "mended")
    many = safebus(bus, "deliveries", "redrive", ASH, "--from", since.isoformat(), *redrive)
    after_many = rows("--all")
    one = safebus(bus, "parked", "redrive", ASH, closed, *redrive)
    again = rows()
    for each in (closed, other):
        (bus.partners.drop_folder(ASH) / f"{each}.json").unlink()
    last = safebus(bus, "parked", "redrive", ASH, closed, *redrive)
    after = rows("--all")
    await bus.register_end(f"destination/{ASH}")

    assert (dry.returncode, "1 would be assigned to op-ben" in dry.stderr) == (0, True)
    assert new == {closed: ("open", ""), other: ("open", "")}
    assert assigned.returncode == 0 and in_hand == {closed: ("assigned", "op-ben"), other: ("assigned", "op-ben")}
    assert (done.returncode, twice.returncode, unknown.returncode) == (0, 1, 1)
    assert "closed already, by `" in twice.stderr and "nothing is there under `another`" in unknown.stderr
    assert both == ("parked", len(json.loads(listed_both.stdout))) and both[1] >= 2
    assert one_less == ("parked", both[1] - 1)
    assert '"closed","op-ben","' in why and f'"{system_user()}","told by telephone"' in why
    assert "nobody called `op-ben` has done anything on this bus yet" in dry.stderr
    assert "1 of them are assigned to op-ben now" in taken.stderr and "nobody called" not in taken.stderr
    assert without == {other: ("assigned", "op-ben")} and "1 are closed and not shown; --all shows them" in said[2]
    assert all_of_them == {closed: ("closed", "op-ben"), other: ("assigned", "op-ben")}
    assert many.returncode == 3 and "1 of them are closed and left out" in many.stderr
    assert after_many == all_of_them
    assert one.returncode == 3 and again == {closed: ("open again", "op-ben"), other: ("assigned", "op-ben")}
    assert last.returncode == 0 and after == {other: ("assigned", "op-ben")}


async def test_what_is_in_quarantine_is_shown_as_fields_assigned_and_closed(bus: Bus) -> None:
    event = incident()
    [first] = await bus.publish(event)
    await bus.settled(event)
    [reused] = await bus.publish(event.model_copy(update={"purpose": "something_else"}))
    seen = await bus.until(
        lambda s: any(q.offset == reused.offset and q.reason == "ID_REUSED" for q in s.quarantined.values()), "it"
    )
    mine = next(k for k, q in seen.quarantined.items() if q.offset == reused.offset and q.reason == "ID_REUSED")

    def shown(*more: str) -> dict[str, Any]:
        done = safebus(bus, "quarantine", "show", mine, *more)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def listed_ids(*more: str) -> set[str]:
        return {r["quarantine_id"] for r in json.loads(safebus(bus, "quarantine", "list", "-o", "json", *more).stdout)}

    rows = json.loads(safebus(bus, "quarantine", "list", "-o", "json").stdout)
    [for_a_person] = [row for row in rows if row["where"] == f"{first.topic}/{first.partition}/{first.offset}"]
    explained, undecided = safebus(bus, "explain", for_a_person["quarantine_id"]), safebus(bus, "explain", mine)
    plain, opened = shown(), shown("--show-original", "--reason", "the agency asks")
    assigned = safebus(bus, "quarantine", "assign", mine, "--execute", "--reason", "I ring them")
    in_hand = shown()
    closed = safebus(bus, "quarantine", "close", mine, "--execute", "--reason", "they published a correction")
    after = shown()

    assert (plain["reason"], plain["state"], "original" in plain, "sealed" in plain) == (
        "ID_REUSED",
        "open",
        False,
        False,
    )
    assert opened["original"]["event"]["purpose"] == "something_else"
    assert (for_a_person["reason"], for_a_person["event_id"]) == ("FOR_A_PERSON", event.event_id)
    assert plain["event_id"] == event.event_id
    for done, reason in ((explained, "FOR_A_PERSON"), (undecided, "ID_REUSED")):
        assert (done.returncode, f"is in quarantine: {reason}: " in done.stderr) == (0, True), done.stderr
        assert done.stdout.startswith(f"event {event.event_id}\n") and "a person must look at:" in done.stdout
    assert (assigned.returncode, closed.returncode) == (0, 0), (assigned.stderr, closed.stderr)
    assert (in_hand["state"], in_hand["assigned_to"]) == ("assigned", system_user())
    assert (after["state"], after["last_word"]) == ("closed", "they published a correction")
    assert mine not in listed_ids() and mine in listed_ids("--all")

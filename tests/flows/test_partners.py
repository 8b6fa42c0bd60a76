"""An operator in command of one partner's deliveries: sees how they stand, pauses, tests and resumes them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from a_bus import Bus, utc_now
from test_commands import incident, notification_id, safebus

from safebus.deploy.local.demo.demonstrate import RECIPIENTS
from safebus.schemas.bus_records import Stage

pytestmark = pytest.mark.flow

ASH = "ash-primary"


def standing(bus: Bus) -> dict[str, Any]:
    done = safebus(bus, "partners", "show", ASH, "-o", "json")
    assert done.returncode == 0, done.stderr
    [row] = json.loads(done.stdout)
    return dict(row)


def word(bus: Bus, *what: str) -> None:
    done = safebus(bus, "partners", *what, "--execute", "--reason", "tried in a test")
    assert done.returncode == 0, done.stderr


async def test_while_a_partner_is_paused_nothing_is_handed_over_and_all_of_it_after(bus: Bus) -> None:
    event = incident()
    mine = await notification_id(bus, event, ASH)
    word(bus, "pause", ASH)
    try:
        await bus.publish(event)
        await bus.until(
            lambda seen: any(r.event_id == event.event_id and r.partner != ASH for r in seen.receipts),
            "the others to have it",
        )
        paused = standing(bus)
        longer = safebus(bus, "partners", "pause", ASH, "--until", (utc_now() + timedelta(days=8)).isoformat())
        there = (bus.partners.drop_folder(ASH) / f"{mine}.json").exists()
    finally:
        word(bus, "resume", ASH)
    await bus.settled(event)

    assert (paused["how"], paused["why"]) == ("paused", "until it is resumed")
    if bus.broker.name == "kafka":  # the embedded one keeps all that it has
        kept = datetime.fromisoformat(paused["kept_until"])
        assert kept - datetime.fromisoformat(paused["oldest"]) == timedelta(days=7)
        assert f"keeps the oldest that waits until {kept:%Y-%m-%d %H:%M} UTC at least" in longer.stderr
        assert "the pause is longer than that" in longer.stderr
    else:
        assert "keeps what waits, whatever its age" in longer.stderr
    assert paused["undelivered"] >= 1 and paused["oldest"]
    assert not there
    assert (bus.partners.drop_folder(ASH) / f"{mine}.json").exists()


def test_a_pause_that_is_on_keeps_its_end_until_another_is_given_and_is_said(bus: Bus) -> None:
    first = utc_now().replace(microsecond=0) + timedelta(days=2)
    until, later = f"until {first:%Y-%m-%d %H:%M} UTC", first + timedelta(days=1)

    def pause(*words: str) -> tuple[str, str]:
        done = safebus(bus, "partners", "pause", ASH, *words)
        assert done.returncode == 0, done.stderr
        return standing(bus)["why"].split(";")[0], done.stderr

    execute = ("--execute", "--reason", "tried in a test")
    try:
        began, new = pause("--until", first.isoformat(), *execute)
        _, dry = pause()
        kept, again = pause(*execute)
        moved, to_later = pause("--until", later.isoformat(), *execute)
        endless, never = pause("--until", "never", *execute)
        resumed = safebus(bus, "partners", "resume", ASH)
    finally:
        word(bus, "resume", ASH)

    assert (began, kept, moved, endless) == (
        until,
        until,
        f"until {later:%Y-%m-%d %H:%M} UTC",
        "until it is resumed",
    )
    assert "already" not in new and f"paused {until}" in new
    for said in (dry, again):
        assert f"and {until} already; that end stays" in said
    assert f"and {until} already; this changes the end: until {later:%Y-%m-%d %H:%M} UTC" in to_later
    assert "already; this changes the end: until somebody resumes them" in never
    assert "are paused, since" in resumed.stderr


async def test_a_held_destination_is_seen_tested_and_tried_at_once_when_it_is_mended(bus: Bus) -> None:
    """Without a word it would be asked again in its own time, and nobody would know when."""
    event, later = incident(), incident()
    mine, never = await notification_id(bus, event, ASH), await notification_id(bus, later, ASH)
    folder = bus.partners.drop_folder(ASH)
    away = folder.with_name("away")
    destinations = bus.partners.destinations(RECIPIENTS)
    test = ("partners", "test", ASH, "--destinations", str(destinations), "--execute", "--reason", "is it back?")
    before_all = {*folder.glob("*.json")}
    folder.rename(away)
    try:
        await bus.publish(event)
        await bus.until(
            lambda seen: any(r.notification_id == mine and r.stage is Stage.HELD for r in seen.receipts),
            "it to be held",
        )
        held, explained, before = standing(bus), safebus(bus, "explain", event.event_id), safebus(bus, *test)
        await bus.publish(later)
        await bus.until(lambda seen: any(r.event_id == later.event_id for r in seen.receipts), "the others to have it")
        untried, of_later = safebus(bus, "deliveries", "show", never), safebus(bus, "explain", later.event_id)
    finally:
        away.rename(folder)
    after = safebus(bus, *test)
    word(bus, "resume", ASH)
    seen = await bus.settled(event, later)

    assert (held["how"], held["why"]) == ("held", "not_let_in, answer enoent")
    assert held["since"]
    for done in (untried, of_later):  # it was never tried, and no probe need have been made with it
        assert "or a rule there that dislikes what it was asked: a person must look; asked again at" in done.stdout
        assert "the destination is held since" in done.stdout and "safebus deliver" not in done.stdout
    said = " ".join(explained.stdout.split())
    assert "or a rule there that dislikes what it was asked: a person must look; asked again at" in said
    assert (before.returncode, after.returncode) == (3, 0), (before.stderr, after.stderr)
    assert "not taken: NOT_LET_IN, answer enoent" in before.stderr
    [test_file] = [f for f in {*folder.glob("*.json")} - before_all if json.loads(f.read_text("utf-8")).get("test")]
    assert "about nobody" in json.loads(test_file.read_text("utf-8"))["what_to_do"]
    test_file.unlink()
    assert [r.stage for r in seen.receipts if r.notification_id == mine][-1] is Stage.HANDED_OVER


async def test_who_has_received_nothing_since_is_one_question(bus: Bus) -> None:
    event = incident()
    await bus.publish(event)
    await bus.settled(event)
    done = safebus(bus, "partners", "list", "--silent-since", "2026-01-01", "-o", "json")
    silent = {row["partner"] for row in json.loads(done.stdout)}
    everyone = {row["partner"] for row in json.loads(safebus(bus, "partners", "list", "-o", "json").stdout)}

    assert ASH not in silent and ASH in everyone
    assert silent < everyone


def test_a_partner_that_nobody_knows_is_said_with_the_one_that_was_meant(bus: Bus) -> None:
    done = safebus(bus, "partners", "pause", "ash-primry")

    assert done.returncode == 1 and "did you mean `ash-primary`" in done.stderr

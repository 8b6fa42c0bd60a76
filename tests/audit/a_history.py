"""
A day on a bus, as real processes live through it: what an auditor will be asked about.

    events      new, published again, with the id of another, added to, corrected, retracted, unreadable
    answers     permitted, refused, set aside, for a person to see
    deliveries  handed over, parked, redriven by an operator, stopped by a suspension, a day handed over once more
    register    a consent withdrawn and told, a partner suspended and let in again; on record where a person did it
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from a_bus import Bus, open_bus, utc_now
from a_recording import Recording, recorded
from test_commands import incident, notification_id, safebus

from safebus.deploy.local.demo import story
from safebus.deploy.local.demo.demonstrate import RECIPIENTS
from safebus.schemas.bus_records import Stage
from safebus.schemas.events import Lifecycle
from safebus.streams.register.entries import Entry
from safebus.streams.rules.consent import State

ASH = "ash-primary"


@dataclass(frozen=True)
class History:
    """
    What was lived through, and what it was.

    Attributes:
        home: With the keys of that bus.
        began, ended: Everything lies between them.
    """

    recording: Recording
    home: Path
    began: datetime
    ended: datetime


def lived_through(folder: Path, *, broker: str = "embedded") -> History:
    """Live through it, end every process, and take down what stands on the topics."""
    began = utc_now()
    with open_bus(broker, folder) as bus:
        asyncio.run(_live(bus))
        bus.processes.stop()
        groups = ["safebus-worker", *(f"adapter-{partner}" for partner in RECIPIENTS)]
        return History(asyncio.run(recorded(bus.connection, groups=groups)), bus.settings.home, began, utc_now())


async def _live(bus: Bus) -> None:
    chapter = story.first_chapter()
    for event, case in chapter:
        await bus.publish(event, case=case)
    await bus.settled(*(event for event, _ in chapter))
    await _what_publishers_do(bus)
    await _a_consent_ends(bus)
    await _a_partner_in_trouble(bus)
    last = [incident() for _ in range(3)]
    for number, event in enumerate(last):
        await bus.publish(event, case=f"last-{number}")
    await bus.settled(*last)


async def _what_publishers_do(bus: Bus) -> None:
    event, other = incident(), incident()
    await bus.publish(event, event, event.model_copy(update={"purpose": "something_else"}), other)
    await bus.send_raw("in.fordshire-police", b"not an event")
    await bus.settled(event, other)
    for lifecycle in (Lifecycle.UPDATE, Lifecycle.CORRECT, Lifecycle.RETRACT):
        about: dict[str, Any] = {"event_id": str(uuid.uuid4()), "lifecycle": lifecycle}
        if lifecycle is not Lifecycle.UPDATE:
            about |= {"supersedes_event_id": other.event_id}
        after = other.model_copy(update=about)
        await bus.publish(after)
        await bus.settled(after)


async def _a_consent_ends(bus: Bus) -> None:
    purpose = "temporary_accommodation_notice"
    before, after = (
        story.moved_to_temporary_accommodation(1).model_copy(update={"event_id": str(uuid.uuid4())}) for _ in range(2)
    )
    await bus.publish(before)
    await bus.settled(before)
    await bus.consent(story.AVA.nhs_number or "", State.WITHDRAWN, purpose=purpose)
    await bus.publish(after)
    await bus.until(
        lambda s: s.settled({after.event_id}) and s.permitted({before.event_id}) <= s.noticed(), "the notices"
    )


async def _a_partner_in_trouble(bus: Bus) -> None:
    folder, since = bus.partners.drop_folder(ASH), utc_now()
    destinations = str(bus.partners.destinations(RECIPIENTS))
    await bus.register_destination(ASH, Path(destinations))
    parked = [incident(), incident()]
    mine = [await notification_id(bus, event, ASH) for event in parked]
    for each in mine:
        (folder / f"{each}.json").write_text("{}", "utf-8")
    await bus.publish(*parked)
    await _until(bus, mine, Stage.PARKED)
    (folder / f"{mine[0]}.json").unlink()
    _does(bus, "deliveries", "redrive", ASH, "--destinations", destinations, "--reason", "half is mended", ends_with=3)
    until = utc_now().isoformat()
    again = ("deliveries", "again", ASH, "--from", since.isoformat(), "--to", until, "--restored")
    _does(bus, *again, "--destinations", destinations, "--reason", "their backup of last night")
    stopped = incident()
    of_it = [await notification_id(bus, stopped, ASH)]
    _does(bus, "partners", "pause", ASH, "--reason", "they move offices")
    await bus.publish(stopped)
    await bus.until(lambda s: stopped.event_id in s.decisions, "it to be decided")
    school = (await bus.register_now()).partners[ASH].model_copy(update={"suspended": True})
    await bus.register(Entry(f"partner/{ASH}", "partner", school, "test"))
    _does(bus, "partners", "resume", ASH, "--reason", "they have moved")
    await _until(bus, of_it, Stage.STOPPED)
    _does(bus, "register", "lift", f"partner/{ASH}", "--reason", "it is known again")


async def _until(bus: Bus, notification_ids: Collection[str], stage: Stage) -> None:
    wanted = {(each, stage) for each in notification_ids}
    await bus.until(lambda s: wanted <= {(r.notification_id, r.stage) for r in s.receipts}, f"them to be {stage}")


def _does(bus: Bus, *words: str, ends_with: int = 0) -> None:
    done = safebus(bus, *words, "--execute")
    assert done.returncode == ends_with, done.stderr

"""A partner that hangs, refuses, hangs up or has no room: it gets everything in the end, and others do not wait."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from datetime import UTC, datetime

import pytest
from a_ground import Ground
from a_scenario import EVENTS, partner_is_busy
from a_supervisor import wait_until
from a_world import ASH, BEECH, HAVEN, HEALTH, HUB, PRACTICE, PURPOSE, Story, child, placement

from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Notification, Receipt
from safebus.schemas.identifiers import derived_id
from safebus.schemas.kafka.writer import Message
from safebus.streams.register.write import consent_record, write_records
from safebus.streams.rules.consent import ConsentEntry, Meaning, State

pytestmark = pytest.mark.flow


def arrived(ground: Ground, story: Story) -> Counter[str]:
    """How many effects of this story each partner has."""
    ours = {sent.event_id for sent in story.published}
    return Counter(effect.partner for effect in ground.partners.effects() if effect.event_id in ours)


def at_the_hub(ground: Ground, story: Story) -> int:
    """How often the hub has read one of this story."""
    ours = {sent.event_id for sent in story.published}
    return len([effect for effect in ground.partners.hub.arrived if effect.event_id in ours])


def test_a_partner_that_hangs_holds_up_nobody_else(ground: Ground, story: Story) -> None:
    """One process delivers to all of them."""
    ground.partners.haven.mode = "hang"
    ground.worker()
    ground.deliver()
    ground.feed(story, EVENTS)
    others = Counter({HUB: EVENTS, HEALTH: EVENTS, ASH: EVENTS // 2, BEECH: EVENTS // 2})
    wait_until(lambda: arrived(ground, story) >= others, "the others to have theirs")
    meanwhile = arrived(ground, story)
    ground.partners.haven.mode = "answer"
    ground.come_to_rest()

    assert (meanwhile, ground.findings(story)) == (others, [])


def test_a_partner_that_is_busy_for_a_while_gets_everything_in_order(ground: Ground, story: Story) -> None:
    partner_is_busy(ground, story)

    assert ground.findings(story) == []


def test_what_was_read_and_not_answered_comes_again_and_has_one_effect(ground: Ground, story: Story) -> None:
    """The hub hangs up after reading: nobody can know whether it has it, so it is sent again under the same id."""
    ground.worker()
    ground.deliver()
    ground.partners.hub.mode = "hang-up"
    ground.feed(story, EVENTS)
    wait_until(lambda: at_the_hub(ground, story), "the first to be read and not answered")
    ground.partners.hub.mode = "answer"
    ground.come_to_rest()

    assert at_the_hub(ground, story) > EVENTS
    assert ground.findings(story) == []


def test_a_full_disk_loses_nothing_and_leaves_no_half_file(ground: Ground, story: Story) -> None:
    """
    The kernel refuses the process every byte of a file past the first hundred, as a quota would, for a while.

    (A limit of the process and not a full file system: making one needs rights that not everyone who tests has.)
    """
    ground.worker()
    ground.deliver("deliver-1", to=[HUB, HAVEN, HEALTH])
    ground.deliver("deliver-2", to=[ASH, BEECH, PRACTICE], says="error")  # its log is a file too
    pid = ground.processes.pid("deliver-2")
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100, most))
    ground.feed(story, EVENTS)
    wait_until(lambda: refused_by_the_disk(ground, story) > 5, "the disk to be full")
    meanwhile = {path.name for partner in (ASH, BEECH) for path in ground.partners.inbox(partner).iterdir()}
    ours = {n.notification_id for n in ground.observe().notified}
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
    ground.come_to_rest()

    assert {name for name in meanwhile if name.split(".")[0] in ours} == set()
    assert (ground.findings(story), ground.processes.ends) == ([], [])


def refused_by_the_disk(ground: Ground, story: Story) -> int:
    """How often an attempt is on record that the kernel refused."""
    return asyncio.run(count_answers(ground, "efbig", {sent.event_id for sent in story.published}))


async def count_answers(ground: Ground, answer: str, events: set[str]) -> int:
    found = [codec.decode_record(m.value, Receipt) async for m in ground.receipts()]
    return len([r for r in found if r.answer == answer and r.event_id in events])


def test_who_takes_over_from_a_killed_process_knows_what_it_handed_over(ground: Ground, story: Story) -> None:
    """Two processes share a partner that does not drop repeats: only what was under way may come twice, 8 at most."""
    ground.partners.haven.takes_s = 0.05
    ground.worker()
    ground.deliver("deliver-3", to=[HUB, HEALTH, ASH, BEECH, PRACTICE])
    ground.deliver("deliver-1", to=[HAVEN])
    ground.deliver("deliver-2", to=[HAVEN])
    ground.feed(story, EVENTS)
    ground.processes.kill("deliver-1")
    ground.feed(story, EVENTS)
    ground.processes.kill("deliver-2")
    ground.come_to_rest()

    ours = {sent.event_id for sent in story.published}
    came = Counter(e.notification_id for e in ground.partners.haven.arrived if e.event_id in ours)
    assert ground.findings(story) == []
    assert came.total() - len(came) <= 2 * 8
    assert [end.hand for end in ground.processes.ends] == ["signal", "signal"]


@pytest.mark.parametrize("answer", [400, 503, 0], ids=["refused", "busy", "no-answer"])
def test_notices_that_a_partner_does_not_take_hold_up_no_alert(ground: Ground, story: Story, answer: int) -> None:
    """Six families take back their consent; whoever does not take the notices must have the alerts all the same."""
    placements = Story(f"{story.name} placements")
    ground.worker()
    ground.deliver()
    ground.publish([placements.tell(placement(derived_id(story.name, str(n)), n), case=n) for n in range(6)])
    ground.others |= {sent.event_id for sent in placements.published}
    ground.come_to_rest()
    haven = ground.partners.haven
    assert {sent.event_id for sent in placements.published} <= haven.events
    haven.notices = answer
    withdraw(ground, range(6), State.WITHDRAWN)
    wait_until(lambda: haven.told, "the first notice")
    ground.feed(story, EVENTS)
    wait_until(lambda: arrived(ground, story)[HAVEN] == EVENTS, "all alerts, while notices are not taken")
    asked = Counter(haven.told)
    haven.notices = 202
    ground.come_to_rest()
    withdraw(ground, range(6), State.GIVEN)

    assert ground.findings(story) == []
    # What is refused is not asked again; what is busy is, one at a time.
    assert (len(asked), set(asked.values())) == (6, {1}) if answer == 400 else len(asked) >= 1


def withdraw(ground: Ground, cases: range, state: State) -> None:
    """Parents say so, one after another."""
    now = datetime.now(UTC)
    entries = [
        ConsentEntry(
            person_id=ground.settings.person_key().token("nhs", child(case).nhs_number or ""),
            meaning=Meaning.SERVICE_AGREEMENT,
            purpose=PURPOSE,
            state=state,
            decided_at=now,
            expressed_by="parent",
            method="test",
        )
        for case in cases
    ]
    records = [consent_record(entry, at=now, by="test", reason="test") for entry in entries]
    asyncio.run(write_records(ground.connection, records, key=ground.settings.person_key()))


def test_other_content_under_an_id_that_waits_is_parked(ground: Ground, story: Story) -> None:
    """Both are taken in before the first was handed over, so only the order in the case can tell them apart."""
    ground.worker()
    ground.deliver()
    ground.feed(story, 1)
    ground.come_to_rest()
    [model] = asyncio.run(delivered(ground, story))
    first = model.model_copy(update={"notification_id": derived_id(story.name, "twice")})
    second = first.model_copy(update={"urgency": "IMMEDIATE"})
    haven = ground.partners.haven
    haven.mode = "busy"
    key = model.subject_token.encode()
    out = topics.notifications_for(HAVEN)
    ground.publish([Message(out, key, codec.encode_record(n)) for n in (first, second)])
    wait_until(lambda: haven.turned_away, "the first attempt")
    haven.mode = "answer"
    ground.come_to_rest()

    handed_over = [e for e in haven.arrived if e.notification_id == first.notification_id]
    assert asyncio.run(parked(ground, story)) == [("same_id_other_content", codec.encode_record(second))]
    assert len(handed_over) == 1


async def delivered(ground: Ground, story: Story) -> list[Notification]:
    found = ground.records(topics.notifications_for(HAVEN))
    ours = {sent.event_id for sent in story.published}
    return [n async for m in found if (n := codec.decode_record(m.value, Notification)).event_id in ours]


async def parked(ground: Ground, story: Story) -> list[tuple[str, bytes]]:
    found = ground.records(topics.parked_for(HAVEN))
    ours = {sent.event_id for sent in story.published}
    return [
        (dict(m.headers)["sb_reason"].decode(), m.value)
        async for m in found
        if codec.decode_record(m.value, Notification).event_id in ours
    ]

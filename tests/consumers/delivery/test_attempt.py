"""Each attempt gets ready, asks whether it is still ours and permitted, then the partner, and leaves a receipt."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from a_listener import listening
from a_parcel import ID
from an_attempt import NOON, ON_A_DUTY, ON_CONSENT, PARTNER, WITHDRAWN, Partner, delivery

from safebus.consumers.adapters.adapter import Reply
from safebus.consumers.adapters.webhook import WebhookAdapter, WebhookSettings
from safebus.consumers.delivery import stages
from safebus.consumers.delivery.circuit import Head
from safebus.consumers.delivery.stages import UNDER_WAY
from safebus.schemas import topics
from safebus.schemas.bus_records import DestinationStanding as State
from safebus.schemas.bus_records import Notification, Reason, Receipt, Stage

PARKED = topics.parked_for("ash-primary")
WHY = "they have mended it"
RECEIPTS = topics.receipts_from(PARTNER)
ANOTHER = ON_A_DUTY.model_copy(update={"notification_id": ID[:-1] + "2"})
ASKED = ["ready", "still ours?", "register", "still ours?"]
BEFORE = [*ASKED, "partner"]
BEFORE_ON_CONSENT = ["register", RECEIPTS, *BEFORE]
#: What a partner can say.
SAYS = sorted(set(Reply) - {Reply.HELD_BACK})


def said(receipt: Receipt) -> tuple[Stage, int, str, str]:
    return receipt.stage, receipt.attempt, receipt.answer, receipt.reason


OPEN = {
    Reply.ACCEPTED: (Stage.HANDED_OVER, 1, "its code", ""),
    Reply.BUSY: (Stage.WAITING, 1, "its code", "partner_busy"),
    Reply.UNKNOWN: (Stage.WAITING, 1, "its code", "answer_unknown"),
    Reply.OTHER_CONTENT: (Stage.PARKED, 1, "its code", "other_content"),
    Reply.REFUSED: (Stage.HELD, 1, "its code", "all_refused"),
    Reply.NOT_LET_IN: (Stage.HELD, 1, "its code", "not_let_in"),
    Reply.GONE: (Stage.HELD, 1, "its code", "destination_gone"),
}


@pytest.mark.parametrize("notification", [ON_A_DUTY, ON_CONSENT], ids=["duty", "consent"])
@pytest.mark.parametrize("reply", SAYS)
async def test_an_attempt_leaves_one_receipt_and_one_before_it_on_a_consent(
    partner: Partner, reply: Reply, notification: Notification
) -> None:
    partner.answers = [reply]
    step = await partner.make(delivery(notification))

    on_consent = notification is ON_CONSENT
    begun = [(Stage.WAITING, 1, "not_yet", UNDER_WAY)] if on_consent else []
    put_there = [PARKED] if reply is Reply.OTHER_CONTENT else []
    assert [said(r) for r in await partner.receipts()] == [*begun, OPEN[reply]]
    assert step.stage is OPEN[reply][0]
    assert partner.done == [*(BEFORE_ON_CONSENT if on_consent else BEFORE), *put_there, RECEIPTS]
    assert partner.tally.replies == {reply: 1}


REDRIVEN = {
    Reply.ACCEPTED: (Stage.HANDED_OVER, 1, "its code", f"redriven: {WHY}"),
    Reply.BUSY: (Stage.PARKED, 1, "its code", f"partner_busy; redriven: {WHY}"),
    Reply.UNKNOWN: (Stage.PARKED, 1, "its code", f"answer_unknown; redriven: {WHY}"),
    Reply.OTHER_CONTENT: (Stage.PARKED, 1, "its code", f"other_content; redriven: {WHY}"),
    Reply.REFUSED: (Stage.PARKED, 1, "its code", f"refused_by_partner; redriven: {WHY}"),
    Reply.NOT_LET_IN: (Stage.PARKED, 1, "its code", f"not_let_in; redriven: {WHY}"),
    Reply.GONE: (Stage.PARKED, 1, "its code", f"destination_gone; redriven: {WHY}"),
}


@pytest.mark.parametrize("notification", [ON_A_DUTY, ON_CONSENT], ids=["duty", "consent"])
@pytest.mark.parametrize("reply", SAYS)
async def test_one_that_a_person_sends_again_leaves_the_same_number_and_is_parked_only_once(
    partner: Partner, reply: Reply, notification: Notification
) -> None:
    partner.answers = [reply]
    await partner.make(delivery(notification, redriven=WHY, parked=True))

    on_consent = notification is ON_CONSENT
    begun = [(Stage.PARKED, 1, "not_yet", f"{UNDER_WAY}; redriven: {WHY}")] if on_consent else []
    assert [said(r) for r in await partner.receipts()] == [*begun, REDRIVEN[reply]]
    assert partner.done == [*(BEFORE_ON_CONSENT if on_consent else BEFORE), RECEIPTS]
    assert partner.circuit.state is State.LETS_IN


@pytest.mark.parametrize("redriven", [None, WHY])
async def test_what_the_register_no_longer_permits_is_not_sent(partner: Partner, redriven: str | None) -> None:
    partner.refusal = WITHDRAWN
    await partner.make(delivery(ON_CONSENT, redriven=redriven))

    reason = "CONSENT_WITHDRAWN (R12)" if redriven is None else f"CONSENT_WITHDRAWN (R12); redriven: {WHY}"
    assert [said(r) for r in await partner.receipts()] == [(Stage.STOPPED, 0, "not_sent", reason)]
    assert partner.done == ["register", RECEIPTS]


@pytest.mark.parametrize("redriven", [None, WHY])
async def test_what_cannot_be_read_is_not_sent_and_waits_for_a_person(partner: Partner, redriven: str | None) -> None:
    partner.readable = False
    await partner.make(delivery(redriven=redriven, parked=redriven is not None))

    reason = "view_not_readable" if redriven is None else f"view_not_readable; redriven: {WHY}"
    assert [said(r) for r in await partner.receipts()] == [(Stage.PARKED, 0, "not_sent", reason)]
    assert partner.done == ["register", *([PARKED] if redriven is None else []), RECEIPTS]


async def test_one_that_is_not_surely_ours_any_more_is_put_off_and_counts_as_no_attempt(partner: Partner) -> None:
    partner.ours = False
    found = delivery()
    step = await partner.make(found)

    assert step is None
    assert (found.attempt, partner.done, await partner.receipts()) == (0, ["ready", "still ours?"], [])


async def test_what_is_withdrawn_while_the_adapter_gets_ready_does_not_go(partner: Partner) -> None:
    """It queued, connected or waited for a lock meanwhile; the partner has seen nothing, and that is certain."""
    partner.refusal_meanwhile = WITHDRAWN
    found = delivery(ON_CONSENT)
    await partner.make(found)

    assert [said(r) for r in await partner.receipts()] == [
        (Stage.WAITING, 1, "not_yet", UNDER_WAY),
        (Stage.STOPPED, 0, "held_back", "CONSENT_WITHDRAWN (R12)"),
    ]
    assert "partner" not in partner.done
    assert partner.ledger.never_handed_over(ID)
    assert partner.ledger.on_consent() == {}
    assert partner.tally.replies == {}


@pytest.mark.parametrize("on", [ON_A_DUTY, ON_CONSENT], ids=["duty", "consent"])
async def test_what_is_paused_while_the_adapter_gets_ready_waits_and_was_never_there(
    partner: Partner, on: Notification
) -> None:
    """If its consent ends meanwhile, the partner hears nothing of what it never had."""
    partner.paused = True
    found = delivery(on)
    step = await partner.make(found)
    partner.refusal = WITHDRAWN
    await partner.make(found)

    assert (step, found.attempt, found.first_sent) == (None, 0, None)
    assert "partner" not in partner.done
    assert [(r.stage, r.reason) for r in await partner.receipts()][-1] == (Stage.STOPPED, "CONSENT_WITHDRAWN (R12)")
    assert partner.ledger.never_handed_over(ID)
    assert partner.ledger.on_consent() == {}


async def test_what_a_person_sends_by_hand_goes_though_deliveries_are_paused(partner: Partner) -> None:
    partner.paused, partner.answers = True, [Reply.ACCEPTED]
    step = await partner.make(delivery(redriven=WHY, parked=True))

    assert step is not None and step.stage is Stage.HANDED_OVER


async def test_a_probe_that_is_answered_as_before_writes_nothing_and_another_answer_does(partner: Partner) -> None:
    """The time of a hold is not the message's; its attempts are."""
    partner.answers = [Reply.GONE, Reply.GONE, Reply.REFUSED, Reply.BUSY, Reply.ACCEPTED]
    found = delivery()
    first = await partner.make(found)
    after_first = (found.attempt, found.before_hold, found.first_sent)
    probe = await partner.make(found)
    await partner.make(found)
    busy = await partner.make(found)
    after_busy = partner.circuit.state
    await partner.make(delivery(ANOTHER))

    assert (first.known, probe.known) == (False, True)
    assert after_first == (1, 1, None)
    assert busy.again_at == NOON + timedelta(seconds=5)
    assert (after_busy, partner.circuit.state) == (State.HELD, State.LETS_IN)
    assert [(r.stage, r.attempt, r.reason) for r in await partner.receipts()] == [
        (Stage.HELD, 1, "destination_gone"),
        (Stage.HELD, 3, "all_refused"),
        (Stage.WAITING, 4, "partner_busy"),
        (Stage.HANDED_OVER, 1, ""),
    ]


async def test_a_hold_that_follows_from_no_answer_is_on_record(partner: Partner) -> None:
    """Whoever could have shown whose fault it is has ended. Log and metric said held; every command, that it waits."""
    partner.answers, partner.others = [Reply.NOT_LET_IN, Reply.NOT_LET_IN], True
    found = delivery()
    await partner.make(found)
    partner.circuit.choose([Head(ID, due=False)], now=NOON, under_way=0)
    await partner.attempts.say_held(found)
    partner.others = False
    again = await partner.make(found)
    receipts = await partner.receipts()

    assert [said(r) for r in receipts] == [
        (Stage.WAITING, 1, "its code", "not_let_in"),
        (Stage.HELD, 1, "its code", "not_let_in"),
    ]
    assert [r.destination.standing for r in receipts if r.destination] == [State.DOUBTED, State.HELD]
    assert receipts[1].again_at == NOON + timedelta(seconds=30)
    assert again.known


async def test_what_was_not_refused_is_no_sign_of_a_hold(partner: Partner) -> None:
    partner.answers = [Reply.BUSY]
    found = delivery()
    await partner.attempts.say_held(found)
    await partner.make(found)
    await partner.attempts.say_held(found)

    assert [said(r)[0] for r in await partner.receipts()] == [Stage.WAITING]


async def test_after_a_restart_one_that_was_refused_beside_others_holds_nothing(partner: Partner) -> None:
    partner.answers, partner.others = [Reply.NOT_LET_IN, Reply.ACCEPTED], True
    await partner.make(delivery())
    await partner.make(delivery(ANOTHER))
    later = Partner(partner.connection, answers=[Reply.NOT_LET_IN] * 4)
    await later.outbound.start()
    await later.ledger.load()
    found = delivery()
    found.go_on_from(later.ledger.tried(ID))
    steps = [await later.make(found) for _ in range(4)]
    await later.outbound.stop()

    assert later.ledger.taken_at == NOON
    # What the process before had asked counts for none of the tries of this one.
    assert [step.stage for step in steps] == [*[Stage.WAITING] * 3, Stage.HELD]
    assert [r.attempt for r in await partner.receipts() if r.notification_id == ID] == [1, 2, 3, 4, 5]


async def test_each_that_a_held_destination_is_asked_with_is_on_record(partner: Partner) -> None:
    partner.answers = [Reply.REFUSED] * 3
    one, other = delivery(), delivery(ANOTHER)
    for each in (one, other, other):
        await partner.make(each)
    before = [(r.notification_id, r.stage, r.attempt) for r in await partner.receipts()]
    for each in (one, other, other):
        await partner.attempts.write_what_is_known(each)

    assert before == [(ID, Stage.HELD, 1), (ANOTHER.notification_id, Stage.HELD, 1)]
    assert [(r.notification_id, r.stage, r.attempt) for r in await partner.receipts()] == [
        *before,
        (ANOTHER.notification_id, Stage.HELD, 2),
    ]


async def test_an_attempt_that_a_bug_breaks_off_is_on_record_if_the_partner_may_have_it(partner: Partner) -> None:
    """Else a process that ends at each start would send the same again and again, and nothing would tell of it."""
    found = delivery()
    for _ in range(2):
        with pytest.raises(IndexError):  # it has no answer to give
            await partner.make(found)

    assert [said(r) for r in await partner.receipts()] == [
        (Stage.WAITING, 1, "not_yet", UNDER_WAY),
        (Stage.WAITING, 2, "not_yet", UNDER_WAY),
    ]


async def test_one_that_is_refused_while_others_are_taken_is_parked_with_what_was_answered(partner: Partner) -> None:
    partner.others = True
    bad = delivery()
    for n in range(3):
        partner.answers = [Reply.NOT_LET_IN, Reply.ACCEPTED]
        await partner.make(bad)
        if n < 2:
            await partner.make(delivery(ON_A_DUTY.model_copy(update={"notification_id": f"{ID[:-1]}{n + 2}"})))

    assert [said(r) for r in await partner.receipts() if r.notification_id == ID] == [
        (Stage.WAITING, 1, "its code", "not_let_in"),
        (Stage.WAITING, 2, "its code", "not_let_in"),
        (Stage.PARKED, 3, "its code", "refused_while_others_are_taken"),
    ]


async def test_each_probe_of_one_on_a_consent_has_its_answer_on_record(partner: Partner) -> None:
    partner.answers = [Reply.GONE, Reply.GONE]
    found = delivery(ON_CONSENT)
    await partner.make(found)
    await partner.make(found)

    assert [r.stage for r in await partner.receipts()] == [Stage.WAITING, Stage.HELD] * 2


async def test_the_same_again_needs_nothing_and_other_bytes_under_its_id_need_a_person(partner: Partner) -> None:
    other = delivery(ON_A_DUTY.model_copy(update={"flow": "another"}))
    asked: list[str] = []

    async def same(digest: str) -> bool:
        asked.append(digest)
        return len(asked) == 1

    new = await partner.attempts.come_again(delivery(), same=same)
    partner.answers = [Reply.ACCEPTED]
    await partner.make(delivery())
    partner.done.clear()
    again = [await partner.attempts.come_again(each, same=same) for each in (delivery(), other)]
    after_same = list(partner.done)
    others = await partner.attempts.come_again(other, same=same)

    assert (new, again, others) == (False, [True, True], True)
    assert (after_same, partner.done) == ([], [PARKED, RECEIPTS])
    assert asked == [delivery().digest] * 2  # not of the very same bytes
    last = (await partner.receipts())[-1]
    assert said(last) == (Stage.PARKED, 0, "not_sent", "same_id_other_content")
    assert last.output_digest == other.digest


# What is taken back

OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
TAKES_IT_BACK = ON_A_DUTY.model_copy(
    update={"notification_id": OTHER, "lifecycle": "RETRACT", "takes_back": ID, "bare": True}
)


async def test_what_was_taken_back_before_it_went_is_not_sent_and_neither_is_what_takes_it_back(
    partner: Partner,
) -> None:
    """On a consent a receipt says when an attempt begins, so it is certain that there was none."""
    original = delivery(ON_CONSENT)
    original.taken_back = True
    await partner.make(original)
    await partner.make(delivery(TAKES_IT_BACK))

    assert [said(r) for r in await partner.receipts()] == [
        (Stage.STOPPED, 0, "not_sent", "taken_back"),
        (Stage.STOPPED, 0, "not_sent", "nothing_to_take_back"),
    ]
    assert "partner" not in partner.done


async def test_where_a_process_may_have_ended_between_answer_and_receipt_it_is_taken_back(partner: Partner) -> None:
    """What stands on a duty leaves no trace before the answer; the partner may have it."""
    partner.answers = [Reply.ACCEPTED]
    original = delivery()
    original.taken_back = True
    await partner.make(original)
    await partner.make(delivery(TAKES_IT_BACK))

    assert [r.stage for r in await partner.receipts()] == [Stage.STOPPED, Stage.HANDED_OVER]


async def test_of_what_the_register_stopped_nothing_is_told_though_it_is_taken_back(partner: Partner) -> None:
    """A school that the child has left must not learn now that there was something."""
    partner.refusal = Reason(code="NOT_IN_CARE", rule="R01", about="x")
    await partner.make(delivery())
    partner.refusal = None
    await partner.make(delivery(TAKES_IT_BACK))

    assert [(r.stage, r.reason) for r in await partner.receipts()] == [
        (Stage.STOPPED, "NOT_IN_CARE (R01)"),
        (Stage.STOPPED, "nothing_to_take_back"),
    ]
    assert "partner" not in partner.done


async def test_an_attempt_on_a_consent_that_was_begun_and_never_answered_is_taken_back(partner: Partner) -> None:
    partner.answers = [Reply.ACCEPTED]
    begun = stages.begun(stages.Phase.OPEN)
    original = delivery(ON_CONSENT)
    await partner.ledger.write(
        ON_CONSENT, begun.stage, digest=original.digest, attempt=1, at=NOON, answer=begun.answer, reason=begun.reason
    )
    original.taken_back = True
    await partner.make(original)
    await partner.make(delivery(TAKES_IT_BACK))

    assert [r.stage for r in await partner.receipts()] == [Stage.WAITING, Stage.STOPPED, Stage.HANDED_OVER]


async def test_a_correction_is_sent_though_what_it_corrects_never_was(partner: Partner) -> None:
    partner.answers = [Reply.ACCEPTED]
    original = delivery(ON_CONSENT)
    original.taken_back = True
    await partner.make(original)
    await partner.make(delivery(TAKES_IT_BACK.model_copy(update={"bare": False, "lifecycle": "CORRECT"})))

    assert [r.stage for r in await partner.receipts()] == [Stage.STOPPED, Stage.HANDED_OVER]


async def test_what_may_be_there_is_taken_back_though_it_is_not_sent_again(partner: Partner) -> None:
    partner.answers = [Reply.UNKNOWN, Reply.ACCEPTED]
    original = delivery()
    await partner.make(original)
    original.taken_back = True
    await partner.make(original)
    await partner.make(delivery(TAKES_IT_BACK))

    assert [r.stage for r in await partner.receipts()] == [Stage.WAITING, Stage.STOPPED, Stage.HANDED_OVER]


async def test_what_was_handed_over_is_taken_back(partner: Partner) -> None:
    partner.answers = [Reply.ACCEPTED, Reply.ACCEPTED]
    await partner.make(delivery())
    await partner.make(delivery(TAKES_IT_BACK))

    assert [(r.notification_id, r.stage) for r in await partner.receipts()] == [
        (ID, Stage.HANDED_OVER),
        (OTHER, Stage.HANDED_OVER),
    ]


@pytest.mark.parametrize("on", [ON_A_DUTY, ON_CONSENT], ids=["duty", "consent"])
async def test_what_is_parked_and_taken_back_is_settled_so_that_nobody_sends_it_again(
    partner: Partner, on: Notification
) -> None:
    """Also where the partner is busy at first: that it was settled does not mean that it was never there."""
    partner.answers = [Reply.OTHER_CONTENT, Reply.BUSY, Reply.ACCEPTED]
    await partner.make(delivery(on))
    takes_back = delivery(TAKES_IT_BACK)
    await partner.make(takes_back)
    await partner.make(takes_back)

    assert [(r.notification_id, r.stage) for r in await partner.receipts() if r.reason != UNDER_WAY] == [
        (ID, Stage.PARKED),
        (ID, Stage.STOPPED),
        (OTHER, Stage.WAITING),
        (OTHER, Stage.HANDED_OVER),
    ]


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize("ends", ["taken back", "consent withdrawn"])
async def test_what_a_gateway_or_a_server_lost_the_answer_of_may_be_there(
    partner: Partner, status: int, ends: str
) -> None:
    """The partner's server has stored it; the gateway before it had waited too long. It keeps it, unless it is told."""
    asked: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head)
        await reader.readexactly(int(re.findall(rb"(?i)content-length: (\d+)", head)[0]))
        writer.write(f"HTTP/1.1 {status if len(asked) == 1 else 202} -\r\nContent-Length: 0\r\n\r\n".encode())

    async with listening(take) as port:
        place = WebhookSettings(f"http://127.0.0.1:{port}/", ("whsec_" + "bmV3" * 8,), allow_private=True)
        partner.attempts._adapter = WebhookAdapter(place, clock=lambda: datetime.now(UTC))
        original = delivery(ON_CONSENT)
        await partner.make(original)
        if ends == "taken back":
            original.taken_back = True
            await partner.make(original)
            await partner.make(delivery(TAKES_IT_BACK))
        else:
            partner.refusal = WITHDRAWN
            await partner.make(original)

    if ends == "taken back":
        assert [said(r) for r in await partner.receipts()][-1] == (Stage.HANDED_OVER, 1, "202", "")
        assert len(asked) == 2
    else:
        assert list(partner.ledger.on_consent()) == [ID]  # it will be told that the consent has ended

"""What becomes of a delivery after each answer, refusal or repeat: the whole table, as an operator would be told it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.generate import delivery_states
from safebus.consumers.adapters.adapter import ALREADY_THERE, PartnerAnswer, Reply
from safebus.consumers.delivery import stages
from safebus.consumers.delivery.circuit import Fault, Verdict
from safebus.consumers.delivery.measures import OpenState
from safebus.consumers.delivery.retry import GIVE_UP_AFTER
from safebus.consumers.delivery.stages import ENDED, FOLLOWS, TABLE, Met, Phase, Said, Step
from safebus.schemas.bus_records import Reason, Receipt, Stage

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TRANSIENT = [Reply.BUSY, Reply.UNKNOWN]
WITHDRAWN = Reason(code="CONSENT_WITHDRAWN", rule="R12", about="x")
PAGE = Path("docs/reference/delivery-states.md")


def after(
    reply: Reply,
    *,
    phase: Phase = Phase.OPEN,
    attempt: int = 1,
    after: timedelta = timedelta(),
    jitter: float = 0,
    retry_after_s: float | None = None,
) -> Step:
    return stages.answered(
        PartnerAnswer(reply, "code", retry_after_s),
        phase=phase,
        attempt=attempt,
        first_sent=NOON,
        now=NOON + after,
        jitter=jitter,
    )


IN_5_S = NOON + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("reply", "open_one", "redriven_one"),
    [
        (Reply.ACCEPTED, (Stage.HANDED_OVER, "", None), (Stage.HANDED_OVER, "", None)),
        (Reply.BUSY, (Stage.WAITING, "partner_busy", IN_5_S), (Stage.PARKED, "partner_busy", None)),
        (Reply.UNKNOWN, (Stage.WAITING, "answer_unknown", IN_5_S), (Stage.PARKED, "answer_unknown", None)),
        (Reply.OTHER_CONTENT, (Stage.PARKED, "other_content", None), (Stage.PARKED, "other_content", None)),
    ],
)
def test_each_reply_leads_to_one_stage(
    reply: Reply,
    open_one: tuple[Stage, str, datetime | None],
    redriven_one: tuple[Stage, str, datetime | None],
) -> None:
    for phase, (stage, code, again_at) in ((Phase.OPEN, open_one), (Phase.REDRIVEN, redriven_one)):
        assert after(reply, phase=phase) == Step(stage, code, "code", again_at=again_at)


@pytest.mark.parametrize(
    ("reply", "reason", "held_because"),
    [
        (Reply.REFUSED, "refused_by_partner", "all_refused"),
        (Reply.NOT_LET_IN, "not_let_in", "not_let_in"),
        (Reply.GONE, "destination_gone", "destination_gone"),
    ],
)
def test_a_refusal_leads_where_the_fault_is(reply: Reply, reason: str, held_because: str) -> None:
    """By what others are answered; a person who sends it again is told at once."""

    def step(fault: Fault, again_at: datetime | None = None, *, known: bool = False) -> Step:
        return stages.refused(PartnerAnswer(reply, "code"), Verdict(fault, again_at, known))

    assert step(Fault.NOT_KNOWN, IN_5_S) == Step(Stage.WAITING, reason, "code", again_at=IN_5_S)
    assert step(Fault.DESTINATION, IN_5_S) == Step(Stage.HELD, held_because, "code", again_at=IN_5_S)
    assert step(Fault.DESTINATION, IN_5_S, known=True).known
    assert step(Fault.MESSAGE) == Step(Stage.PARKED, "refused_while_others_are_taken", "code")
    assert after(reply, phase=Phase.REDRIVEN) == Step(Stage.PARKED, reason, "code")


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.REDRIVEN])
def test_what_the_register_refuses_is_stopped_and_what_cannot_be_read_parked(phase: Phase) -> None:
    refused = Step(Stage.STOPPED, "CONSENT_WITHDRAWN", "not_sent", rule="R12")

    assert stages.unsent(WITHDRAWN, phase=phase) == refused
    assert refused.reason == "CONSENT_WITHDRAWN (R12)"
    assert stages.not_readable(phase) == Step(Stage.PARKED, "view_not_readable", "not_sent")
    assert stages.unsent(None, phase=phase) is None


def test_an_attempt_that_is_under_way_does_not_take_it_off_the_list_of_what_is_parked() -> None:
    assert stages.begun(Phase.OPEN) == Step(Stage.WAITING, "attempt_under_way", "not_yet")
    assert stages.begun(Phase.REDRIVEN) == Step(Stage.PARKED, "attempt_under_way", "not_yet")


def test_one_that_has_ended_and_comes_again_needs_a_person_only_if_its_bytes_are_others() -> None:
    assert stages.come_again(same=True) is None
    assert stages.come_again(same=False) == Step(Stage.PARKED, "same_id_other_content", "not_sent")


def test_accepted_is_done_however_late() -> None:
    assert after(Reply.ACCEPTED, attempt=9, after=timedelta(days=9)).stage is Stage.HANDED_OVER


@pytest.mark.parametrize("reply", TRANSIENT)
def test_72_hours_without_an_answer_park_it(reply: Reply) -> None:
    assert after(reply, after=GIVE_UP_AFTER) == Step(Stage.PARKED, "no_answer_for_72_hours", "code")


def test_a_partner_that_names_a_time_is_not_asked_before() -> None:
    hour = NOON + timedelta(hours=1)

    assert [after(reply, retry_after_s=3600).again_at for reply in TRANSIENT] == [hour] * 2


def test_a_probe_is_on_record_unless_one_of_the_same_message_was_answered_alike_and_stands_on_no_consent() -> None:
    first, probe = (Step(Stage.HELD, "not_let_in", "403", known=known) for known in (False, True))
    others = [None, Said(Stage.WAITING, "not_let_in", "403"), Said(Stage.HELD, "not_let_in", "401")]

    assert [step.written(on_record=first.said, on_consent=False) for step in (first, probe)] == [True, False]
    assert [probe.written(on_record=each, on_consent=False) for each in others] == [True, True, True]
    assert probe.written(on_record=first.said, on_consent=True)


def test_a_receipt_holds_the_reason_and_then_why_a_person_sent_it_again() -> None:
    accepted, busy = after(Reply.ACCEPTED, phase=Phase.REDRIVEN), after(Reply.BUSY, phase=Phase.REDRIVEN)

    assert stages.on_record(accepted, redriven=None) == ""
    assert stages.on_record(busy, redriven=None) == "partner_busy"
    assert stages.on_record(accepted, redriven="they asked") == "redriven: they asked"
    assert stages.on_record(busy, redriven="they asked") == "partner_busy; redriven: they asked"
    assert stages.code_of("partner_busy; redriven: they asked; redriven: twice") == "partner_busy"


def test_what_is_open_stands_as_pending_or_waiting_and_all_as_held_while_their_destination_is() -> None:
    assert [stages.open_state(tried=tried, held=False) for tried in (False, True)] == [
        OpenState.PENDING,
        OpenState.WAITING,
    ]
    assert {stages.open_state(tried=tried, held=True) for tried in (False, True)} == {OpenState.HELD}


@pytest.mark.parametrize(("met", "phase"), [(Met.OTHER_BYTES, Phase.OPEN), (Met.GIVEN_UP, Phase.REDRIVEN)])
def test_what_cannot_be_met_in_a_phase_is_a_bug(met: Met, phase: Phase) -> None:
    with pytest.raises(ValueError, match=f"a delivery that is {phase} cannot meet {met}"):
        stages._step(met, phase)


# The table as a whole.
def test_every_reply_and_everything_else_that_can_be_met_has_one_line() -> None:
    assert sorted(line.met for line in TABLE) == sorted([*Reply, *Met])


def test_every_stage_but_that_of_a_notice_is_reached_and_says_what_follows() -> None:
    reached = {line.to(phase) for line in TABLE for phase in Phase} - {None}

    assert reached == set(FOLLOWS) == set(Stage) - {Stage.NOTICE_HANDED_OVER}
    assert set(FOLLOWS) > ENDED


def test_each_reason_stands_for_one_thing() -> None:
    reasons = [line.reason for line in TABLE if line.reason]

    assert len(reasons) == len(set(reasons))


def test_nothing_leaves_a_stage_that_has_ended_but_other_bytes_and_a_person() -> None:
    assert {line.met: line.ended for line in TABLE if line.ended is not None} == {Met.OTHER_BYTES: Stage.PARKED}
    assert {line.redriven for line in TABLE} - {None} == ENDED


def test_only_the_partner_s_yes_the_register_s_no_and_nothing_to_say_take_a_redriven_one_off_the_list() -> None:
    assert {line.met: line.redriven for line in TABLE if line.redriven not in (None, Stage.PARKED)} == {
        Met.NOT_PERMITTED: Stage.STOPPED,
        Met.NOTHING_THERE: Stage.STOPPED,
        Reply.ACCEPTED: Stage.HANDED_OVER,
    }


# Properties: whatever the numbers are.
asked = st.none() | st.floats(min_value=-1e12, max_value=1e12) | st.just(float("inf"))
chance = st.floats(min_value=-1, max_value=1)
since = st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=400))


@given(
    reply=st.sampled_from(sorted(set(Reply) - stages.REFUSALS - {Reply.HELD_BACK})),
    attempt=st.integers(1, 10**6),
    late=since,
    retry_after_s=asked,
    jitter=chance,
)
def test_every_reply_in_every_phase_gives_one_receipt_and_says_what_follows(
    reply: Reply, attempt: int, late: timedelta, retry_after_s: float | None, jitter: float
) -> None:
    numbers = {"attempt": attempt, "after": late, "retry_after_s": retry_after_s, "jitter": jitter}
    tried, redriven = (after(reply, phase=phase, **numbers) for phase in (Phase.OPEN, Phase.REDRIVEN))

    for step in (tried, redriven):
        assert step.answer == "code"
        assert (step.again_at is None) == (step.stage in ENDED)
        assert step.again_at is None or NOON + late < step.again_at <= NOON + late + timedelta(hours=24)
    for step in (tried, redriven):
        assert step.written(on_record=step.said, on_consent=False)
    assert redriven.stage in ENDED
    assert (tried.code == "no_answer_for_72_hours") == (reply in TRANSIENT and late >= GIVE_UP_AFTER)


# The page in the docs.
def test_the_page_in_the_docs_is_what_the_table_makes() -> None:
    assert PAGE.read_text("utf-8") == delivery_states.page(), "`python -m docs.generate` makes it again"


def test_the_picture_shows_each_line_of_the_table() -> None:
    drawn = [line for line in delivery_states.diagram() if "-->" in line]
    of_the_table = {line.met: {s for s in (line.open, line.redriven, line.ended) if s} for line in TABLE}

    for met, to in of_the_table.items():
        arrows = [line for line in drawn if met in line.partition(": ")[2].split(", ")]
        assert {line.split("--> ")[1].split(":")[0] for line in arrows} == to


def receipt(stage: Stage, reason: str, answer: str = "its code") -> Receipt:
    return Receipt(
        notification_id="n",
        event_id="e",
        partner="ash",
        transport="folder",
        stage=stage,
        attempt=1,
        at=NOON,
        answer=answer,
        reason=reason,
        subject_token="t",
        purpose="p",
        consent_meaning=None,
        output_digest="d",
    )


@pytest.mark.parametrize(
    ("what", "means"),
    [
        (receipt(Stage.HANDED_OVER, ""), "the partner has it"),
        (receipt(Stage.HANDED_OVER, "redriven: mended", ALREADY_THERE), "the partner had it already"),
        (receipt(Stage.WAITING, "answer_unknown"), "no answer, or none that tells: it may be there"),
        (
            receipt(Stage.PARKED, "refused_by_partner; redriven: other_content; redriven: x"),
            "it does not take this one",
        ),
        (receipt(Stage.STOPPED, "CONSENT_WITHDRAWN (R12)"), "the register no longer permits it"),
        (receipt(Stage.NOTICE_HANDED_OVER, "consent_withdrawn"), "it was told that the consent has ended"),
        (
            receipt(Stage.NOTICE_HANDED_OVER, "refused_by_partner"),
            "it did not take that the consent has ended: tell it",
        ),
    ],
)
def test_each_receipt_says_in_words_what_it_tells(what: Receipt, means: str) -> None:
    assert stages.meaning(what) == means


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("", None),
        ("partner_busy", None),
        ("redriven: mended", "mended"),
        ("partner_busy; redriven: mended; redriven: twice", "mended; redriven: twice"),
        ("redriven: restored: last night", "last night"),
    ],
)
def test_why_a_person_sent_it_again_is_told_from_what_came_of_it(reason: str, why: str | None) -> None:
    assert stages.sent_again_because(reason) == why
    assert stages.code_of(reason) == ("partner_busy" if reason.startswith("partner_busy") else "")

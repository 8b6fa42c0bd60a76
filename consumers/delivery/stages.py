"""
What becomes of a delivery, whatever it meets?

TABLE says it, and all else follows from it: what a delivery meets (a line) in a phase (a column) brings it to a stage,
and a receipt with that stage and the reason is written. From the stage follows what is done next (FOLLOWS).

A refusal does not say whose fault it is; `consumers.delivery.circuit` finds out by asking with others. A message that
is held is never parked for it: the destination is at fault, and every message would follow. What a person sends again
stays parked unless the partner takes it or it is no longer permitted: nobody loses sight of it.

`docs/reference/delivery-states.md` is made from this module; the times are those of
`consumers.delivery.retry`. Source: Standard Webhooks 1.0.0, "Deliverability and reliability" (410).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from safebus.consumers.adapters.adapter import ALREADY_THERE, HELD_BACK, PartnerAnswer, Reply
from safebus.consumers.delivery import retry
from safebus.consumers.delivery.circuit import Fault, Verdict
from safebus.consumers.delivery.measures import OpenState
from safebus.schemas.bus_records import Reason, Receipt, Stage


class Phase(StrEnum):
    """Who acts on a delivery."""

    OPEN = "open"  # the courier: it is new, waiting or held
    REDRIVEN = "redriven"  # a person: it is parked, and sent again by command
    ENDED = "ended"  # nobody: it is handed over, parked or stopped


class Met(StrEnum):
    """What a delivery meets, apart from the partner's reply."""

    NOT_PERMITTED = "NOT_PERMITTED"
    NOT_READABLE = "NOT_READABLE"
    TAKEN_BACK = "TAKEN_BACK"
    NOTHING_THERE = "NOTHING_THERE"
    BEGUN = "BEGUN"
    GIVEN_UP = "GIVEN_UP"
    AT_FAULT = "AT_FAULT"
    ALL_REFUSED = "ALL_REFUSED"
    PAUSED = "PAUSED"
    SAME_BYTES = "SAME_BYTES"
    OTHER_BYTES = "OTHER_BYTES"


class Line(NamedTuple):
    """One line of the table. Where a phase has no stage, it cannot be met or changes nothing."""

    met: Met | Reply
    means: str
    reason: str
    open: Stage | None = None
    redriven: Stage | None = None
    ended: Stage | None = None

    def to(self, phase: Phase) -> Stage | None:
        """The stage that a delivery comes to."""
        return {Phase.OPEN: self.open, Phase.REDRIVEN: self.redriven, Phase.ENDED: self.ended}[phase]


#: Before an attempt on which a consent stands, and while any other lasts of which nothing is on record yet: until an
#: answer is written too, the partner may have it.
UNDER_WAY: Final = "attempt_under_way"
#: No answer came after the body went, or one that does not tell, so the partner may have it.
UNKNOWN: Final = "answer_unknown"
#: Its publisher took it back, and it is not sent.
TAKEN_BACK: Final = "taken_back"
#: An operator paused deliveries once an attempt had begun.
PAUSED: Final = "deliveries_paused"
#: The answer of a delivery that ended without an attempt, and of an attempt that has none yet.
NOT_SENT: Final = "not_sent"
NOT_YET: Final = "not_yet"

_HANDED_OVER, _WAITING, _HELD = Stage.HANDED_OVER, Stage.WAITING, Stage.HELD
_PARKED, _STOPPED = Stage.PARKED, Stage.STOPPED

# fmt: off
TABLE: Final = (
    #    what it meets      which means                           reason of the receipt     open          redriven
    Line(Met.NOT_PERMITTED, "the register no longer permits it",  "",                       _STOPPED,     _STOPPED),
    Line(Met.NOT_READABLE,  "its released fields cannot be read", "view_not_readable",      _PARKED,      _PARKED),
    Line(Met.TAKEN_BACK,    "its publisher took it back",         TAKEN_BACK,               _STOPPED,     None),
    Line(Met.NOTHING_THERE, "what it takes back was never sent",  "nothing_to_take_back",   _STOPPED,     _STOPPED),
    Line(Met.BEGUN,         "sent, or about to be: no answer yet", UNDER_WAY,               _WAITING,     _PARKED),
    Line(Met.PAUSED,        "an operator paused it in between",   PAUSED,                   _WAITING,     None),
    Line(Reply.HELD_BACK,   "it must not go any more",            "",                       None,         None),
    Line(Reply.ACCEPTED,    "the partner has it",                 "",                       _HANDED_OVER, _HANDED_OVER),
    Line(Reply.BUSY,        "not now",                            "partner_busy",           _WAITING,     _PARKED),
    Line(Reply.UNKNOWN,     "no answer, or none that tells: it may be there", UNKNOWN,      _WAITING,     _PARKED),
    Line(Met.GIVEN_UP,      "these two for 72 hours",             "no_answer_for_72_hours", _PARKED,      None),
    Line(Reply.OTHER_CONTENT, "it has other content of this id", "other_content",           _PARKED,      _PARKED),
    Line(Reply.REFUSED,     "it does not take this one",          "refused_by_partner",     _WAITING,     _PARKED),
    Line(Reply.NOT_LET_IN,  "it does not let us in with this one", "not_let_in",            _WAITING,     _PARKED),
    Line(Reply.GONE,        "it says there is nothing there now", "destination_gone",       _WAITING,     _PARKED),
    Line(Met.AT_FAULT,      "no to this one, others are taken",   "refused_while_others_are_taken", _PARKED, None),
    Line(Met.ALL_REFUSED,   "no to all that it was asked",        "all_refused",            _HELD,        None),
    #    of one that has ended                                                              ended
    Line(Met.SAME_BYTES,    "the same id and content again",      "",                       ended=None),
    Line(Met.OTHER_BYTES,   "its id again, with other content",   "same_id_other_content",  ended=_PARKED),
)
# fmt: on

FOLLOWS: Final = {
    Stage.HANDED_OVER: "done",
    Stage.WAITING: "it is sent again under the same id, later each time",
    Stage.HELD: "its destination is asked with one message at a time, another each time, and a person is told at once",
    Stage.PARKED: "a person must look at this message",
    Stage.STOPPED: "it is not sent any more",
}
#: After these nothing more happens to a delivery by itself.
ENDED: Final = frozenset({Stage.HANDED_OVER, Stage.PARKED, Stage.STOPPED})

_LINES: Final = {line.met: line for line in TABLE}


class Said(NamedTuple):
    """What a receipt says of an attempt, apart from how many there were and when."""

    stage: Stage
    reason: str
    answer: str


@dataclass(frozen=True)
class Step:
    """
    Where a delivery comes to, as its receipt says it.

    Attributes:
        answer: The partner's code, or that it was not asked.
        rule: Which rule refuses; empty: none does.
        again_at: WAITING: when to send it again; HELD: when its destination may be asked.
        known: A receipt of this delivery or of another says already that the destination is held.
    """

    stage: Stage
    code: str
    answer: str = NOT_SENT
    rule: str = ""
    again_at: datetime | None = None
    known: bool = False

    @property
    def reason(self) -> str:
        """As the receipt says it."""
        return f"{self.code} ({self.rule})" if self.rule else self.code

    @property
    def said(self) -> Said:
        """As the receipt says it."""
        return Said(self.stage, self.reason, self.answer)

    def written(self, *, on_record: Said | None, on_consent: bool) -> bool:
        """
        Is there a receipt? One each time, but not of a probe that was answered as the one before.

        Args:
            on_record: What the last receipt of this delivery says; None: there is none, so the partner would have been
                asked with something of which nothing tells.
            on_consent: One stands on it, so each answer has to be on record.
        """
        return on_consent or not self.known or self.said != on_record


def unsent(
    refusal: Reason | None, *, phase: Phase, taken_back: bool = False, nothing_there: bool = False
) -> Step | None:
    """
    What follows without asking the partner; None: it may be asked.

    Args:
        taken_back: Its publisher has taken it back.
        nothing_there: It takes back what was never handed over.
    """
    if taken_back or nothing_there:
        return _step(Met.TAKEN_BACK if taken_back else Met.NOTHING_THERE, phase)
    if refusal is not None:
        return replace(_step(Met.NOT_PERMITTED, phase), code=refusal.code, rule=refusal.rule)
    return None


def not_readable(phase: Phase) -> Step:
    """Its released fields cannot be read, so there is nothing to send."""
    return _step(Met.NOT_READABLE, phase)


def put_off() -> Step:
    """An operator paused deliveries once this attempt had begun; the partner has seen nothing of it."""
    return replace(_step(Met.PAUSED, Phase.OPEN), answer=HELD_BACK.code)


def begun(phase: Phase) -> Step:
    """Should we end before the answer: whoever looks, or stops this delivery, must know that it may be there."""
    return replace(_step(Met.BEGUN, phase), answer=NOT_YET)


#: Whether these are the message's fault or the destination's, their code does not say.
REFUSALS: Final = frozenset({Reply.REFUSED, Reply.NOT_LET_IN, Reply.GONE})


def answered(
    answer: PartnerAnswer, *, phase: Phase, attempt: int, first_sent: datetime, now: datetime, jitter: float
) -> Step:
    """
    What follows from the partner's answer, where it is none of the `REFUSALS` of one that is tried by itself.

    Args:
        attempt, first_sent, jitter: As `retry.next_try` takes them: since its destination was last held.
    """
    step = replace(_step(answer.reply, phase), answer=answer.code)
    if step.stage is not Stage.WAITING:
        return step
    again_at = retry.next_try(
        attempt=attempt, first_sent=first_sent, now=now, retry_after_s=answer.retry_after_s, jitter=jitter
    )
    if again_at is None:
        return replace(_step(Met.GIVEN_UP, phase), answer=answer.code)
    return replace(step, again_at=again_at)


def reason_of(reply: Reply) -> str:
    """As a receipt says it."""
    return _LINES[reply].reason


def refused(answer: PartnerAnswer, verdict: Verdict) -> Step:
    """What follows from a refusal of one that is tried by itself."""
    if verdict.fault is Fault.MESSAGE:
        return replace(_step(Met.AT_FAULT, Phase.OPEN), answer=answer.code)
    if verdict.fault is Fault.NOT_KNOWN:
        return replace(_step(answer.reply, Phase.OPEN), answer=answer.code, again_at=verdict.again_at)
    step = _step(Met.ALL_REFUSED, Phase.OPEN)
    # By its own word, where that says what to mend.
    code = step.code if answer.reply is Reply.REFUSED else _LINES[answer.reply].reason
    return replace(step, code=code, answer=answer.code, again_at=verdict.again_at, known=verdict.known)


def held(said: Said, *, again_at: datetime | None) -> Step:
    """What follows for one that was refused, as its last receipt says, when all others turn out to be, too."""
    code = code_of(said.reason)
    code = _LINES[Met.ALL_REFUSED].reason if code == _LINES[Reply.REFUSED].reason else code
    return replace(_step(Met.ALL_REFUSED, Phase.OPEN), code=code, answer=said.answer, again_at=again_at)


def come_again(*, same: bool) -> Step | None:
    """What follows when one that has ended comes once more; None: nothing."""
    met = Met.SAME_BYTES if same else Met.OTHER_BYTES
    return None if _LINES[met].ended is None else _step(met, Phase.ENDED)


_REDRIVEN: Final = "redriven: "


def on_record(step: Step, *, redriven: str | None) -> str:
    """The reason of a receipt: that of the step, then why a person sent it again."""
    return "; ".join(filter(None, [step.reason, None if redriven is None else f"{_REDRIVEN}{redriven}"]))


def code_of(reason: str) -> str:
    """What `on_record` wrote, without the person's words."""
    return "" if reason.startswith(_REDRIVEN) else reason.partition(f"; {_REDRIVEN}")[0]


#: Before the person's words, where the partner had it before.
RESTORED: Final = "restored: "


def sent_again_because(reason: str) -> str | None:
    """Why a person sent it again, in their words as they are on record; None: it was tried by itself."""
    _, mark, why = reason.partition(_REDRIVEN)
    return why.removeprefix(RESTORED) if mark else None


def was_restored(reason: str) -> bool:
    """Did a person send it again because the partner had lost it?"""
    return f"{_REDRIVEN}{RESTORED}" in reason


_ENDED_HOW: Final = "consent_"


def ended_how(how: str) -> str:
    """The reason of the receipt of a notice that was taken: `how` the consent has ended."""
    return f"{_ENDED_HOW}{how}"


def was_told(reason: str) -> bool:
    """Did the partner take the notice whose receipt gives this reason? It refused it where there is another."""
    return reason.startswith(_ENDED_HOW)


def meaning(receipt: Receipt) -> str:
    """What a receipt tells, in words."""
    code = code_of(receipt.reason)
    if receipt.stage is Stage.NOTICE_HANDED_OVER:
        told = was_told(receipt.reason)
        return (
            "it was told that the consent has ended" if told else "it did not take that the consent has ended: tell it"
        )
    if receipt.stage is Stage.HANDED_OVER:
        return "the partner had it already" if receipt.answer == ALREADY_THERE else _LINES[Reply.ACCEPTED].means
    return next((line.means for line in TABLE if line.reason == code != ""), _LINES[Met.NOT_PERMITTED].means)


#: What a delivery that is open waits for, by the code of its last receipt.
WAITS_FOR: Final = {
    PAUSED: "an operator, who paused the deliveries to this partner",
    UNDER_WAY: "the answer to an attempt that is under way, or was when its process ended",
    "partner_busy": "the partner, which could not take it",
    UNKNOWN: "the partner, which gave no answer that tells: it may be there already",
    "refused_by_partner": "what the partner answers to others: it did not take this one",
    "not_let_in": "what the partner answers to others: it did not let this one in",
    "destination_gone": "what the partner answers to others: it says that there is nothing at this place any more",
    "all_refused": "the partner, which refuses everything: a person must look",
}
#: The same, where the destination is held: then it is no single one's trouble.
ALL_WAIT_FOR: Final = {
    "refused_by_partner": "the partner, which refuses everything: a person must look",
    "not_let_in": "our key, address or table at the partner, or a rule there that dislikes what it was asked: a person "
    "must look",
    "destination_gone": "the partner, which says that there is nothing at this place any more: a person must look",
}
#: Codes of an attempt that came to nothing, and of one that was refused.
NOBODY_ANSWERS: Final = frozenset({_LINES[Reply.BUSY].reason, _LINES[Reply.UNKNOWN].reason})
REFUSED: Final = frozenset(_LINES[reply].reason for reply in (Reply.REFUSED, Reply.NOT_LET_IN, Reply.GONE))


def is_open(receipt: Receipt) -> bool:
    """Does something still happen by itself to the delivery whose last receipt this is?"""
    return receipt.stage not in ENDED and receipt.stage is not Stage.NOTICE_HANDED_OVER


def was_forbidden(receipt: Receipt) -> bool:
    """Does it tell of one that ended because the register did not permit it then, and not its publisher?"""
    of_publisher = (_LINES[Met.TAKEN_BACK].reason, _LINES[Met.NOTHING_THERE].reason)
    return receipt.stage is Stage.STOPPED and code_of(receipt.reason) not in of_publisher


def open_state(*, tried: bool, held: bool) -> OpenState:
    """How one that has not ended stands; all alike while their destination is held."""
    if held:
        return OpenState.HELD
    return OpenState.WAITING if tried else OpenState.PENDING


def _step(met: Met | Reply, phase: Phase) -> Step:
    line = _LINES[met]
    stage = line.to(phase)
    if stage is None:
        raise ValueError(f"a delivery that is {phase} cannot meet {met}")
    return Step(stage, line.reason)

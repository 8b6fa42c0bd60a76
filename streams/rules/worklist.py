"""
What must a person look at, though the event is decided?

    a hold                        somebody must decide it
    a doubtful person             nobody is told of them before someone has looked (rule R24)
    a duty that is not done       a recipient that the law names is not told: somebody must tell another contact there
    the suspect on the inside     likewise
    nobody told of a person       whatever the reasons, unless everyone was refused by that person's own wish
    an original that is unknown   it is taken back, and whoever had it must be found by hand
    a holder who is not told      it had the original, and may not be told by itself that it was wrong

Places, roles and codes only, never a value. Where there is anything, the event also stands in quarantine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from safebus.schemas.bus_records import Answer, Outcome, Reason, ToSee
from safebus.schemas.events import ABOUT, TAKES_BACK, Event, Lifecycle, Person
from safebus.streams.rules.bases import DUTY
from safebus.streams.rules.consent import OBJECTS
from safebus.streams.rules.decision import Verdict
from safebus.streams.rules.decision_input import EventFacts
from safebus.streams.rules.reasons import NOT_AGREED, Aside, Code
from safebus.streams.rules.routing import SUBSCRIPTION, Interest

#: Refused, and somebody can see to it that the person is helped all the same.
_TO_BE_SEEN = frozenset(
    code.name for code in (Code.ADVERSARY, Code.ADVERSARY_BEFORE, Code.ADVERSARY_STANDING, Code.CONSENT_UNSURE)
)
#: Somebody said no, and that is the end of it: nobody has to look.
_OWN_WISH = frozenset(NOT_AGREED[state].name for state in OBJECTS)


def of(facts: EventFacts, decided: Sequence[tuple[Interest, Verdict]]) -> Iterator[ToSee]:
    """Everything about one decided event, by subject in the order of the event."""
    event, matched = facts.event, facts.matched
    if event.lifecycle is Lifecycle.RETRACT:
        return  # nobody is told of anyone: `of_taken_back`
    for person in event.subjects:
        who = place_of(event, person)
        doubt = matched.doubts.get(person.ref)
        if doubt is not None:
            yield _to_see(event, who, doubt.reason.value, doubt.fields)
            continue
        mine = [(interest, verdict) for interest, verdict in decided if interest.person.ref == person.ref]
        for interest, verdict in mine:
            reason = _asks_for_a_person(facts, interest, verdict)
            if reason is not None:
                yield _to_see(event, who, reason.code, reason.about, recipient=interest.recipient)
        if person.role in ABOUT and _unheard(mine):
            yield _to_see(event, who, Aside.NO_RECIPIENT.value, "in no care, or everyone was refused")


def of_taken_back(facts: EventFacts, answers: Sequence[Answer]) -> Iterator[ToSee]:
    """What is not taken back by itself."""
    event, matches = facts.event, facts.matched.matches
    if event.lifecycle in TAKES_BACK and not facts.earlier.known:
        for person in event.subjects:
            if person.role in ABOUT:
                about = event.supersedes_event_id or "an earlier event about this person"
                yield _to_see(event, place_of(event, person), Aside.ORIGINAL_UNKNOWN.value, about)
    for answer in answers:
        if answer.outcome is not Outcome.PERMIT:
            same = (p for p in event.subjects if p.ref in matches and matches[p.ref].token == answer.subject_token)
            found = next(same, None)
            who = place_of(event, found) if found is not None else "someone of the original"
            reason = answer.reasons[0]
            yield _to_see(event, who, reason.code, reason.about, recipient=answer.recipient)


def place_of(event: Event, person: Person) -> str:
    """Place and role in the event, as `subjects.0 (CHILD)`."""
    number = next(i for i, other in enumerate(event.subjects) if other.ref == person.ref)
    return f"subjects.{number} ({person.role})"


def _asks_for_a_person(facts: EventFacts, interest: Interest, verdict: Verdict) -> Reason | None:
    """Why somebody must see to it that this recipient, or another contact of it, is told; None: nobody must."""
    if verdict.outcome is Outcome.PERMIT:
        return None
    if verdict.outcome is Outcome.HOLD:
        return verdict.reasons[0]
    asking = next((reason for reason in verdict.reasons if reason.code in _TO_BE_SEEN), None)
    if asking is not None:
        return asking
    return verdict.reasons[0] if _is_a_duty(facts, interest) else None


def _is_a_duty(facts: EventFacts, interest: Interest) -> bool:
    """Does an agreement name this recipient under a duty, for whom it has this person in its care?"""
    if interest.roles == (SUBSCRIPTION,):
        return False
    event = facts.event
    flows = facts.register.flows(event.event_type, event.publisher.agency, interest.recipient, facts.today)
    return any(
        flow.basis is not None
        and flow.basis.art6 == DUTY
        and flow.purpose == event.purpose
        and set(flow.interest) & set(interest.roles)
        and interest.person.role in flow.about
        for _, flow in flows
    )


def _unheard(mine: Sequence[tuple[Interest, Verdict]]) -> bool:
    if any(verdict.outcome is not Outcome.REFUSE for _, verdict in mine):
        return False  # told, or held: that stands there by itself
    codes = {reason.code for _, verdict in mine for reason in verdict.reasons}
    return not codes & _OWN_WISH


def _to_see(event: Event, who: str, code: str, about: str, *, recipient: str | None = None) -> ToSee:
    return ToSee(who=who, code=code, about=about, recipient=recipient, by=event.respond_by)

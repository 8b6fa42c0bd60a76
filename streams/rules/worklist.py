"""
What must a person look at, though the event is decided?

    a hold                        somebody must decide it
    a doubtful person             nobody is told of them before someone has looked (rule R24)
    a duty that is not done       a recipient that the law names is not told: somebody must tell another contact there
    the suspect on the inside     likewise
    nobody told of a person       whatever the reasons, unless everyone was refused by that person's own wish

Places, roles and codes only, never a value. Where there is anything, the event also stands in quarantine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from safebus.schemas.bus_records import Outcome, Reason, ToSee
from safebus.schemas.events import ABOUT, Event, Person
from safebus.streams.rules.bases import DUTY
from safebus.streams.rules.consent import OBJECTS
from safebus.streams.rules.decision import Verdict
from safebus.streams.rules.identity import Matched
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.reasons import NOT_AGREED, Aside, Code
from safebus.streams.rules.routing import SUBSCRIPTION, Interest

#: Refused, and somebody can see to it that the person is helped all the same.
_TO_BE_SEEN = frozenset({Code.ADVERSARY.name, Code.CONSENT_UNSURE.name})
#: Somebody said no, and that is the end of it: nobody has to look.
_OWN_WISH = frozenset(NOT_AGREED[state].name for state in OBJECTS)


def of(
    event: Event, matched: Matched, decided: Sequence[tuple[Interest, Verdict]], register: Lookups, on: date
) -> Iterator[ToSee]:
    """Everything about one decided event, by subject in the order of the event."""
    for person in event.subjects:
        who = place_of(event, person)
        doubt = matched.doubts.get(person.ref)
        if doubt is not None:
            yield _to_see(event, who, doubt.reason.value, doubt.fields)
            continue
        mine = [(interest, verdict) for interest, verdict in decided if interest.person.ref == person.ref]
        for interest, verdict in mine:
            reason = _asks_for_a_person(event, interest, verdict, register, on)
            if reason is not None:
                yield _to_see(event, who, reason.code, reason.about, recipient=interest.recipient)
        if person.role in ABOUT and _unheard(mine):
            yield _to_see(event, who, Aside.NO_RECIPIENT.value, "in no care, or everyone was refused")


def place_of(event: Event, person: Person) -> str:
    """Place and role in the event, as `subjects.0 (CHILD)`."""
    number = next(i for i, other in enumerate(event.subjects) if other.ref == person.ref)
    return f"subjects.{number} ({person.role})"


def _asks_for_a_person(
    event: Event, interest: Interest, verdict: Verdict, register: Lookups, on: date
) -> Reason | None:
    """Why somebody must see to it that this recipient, or another contact of it, is told; None: nobody must."""
    if verdict.outcome is Outcome.PERMIT:
        return None
    if verdict.outcome is Outcome.HOLD:
        return verdict.reasons[0]
    asking = next((reason for reason in verdict.reasons if reason.code in _TO_BE_SEEN), None)
    if asking is not None:
        return asking
    return verdict.reasons[0] if _is_a_duty(event, interest, register, on) else None


def _is_a_duty(event: Event, interest: Interest, register: Lookups, on: date) -> bool:
    """Does an agreement name this recipient under a duty, for whom it has this person in its care?"""
    if interest.roles == (SUBSCRIPTION,):
        return False
    flows = register.flows(event.event_type, event.publisher.agency, interest.recipient, on)
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

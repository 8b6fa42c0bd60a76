"""
What must a person look at, though the event is decided?

    a hold                        somebody must decide it
    a doubtful person             nobody is told of them before someone has looked (rule R24)
    a duty that is not done       a recipient that the law names is not told: somebody must tell another contact there
    the suspect on the inside     likewise
    nobody told of a person       whatever the reasons, unless everyone was refused by that person's own wish
    an original that is unknown   it is taken back, and whoever had it must be found by hand; likewise one that the bus
                                  sent to nobody, for a person may have told somebody
    a duty that names nobody      a child of school age whom no school has in its care, as far as is known
    a holder who is not told      it had the original, and may not be told by itself that it was wrong

Places, roles and codes only, never a value. Where there is anything, the event also stands in quarantine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from safebus.schemas.bus_records import Answer, Outcome, Reason, ToSee
from safebus.schemas.events import ABOUT, TAKES_BACK, Event, Lifecycle, Person, PersonRole
from safebus.schemas.uk_day import uk_day
from safebus.streams.rules.agreements import Flow
from safebus.streams.rules.consent import OBJECTS
from safebus.streams.rules.decision import Verdict
from safebus.streams.rules.decision_input import EventFacts
from safebus.streams.rules.plausible import OF_AGE, no_adult
from safebus.streams.rules.reasons import NOT_AGREED, Aside, Code
from safebus.streams.rules.routing import SUBSCRIPTION, Interest

#: Refused, and somebody can see to it that the person is helped all the same.
_TO_BE_SEEN = frozenset(
    code.name
    for code in (
        Code.ADVERSARY,
        Code.ADVERSARY_BEFORE,
        Code.ADVERSARY_STANDING,
        Code.CONSENT_UNSURE,
        Code.REFUSAL_UNSURE,
    )
)
#: Somebody said no, and that is the end of it: nobody has to look.
_OWN_WISH = frozenset(NOT_AGREED[state].name for state in OBJECTS)


def of(
    facts: EventFacts, decided: Sequence[tuple[Interest, Verdict]], taken_back: Sequence[Answer]
) -> tuple[ToSee, ...]:
    """
    Everything about one decided event, by subject in the order of the event; each once.

    Args:
        taken_back: The answers for those who had what is taken back or corrected.
    """
    return tuple(dict.fromkeys((*_decided(facts, decided), *_taken_back(facts, taken_back))))


def _decided(facts: EventFacts, decided: Sequence[tuple[Interest, Verdict]]) -> Iterator[ToSee]:
    event, matched = facts.event, facts.matched
    if event.lifecycle is Lifecycle.RETRACT:
        return  # nobody is told of anyone: `_taken_back`
    duties = facts.register.duties(event.event_type, event.publisher.agency, facts.today)
    for number, person in enumerate(event.subjects):
        who = _place(number, person)
        doubt = matched.doubts.get(person.ref)
        if doubt is not None:
            yield _to_see(event, who, doubt.reason.value, doubt.fields)
            continue
        if person.ref in facts.maybe_known:
            yield _to_see(event, who, Aside.MAYBE_KNOWN.value, "family_name, given_name, date_of_birth")
        if no_adult(event, person) or _grown_up_in_years_only(event, person):
            yield _to_see(event, who, Code.NOT_AN_ADULT.name, who)
        mine = [(interest, verdict) for interest, verdict in decided if interest.person.ref == person.ref]
        met = []  # told, or somebody's to tell
        for interest, verdict in mine:
            reason = _asks_for_a_person(facts, interest, verdict)
            if reason is not None:
                yield _to_see(event, who, reason.code, reason.about, recipient=interest.recipient)
            if reason is not None or verdict.outcome is not Outcome.REFUSE:
                met.append(interest)
        if _no_one_whom_a_duty_names(duties, person, met, facts.law_day):
            yield _to_see(event, who, Aside.DUTY_UNMET.value, "nobody who has them in care is told, as a duty asks")
        if person.role in ABOUT and _unheard(mine):
            yield _to_see(event, who, Aside.NO_RECIPIENT.value, "in no care, or everyone was refused")


def _taken_back(facts: EventFacts, answers: Sequence[Answer]) -> Iterator[ToSee]:
    """What is not taken back by itself."""
    event, matches = facts.event, facts.matched.matches
    if event.lifecycle in TAKES_BACK and not (facts.earlier.holders and facts.earlier.known):
        # Nobody had it from the bus; but a person may have told somebody of what was held or refused.
        aside = Aside.NOBODY_HAD_IT if facts.earlier.known else Aside.ORIGINAL_UNKNOWN
        for person in event.subjects:
            if person.role in ABOUT:
                about = event.supersedes_event_id or "an earlier event about this person"
                yield _to_see(event, place_of(event, person), aside.value, about)
    for answer in answers:
        if answer.outcome is not Outcome.PERMIT:
            same = (p for p in event.subjects if p.ref in matches and matches[p.ref].token == answer.subject_token)
            found = next(same, None)
            who = place_of(event, found) if found is not None else "someone of the original"
            reason = answer.reasons[0]
            yield _to_see(event, who, reason.code, reason.about, recipient=answer.recipient)


def place_of(event: Event, person: Person) -> str:
    """Place and role in the event, as `subjects.0 (CHILD)`."""
    return _place(next(i for i, other in enumerate(event.subjects) if other.ref == person.ref), person)


def _place(number: int, person: Person) -> str:
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
        flow.is_a_duty() and set(flow.interest) & set(interest.roles) and interest.person.role in flow.about
        for _, flow in flows
    )


def _no_one_whom_a_duty_names(duties: Sequence[Flow], person: Person, found: Sequence[Interest], on: date) -> bool:
    """Must somebody who has this child in its care be told, and there is none, or the register does not know it?"""
    born = person.date_of_birth
    if person.role is not PersonRole.CHILD or (born is not None and not _of_school_age(born, on)):
        return False
    roles = {role for interest in found for role in interest.roles}
    asked = [{*flow.interest} - {SUBSCRIPTION} for flow in duties if person.role in flow.about]
    return any(asked) and not any(each & roles for each in asked)


def _grown_up_in_years_only(event: Event, person: Person) -> bool:
    """Is somebody of school age named as a parent or another adult? Their own school may not hear of it."""
    born = person.date_of_birth
    role = person.role in (PersonRole.PARENT_CARER, PersonRole.OTHER_ADULT)
    return role and born is not None and _of_school_age(born, uk_day(event.occurred_at))


def _of_school_age(born: date, on: date) -> bool:
    """From reception, which begins at four, to 17. Source: N02."""
    return 4 <= on.year - born.year - ((on.month, on.day) < (born.month, born.day)) < OF_AGE


def _unheard(mine: Sequence[tuple[Interest, Verdict]]) -> bool:
    if any(verdict.outcome is not Outcome.REFUSE for _, verdict in mine):
        return False  # told, or held: that stands there by itself
    codes = {reason.code for _, verdict in mine for reason in verdict.reasons}
    return not codes & _OWN_WISH


def _to_see(event: Event, who: str, code: str, about: str, *, recipient: str | None = None) -> ToSee:
    return ToSee(who=who, code=code, about=about, recipient=recipient, by=event.respond_by)

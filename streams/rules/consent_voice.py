"""
Whose yes or no counts for this person?

    who spoke                                    for whom                               counts
    -------------------------------------------  -------------------------------------  ----------------------------
    subject, young person                        adult; competent since; 16 or 17       yes
                                                 younger, or not born yet               no
                                                 age unknown                            unsure
    parent                                       adult                                  no
                                                 16 or 17 and lives independently       no (HA 1996 s.213AA(3))
                                                 lives independently, age unknown       unsure
                                                 a suspect may be a parent              unsure (which one was it?)
                                                 otherwise                              yes
    someone of the register (`by`)               themselves                             as the subject
                                                 and is a suspect of the event          no (R14)
                                                 and may not speak for them that day    no
                                                 with parental responsibility           as a parent, known by name
                                                 as representative or by court order    yes
                                                 and a suspect unknown may be the same  unsure
    court                                        anyone                                 yes
    representative, nobody knows which           anyone                                 unsure
    an officer, anyone else, no word             anyone                                 nobody's

A suspect is whom this event accuses, or an earlier one of its episode. A yes counts only if it is theirs to give. A no
counts unless it is known not to be: silence refuses, so what is unsure closes. What was revoked, invalidated or has
ended counts whoever took it down: it is not the person's own act.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum

from safebus.schemas.bus_records import Accused
from safebus.schemas.events import Event, Person, PersonRole
from safebus.schemas.uk_day import uk_day
from safebus.streams.rules import alike
from safebus.streams.rules.consent import HOLDS, OBJECTS, Capacity, ConsentEntry
from safebus.streams.rules.identity import Matched
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.parties import KnownPerson, MaySpeakFor, SpeaksAs

Entries = Sequence[tuple[int, ConsentEntry]]

#: From this age a young person is taken to be competent (Family Law Reform Act 1969 s.8); before, someone assesses it.
COMPETENT_AT = 16
ADULT_AT = 18
#: What a suspect can be to a child, in the words of publishers, and certainly is no parent. Any other word may be one.
NO_PARENT = frozenset(
    {
        *(f"{parent} {partner}" for parent in ("mothers", "fathers") for partner in ("partner", "expartner")),
        *("uncle", "aunt", "neighbour", "stranger", "lodger", "teacher", "sibling", "brother", "sister", "cousin"),
        *("grandfather", "grandmother"),
    }
)


class Voice(Enum):
    """Is it theirs to say? NOBODYS: it is not said who spoke."""

    THEIRS = "theirs"
    NOT_THEIRS = "not theirs"
    UNSURE = "unsure"
    NOBODYS = "nobody's"


@dataclass(frozen=True)
class Suspect:
    """
    An alleged perpetrator of the event.

    Attributes:
        person_id: None: nobody of the register.
        resembles: Ids of those of the register whom they may be, by names and dates.
    """

    person_id: str | None
    may_be_parent: bool
    resembles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Around:
    """
    What is known of the person whose decision it is, and of those around them.

    Attributes:
        role: In the event, with `born`; None where no event is at hand.
        suspects: None: it is not known whether there are any.
        dangers: Ids of those who are recorded as a danger to them.
        today: Nobody has spoken later than that, whatever is written.
        mother: Of one who is not born yet: her id.
    """

    known: KnownPerson | None
    speakers: Sequence[MaySpeakFor]
    role: PersonRole | None = None
    born: date | None = None
    suspects: tuple[Suspect, ...] | None = None
    dangers: frozenset[str] = frozenset()
    today: date | None = None
    mother: str | None = None

    def age(self, on: date) -> int | None:
        """In whole years."""
        if self.born is None:
            return None
        return on.year - self.born.year - ((on.month, on.day) < (self.born.month, self.born.day))

    def adult(self, on: date) -> bool:
        """Grown up, as far as the event tells."""
        age = self.age(on)
        return self.role is PersonRole.ADULT_VICTIM if age is None else age >= ADULT_AT


@dataclass(frozen=True)
class Heard:
    """
    What counts of what was said.

    Attributes:
        yes_unsure: A yes was left out of which a person must say whether it counts.
        yes_not_theirs: A yes was left out that was not theirs to give.
        no_not_theirs: A refusal or a withdrawal was left out.
        no_unsure: A refusal or a withdrawal counts of which a person must say whether it was theirs; no other does.
    """

    entries: Entries
    yes_unsure: bool = False
    yes_not_theirs: bool = False
    no_not_theirs: bool = False
    no_unsure: bool = False


def around(
    event: Event,
    subject: Person,
    person_id: str,
    matched: Matched,
    register: Lookups,
    *,
    on: date,
    before: Sequence[Accused] = (),
) -> Around:
    """
    What an event and the register tell of one of its subjects and those around them.

    Args:
        before: Whom earlier events of the episode accuse: one who is not named again is still who it was.
    """
    suspects = (
        *(
            _suspect(each, matched)
            for each in event.subjects
            if each.role is PersonRole.ALLEGED_PERPETRATOR and each.ref != subject.ref
        ),
        *(_accused(one, register) for one in before),
    )
    without = around_without_event(person_id, register, suspects=suspects, on=on)
    mother = matched.mothers.get(subject.ref) if subject.role is PersonRole.UNBORN_CHILD else None
    hers = frozenset(d.person_id for d in register.dangers(mother) if d.holds(on)) if mother else frozenset()
    return replace(
        without, role=subject.role, born=subject.date_of_birth, mother=mother, dangers=without.dangers | hers
    )


def _suspect(person: Person, matched: Matched) -> Suspect:
    if person.ref in matched.doubts:
        return Suspect(None, may_be_parent=True)  # whoever that is
    resembles = matched.protects_as(person.ref)
    return Suspect(matched.matches[person.ref].person_id, may_be_parent(person.relationship), resembles)


def _accused(one: Accused, register: Lookups) -> Suspect:
    ids = frozenset(person_id for each in one.ids for person_id in register.persons_with(*each.split(" ")))
    if not one.corrected and len(ids) == 1 and all(alike.agrees(one, register.person(person_id)) for person_id in ids):
        return Suspect(next(iter(ids)), one.may_be_parent, ids)
    if ids:
        return Suspect(None, may_be_parent=True)  # whoever that is
    said = alike.read(one)
    others = register.noted_alike(said.tokens())
    like = frozenset(other.person_id for other in others if alike.may_be_one(said, alike.known(other)))
    return Suspect(None, one.may_be_parent, like)


def around_without_event(
    person_id: str, register: Lookups, *, suspects: tuple[Suspect, ...] | None, on: date
) -> Around:
    """What the register alone tells; `suspects`: None: there may be some, so that whoever may be one is unsure."""
    dangers = frozenset(danger.person_id for danger in register.dangers(person_id) if danger.holds(on))
    known, speakers = register.person(person_id), register.may_speak_for(person_id)
    return Around(known, speakers, suspects=suspects, dangers=dangers, today=on)


def may_be_parent(relationship: str | None) -> bool:
    """May a suspect of this relationship to the child be a parent? Only a word that is known rules it out."""
    letters = "".join(c for c in (relationship or "").casefold() if c.isalpha() or c == " ")
    return " ".join(letters.split()) not in NO_PARENT


def heard(
    entries: Entries,
    who: Around,
    *,
    recipient: str | None = None,
    judged_at: datetime | None = None,
    unsure_yes: bool = False,
) -> Heard:
    """
    What counts of what was said.

    Args:
        recipient: Only what covers this partner; None: all of it.
        judged_at: A decision was made then with the event at hand and found that it was agreed to: a yes from before
            that is unsure without the event is taken as that decision took it.
        unsure_yes: Take any yes that is unsure: to tell whether something ended, not whether it may go.
    """
    kept: list[tuple[int, ConsentEntry]] = []
    unsure = not_theirs = no_dropped = no_unsure = no_theirs = False
    for offset, entry in entries:
        if recipient is not None and entry.recipients and recipient not in entry.recipients:
            continue
        voice = voice_of(entry, who) if entry.state in HOLDS | OBJECTS else Voice.THEIRS
        if entry.state in HOLDS:
            judged = unsure_yes or (judged_at is not None and entry.decided_at <= judged_at)
            if voice is Voice.THEIRS or (voice is Voice.UNSURE and judged):
                kept.append((offset, entry))
            elif voice is Voice.UNSURE:
                unsure = True
            else:
                not_theirs = True
        elif voice is Voice.NOT_THEIRS:
            no_dropped = True
        else:
            kept.append((offset, entry))
            no_theirs |= entry.state in OBJECTS and voice is Voice.THEIRS
            no_unsure |= entry.state in OBJECTS and voice is not Voice.THEIRS
    return Heard(kept, unsure, not_theirs, no_dropped, no_unsure and not no_theirs)


def voice_of(entry: ConsentEntry, who: Around) -> Voice:
    """Whose word is it, on the day it was said? The table is above."""
    on = uk_day(entry.decided_at)
    on = on if who.today is None else min(on, who.today)
    if entry.by is not None and entry.by != entry.person_id:
        return _someone(entry.by, who, on)
    match Capacity.SUBJECT if entry.by is not None else entry.spoken_as():
        case Capacity.SUBJECT | Capacity.YOUNG_PERSON:
            return _own(who, on)
        case Capacity.PARENT:
            found = _parent(who, on)
            named = {each.by for each in who.speakers if each.speaks_as is SpeaksAs.PARENTAL_RESPONSIBILITY}
            # Whoever is recorded as a danger to them is heard like one whom the event accuses; perhaps as a parent.
            accused = who.suspects is None or any(s.may_be_parent or s.person_id in named for s in who.suspects)
            which = accused or bool(who.dangers)
            return Voice.UNSURE if which and found is Voice.THEIRS else found
        case Capacity.COURT:
            return Voice.THEIRS
        case Capacity.REPRESENTATIVE:
            return Voice.UNSURE
        case _:
            return Voice.NOBODYS


def _own(who: Around, on: date) -> Voice:
    if who.role is PersonRole.UNBORN_CHILD:
        return Voice.NOT_THEIRS
    since = who.known.competent_since if who.known is not None else None
    if who.adult(on) or (since is not None and since <= on):
        return Voice.THEIRS
    age = who.age(on)
    if age is None:
        return Voice.UNSURE
    return Voice.THEIRS if age >= COMPETENT_AT else Voice.NOT_THEIRS


def _parent(who: Around, on: date) -> Voice:
    if who.adult(on):
        return Voice.NOT_THEIRS
    if who.known is not None and who.known.lives_independently:
        age = who.age(on)
        if age is None:
            return Voice.UNSURE
        if age >= COMPETENT_AT:
            return Voice.NOT_THEIRS
    return Voice.THEIRS


def _someone(by: str, who: Around, on: date) -> Voice:
    suspects = who.suspects or ()
    if by == who.mother and by not in who.dangers and not any(s.person_id == by for s in suspects):
        return Voice.THEIRS  # before birth nobody but her has a say
    if by in who.dangers or any(suspect.person_id == by for suspect in suspects):
        return Voice.NOT_THEIRS
    ways = {each.speaks_as for each in who.speakers if each.by == by and each.holds(on)}
    if not ways:
        return Voice.NOT_THEIRS
    found = _parent(who, on) if ways == {SpeaksAs.PARENTAL_RESPONSIBILITY} else Voice.THEIRS
    hidden = who.suspects is None or any(
        s.person_id is None and (s.may_be_parent or by in s.resembles) for s in suspects
    )
    return Voice.UNSURE if hidden and found is Voice.THEIRS else found

"""
What do decisions rest on, as of one offset of the register?

The register is a log. Applying its records in order gives the state at that offset, and applying them again gives the
same state: that is how a decision of last year is made again. Everything is looked up by index, so a decision costs
the same with ten agreements or ten thousand.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadRegister
from safebus.schemas.event_part import what_is_wrong
from safebus.streams.register.governance import (
    IDS_FOLLOW_AFTER,
    PEOPLE,
    TOKEN_KEY,
    TWO_PERSONS,
    DeliveriesWord,
    People,
    RegisteredDestination,
    TokenKey,
    TwoPersons,
)
from safebus.streams.rules.agreements import Agreement, Flow, Status, speaking
from safebus.streams.rules.bases import Basis, EventRule
from safebus.streams.rules.consent import ConsentEntry, Meaning
from safebus.streams.rules.parties import (
    Affiliation,
    Danger,
    Involvement,
    KnownPerson,
    MaySpeakFor,
    Partner,
    Subscription,
)

#: What an entry can be. The kind stands in the record, so a reader knows the model without guessing.
KINDS: dict[str, type[BaseModel]] = {
    "partner": Partner,
    "basis": Basis,
    "event_rule": EventRule,
    "agreement": Agreement,
    "person": KnownPerson,
    "involvement": Involvement,
    "subscription": Subscription,
    "affiliation": Affiliation,
    "danger": Danger,
    "may_speak_for": MaySpeakFor,
    "consent": ConsentEntry,
    "destination": RegisteredDestination,
    "deliveries": DeliveriesWord,
    "two_persons": TwoPersons,
    PEOPLE: People,
    TOKEN_KEY: TokenKey,
}


class Ending(NamedTuple):
    """When an entry was ended, by whom and why; `entry`: what stood until then."""

    at: datetime
    by: str
    reason: str
    kind: str
    entry: BaseModel


def agreement_id(agreement: Agreement) -> str:
    """
    The register id of one version of an agreement.

    Old registers have one id for all versions, `agreement/<id>`, where each version takes the place of the one before.
    """
    return f"agreement/{agreement.agreement}/v{agreement.version}"


def body_of(entry: BaseModel) -> str:
    """An entry as canonical JSON: keys sorted, no spaces."""
    return json.dumps(entry.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))


class Register:
    """
    The state of the register at one offset: `streams.rules.lookups.Lookups`, held in memory.

    Attributes:
        offset: Of the last record applied; -1 before the first.
        ended: Record id -> when, by whom and why, of what was ended and has not come back.
    """

    def __init__(self) -> None:
        self.offset = -1
        self._generations: dict[int, datetime] = {1: datetime.min.replace(tzinfo=UTC)}  # since when
        self.partners: dict[str, Partner] = {}
        self.bases: dict[str, Basis] = {}
        self.event_rules: dict[str, EventRule] = {}
        self.versions: dict[
            tuple[str, int], Agreement
        ] = {}  # every version that ever was: what was sent stays readable
        self.persons: dict[str, KnownPerson] = {}
        self.ended: dict[str, Ending] = {}
        self._ended_versions: dict[str, frozenset[int]] = {}
        self._speaks: tuple[date, dict[str, Agreement | None]] = (date.min, {})  # found out since the last record
        self._standing: dict[str, dict[str, Agreement]] = defaultdict(dict)  # agreement -> record id -> version
        self._entries: dict[str, tuple[str, BaseModel]] = {}
        self._flows: dict[tuple[str, str, str], dict[tuple[str, str, str], tuple[Agreement, Flow]]] = defaultdict(dict)
        self._sent: dict[tuple[str, str], dict[tuple[str, str, str], tuple[Agreement, Flow]]] = defaultdict(dict)
        self._by_token: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._born_as: dict[tuple[str, str] | None, set[str]] = defaultdict(set)
        self._by_likeness: dict[str, set[str]] = defaultdict(set)
        self._involvements: dict[str, dict[str, Involvement]] = defaultdict(dict)
        self._subscriptions: dict[str, dict[str, Subscription]] = defaultdict(dict)
        self._affiliations: dict[str, dict[str, Affiliation]] = defaultdict(dict)
        self._dangers: dict[str, dict[str, Danger]] = defaultdict(dict)
        self._endangers: dict[str, dict[str, Danger]] = defaultdict(dict)
        self._speaking: dict[str, dict[str, MaySpeakFor]] = defaultdict(dict)
        self._speakers: dict[str, dict[str, MaySpeakFor]] = defaultdict(dict)
        self._consents: dict[tuple[str, Meaning, str], dict[str, tuple[int, ConsentEntry]]] = defaultdict(dict)

    @classmethod
    def at(cls, records: Iterable[tuple[int, RegisterRecord]], offset: int) -> Register:
        """The state as of one offset, from the whole log."""
        register = cls()
        for at, record in records:
            if at > offset:
                break
            register.apply(at, record)
        return register

    def apply(self, offset: int, record: RegisterRecord) -> None:
        """
        Take one record in.

        Raises:
            BadRegister: The kind is unknown or the body is not of that kind. A decision must not rest on a register
                that is only half understood, so this is not skipped.
        """
        model = KINDS.get(record.kind)
        if model is None:
            raise BadRegister([f"register offset {offset}: unknown kind `{record.kind}`; upgrade this process"])
        # Read first: a record that is refused must leave what stood before, a prohibition above all.
        entry = None if record.body is None else _read(offset, record, model, record.body)
        if record.kind == TOKEN_KEY:
            self._generations.setdefault(self._next_generation(offset, entry), record.recorded_at)
        self._speaks = (date.min, {})
        self._remember_the_end(record)
        self._take_out(record.record_id)
        if entry is not None:
            self._put_in(record.record_id, record.kind, entry, offset)
        self.offset = offset

    def _next_generation(self, offset: int, entry: BaseModel | None) -> int:
        # Going back would write under a secret again that was given up because somebody has it.
        if not isinstance(entry, TokenKey) or entry.generation < self.generation:
            said = entry.generation if isinstance(entry, TokenKey) else "none"
            raise BadRegister(
                [
                    f"register offset {offset}: generation {said} of the bus's secret, and {self.generation} is in "
                    "use: there is no way back, only to the next"
                ]
            )
        return entry.generation

    def _remember_the_end(self, record: RegisterRecord) -> None:
        if record.body is not None:
            back = self.ended.pop(record.record_id, None)
            if back is not None and isinstance(back.entry, Agreement):
                name, version = back.entry.agreement, back.entry.version
                self._ended_versions[name] = self.ended_versions(name) - {version}
        elif record.record_id in self._entries:
            kind, entry = self._entries[record.record_id]
            # What stood under an old id would come back under the new one.
            also = {agreement_id(entry)} if isinstance(entry, Agreement) else set()
            if isinstance(entry, Agreement):
                self._ended_versions[entry.agreement] = self.ended_versions(entry.agreement) | {entry.version}
            for record_id in {record.record_id, *also}:
                self.ended[record_id] = Ending(record.recorded_at, record.recorded_by, record.reason, kind, entry)

    def ended_versions(self, agreement: str) -> frozenset[int]:
        """The versions of an agreement that were ended and have not come back."""
        return self._ended_versions.get(agreement, frozenset())

    @property
    def agreements(self) -> dict[str, Agreement]:
        """The newest version of every agreement that stands, in force or not."""
        return {
            name: max(versions.values(), key=lambda each: each.version)
            for name, versions in self._standing.items()
            if versions
        }

    def standing(self, agreement: str) -> Mapping[str, Agreement]:
        """Record id -> version, of every version of an agreement that was not ended."""
        return self._standing.get(agreement, {})

    def destination(self, partner: str) -> RegisteredDestination | None:
        """Where a partner's notifications go, if that is registered."""
        found = self.entry(f"destination/{partner}")
        return found if isinstance(found, RegisteredDestination) and found.partner == partner else None

    def deliveries_word(self, partner: str) -> DeliveriesWord | None:
        """What an operator last said of the deliveries to a partner."""
        found = self.entry(f"deliveries/{partner}")
        return found if isinstance(found, DeliveriesWord) and found.partner == partner else None

    @property
    def real_people(self) -> bool:
        """This bus is about real people."""
        found = self.entry(PEOPLE)
        return isinstance(found, People) and found.are == "real"

    @property
    def two_persons(self) -> TwoPersons | None:
        """What one person alone may not change."""
        found = self.entry(TWO_PERSONS)
        return found if isinstance(found, TwoPersons) else None

    @property
    def generation(self) -> int:
        """The generation of the bus's secret under which is decided and written."""
        return max(self._generations)

    def generation_for_ids(self, published_at: datetime) -> int:
        """The generation that gives the decisions about an event of that time, and their notifications, their ids."""
        return max(
            each for each, since in self._generations.items() if each == 1 or since + IDS_FOLLOW_AFTER <= published_at
        )

    def entry(self, record_id: str) -> BaseModel | None:
        """The entry under this id, if there is one."""
        found = self._entries.get(record_id)
        return found[1] if found else None

    def entries(self) -> Mapping[str, tuple[str, BaseModel]]:
        """Record id -> (kind, entry)."""
        return self._entries

    def partner(self, partner: str) -> Partner | None:
        """An organisation by its id."""
        return self.partners.get(partner)

    def all_partners(self) -> Iterable[Partner]:
        """Every organisation there is."""
        return self.partners.values()

    def basis(self, code: str) -> Basis | None:
        """A basis of the catalogue by its code."""
        return self.bases.get(code)

    def event_rule(self, event_type: str) -> EventRule | None:
        """What the law asks of a type of event."""
        return self.event_rules.get(event_type)

    def agreement(self, agreement: str, on: date) -> Agreement | None:
        """The version of an agreement that answers for it on that day (`agreements.speaking`)."""
        if self._speaks[0] != on:
            self._speaks = (on, {})
        found = self._speaks[1]
        if agreement not in found:
            # Who ends a version ends what it stands for, not only its latest wording.
            last = max(self.ended_versions(agreement), default=0)
            standing = [each for each in self.standing(agreement).values() if each.version > last]
            found[agreement] = speaking(standing, on)
        return found[agreement]

    def agreement_version(self, agreement: str, version: int) -> Agreement | None:
        """One version of an agreement, in force or not: what was sent under it stays readable."""
        return self.versions.get((agreement, version))

    def person(self, person_id: str) -> KnownPerson | None:
        """A person by id."""
        return self.persons.get(person_id)

    def flows(self, event_type: str, sender: str, recipient: str, on: date) -> Sequence[tuple[Agreement, Flow]]:
        """Every flow for this type between these two in what governs on that day, by agreement id and name."""
        found = self._flows.get((event_type, sender, recipient), {})
        pairs = [found[key] for key in sorted(found)]
        return [pair for pair in pairs if self.agreement(pair[0].agreement, on) is pair[0]]

    def duties(self, event_type: str, sender: str, on: date) -> Sequence[Flow]:
        """The flows of agreements in force by which this sender must tell somebody of this type."""
        pairs = _sorted(self._sent.get((event_type, sender), {}))
        return [flow for agreement, flow in pairs if flow.is_a_duty() and _in_force(self, agreement, on)]

    def persons_with(self, scheme: str, token: str) -> frozenset[str]:
        """Ids of the persons known by this token: none, one, or (a mistake in the register) several."""
        return frozenset(self._by_token.get((scheme, token), ()))

    def persons_born_as(self, confirm: Mapping[str, str]) -> frozenset[str]:
        """Ids of all persons with the same tokens of family name and date of birth; nobody, if either is missing."""
        return frozenset(self._born_as.get(_born_key(confirm), ()))

    def affiliated_alike(self, tokens: Iterable[str]) -> Sequence[KnownPerson]:
        """Persons who work for or govern somebody and have one of these tokens of a name or a date, by id."""
        ids = {person_id for token in tokens for person_id in self._by_likeness.get(token, ())}
        return [self.persons[person_id] for person_id in sorted(ids) if self._affiliations.get(person_id)]

    def noted_alike(self, tokens: Iterable[str]) -> Sequence[KnownPerson]:
        """The same of persons who are restricted, adopted, a danger or in danger, or may speak for somebody."""
        ids = {person_id for token in tokens for person_id in self._by_likeness.get(token, ())}
        return [self.persons[person_id] for person_id in sorted(ids) if self._is_noted(self.persons[person_id])]

    def _is_noted(self, person: KnownPerson) -> bool:
        at = person.person_id
        ties = (self._dangers, self._endangers, self._speaking)
        return person.restricted or person.adopted or any(kind.get(at) for kind in ties)

    def tied(self) -> frozenset[str]:
        """Ids of all who work for or govern somebody, are a danger or in danger, or may speak for somebody."""
        kinds = (self._affiliations, self._dangers, self._endangers, self._speaking)
        return frozenset(person_id for kind in kinds for person_id, ties in kind.items() if ties)

    def involvements(self, person_id: str) -> Sequence[Involvement]:
        """Who has this person in its care, by record id."""
        return _sorted(self._involvements.get(person_id, {}))

    def subscriptions(self, event_type: str) -> Sequence[Subscription]:
        """Who watches over this type of event."""
        return _sorted(self._subscriptions.get(event_type, {}))

    def affiliations(self, person_id: str) -> Sequence[Affiliation]:
        """What this person works for or governs."""
        return _sorted(self._affiliations.get(person_id, {}))

    def dangers(self, person_id: str) -> Sequence[Danger]:
        """Who is a danger to this person."""
        return _sorted(self._dangers.get(person_id, {}))

    def endangers(self, person_id: str) -> Sequence[Danger]:
        """To whom this person is a danger."""
        return _sorted(self._endangers.get(person_id, {}))

    def may_speak_for(self, person_id: str) -> Sequence[MaySpeakFor]:
        """Who may agree, refuse and take back for this person."""
        return _sorted(self._speakers.get(person_id, {}))

    def consents(self, person_id: str, meaning: Meaning, purpose: str) -> Sequence[tuple[int, ConsentEntry]]:
        """(offset, entry) of everything that was decided about this person, meaning and purpose."""
        return _sorted(self._consents.get((person_id, meaning, purpose), {}))

    def _places(self, person: KnownPerson) -> Iterator[tuple[dict[Any, set[str]], Any]]:
        """(index, where in it) this person can be found."""
        for token in person.tokens.items():
            yield self._by_token, token
        for number in person.superseded:
            yield self._by_token, ("nhs", number)
        if (born := _born_key(person.confirm)) is not None:
            yield self._born_as, born
        # By family name everybody can be found, so that whoever is tied to a partner later is; by all else, those who
        # were when they were registered, and whoever has no family name there.
        by_all = bool(person.family_alike or person.given_alike) or "family_name" not in person.confirm
        names = ("family_name", "date_of_birth") if by_all else ("family_name",)
        confirm = {person.confirm[name] for name in names if name in person.confirm}
        for likeness in confirm | {*person.family_alike, *(person.near if by_all else ())}:
            yield self._by_likeness, likeness

    def _take_out(self, record_id: str) -> None:
        found = self._entries.pop(record_id, None)
        if found is None:
            return
        entry: Any = found[1]
        match found[0]:
            case "partner":
                del self.partners[entry.partner]
            case "basis":
                del self.bases[entry.code]
            case "event_rule":
                del self.event_rules[entry.event_type]
            case "agreement":
                del self._standing[entry.agreement][record_id]
                for key, flow in _pairs(entry):
                    # An agreement may name a partner twice, so the second time it is gone already.
                    self._flows[key].pop((entry.agreement, flow.flow, record_id), None)
                    self._sent[key[:2]].pop((entry.agreement, flow.flow, record_id), None)
            case "person":
                del self.persons[entry.person_id]
                for index, at in self._places(entry):
                    index[at].discard(entry.person_id)
            case "involvement":
                del self._involvements[entry.person_id][record_id]
            case "subscription":
                del self._subscriptions[entry.event_type][record_id]
            case "affiliation":
                del self._affiliations[entry.person_id][record_id]
            case "danger":
                del self._dangers[entry.to][record_id]
                del self._endangers[entry.person_id][record_id]
            case "may_speak_for":
                del self._speakers[entry.person_id][record_id]
                del self._speaking[entry.by][record_id]
            case "consent":
                del self._consents[(entry.person_id, entry.meaning, entry.purpose)][record_id]

    def _put_in(self, record_id: str, kind: str, entry: Any, offset: int) -> None:
        self._entries[record_id] = (kind, entry)
        match kind:
            case "partner":
                self.partners[entry.partner] = entry
            case "basis":
                self.bases[entry.code] = entry
            case "event_rule":
                self.event_rules[entry.event_type] = entry
            case "agreement":
                self._standing[entry.agreement][record_id] = entry
                self.versions[(entry.agreement, entry.version)] = entry
                for key, flow in _pairs(entry):
                    self._flows[key][(entry.agreement, flow.flow, record_id)] = (entry, flow)
                    self._sent[key[:2]][(entry.agreement, flow.flow, record_id)] = (entry, flow)
            case "person":
                self.persons[entry.person_id] = entry
                for index, at in self._places(entry):
                    index[at].add(entry.person_id)
            case "involvement":
                self._involvements[entry.person_id][record_id] = entry
            case "subscription":
                self._subscriptions[entry.event_type][record_id] = entry
            case "affiliation":
                self._affiliations[entry.person_id][record_id] = entry
            case "danger":
                self._dangers[entry.to][record_id] = entry
                self._endangers[entry.person_id][record_id] = entry
            case "may_speak_for":
                self._speakers[entry.person_id][record_id] = entry
                self._speaking[entry.by][record_id] = entry
            case "consent":  # what else the bus is run by is found under its record id
                self._consents[(entry.person_id, entry.meaning, entry.purpose)][record_id] = (offset, entry)


class RegisterAsOf:
    """The register at any offset. Going forward applies records; going back starts again."""

    def __init__(self, log: Sequence[tuple[int, RegisterRecord]]) -> None:
        self._log = log
        self._state = Register()
        self._next = 0

    def at(self, offset: int) -> Register:
        """The state as of this offset."""
        if offset < self._state.offset:
            self._state, self._next = Register(), 0
        while self._next < len(self._log) and self._log[self._next][0] <= offset:
            self._state.apply(*self._log[self._next])
            self._next += 1
        return self._state


def _read(offset: int, record: RegisterRecord, model: type[BaseModel], body: str) -> BaseModel:
    try:
        return model.model_validate_json(body)
    except ValidationError as exc:
        what = f"register offset {offset}: `{record.record_id}` is not a {record.kind} of this version"
        raise BadRegister([f"{what}: {what_is_wrong(exc)}"]) from None


def _in_force(register: Register, agreement: Agreement, on: date) -> bool:
    speaks = register.agreement(agreement.agreement, on) is agreement
    return speaks and agreement.status is Status.ACTIVE and agreement.governs(on) and on <= agreement.last_day()


def _born_key(confirm: Mapping[str, str]) -> tuple[str, str] | None:
    found = confirm.get("family_name"), confirm.get("date_of_birth")
    return (found[0], found[1]) if found[0] and found[1] else None


def _pairs(agreement: Agreement) -> Iterable[tuple[tuple[str, str, str], Flow]]:
    for flow in agreement.flows:
        for sender in flow.sender:
            for recipient in flow.to:
                yield (flow.event_type, sender, recipient), flow


def _sorted(found: Mapping[Any, Any]) -> list[Any]:
    return [found[key] for key in sorted(found)]

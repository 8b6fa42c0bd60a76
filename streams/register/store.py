"""
What do decisions rest on, as of one offset of the register?

The register is a log. Applying its records in order gives the state at that offset, and applying them again gives the
same state: that is how a decision of last year is made again. Everything is looked up by index, so a decision costs
the same with ten agreements or ten thousand.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadRegister
from safebus.schemas.events import what_is_wrong
from safebus.streams.rules.agreements import Agreement, Flow
from safebus.streams.rules.bases import Basis, EventRule
from safebus.streams.rules.consent import ConsentEntry, Meaning
from safebus.streams.rules.parties import Affiliation, Involvement, KnownPerson, Partner, Subscription

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
    "consent": ConsentEntry,
}


def body_of(entry: BaseModel) -> str:
    """An entry as canonical JSON: keys sorted, no spaces."""
    return json.dumps(entry.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))


class Register:
    """
    The state of the register at one offset: `streams.rules.lookups.Lookups`, held in memory.

    Attributes:
        offset: Of the last record applied; -1 before the first.
    """

    def __init__(self) -> None:
        self.offset = -1
        self.partners: dict[str, Partner] = {}
        self.bases: dict[str, Basis] = {}
        self.event_rules: dict[str, EventRule] = {}
        self.agreements: dict[str, Agreement] = {}
        self.versions: dict[
            tuple[str, int], Agreement
        ] = {}  # every version that ever was: what was sent stays readable
        self.persons: dict[str, KnownPerson] = {}
        self._entries: dict[str, tuple[str, BaseModel]] = {}
        self._flows: dict[tuple[str, str, str], dict[tuple[str, str], tuple[Agreement, Flow]]] = defaultdict(dict)
        self._by_token: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._involvements: dict[str, dict[str, Involvement]] = defaultdict(dict)
        self._subscriptions: dict[str, dict[str, Subscription]] = defaultdict(dict)
        self._affiliations: dict[str, dict[str, Affiliation]] = defaultdict(dict)
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
        self._take_out(record.record_id)
        if entry is not None:
            self._put_in(record.record_id, record.kind, entry, offset)
        self.offset = offset

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

    def basis(self, code: str) -> Basis | None:
        """A basis of the catalogue by its code."""
        return self.bases.get(code)

    def event_rule(self, event_type: str) -> EventRule | None:
        """What the law asks of a type of event."""
        return self.event_rules.get(event_type)

    def agreement(self, agreement: str) -> Agreement | None:
        """An agreement as it stands."""
        return self.agreements.get(agreement)

    def agreement_version(self, agreement: str, version: int) -> Agreement | None:
        """One version of an agreement, in force or not: what was sent under it stays readable."""
        return self.versions.get((agreement, version))

    def person(self, person_id: str) -> KnownPerson | None:
        """A person by id."""
        return self.persons.get(person_id)

    def flows(self, event_type: str, sender: str, recipient: str) -> Sequence[tuple[Agreement, Flow]]:
        """Every flow for this type between these two, by agreement id and name."""
        found = self._flows.get((event_type, sender, recipient), {})
        return [found[key] for key in sorted(found)]

    def persons_with(self, scheme: str, token: str) -> frozenset[str]:
        """Ids of the persons known by this token: none, one, or (a mistake in the register) several."""
        return frozenset(self._by_token.get((scheme, token), ()))

    def involvements(self, person_id: str) -> Sequence[Involvement]:
        """Who has this person in its care, by record id."""
        return _sorted(self._involvements.get(person_id, {}))

    def subscriptions(self, event_type: str) -> Sequence[Subscription]:
        """Who watches over this type of event."""
        return _sorted(self._subscriptions.get(event_type, {}))

    def affiliations(self, person_id: str) -> Sequence[Affiliation]:
        """What this person works for or governs."""
        return _sorted(self._affiliations.get(person_id, {}))

    def consents(self, person_id: str, meaning: Meaning, purpose: str) -> Sequence[tuple[int, ConsentEntry]]:
        """(offset, entry) of everything that was decided about this person, meaning and purpose."""
        return _sorted(self._consents.get((person_id, meaning, purpose), {}))

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
                del self.agreements[entry.agreement]
                for key, flow in _pairs(entry):
                    # An agreement may name a partner twice, so the second time it is gone already.
                    self._flows[key].pop((entry.agreement, flow.flow), None)
            case "person":
                del self.persons[entry.person_id]
                for token in entry.tokens.items():
                    self._by_token[token].discard(entry.person_id)
            case "involvement":
                del self._involvements[entry.person_id][record_id]
            case "subscription":
                del self._subscriptions[entry.event_type][record_id]
            case "affiliation":
                del self._affiliations[entry.person_id][record_id]
            case _:
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
                self.agreements[entry.agreement] = entry
                self.versions[(entry.agreement, entry.version)] = entry
                for key, flow in _pairs(entry):
                    self._flows[key][(entry.agreement, flow.flow)] = (entry, flow)
            case "person":
                self.persons[entry.person_id] = entry
                for token in entry.tokens.items():
                    self._by_token[token].add(entry.person_id)
            case "involvement":
                self._involvements[entry.person_id][record_id] = entry
            case "subscription":
                self._subscriptions[entry.event_type][record_id] = entry
            case "affiliation":
                self._affiliations[entry.person_id][record_id] = entry
            case _:
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


def _pairs(agreement: Agreement) -> Iterable[tuple[tuple[str, str, str], Flow]]:
    for flow in agreement.flows:
        for sender in flow.sender:
            for recipient in flow.to:
                yield (flow.event_type, sender, recipient), flow


def _sorted(found: Mapping[str, Any]) -> list[Any]:
    return [found[key] for key in sorted(found)]

"""
Who gains and who loses what, when a register folder is loaded?

Said in words, for people who read it in a meeting before anything is put in force: data classes of whom, for which type
of event, from whom to whom. Interest, basis and consent are left aside: this is what agreements give, not each event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from safebus.schemas.event_schemas import event_schemas
from safebus.streams.register.store import Register
from safebus.streams.rules.agreements import Agreement, Flow, Group, Status
from safebus.streams.rules.release import view_paths

#: (event type, sender, recipient, purpose) -> what is given
Given = Mapping[tuple[str, str, str, str], "What"]


@dataclass(frozen=True)
class What:
    """
    What one recipient is given.

    Attributes:
        said: Data classes of a group, exact fields, on which terms.
        shown: (field, how) of those that somebody masks: the name of the mask, or "" in full.
    """

    said: frozenset[str] = frozenset()
    shown: frozenset[tuple[str, str]] = frozenset()

    def more_than(self, other: What) -> set[str]:
        """What is given here and not there, in words. The whole of a field is more than what a mask leaves of it."""
        found = set(self.said - other.said)
        masked = {path for path, how in self.shown | other.shown if how}
        for path in masked:
            here, there = self._how(path), other._how(path)
            if here == there or not here or "" in there:
                continue
            how = "in full" if "" in here else f"as {' and '.join(sorted(here - there))}"
            found |= {f"{path} {how}"} if here - there else set()
        return found

    def _how(self, path: str) -> frozenset[str]:
        return frozenset(how for each, how in self.shown if each == path)


NOTHING = What()


def differences(before: Register, after: Register, on: date) -> list[str]:
    """One sentence for each recipient that gains or loses something on that day, sorted; none: nothing changes."""
    was, will_be = _given(before, on), _given(after, on)
    found = []
    for key in sorted({*was, *will_be}):
        event_type, sender, recipient, purpose = key
        old, new = was.get(key, NOTHING), will_be.get(key, NOTHING)
        for word, what in (("gains", new.more_than(old)), ("loses", old.more_than(new))):
            if what:
                found.append(
                    f"{recipient} {word} for {event_type} from {sender} ({purpose}): {'; '.join(sorted(what))}"
                )
    return found


def _given(register: Register, on: date) -> Given:
    given: dict[tuple[str, str, str, str], list[Flow]] = defaultdict(list)
    forbidden = set()
    for agreement in _in_force(register, on):
        for flow in agreement.flows:
            for sender in flow.sender:
                for recipient in flow.to:
                    key = (flow.event_type, sender, recipient, flow.purpose)
                    if flow.effect == "refuse":
                        forbidden.add(key)
                    elif _may_share(agreement, sender, register, on) and _may_share(agreement, recipient, register, on):
                        given[key].append(flow)
    return {key: _of(flows) for key, flows in given.items() if key not in forbidden}


def _of(flows: list[Flow]) -> What:
    return What(
        frozenset(said for flow in flows for said in _what(flow)),
        frozenset(shown for flow in flows for shown in _shown(flow)),
    )


def _shown(flow: Flow) -> Iterator[tuple[str, str]]:
    """(field, how) of everything that this flow releases, and of who is only counted."""
    schema = event_schemas().current.get(flow.event_type)
    for path, leaf in (view_paths(schema) if schema is not None else {}).items():
        if path in flow.fields or leaf.data_class in flow.release.of(leaf.group):
            yield path, flow.mask.get(path, "")
    yield from ((path, mask) for path, mask in flow.mask.items() if path == "other_children")


def _may_share(agreement: Agreement, party: str, register: Register, on: date) -> bool:
    known = register.partner(party)
    return agreement.signed_by(party, on) and known is not None and not known.suspended


def _in_force(register: Register, on: date) -> Iterator[Agreement]:
    for name in register.agreements:
        found = register.agreement(name, on)
        if found is not None and found.status is Status.ACTIVE and found.governs(on) and on <= found.last_day():
            yield found


def _what(flow: Flow) -> Iterable[str]:
    about = " and ".join(role.value for role in flow.about)
    for role in flow.interest:
        yield f"messages about {about} as {role.replace('_', ' ')}"
    yield "without waiting for agreement" if flow.consent is None else f"once {flow.consent} is there"
    for group in Group:
        for data_class in flow.release.of(group):
            yield f"{data_class} of {group.replace('_', ' ')}"
    yield from (f"the field {path}" for path in flow.fields)

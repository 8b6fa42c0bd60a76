"""
Who gains and who loses what, when a register folder is loaded?

Said in words, for people who read it in a meeting before anything is put in force: data classes of whom, for which type
of event, from whom to whom. Interest, basis and consent are left aside: this is what agreements give, not each event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from safebus.streams.register.store import Register
from safebus.streams.rules.agreements import Agreement, Flow, Group, Status

#: (event type, sender, recipient, purpose) -> what is given: data classes of a group, exact fields, masks.
Given = Mapping[tuple[str, str, str, str], frozenset[str]]


def differences(before: Register, after: Register, on: date) -> list[str]:
    """One sentence for each recipient that gains or loses something on that day, sorted; none: nothing changes."""
    was, will_be = _given(before, on), _given(after, on)
    found = []
    for key in sorted({*was, *will_be}):
        event_type, sender, recipient, purpose = key
        old, new = was.get(key, frozenset()), will_be.get(key, frozenset())
        for word, what in (("gains", new - old), ("loses", old - new)):
            if what:
                found.append(
                    f"{recipient} {word} for {event_type} from {sender} ({purpose}): {'; '.join(sorted(what))}"
                )
    return found


def _given(register: Register, on: date) -> Given:
    given: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    forbidden = set()
    for agreement in _in_force(register, on):
        for flow in agreement.flows:
            for sender in flow.sender:
                for recipient in flow.to:
                    key = (flow.event_type, sender, recipient, flow.purpose)
                    if flow.effect == "refuse":
                        forbidden.add(key)
                    elif _may_share(agreement, sender, register, on) and _may_share(agreement, recipient, register, on):
                        given[key] |= set(_what(flow))
    return {key: frozenset(what) for key, what in given.items() if key not in forbidden}


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
    yield from (f"{path} as {mask}" for path, mask in flow.mask.items())

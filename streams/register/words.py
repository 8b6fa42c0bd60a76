"""
Does every word of new register entries mean something that exists?

A misspelt role silences a school, a misspelt purpose takes the force from a prohibition, a misspelt territory takes a
law away. A word that nothing else knows and that resembles one that is known is an error, with the word that was
probably meant; one that resembles none may be new, and is pointed at elsewhere (`streams.register.changes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from safebus.schemas.nearest import did_you_mean, nearest, or_the_known
from safebus.streams.register.entries import Entry
from safebus.streams.rules.agreements import Agreement
from safebus.streams.rules.bases import TERRITORIES, Basis, EventRule
from safebus.streams.rules.consent import Meaning
from safebus.streams.rules.parties import Involvement, KnownPerson, Partner
from safebus.streams.rules.routing import SUBSCRIPTION

#: How alike two roles, flags or partners must be for one to be a slip of the other.
_A_SLIP = 0.75
#: Purposes are longer and share more of their letters.
_A_SLIP_OF_A_PURPOSE = 0.85


def misspelt(new: Sequence[Entry], before: Mapping[str, tuple[str, Any]]) -> dict[int, list[str]]:
    """
    What is wrong with the words of new entries.

    Args:
        before: The register that they are to be added to, by record id: (kind, entry).

    Returns:
        Index of the entry -> complaints, without file and line.
    """
    whole = {**{rid: body for rid, (_, body) in before.items()}, **{entry.record_id: entry.body for entry in new}}
    words = _Words(whole.values())
    found = {i: [*words.complaints(entry.body)] for i, entry in enumerate(new)}
    return {i: lines for i, lines in found.items() if lines}


class _Words:
    """The words that are used anywhere in a register, by what they are for."""

    def __init__(self, bodies: Iterable[Any]) -> None:
        bodies = list(bodies)
        flows = [flow for body in bodies if isinstance(body, Agreement) for flow in body.flows]
        self.partners = {body.partner for body in bodies if isinstance(body, Partner)}
        self.held = {body.role for body in bodies if isinstance(body, Involvement)}
        self.asked = {role for flow in flows for role in flow.interest}
        self.purposes = Counter(flow.purpose for flow in flows)
        self.flags = {flag for body in bodies if isinstance(body, Partner) for flag in body.flags}
        self.flags_asked = {body.recipient_flag for body in bodies if isinstance(body, Basis) and body.recipient_flag}

    def complaints(self, body: Any) -> Iterator[str]:
        """What is wrong with the words of one entry."""
        if isinstance(body, Involvement) and body.role not in self.asked:
            meant = nearest(body.role, self.asked - {SUBSCRIPTION}, alike=_A_SLIP)
            if meant:
                yield f"involvement: no agreement is for those in the role `{body.role}`; did you mean `{meant}`?"
        elif isinstance(body, Partner):
            yield from _territories(f"partner `{body.partner}`", (body.territory,))
            for flag in sorted(set(body.flags) - self.flags_asked):
                meant = nearest(flag, self.flags_asked, alike=_A_SLIP)
                if meant:
                    yield f"partner `{body.partner}`: no basis asks for the flag `{flag}`; did you mean `{meant}`?"
        elif isinstance(body, Basis):
            yield from self._basis(body)
        elif isinstance(body, EventRule):
            if body.consent is not None and body.consent not in list(Meaning):
                hint = or_the_known(body.consent, [meaning.value for meaning in Meaning])
                yield f"event rule `{body.code}`: `consent: {body.consent}` is no meaning of consent{hint}"
        elif isinstance(body, KnownPerson):
            agencies = {scheme.split(":", 1)[1] for scheme in body.tokens if scheme.startswith("local:")}
            for agency in sorted(agencies - self.partners):
                hint = did_you_mean(agency, self.partners, alike=_A_SLIP)
                yield f"person: `local` has a number of `{agency}`, who is not in the register{hint}"
        elif isinstance(body, Agreement):
            yield from self._agreement(body)

    def _basis(self, body: Basis) -> Iterator[str]:
        yield from _territories(f"basis `{body.code}`", body.territory)
        flag = body.recipient_flag
        if flag is not None and flag not in self.flags:
            meant = nearest(flag, self.flags & (self.flags_asked - {flag}), alike=_A_SLIP)
            if meant:
                yield f"basis `{body.code}`: no partner has the flag `{flag}`; did you mean `{meant}`?"

    def _agreement(self, body: Agreement) -> Iterator[str]:
        what = f"agreement `{body.agreement}`"
        yield from _territories(what, (body.territory,))
        for flow in body.flows:
            for role in sorted(set(flow.interest) - self.held - {SUBSCRIPTION}):
                # Compared with what others ask for, so that a slip in the one line that holds a role is named there.
                meant = nearest(role, (self.held & self.asked) | {SUBSCRIPTION}, alike=_A_SLIP)
                if meant:
                    yield f"{what} flow `{flow.flow}`: nobody has anyone in care as `{role}`; did you mean `{meant}`?"
            others = {p for p, times in self.purposes.items() if times >= self.purposes[flow.purpose]} - {flow.purpose}
            meant = nearest(flow.purpose, others, alike=_A_SLIP_OF_A_PURPOSE)
            if meant:
                found = f"no other flow has the purpose `{flow.purpose}`"
                yield f"{what} flow `{flow.flow}`: {found}; did you mean `{meant}`?"


def _territories(what: str, named: Iterable[str]) -> Iterator[str]:
    for territory in named:
        if territory not in TERRITORIES:
            hint = or_the_known(territory, TERRITORIES)
            yield f"{what}: `{territory}` is no territory{hint}"

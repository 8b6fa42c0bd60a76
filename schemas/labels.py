"""
Which handling labels does the bus honour, and what does each do?

A publisher that puts a label on an event expects it to act. So one that the bus does not honour refuses the event, with
the list of those it does: a label that is carried and not obeyed would be a promise broken in silence.

    holds      a person decides before anything goes
    travels    goes with every notification, for the recipient to obey
    kept       true of everything on the bus already

Source: HL7 v3-ActCode, RefrainPolicy and ObligationPolicy; rule R20.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Effect(StrEnum):
    """What a label does on the bus."""

    HOLDS = "holds"
    TRAVELS = "travels"
    KEPT = "kept"


REFRAIN: Final = {
    "NODSCLCD": Effect.HOLDS,  # no disclosure without the person's authorisation
    "NORDSCLCD": Effect.TRAVELS,  # no onward disclosure without the person's authorisation
    "ORCON": Effect.TRAVELS,  # no onward disclosure without the originator's consent
}
OBLIGATIONS: Final = {
    "HUAPRV": Effect.HOLDS,  # a human approves
    "PERSISTLABEL": Effect.TRAVELS,  # labels stay with whatever is made of it
    "AOD": Effect.KEPT,  # disclosures are accounted for: every decision is on record
    "AUDIT": Effect.KEPT,
    "HTEST": Effect.KEPT,  # made up for a test
}


_EFFECTS: Final = {**REFRAIN, **OBLIGATIONS}


def those(labels: tuple[str, ...], effect: Effect) -> tuple[str, ...]:
    """The labels among these that have this effect, each once, in the order given."""
    return tuple(dict.fromkeys(label for label in labels if _EFFECTS.get(label) is effect))

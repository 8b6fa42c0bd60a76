"""A courier as others see it, without a broker: plain values that a test sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from consumers.courier_facts import CourierFacts, Pile, Standing


@dataclass
class ACourier:
    partner: str = "haven"
    transport: str = "folder"
    facts: CourierFacts = field(default_factory=CourierFacts)
    held: bool = False
    open: dict[Standing, Pile] = field(default_factory=lambda: {standing: Pile() for standing in Standing})

    def piles(self) -> dict[Standing, Pile]:
        return self.open

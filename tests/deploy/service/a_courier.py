"""A courier as others see it, without a broker: plain values that a test sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from safebus.consumers.delivery.measures import CourierFacts, OpenState, Pile


@dataclass
class ACourier:
    partner: str = "haven"
    transport: str = "folder"
    facts: CourierFacts = field(default_factory=CourierFacts)
    held: bool = False
    silent: bool = False
    paused: bool = False
    open: dict[OpenState, Pile] = field(default_factory=lambda: {standing: Pile() for standing in OpenState})

    def piles(self) -> dict[OpenState, Pile]:
        return self.open

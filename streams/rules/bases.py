"""
Which legal bases are there, where and since when, and who may rely on them?

The catalogue is data in the register: code, source, territory, in-force dates. Nothing statutory is a constant here.
A basis without `in_force_from` is not in force: a duty on paper is not yet a duty.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from enum import StrEnum

from pydantic import Field

from safebus.schemas.frozen_model import FrozenModel
from safebus.schemas.plain_types import Day, YesNo

#: Where a law can be law. Checked when a register is loaded, not when it is read: an old log stays readable.
TERRITORIES = ("england", "wales", "scotland", "northern-ireland")


class OrgType(StrEnum):
    """What kind of body a party is, as data protection law asks it."""

    PUBLIC_AUTHORITY = "public_authority"
    CHARITY = "charity"
    CONTRACTED_PROVIDER = "contracted_provider"


#: The Art 6 basis of whoever must share: a legal obligation.
DUTY = "A6-1-c"


class BasisKind(StrEnum):
    """Which of the four questions a basis answers."""

    ART6 = "art6"
    ART9_OR_10 = "art9_or_10"
    SCH1 = "sch1"
    POWER_OR_DUTY = "power_or_duty"
    CONFIDENTIALITY = "confidentiality"


#: Consent as such, whatever the catalogue says of them: UK GDPR Art 6(1)(a), and consent under the common law.
_IS_CONSENT = frozenset({"A6-1-a", "CLDC-CONSENT"})


class Basis(FrozenModel):
    """
    One entry of the catalogue.

    Attributes:
        territory: Where it is law: any of `TERRITORIES`.
        in_force_from: None: not commenced.
        available_to: Which kinds of body may rely on it; empty: any.
        recipient_flag: The flag a recipient must carry, as CDA 1998 s.115 asks for a relevant authority.
        needs_sch1: An Art 9 condition that also needs one of DPA 2018 Schedule 1.
        claims_consent: It holds only if someone agreed. Those that are consent as such claim it by their code.
    """

    code: str
    kind: BasisKind
    title: str
    source: str
    territory: tuple[str, ...] = Field(min_length=1)
    in_force_from: Day | None
    in_force_to: Day | None = None
    available_to: tuple[OrgType, ...] = ()
    recipient_flag: str | None = None
    needs_sch1: YesNo = False
    claims_consent: YesNo = False

    def waits_for_consent(self) -> bool:
        """May nobody rest on it before someone agreed?"""
        return self.claims_consent or self.code in _IS_CONSENT

    def in_force(self, on: date, territory: str) -> bool:
        """Was it law there on that day?"""
        if self.in_force_from is None or territory not in self.territory:
            return False
        return self.in_force_from <= on and (self.in_force_to is None or on <= self.in_force_to)

    def open_to(self, org_type: OrgType) -> bool:
        """May this kind of body rely on it?"""
        return not self.available_to or org_type in self.available_to

    def reaches(self, flags: Collection[str]) -> bool:
        """Does it allow disclosure to a recipient of this kind?"""
        return self.recipient_flag is None or self.recipient_flag in flags


class EventRule(FrozenModel):
    """
    What the law asks of a type of event, whatever an agreement says.

    Attributes:
        consent: The meaning of the agreement that must have been given; None: this type never waits for consent.
    """

    event_type: str
    code: str
    consent: str | None = None
    source: str

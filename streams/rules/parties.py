"""
Who is there: partners, people as tokens, and what ties them together?

People stand in the register only as keyed tokens, so that whoever reads it learns nothing about anyone.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field, model_validator

from safebus.schemas.frozen_model import FrozenModel
from safebus.schemas.plain_types import Day, YesNo
from safebus.schemas.tokens import Token
from safebus.streams.rules.bases import OrgType


class Number(StrEnum):
    """A national number of a person, by the field that holds it."""

    NHS_NUMBER = "nhs_number"
    UPN = "upn"


class Partner(FrozenModel):
    """
    An organisation on the bus.

    Attributes:
        flags: What law says of it, as `s11_body`, `cda115_authority`.
        call: Whom to ring when nothing may be sent, or who is meant is unclear: a role and a number.
        numbers: By which it finds people in its own records; where nothing is said, what is usual in its sector.
        case_secret: The fingerprint of the secret that all its processes publish with, as `Publisher` tells it.
    """

    partner: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")
    name: str
    sector: str
    org_type: OrgType
    territory: str = "england"
    flags: tuple[str, ...] = ()
    call: str
    suspended: YesNo = False
    numbers: tuple[Number, ...] | None = None
    case_secret: str | None = Field(default=None, pattern=r"^[0-9a-f]{16}$")


class KnownPerson(FrozenModel):
    """
    One person, known by tokens.

    Attributes:
        tokens: Scheme -> token: `nhs`, `upn`, `local:<agency>`, `unborn`.
        confirm: Names as `identity.confirm_tokens` gives them -> token, to catch a number that belongs to someone else.
        near: Tokens of the date of birth with one part left out, for whom a slip in a date must not hide.
        family_alike, given_alike: Tokens of what the names sound like, of those who work for or govern somebody.
        superseded: Tokens of numbers that were replaced; whoever still goes by one is this person.
        adopted: They have a new identity since; nobody may see it together with the one before.
        restricted: The record is restricted, as PDS marks it (v3-Confidentiality R).
        lives_independently: At 16 or 17 it is then they who are asked, not a parent (HA 1996 s.213AA(3)).
        competent_since: The day from which someone assessed them as able to decide before 16 (Gillick).
    """

    person_id: Token
    tokens: dict[str, Token] = Field(min_length=1)
    confirm: dict[str, Token] = Field(default_factory=dict)
    near: tuple[Token, ...] = ()
    family_alike: tuple[Token, ...] = ()
    given_alike: tuple[Token, ...] = ()
    superseded: tuple[Token, ...] = ()
    adopted: YesNo = False
    restricted: YesNo = False
    lives_independently: YesNo = False
    competent_since: Day | None = None


class _Dated(FrozenModel):
    starts_on: Day | None = None
    ends_on: Day | None = None

    @model_validator(mode="after")
    def _in_order(self) -> _Dated:
        if self.starts_on is not None and self.ends_on is not None and self.ends_on < self.starts_on:
            raise ValueError(f"`ends_on` {self.ends_on} is before `starts_on` {self.starts_on}: it would never hold")
        return self

    def holds(self, on: date) -> bool:
        """Does it hold on that day? Both ends are included."""
        return (self.starts_on is None or self.starts_on <= on) and (self.ends_on is None or on <= self.ends_on)


class Involvement(_Dated):
    """This partner has this person in its care; `role` says how: `attends_school`, `client` ..."""

    person_id: Token
    partner: str
    role: str


class Subscription(_Dated):
    """This partner watches over every event of a type: a hub, not one child's school."""

    partner: str
    event_type: str


class SpeaksAs(StrEnum):
    """By what right someone speaks for another."""

    PARENTAL_RESPONSIBILITY = "parental_responsibility"
    REPRESENTATIVE = "representative"
    COURT_ORDER = "court_order"


class MaySpeakFor(_Dated):
    """
    Someone of the register may agree, refuse and take back for this person.

    Attributes:
        source: Where that stands: a birth certificate, an order.
    """

    person_id: Token
    by: Token
    speaks_as: SpeaksAs = Field(alias="as")
    source: str


class Danger(_Dated):
    """
    This person is a danger to that one, whether or not an event says so.

    Attributes:
        to: The id of the person in danger.
        source: Where that stands: an order of a court, a plan, a conviction.
    """

    person_id: Token
    to: Token
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _of_two(self) -> Danger:
        if self.person_id == self.to:
            raise ValueError("nobody is a danger of this kind to themselves; `person` is a danger to `to`")
        return self


class Affiliation(_Dated):
    """This person works for, or governs, this partner."""

    person_id: Token
    partner: str
    relation: str

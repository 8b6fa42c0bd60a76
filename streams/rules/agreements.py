"""
What have the parties agreed to share, field class by field class?

An information-sharing agreement is data. A flow names one type of event, from whom, to whom, for which purpose, on
which basis, and what of it is released. What it does not name is withheld; what came into the schema after the
version it names is withheld until the agreement is signed again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Literal

from pydantic import Field, model_validator

from safebus.schemas.classes import NEVER, DataClass
from safebus.schemas.events import PersonRole
from safebus.schemas.frozen_model import FrozenModel
from safebus.schemas.plain_types import Day, Whole
from safebus.streams.rules.bases import DUTY, OrgType
from safebus.streams.rules.consent import Meaning


class Status(StrEnum):
    """Source: DPV ContractStatus, shortened to what changes a decision."""

    DRAFT = "draft"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"


class Group(StrEnum):
    """Whose field is it? `event`: nobody's in particular."""

    EVENT = "event"
    SUBJECT = "subject"
    OTHER_CHILDREN = "other_children"
    ADULTS = "adults"
    ALLEGED_PERPETRATORS = "alleged_perpetrators"


class FlowBasis(FrozenModel):
    """
    The four answers, in codes of the catalogue.

    Attributes:
        receiving_art6: Art 6 basis of the recipient by its kind of body: a charity cannot borrow a council's
            public task (Data (Use and Access) Act 2025 s.70). None: not stated here.
    """

    art6: str
    art9_or_10: str | None = None
    sch1: str | None = None
    power_or_duty: str | None = None
    confidentiality: str
    receiving_art6: dict[OrgType, str] | None = None

    def codes(self) -> Iterator[tuple[str, str]]:
        """(which question, code) of every answer given."""
        for question in ("art6", "art9_or_10", "sch1", "power_or_duty", "confidentiality"):
            code = getattr(self, question)
            if code is not None:
                yield question, code


class Release(FrozenModel):
    """Which data classes of whom. A group that is left out gives nothing."""

    event: tuple[DataClass, ...] = ()
    subject: tuple[DataClass, ...] = ()
    other_children: tuple[DataClass, ...] = ()
    adults: tuple[DataClass, ...] = ()
    alleged_perpetrators: tuple[DataClass, ...] = ()

    def of(self, group: Group) -> frozenset[DataClass]:
        """The classes released of one group."""
        return frozenset(getattr(self, group.value))


class Flow(FrozenModel):
    """
    One row of an agreement.

    Attributes:
        effect: `refuse` is a prohibition: it beats every permit (rule R28).
        schema_version: The released version of the event's schema that the signatories read.
        interest: Involvement roles for which a partner may have it; `subscription` for hubs.
        about: Roles of persons a message may be about.
        consent: The meaning of the agreement it waits for; None: it does not wait.
        objection_reason: Why it is shared over an objection; needed where consent is not waited for (rule R11).
        release: Data classes; `fields`: exact fields by view path, the only way for free text.
        mask: View path -> mask, such as `subject.date_of_birth: year`, of what is released. `other_children: count`
            stands here and releases: how many there are.
    """

    flow: str
    effect: Literal["permit", "refuse"] = "permit"
    event_type: str
    schema_version: Whole = Field(default=1, ge=1)
    sender: tuple[str, ...] = Field(alias="from", min_length=1)
    to: tuple[str, ...] = Field(min_length=1)
    purpose: str
    basis: FlowBasis | None = None
    interest: tuple[str, ...] = Field(default=(), description="involvement roles, or `subscription`")
    about: tuple[PersonRole, ...] = (PersonRole.CHILD, PersonRole.UNBORN_CHILD, PersonRole.PERSON)
    consent: Meaning | None = None
    objection_reason: str | None = None
    release: Release = Release()
    fields: tuple[str, ...] = ()
    mask: dict[str, str] = Field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """What stands for this flow's content where it must be looked up."""
        return self.model_dump_json()

    def is_a_duty(self) -> bool:
        """Must the sender tell, whatever it would rather do? Its Art 6 basis says so."""
        return self.effect == "permit" and self.basis is not None and self.basis.art6 == DUTY

    @model_validator(mode="after")
    def _complete(self) -> Flow:
        if self.effect == "refuse":
            return self
        if self.basis is None:
            raise ValueError(
                "`basis` is missing; a permit answers four questions: art6, art9_or_10 with sch1, "
                "power_or_duty, confidentiality"
            )
        if not self.interest:
            raise ValueError(
                "`interest` is missing; name involvement roles such as `attends_school`, or `subscription`"
            )
        if self.consent is None and not self.objection_reason:
            raise ValueError(
                "`objection_reason` is missing; a flow that does not wait for consent says why it is "
                "shared over an objection (R11)"
            )
        if self.consent is Meaning.TREATMENT:
            raise ValueError(
                "`consent: treatment` is never a reason to share; use service_agreement or data_protection"
            )
        never = sorted({c for g in Group for c in self.release.of(g)} & NEVER)
        if never:
            raise ValueError(f"`release` names {', '.join(never)}, which no agreement may release")
        return self


class Party(FrozenModel):
    """A signatory."""

    partner: str
    controller_role: Literal["controller", "joint", "processor"] = "controller"
    signed_by: str
    signed_on: Day


class Agreement(FrozenModel):
    """
    One information-sharing agreement, one version.

    Attributes:
        grace_days: Days after `review_by` in which it still holds, with a warning (rule R02).
    """

    agreement: str = Field(pattern=r"^[a-z][a-z0-9-]{1,59}$")
    version: Whole = Field(ge=1)
    title: str
    status: Status
    territory: str = "england"
    effective_from: Day
    review_by: Day
    expires_on: Day | None = None
    grace_days: Whole = Field(default=30, ge=0, le=180)
    parties: tuple[Party, ...] = Field(min_length=2)
    flows: tuple[Flow, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _signed(self) -> Agreement:
        signed = {party.partner for party in self.parties}
        for flow in self.flows:
            strangers = sorted({*flow.sender, *flow.to} - signed)
            if strangers:
                raise ValueError(
                    f"flow `{flow.flow}` names {', '.join(strangers)}, who did not sign; add them to `parties`"
                )
        names = [flow.flow for flow in self.flows]
        if len(set(names)) != len(names):
            raise ValueError("two flows have the same name; give each its own")
        return self

    def governs(self, on: date) -> bool:
        """May it be the version in force on that day? One that is suspended, terminated or expired may, and refuses."""
        return self.status is not Status.DRAFT and self.effective_from <= on

    def signed_by(self, partner: str, on: date) -> bool:
        """Had this party signed by that day?"""
        return any(party.partner == partner and party.signed_on <= on for party in self.parties)

    def last_day(self) -> date:
        """The last day on which it holds, grace included."""
        reviewed = self.review_by + timedelta(days=self.grace_days)
        return reviewed if self.expires_on is None else min(reviewed, self.expires_on)


def governing(versions: Collection[Agreement], on: date) -> Agreement | None:
    """
    The version of one agreement that is in force on a day: the highest that is no draft and has begun.

    One that was suspended, terminated or has expired governs too: it does not bring its predecessor back.
    """
    return max((each for each in versions if each.governs(on)), key=lambda each: each.version, default=None)


def speaking(versions: Collection[Agreement], on: date) -> Agreement | None:
    """
    The version that answers for the agreement on a day: the governing one, or before the first, the one to come.

    The one to come carries nothing and forbids nothing; it is asked so that a refusal can say what is missing.
    """
    return governing(versions, on) or min(versions, key=lambda each: each.version, default=None)

"""
Who must hear that an earlier notification was wrong, and what do they hear?

Whoever was sent the original, whatever has been agreed, ended or withdrawn since (rule R23): a wrong child's file does
not become right because an agreement ran out. They hear only what is needed to find it and delete it: ids of both
events and of their own notification, nothing of what was wrong and nothing of what is right. Who may have that gets it
as a decision of its own.

Those from whom a person must be protected hear nothing of this either; then, as whenever it may not go by itself,
somebody has to tell them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from safebus.schemas.bus_records import Answer, Holder, Outcome, Reason
from safebus.schemas.event_schemas import EventSchema
from safebus.schemas.keys import PersonKey
from safebus.streams.rules.adversary import Side
from safebus.streams.rules.decision import Verdict, kept_out, looked_at
from safebus.streams.rules.decision_input import EventFacts
from safebus.streams.rules.reasons import Code, Rule, why
from safebus.streams.rules.release import ENVELOPE, Listing, collapse, view_leaves

#: What finds the original at a recipient's, of what every event carries.
FINDS_IT: Final = ("event_id", "event_type", "lifecycle", "supersedes_event_id", "published_at")
HOLDER: Final = "holder of what this takes back"


def answers(
    facts: EventFacts, schema: EventSchema, told: Mapping[tuple[str, str], Verdict], *, ids: PersonKey
) -> Iterator[Answer]:
    """
    One answer for each who had the original and is not told by a decision of its own.

    Args:
        told: (recipient, subject token) -> what was decided for them. A hold stays one: a person decides, and tells.
    """
    for holder in facts.earlier.holders:
        verdict = told.get((holder.recipient, holder.subject_token))
        if verdict is None or verdict.outcome is Outcome.REFUSE:
            yield _answer(holder, facts, schema, () if verdict is None else verdict.reasons, ids)


def _answer(
    holder: Holder, facts: EventFacts, schema: EventSchema, why_not: Sequence[Reason], ids: PersonKey
) -> Answer:
    """What one holder hears; `why_not`: why it may not have the correction itself."""
    refusals, holds = [*_refusals(holder, facts)], [*looked_at(_stands(holder, facts), holder.recipient)]
    outcome = Outcome.REFUSE if refusals else Outcome.HOLD if holds else Outcome.PERMIT
    goes = outcome is Outcome.PERMIT
    listing = _listing(schema) if goes else Listing((), ())
    under = f"{holder.agreement_id} v{holder.agreement_version} {holder.flow}"
    event = facts.event
    sender = facts.register.partner(event.publisher.agency)
    decision_id = ids.id("decision", event.publisher.agency, event.event_id, holder.recipient, holder.subject_token)
    return Answer(
        decision_id=decision_id,
        recipient=holder.recipient,
        subject_token=holder.subject_token,
        interest=HOLDER,
        outcome=outcome,
        reasons=tuple(refusals or holds or [why(Code.TAKES_BACK, under), *why_not]),
        agreement_id=holder.agreement_id if goes else None,
        agreement_version=holder.agreement_version if goes else None,
        flow=holder.flow if goes else None,
        basis=None,
        purpose=holder.purpose,
        consent_state=None,
        consent_offset=None,
        released=listing.released,
        withheld=listing.withheld,
        call=sender.call if sender is not None else None,
        notification_id=ids.id("notification", decision_id) if goes else None,
        output_digest=None,
        view_fields=FINDS_IT if goes else (),
        takes_back=holder.notification_id if goes else None,
        bare=goes,
    )


def _stands(holder: Holder, facts: EventFacts) -> frozenset[Side]:
    return facts.sides.get(holder.recipient, frozenset())


def _refusals(holder: Holder, facts: EventFacts) -> Iterator[Reason]:
    publisher = facts.register.partner(facts.event.publisher.agency)
    if publisher is None or publisher.suspended:
        # Whoever took its credentials could have everything deleted.
        yield why(Code.PARTNER_SUSPENDED, facts.event.publisher.agency)
    yield from kept_out(_stands(holder, facts), holder.recipient)


def _listing(schema: EventSchema) -> Listing:
    told = {**dict.fromkeys(ENVELOPE, Rule.ENVELOPE.name), **dict.fromkeys(FINDS_IT, Rule.R23.name)}
    return collapse(
        {leaf.path: (leaf.path in told, told.get(leaf.path, Rule.R23.name)) for leaf in view_leaves(schema)}
    )

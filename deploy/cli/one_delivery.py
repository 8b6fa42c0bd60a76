"""`safebus deliveries show`: everything about one delivery, on one page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.hands import columns_of, of_parked
from safebus.deploy.cli.options import FAILED, FORM, USAGE, Form, example, stop
from safebus.deploy.cli.output import say_strange, show
from safebus.deploy.service.terminal import clock, say, tell

if TYPE_CHECKING:
    from safebus.consumers.audit.explain.indexing import AboutEvent
    from safebus.consumers.audit.one_delivery import OneDelivery
    from safebus.deploy.service.settings import Settings

EXAMPLE: Final = example(
    "safebus deliveries show NOTIFICATION", "safebus deliveries show NOTIFICATION --partner ash-primary -o json"
)

_COLUMNS: Final = ["at", "stage", "attempt", "answer", "means", "reason", "by"]


def deliveries_show(
    notification_id: str = typer.Argument(..., help="as `deliveries list`, a log line or the partner names it"),
    partner: str = typer.Option(
        "", "--partner", help="whose it is; else it is looked for among all, which takes longer"
    ),
    output: Form = FORM,
) -> None:
    """
    Show one delivery: event, decision, every receipt and what it means, what it waits for, who sent it again.

    No value of the event is shown. With -o csv only the receipts.
    """
    from safebus.deploy.service import settings
    from safebus.schemas import identifiers
    from safebus.schemas.errors import BadIdentifier

    try:
        identifiers.event_id(notification_id)
    except BadIdentifier as exc:
        raise stop(USAGE, f"`{notification_id}` is no id of a notification: those are UUIDs in lower case") from exc
    found = settings.load()
    one, about = run(lambda: _looked_up(found, notification_id, partner))
    facts, receipts = _facts(found, one, about), _receipts(one)
    if output is Form.JSON:
        tell(json.dumps(facts | {"receipts": receipts}, indent=2))
    else:
        if output is Form.TABLE:
            width = max(map(len, facts))
            tell(
                "\n".join(" ".join(f"{name:<{width}}  {value}".splitlines()) for name, value in facts.items() if value)
            )
        show(receipts, output, columns=_COLUMNS)
    say_strange(about.strange)


async def _looked_up(found: Settings, notification_id: str, partner: str) -> tuple[OneDelivery, AboutEvent]:
    from safebus.consumers.audit import one_delivery, operations
    from safebus.consumers.audit.explain.indexing import about_event
    from safebus.schemas import topics
    from safebus.schemas.kafka.topic_list import topics_there

    connection = found.connection()
    there = await topics_there(connection)
    partners = sorted(name for topic in there if (name := topics.partner_of_receipts(topic)) is not None)
    whose = await one_delivery.whose(connection, notification_id, [p for p in partners if partner in ("", p)])
    if whose is None:
        among = f"`{partner}`" if partner else "any partner that this certificate is shown"
        raise stop(
            FAILED,
            f"no delivery `{notification_id}` to {among}; if it was permitted and is not on its partner's topic, "
            "`safebus deliveries again PARTNER` lists it as owed",
        )
    about = await about_event(connection, whose.event_id, home=found.home, say=say)
    acts = await operations.entries(
        connection,
        trusted=found.issuers(),
        wanted=lambda act: one_delivery.sends_again(act, notification_id, whose.partner),
    )
    return one_delivery.one_delivery(notification_id, whose, about, acts), about


def _facts(found: Settings, one: OneDelivery, about: AboutEvent) -> dict[str, str]:
    """What it is and how it stands, each as a line; empty: nothing to say."""
    partner = about.register.partners.get(one.whose.partner)
    return {
        "notification": one.notification_id,
        "partner": f"{one.whose.partner} ({partner.name})" if partner else one.whose.partner,
        "event": one.whose.event_id,
        **_decided(one),
        **_standing(found, one, about),
        "consent": _consent(one),
        "sent again": "; ".join(
            f"{act.at:%Y-%m-%d %H:%M} UTC by {act.who} (`{act.operation.what}`): {act.operation.reason}"
            for act in dict.fromkeys(act for act in one.by if act is not None)
        ),
    }


def _decided(one: OneDelivery) -> dict[str, str]:
    from safebus.streams.rules.reasons import say as in_words

    if one.decided is None:
        return {"decision": "not on record here; `safebus explain EVENT` says what is"}
    record, answer = one.decided
    return {
        "of": f"{record.event_type}, {record.lifecycle}, from {record.source}, for {record.purpose}",
        "decision": f"{answer.outcome}, {record.decided_at:%Y-%m-%d %H:%M:%S} UTC, on register offset "
        f"{record.register_offset}; `safebus explain {record.event_id}` says which fields",
        "because": "; ".join(f"{in_words(reason)} [{reason.rule}]" for reason in answer.reasons),
        "agreement": f"{answer.agreement_id} v{answer.agreement_version}, flow {answer.flow}",
        "about": f"person {answer.subject_token[:8]}, as {answer.interest}",
        "takes back": answer.takes_back or "",
    }


def _standing(found: Settings, one: OneDelivery, about: AboutEvent) -> dict[str, str]:
    """How it stands, what it waits for, and in whose hands it is."""
    from safebus.consumers.audit.waits import Delivery, asked_again_at, known_standings, waits_for
    from safebus.consumers.delivery import parked
    from safebus.consumers.delivery.stages import ENDED, FOLLOWS
    from safebus.schemas.bus_records import Stage

    last = one.last
    if last is not None and last.stage in ENDED:
        stands = f"{last.stage}: {FOLLOWS[last.stage]}"
        if last.stage is not Stage.PARKED:
            return {"stands": stands}
        there = run(lambda: parked.waiting(found.connection(), one.whose.partner))
        mine = [p for p in there if p.notification.notification_id == one.notification_id]
        said = [columns_of(hand) for hand in of_parked(found, one.whose.partner, mine).values()]
        in_hand = "; ".join(" ".join(filter(None, [s["state"], s["assigned_to"], f"since {s['since']}"])) for s in said)
        return {"stands": stands, "in hand": in_hand}
    person = one.decided[1].subject_token if one.decided else ""
    waiting = Delivery(one.notification_id, one.whose.partner, last, one.whose.on_topic_since, person)
    known = run(lambda: known_standings(found.connection(), about.register, [waiting.partner], now=clock()))
    standing, now = known.get(waiting.partner), clock()
    since = f" since {waiting.since:%Y-%m-%d %H:%M:%S} UTC" if waiting.since else ""
    again = asked_again_at(waiting, standing, now=now)
    return {
        "stands": f"on its topic{since}, no attempt on record" if last is None else last.stage.value,
        "waits for": (waits_for(waiting, standing, now=now) or "").removeprefix("waits for "),
        "asked again at": f"{again:%Y-%m-%d %H:%M:%S} UTC at the latest" if again else "",
    }


def _consent(one: OneDelivery) -> str:
    from safebus.consumers.delivery.stages import meaning

    answer = one.decided[1] if one.decided else None
    on = answer.consent_state if answer is not None else None
    last = one.last
    stood = f"stands on {last.consent_meaning}" if last is not None and last.consent_meaning else ""
    was = f"{on} when it was decided" if on else ""
    told = [f"{r.at:%Y-%m-%d %H:%M:%S} UTC: {meaning(r)} ({r.reason}, answer {r.answer})" for r in one.told]
    return "; ".join(filter(None, [stood, was, *told]))


def _receipts(one: OneDelivery) -> list[dict[str, Any]]:
    from safebus.consumers.delivery.stages import meaning

    rows = [*zip(one.receipts, one.by, strict=True), *((each, None) for each in one.told)]
    return [
        {
            "at": receipt.at.isoformat(timespec="seconds"),
            "stage": receipt.stage.value,
            "attempt": receipt.attempt,
            "transport": receipt.transport,
            "answer": receipt.answer,
            "means": meaning(receipt),
            "reason": receipt.reason,
            "again_at": receipt.again_at.isoformat(timespec="seconds") if receipt.again_at else "",
            "by": act.who if act is not None else "",
        }
        for receipt, act in sorted(rows, key=lambda row: row[0].at)
    ]

"""One delivery is found by its id alone, and whoever sent it again is named."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from safebus.consumers.audit.explain.indexing import AboutEvent
from safebus.consumers.audit.one_delivery import Whose, one_delivery, sends_again, whose
from safebus.consumers.audit.operations import OnRecord
from safebus.deploy.local.brokers import Broker
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import MOST_ABOUT, Notification, Operation, Receipt, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.store import Register

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def receipt(notification_id: str, partner: str, minutes: int = 0, reason: str = "", **changes: object) -> Receipt:
    plain = {
        "notification_id": notification_id,
        "event_id": "an event",
        "partner": partner,
        "transport": "folder",
        "stage": Stage.PARKED,
        "attempt": 1,
        "at": NOON + timedelta(minutes=minutes),
        "answer": "403",
        "reason": reason,
        "subject_token": "t",
        "purpose": "p",
        "consent_meaning": None,
        "output_digest": "d",
    }
    return Receipt.model_validate(plain | changes)


def notification(notification_id: str, partner: str) -> Notification:
    return Notification(
        notification_id=notification_id,
        decision_id="d",
        event_id="another event",
        event_type="police.encompass.v1",
        lifecycle="NEW",
        recipient=partner,
        publisher="police",
        purpose="p",
        urgency="ROUTINE",
        subject_token="t",
        agreement_id="a",
        agreement_version=1,
        flow="f",
        consent_meaning=None,
        labels=(),
        restricted=False,
        decided_at=NOON,
        view_schema="0" * 16,
        view=b"",
    )


def act(minutes: int, what: str, reason: str, *about: str) -> OnRecord:
    operation = Operation(
        operation_id=str(minutes),
        at=NOON,
        certificate="op-anna",
        system_user="x",
        what=what,
        about=about,
        number=len(about),
        reason=reason,
    )
    return OnRecord(operation, NOON + timedelta(minutes=minutes), minutes, proven=True)


async def test_it_is_found_by_its_receipt_or_where_there_is_none_on_the_partners_topic(
    broker: Broker, fresh: str
) -> None:
    """What others wrote under its id, or about another partner, leads nobody astray."""
    ash, elm = f"ash-{fresh}"[:40].rstrip("-"), f"elm-{fresh}"[:40].rstrip("-")
    here, tried, new = Connection(broker.bootstrap), str(uuid.uuid4()), str(uuid.uuid4())
    broker.create_topics({f(p): 4 for p in (ash, elm) for f in (topics.receipts_from, topics.notifications_for)})
    outbound = Writer(here, client_id="test")
    await outbound.start()
    to_elm = codec.encode_record(receipt(tried, elm))
    mark = [("ce_id", new.encode())]
    await outbound.send_all(
        [
            Message(topics.receipts_from(ash), tried.encode(), b"junk", ()),
            Message(topics.receipts_from(ash), tried.encode(), to_elm, ()),
            Message(topics.receipts_from(elm), tried.encode(), to_elm, ()),
            Message(topics.notifications_for(elm), b"k", codec.encode_record(notification(new, ash)), mark),
            Message(topics.notifications_for(ash), b"k", codec.encode_record(notification(new, ash)), mark),
        ]
    )
    await outbound.stop()

    on_topic = await whose(here, new, [ash, elm])
    assert await whose(here, tried, [ash, elm]) == Whose(elm, "an event")
    assert on_topic is not None and (on_topic.partner, on_topic.event_id) == (ash, "another event")
    assert on_topic.on_topic_since is not None
    assert await whose(here, tried, [ash]) is None
    assert await whose(here, str(uuid.uuid4()), [ash, elm]) is None


def test_who_sent_it_again_is_the_last_act_with_these_words_before_it() -> None:
    acts = [
        act(1, "parked redrive", "mended", "ash", "n"),
        act(5, "deliveries again", "last night", "ash", "n"),
        act(9, "parked redrive", "mended", "ash", "n"),
    ]
    receipts = [
        receipt("n", "ash"),
        receipt("n", "ash", 2, "refused_by_partner; redriven: mended"),
        receipt("n", "ash", 6, "redriven: restored: last night"),
        receipt("n", "ash", 7, "redriven: nobody is known to have"),
        receipt("n", "ash", 8, "consent_withdrawn", stage=Stage.NOTICE_HANDED_OVER),
        receipt("another", "ash", 9),
        receipt("n", "elm", 9),
    ]
    found = one_delivery("n", Whose("ash", "an event"), AboutEvent([], receipts, Register(), []), acts)

    assert found.by == (None, acts[0], acts[1], None)
    assert (found.receipts, found.told, found.decided) == (tuple(receipts[:4]), (receipts[4],), None)
    assert found.last == receipts[3]


def test_an_act_that_names_it_counts_before_one_about_very_many_and_whoever_wrote_the_receipt_before_others() -> None:
    """Four seconds after one was sent again a bulk of 366 followed, with the same reason: it was said to be that."""
    one = act(1, "parked redrive", "mended", "ash", "n")
    very_many = act(2, "deliveries redrive", "mended", "ash", *map(str, range(MOST_ABOUT)), "and 266 more")
    other = replace(very_many, operation=very_many.operation.model_copy(update={"certificate": "op-ben"}))
    mine = receipt("n", "ash", 2, "redriven: mended").model_copy(update={"written_by": "op-ben"})

    def who(*acts: OnRecord, of: Receipt = mine) -> OnRecord | None:
        return one_delivery("n", Whose("ash", "an event"), AboutEvent([], [of], Register(), []), acts).by[0]

    assert who(one, very_many) is one
    assert who(other, very_many) is other
    assert who(very_many) is very_many


def test_an_act_about_very_many_may_have_sent_it() -> None:
    many = act(1, "deliveries redrive", "mended", "ash", *map(str, range(MOST_ABOUT)), "and 300 more").operation
    few = act(1, "deliveries redrive", "mended", "ash", "n").operation

    assert [sends_again(many, "n", "ash"), sends_again(few, "n", "ash")] == [True, True]
    assert not sends_again(few, "m", "ash") and not sends_again(few, "n", "elm")
    assert not sends_again(act(1, "parked close", "told", "ash", "n").operation, "n", "ash")

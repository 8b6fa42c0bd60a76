"""What became of each delivery, as its receipts tell it; an ended consent reaches whoever may hold something."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from a_parcel import ID
from an_attempt import NOON, ON_CONSENT, PARTNER

from safebus.consumers.delivery.ledger import Ledger, Receipts, Tried
from safebus.consumers.delivery.stages import NOT_SENT, TAKEN_BACK, UNDER_WAY, UNKNOWN, Said
from safebus.deploy.local.brokers import Broker, open_broker
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Receipt, Stage
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.own_records import Strange

TOPIC = topics.receipts_from(PARTNER)


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    with open_broker("embedded", data_dir=tmp_path) as broker:
        broker.create_topics({TOPIC: 4})
        yield Connection(broker.bootstrap)


@asynccontextmanager
async def a_process(connection: Connection) -> AsyncIterator[Ledger]:
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    ledger = Ledger(connection, outbound, partner=PARTNER, transport="webhook")
    await ledger.load()
    yield ledger
    await outbound.stop()


async def test_another_partner_without_a_topic_keeps_nobody_from_reading_their_own(
    kafka_broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read at once for all, and what one of them lacks is that one's trouble."""
    mine, gone = f"a-{fresh}", f"b-{fresh}"
    kafka_broker.create_topics({topics.receipts_from(mine): 1})
    connection = Connection(kafka_broker.bootstrap)
    receipts = Receipts(connection)
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    ledger, other = (
        Ledger(connection, outbound, partner=partner, transport="webhook", receipts=receipts)
        for partner in (mine, gone)
    )
    await note(ledger, Stage.HANDED_OVER)
    try:
        with pytest.raises(NotReachable, match=f"the broker has no topic `receipts.{gone}`"):
            await other.load()
        await ledger.load()
        # One that takes the place of another, which has read to the end, reads from the tail again.
        successor = Ledger(connection, None, partner=mine, transport="webhook", receipts=receipts)
        await successor.load()
        assert ledger.ended(ID) is not None and successor.ended(ID) is not None
    finally:
        await outbound.stop()


async def note(
    ledger: Ledger, stage: Stage, reason: str = "", answer: str = "-", *, notification_id: str = ID, attempt: int = 1
) -> None:
    about = ON_CONSENT.model_copy(update={"notification_id": notification_id})
    await ledger.write(about, stage, digest="x", attempt=attempt, at=NOON, answer=answer, reason=reason)


async def test_what_the_partner_may_have_taken_counts_when_the_consent_ends(connection: Connection) -> None:
    """The answer was lost, then the consent was withdrawn: a notice too many harms nobody, one too few does."""
    async with a_process(connection) as ledger:
        await note(ledger, Stage.WAITING, UNKNOWN)
        await note(ledger, Stage.STOPPED, "CONSENT_WITHDRAWN (R12)")
        here = set(ledger.on_consent())
    async with a_process(connection) as successor:
        assert here == set(successor.on_consent()) == {ID}


async def test_an_attempt_whose_answer_was_never_written_counts_too(connection: Connection) -> None:
    """Killed between the partner's yes and the receipt; before the restart the consent was withdrawn."""
    async with a_process(connection) as killed:
        await note(killed, Stage.WAITING, UNDER_WAY)
    async with a_process(connection) as successor:
        await note(successor, Stage.STOPPED, "CONSENT_WITHDRAWN (R12)", answer=NOT_SENT)

        assert set(successor.on_consent()) == {ID}


@pytest.mark.parametrize(
    ("stage", "reason"),
    [(Stage.WAITING, "partner_busy"), (Stage.HELD, "not_let_in"), (Stage.PARKED, "refused_by_partner")],
)
async def test_an_attempt_that_the_partner_answered_with_no_does_not(
    connection: Connection, stage: Stage, reason: str
) -> None:
    """A notice would tell the partner of an event that it was never told of."""
    async with a_process(connection) as ledger:
        await note(ledger, Stage.WAITING, UNDER_WAY)
        await note(ledger, stage, reason, answer="503")
        await note(ledger, Stage.STOPPED, "CONSENT_WITHDRAWN (R12)", answer=NOT_SENT)

        assert ledger.on_consent() == {}


async def test_what_was_certainly_not_taken_does_not(connection: Connection) -> None:
    async with a_process(connection) as ledger:
        await note(ledger, Stage.WAITING, "partner_busy")
        await note(ledger, Stage.STOPPED, "CONSENT_WITHDRAWN (R12)")

        assert ledger.on_consent() == {}


async def test_what_a_person_handed_over_after_it_was_stopped_was_handed_over(connection: Connection) -> None:
    """Else what takes it back would be kept from a partner that has it."""
    async with a_process(connection) as ledger:
        await note(ledger, Stage.STOPPED, "PARTNER_SUSPENDED (R01)", NOT_SENT, attempt=0)
        before = ledger.never_handed_over(ID)
        await note(ledger, Stage.HANDED_OVER, "redriven: it was the wrong school")
        after = ledger.never_handed_over(ID)
    async with a_process(connection) as next_one:
        assert (before, after, next_one.never_handed_over(ID)) == (True, False, False)


async def test_what_another_process_handed_over_is_seen_without_a_restart(connection: Connection) -> None:
    """An operator redrives, or a process had the partition before."""
    async with a_process(connection) as running, a_process(connection) as other:
        await note(other, Stage.HANDED_OVER)
        before = running.ended(ID)
        await running.load()

        assert before is None
        assert running.ended(ID) == other.ended(ID) is not None
        assert set(running.on_consent()) == {ID}


async def test_what_it_wrote_itself_takes_nothing_back_when_it_is_read_later(connection: Connection) -> None:
    """It reads while it writes: half of what it wrote looks like an attempt without an answer, and is no such thing."""
    async with a_process(connection) as ledger:
        await note(ledger, Stage.WAITING, UNDER_WAY, answer="not_yet")
        await note(ledger, Stage.WAITING, "partner_busy", answer="503")
        began, *_ = [m async for m in read_topic(connection, TOPIC)]
        ledger.read(began)
        await note(ledger, Stage.STOPPED, "CONSENT_WITHDRAWN (R12)", answer=NOT_SENT)

        assert ledger.on_consent() == {}


REDRIVEN = "; redriven: they asked"


async def test_one_that_a_person_sends_again_counts_until_the_partner_answers_no(connection: Connection) -> None:
    """Their process may end before the answer, and nothing sends it again by itself."""
    async with a_process(connection) as ledger:
        await note(ledger, Stage.PARKED, "refused_by_partner", answer="422")
        parked = set(ledger.on_consent())
        await note(ledger, Stage.PARKED, UNDER_WAY + REDRIVEN, answer="not_yet")
        begun = set(ledger.on_consent())
        await note(ledger, Stage.PARKED, UNDER_WAY + REDRIVEN, answer="not_yet")
        begun_again = set(ledger.on_consent())
        await note(ledger, Stage.PARKED, "partner_busy" + REDRIVEN, answer="503")
        answered = set(ledger.on_consent())

    assert (parked, begun, begun_again, answered) == (set(), {ID}, {ID}, set())


@pytest.mark.parametrize("answer", ["timeout", NOT_SENT])
async def test_one_that_a_person_sent_again_and_that_may_be_there_counts_for_good(
    connection: Connection, answer: str
) -> None:
    """The answer never came, or was never written before the consent was withdrawn."""
    async with a_process(connection) as ledger:
        await note(ledger, Stage.PARKED, "refused_by_partner", answer="422")
        await note(ledger, Stage.PARKED, UNDER_WAY + REDRIVEN, answer="not_yet")
        if answer == NOT_SENT:
            await note(ledger, Stage.STOPPED, "CONSENT_WITHDRAWN (R12)" + REDRIVEN, answer=NOT_SENT)
        else:
            await note(ledger, Stage.PARKED, UNKNOWN + REDRIVEN, answer=answer)
        await note(ledger, Stage.PARKED, "refused_by_partner" + REDRIVEN, answer="422")
        here = set(ledger.on_consent())
    async with a_process(connection) as successor:
        assert here == set(successor.on_consent()) == {ID}


async def test_what_was_handed_over_and_then_came_with_other_bytes_stays_told_of(connection: Connection) -> None:
    async with a_process(connection) as ledger:
        await note(ledger, Stage.HANDED_OVER, answer="202")
        await note(ledger, Stage.PARKED, "same_id_other_content", answer=NOT_SENT)
        await note(ledger, Stage.PARKED, UNDER_WAY + REDRIVEN, answer="not_yet")
        await note(ledger, Stage.PARKED, "refused_by_partner" + REDRIVEN, answer="409")

        assert set(ledger.on_consent()) == {ID}


async def test_a_restart_goes_on_counting_and_begins_no_waits_again_but_those_after_a_hold(
    connection: Connection,
) -> None:
    async with a_process(connection) as ledger:
        for count, (stage, reason) in enumerate(
            [(Stage.WAITING, "partner_busy"), (Stage.HELD, "not_let_in"), (Stage.WAITING, "partner_busy")], start=1
        ):
            await note(ledger, stage, reason, "503", attempt=count)
        here = ledger.tried(ID)
    async with a_process(connection) as successor:
        seen = (successor.tried(ID), successor.attempts(ID))
        await note(successor, Stage.PARKED, "no_answer_for_72_hours", "503", attempt=4)
        await note(successor, Stage.STOPPED, TAKEN_BACK, NOT_SENT, attempt=0)
        ended = (successor.tried(ID), successor.attempts(ID))

    assert here == Tried(3, 2, NOON, Said(Stage.WAITING, "partner_busy", "503"))
    assert (seen, ended) == ((here, 3), (Tried(), 4))


async def test_what_the_bus_did_not_write_there_is_believed_by_nobody_and_stops_nobody(connection: Connection) -> None:
    """Whoever has stolen the right to write there; a forged HANDED_OVER would make an alert vanish."""
    async with a_process(connection) as one:
        await note(one, Stage.WAITING, UNDER_WAY)
    [own] = [m async for m in read_topic(connection, TOPIC)]
    waiting = codec.decode_record(own.value, Receipt)
    taken = waiting.model_copy(update={"stage": Stage.HANDED_OVER, "reason": ""})
    forged = codec.encode_record(taken.model_copy(update={"partner": "haven"}))
    in_transaction = Writer(connection, client_id="thief", transactional_id="thief")
    await in_transaction.start()
    await in_transaction.send_as_one([Message(TOPIC, b"k", codec.encode_record(taken), (), 0)])
    await in_transaction.stop()
    outbound = Writer(connection, client_id="thief")
    await outbound.start()
    await outbound.send_all(Message(TOPIC, b"k", value, (), 0) for value in (b"junk", b"", forged))
    await outbound.stop()
    found: list[Strange] = []
    after = Ledger(connection, None, partner=PARTNER, transport="webhook", on_strange=found.append)
    await after.load()
    await after.load()

    assert after.ended(ID) is None and after.tried(ID)[:3] == (1, 0, NOON)
    assert Counter(strange.reason for strange in found) == {
        "IN_TRANSACTION": 1,
        "UNKNOWN_SCHEMA": 2,
        "NOT_THIS_TOPICS": 1,
    }


async def test_each_partner_has_receipts_of_its_own(connection: Connection) -> None:
    """So by right on the broker nobody's adapter can write about another partner."""
    async with a_process(connection) as one:
        await note(one, Stage.HANDED_OVER)

    with pytest.raises(NotReachable, match=r"no topic `receipts\.haven`"):
        await Ledger(connection, None, partner="haven", transport="webhook").load()


async def test_a_consent_of_long_ago_is_known_however_much_was_delivered_since(connection: Connection) -> None:
    """The tail is enough for what is handed over; the partner holds what it was given a year ago still."""
    many = [f"6f1c0f9e-0000-4000-8000-{n:012}" for n in range(40)]
    async with a_process(connection) as ledger:
        for each in many:
            await note(ledger, Stage.HANDED_OVER, notification_id=each)
        told = ledger.on_consent()[many[3]]
        await ledger.write_notice(many[3], told, at=NOON, answer="202", reason="consent_withdrawn")
    successor = Ledger(
        connection,
        None,
        partner=PARTNER,
        transport="webhook",
        receipts=Receipts(connection, window=2),
        window=2,
    )
    await successor.load()
    at_first = set(successor.on_consent())
    await successor.load_older_consents()

    assert len(at_first) <= 8  # two of each partition
    assert set(successor.on_consent()) == {*many} - {many[3]}
    assert successor.consents >= len(many) - 1

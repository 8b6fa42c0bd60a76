"""
What became of each delivery to one partner, and what do we write down about it?

Receipts are the only memory: the ledger is their tail, so a restarted adapter knows what it handed over.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection
from datetime import datetime
from sys import intern
from typing import Any, NamedTuple

from safebus.consumers.adapters.adapter import ALREADY_THERE
from safebus.consumers.delivery.outstanding import Delivered, Outstanding
from safebus.consumers.delivery.stages import ENDED, NOT_SENT, TAKEN_BACK, UNDER_WAY, UNKNOWN, Said, code_of
from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import DestinationState, Notification, Receipt, Stage
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import WHOLE_FETCH, Reader
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.own_records import Strange, own_record

#: What is older than the tail is read for its consents; how it ended is known by its receipts alone.
_OLD_WINDOW = 1_000


class Ended(NamedTuple):
    """How a delivery ended, with which bytes, after how many attempts. There are very many, so it is small."""

    stage: Stage
    digest: str
    attempts: int


class Tried(NamedTuple):
    """
    What is on record of a delivery that has not ended.

    Attributes:
        attempts: How often it was tried.
        before_hold: How many of these were before its destination was last held, which begins its waits again.
        first_sent: When the first of the others was made; None: there is none.
        said: What its last receipt says; None: it has none.
    """

    attempts: int = 0
    before_hold: int = 0
    first_sent: datetime | None = None
    said: Said | None = None


class Left(NamedTuple):
    """How the destination stood by the last receipt that tells, and when that was."""

    at: datetime
    state: DestinationState


class Receipts:
    """
    The tails of `receipts.<partner>`, read at once for all the ledgers of a process.

    Args:
        window: How many of the newest of each partition are read at first.
    """

    def __init__(self, connection: Connection, *, window: int = 100_000) -> None:
        self._connection, self._window = connection, window
        self._ledgers: dict[str, Ledger] = {}
        self._next: dict[Partition, int] = {}
        self._tails: dict[Partition, int] = {}  # where we began to read; what is before was not
        self._reading = asyncio.Lock()
        self._read_at: dict[str, datetime] = {}

    def follow(self, topic: str, ledger: Ledger) -> None:
        """Whatever is read of this topic goes there, and nowhere else any more."""
        self._ledgers[topic] = ledger
        # It knows nothing yet, so the topic is read from its tail again.
        self._next = {partition: at for partition, at in self._next.items() if partition.topic != topic}

    def read_since(self, topic: str, when: datetime) -> bool:
        """Was this topic read at this time or later?"""
        return topic in self._read_at and self._read_at[topic] >= when

    async def load(self, topic: str, *, now: datetime | None = None) -> None:
        """
        Read what came since the last time, and at first the tail; of all at once, while all can be read.

        Args:
            topic: The one that must be read to its end.
            now: For `read_since`.

        Raises:
            NotReachable: It was not; whoever goes on without could deliver twice.
        """
        async with self._reading:
            read = [*self._ledgers]
            try:
                await self._load(self._ledgers, topic)
            except NotReachable:
                # Another one that may not be read, or is gone, is its own partner's trouble.
                await self._load([topic], topic)
                read = [topic]
            if now is not None:
                self._read_at |= dict.fromkeys(read, now)

    async def _load(self, wanted: Collection[str], must: str) -> None:
        begun_with = dict(self._ledgers)
        async with self._reader(wanted, must) as reader:
            for partition in reader.partitions:
                tail = max(reader.begins[partition], reader.ends[partition] - self._window)
                if partition not in self._next:
                    self._tails[partition] = tail
                reader.seek(partition, self._next.get(partition, tail))
            while messages := await reader.take_any():
                for message in messages:
                    ledger = self._ledgers[message.topic]
                    if ledger is begun_with[message.topic]:  # else it would lack what was read before it came
                        self._next[Partition(message.topic, message.partition)] = message.offset + 1
                        ledger.read(message)

    async def read_before_the_tail(self, topic: str, ledger: Ledger) -> None:
        """
        Read what is older than the tail of a topic into a ledger of its own.

        Raises:
            NotReachable: The topic cannot be read.
        """
        before = {partition: tail for partition, tail in self._tails.items() if partition.topic == topic}
        async with self._reader([topic], topic) as reader:
            reader.stop_at({partition: before.get(partition, 0) for partition in reader.partitions})
            while messages := await reader.take_any():
                for message in messages:
                    ledger.read(message)

    def _reader(self, wanted: Collection[str], must: str) -> Reader:
        # Also what stands in a transaction: one that somebody left open would hide what was handed over behind it.
        return Reader(
            self._connection,
            frozenset(wanted).__contains__,
            must=[must],
            fetch_bytes=WHOLE_FETCH,
            committed=False,
        )


class Ledger:
    """
    The deliveries of one partner.

    Args:
        outbound: None: only to read.
        receipts: Shared with other partners of this process; None: read for this one alone.
        on_strange: Told of each record on the partner's receipts that the bus did not write.
        on_receipt: Told of each of the others that is read.
        written_by, place: As every receipt of it says them (`bus_records.Receipt`).
        window: How many ended deliveries are remembered. Older repeats have one effect all the same: every adapter
            hands over under the same id.

    Attributes:
        destination: How it stood when last a receipt told; None: none did.
        taken_at: When it last took one that was tried by itself; None: no receipt that was read says so.
        consents: How often something came to `on_consent`: whoever looks at all of it knows whether there is more.
    """

    def __init__(
        self,
        connection: Connection,
        outbound: Writer | None,
        *,
        partner: str,
        transport: str,
        receipts: Receipts | None = None,
        on_strange: Callable[[Strange], None] = lambda _: None,
        on_receipt: Callable[[Receipt], None] = lambda _: None,
        written_by: str = "",
        place: str | None = None,
        window: int = 100_000,
    ):
        self._written_by, self._place = written_by, place
        self._connection, self._outbound = connection, outbound
        self._on_strange, self._on_receipt = on_strange, on_receipt
        self.destination: Left | None = None
        self.taken_at: datetime | None = None
        self.consents = 0
        self._partner, self._transport, self._window = partner, transport, window
        self._topic = topics.receipts_from(partner)
        self._receipts = receipts or Receipts(connection, window=window)
        self._receipts.follow(self._topic, self)
        self._ended: OrderedDict[str, Ended] = OrderedDict()
        self._on_consent = Outstanding()
        self._tried: dict[str, Tried] = {}
        self._maybe_there: set[str] = set()  # tried, and nobody knows whether the partner took it
        self._under_way: set[str] = set()  # an attempt was begun, and no answer to it is written
        self._only_begun: set[str] = set()  # counts as taken for now: it ended, and was sent again without an answer
        self._noticed: set[str] = set()
        self._never: set[str] = set()  # stopped before any attempt
        self._mine: set[tuple[int, int]] = set()  # written and noted here, and not read yet: partition, offset

    def read(self, message: Any) -> None:
        """Take in one record of the partner's topic; what the bus did not write there is believed by nobody."""
        if (message.partition, message.offset) in self._mine:
            # Noted when it was written. Once more, it would take back what was noted after it.
            self._mine.discard((message.partition, message.offset))
            return
        found = own_record(message, Receipt, belongs=lambda receipt: receipt.partner == self._partner)
        if isinstance(found, Strange):
            self._on_strange(found)
        else:
            self._on_receipt(found)
            self._note(found)

    async def load(self) -> None:
        """
        Read the tail of the partner's receipts, and later what came since.

        Others write receipts about this partner too: an operator who redrives, a process that had a partition before.
        """
        await self._receipts.load(self._topic)

    def loaded_since(self, when: datetime) -> bool:
        """Was what others wrote by then looked for?"""
        return self._receipts.read_since(self._topic, when)

    async def look_for_others(self, now: datetime) -> None:
        """As `load`; for all partners of this process at once, so that few of them have to."""
        await self._receipts.load(self._topic, now=now)

    async def load_older_consents(self) -> None:
        """
        Add what was handed over on somebody's consent before the tail, and not yet followed by a notice of its end.

        However long ago it was: the partner holds it still. Of everything else the tail is enough.

        Raises:
            NotReachable: The receipts cannot be read.
        """
        old = Ledger(self._connection, None, partner=self._partner, transport=self._transport, window=_OLD_WINDOW)
        await self._receipts.read_before_the_tail(self._topic, old)
        for key, delivered in old._on_consent.items():
            # Else its later receipts have said what counts.
            if key not in self._noticed and key not in self._ended and key not in self._on_consent:
                self._on_consent[key] = delivered
                self.consents += 1

    def ended(self, notification_id: str) -> Ended | None:
        """How this delivery ended; None: it has not."""
        return self._ended.get(notification_id)

    def never_handed_over(self, notification_id: str) -> bool:
        """
        It was stopped and no attempt was made.

        Of what stands on a consent that is certain: a receipt says there that an attempt begins. Of any other a process
        that ended between the partner's answer and its receipt leaves no trace; so what its publisher took back counts
        as sent, because the partner may still have it. What the register no longer permitted counts as not sent:
        that there was anything is not the partner's to know any more.
        """
        return notification_id in self._never

    def tried(self, notification_id: str) -> Tried:
        """What is on record of one that has not ended: a restart does not begin its 72 hours again, nor its count."""
        return self._tried.get(notification_id, Tried())

    def attempts(self, notification_id: str) -> int:
        """How often this one was tried, as far as is on record, whether it has ended or not."""
        ended = self._ended.get(notification_id)
        return ended.attempts if ended is not None else self.tried(notification_id).attempts

    def on_consent(self) -> Outstanding:
        """What was handed over on somebody's consent and not yet followed by a notice of its end."""
        return self._on_consent

    async def write(
        self,
        about: Notification,
        stage: Stage,
        *,
        digest: str,
        attempt: int,
        at: datetime,
        answer: str,
        reason: str = "",
        again_at: datetime | None = None,
        destination: DestinationState | None = None,
    ) -> None:
        """Write a receipt and wait until the broker has it."""
        await self._write(
            Receipt(
                notification_id=about.notification_id,
                event_id=about.event_id,
                partner=self._partner,
                transport=self._transport,
                stage=stage,
                attempt=attempt,
                at=at,
                answer=answer,
                reason=reason,
                subject_token=about.subject_token,
                purpose=about.purpose,
                consent_meaning=about.consent_meaning,
                output_digest=digest,
                again_at=again_at,
                destination=destination,
                written_by=self._written_by,
                place=self._place,
            )
        )

    async def write_notice(
        self, notification_id: str, ended: Delivered, *, at: datetime, answer: str, reason: str
    ) -> None:
        """Write that the partner was told that the consent it received something on has ended."""
        await self._write(
            Receipt(
                notification_id=notification_id,
                event_id=ended.event_id,
                partner=self._partner,
                transport=self._transport,
                stage=Stage.NOTICE_HANDED_OVER,
                attempt=1,
                at=at,
                answer=answer,
                reason=reason,
                subject_token=ended.subject_token,
                purpose=ended.purpose,
                consent_meaning=ended.consent_meaning,
                output_digest=ended.digest,
                written_by=self._written_by,
                place=self._place,
            )
        )

    async def _write(self, receipt: Receipt) -> None:
        about = [
            *headers.cloud_event(id=receipt.notification_id, source=self._partner, type="safebus.receipt"),
            ("sb_partner", self._partner.encode()),
            (headers.EVENT, receipt.event_id.encode()),
        ]
        message = Message(self._topic, receipt.notification_id.encode(), codec.encode_record(receipt), about)
        assert self._outbound is not None  # only who delivers writes
        self._mine.update(await self._outbound.send_all([message]))
        self._note(receipt)

    def _note(self, receipt: Receipt) -> None:
        key, code = receipt.notification_id, code_of(receipt.reason)
        if receipt.destination is not None and (self.destination is None or receipt.at >= self.destination.at):
            self.destination = Left(receipt.at, receipt.destination)
        if receipt.stage is Stage.HANDED_OVER and receipt.destination is not None and receipt.answer != ALREADY_THERE:
            self.taken_at = max(self.taken_at or receipt.at, receipt.at)
        never_answered = key in self._under_way and receipt.answer == NOT_SENT
        (self._under_way.add if code == UNDER_WAY else self._under_way.discard)(key)
        if code == UNKNOWN or never_answered:
            self._maybe_there.add(key)
        if receipt.stage in (Stage.WAITING, Stage.HELD):
            self._note_an_attempt(receipt)
        elif receipt.stage is Stage.NOTICE_HANDED_OVER:
            self._noticed.add(key)
            self._on_consent.discard(key)
            self._only_begun.discard(key)
        elif receipt.stage in ENDED:
            new = key not in self._ended and key not in self._maybe_there
            if new and receipt.stage is Stage.STOPPED and _is_sure(receipt, code):
                self._never.add(key)
            elif receipt.stage is not Stage.STOPPED:
                self._never.discard(key)  # a person sent it after all
            attempts = max(self.attempts(key), receipt.attempt)
            self._tried.pop(key, None)
            self._ended[key] = Ended(receipt.stage, receipt.output_digest, attempts)
            self._note_who_may_hold_it(receipt, never_answered=never_answered)
            while len(self._ended) > self._window:
                self._never.discard(self._ended.popitem(last=False)[0])

    def _note_an_attempt(self, receipt: Receipt) -> None:
        before, count = self.tried(receipt.notification_id), receipt.attempt
        said = Said(receipt.stage, intern(receipt.reason), intern(receipt.answer))  # very many may say the same
        if receipt.stage is Stage.HELD:
            # The time a destination is held is not the message's: its own 72 hours begin when it is let in again.
            now = Tried(count, count, None, said)
        else:
            now = Tried(count, min(before.before_hold, count), before.first_sent or receipt.at, said)
        self._tried[receipt.notification_id] = now

    def _note_who_may_hold_it(self, ended: Receipt, *, never_answered: bool) -> None:
        """What the partner may have taken counts as taken when its consent ends: a notice too many harms nobody."""
        key = ended.notification_id
        if ended.consent_meaning is None or key in self._noticed:
            return
        if ended.stage is Stage.HANDED_OVER or key in self._maybe_there or never_answered:
            self._only_begun.discard(key)
        elif key in self._under_way and key not in self._on_consent:  # it is parked, and a person sends it again
            self._only_begun.add(key)
        elif key in self._only_begun and key not in self._under_way:  # the partner's answer was no
            self._only_begun.discard(key)
            self._on_consent.discard(key)
            return
        else:
            return
        self.consents += 1
        self._on_consent[key] = Delivered(
            digest=ended.output_digest,
            event_id=ended.event_id,
            subject_token=ended.subject_token,
            purpose=ended.purpose,
            consent_meaning=ended.consent_meaning,
        )


def _is_sure(stopped: Receipt, code: str) -> bool:
    """Is it sure enough that no attempt was made?"""
    return stopped.consent_meaning is not None or (stopped.attempt == 0 and code != TAKEN_BACK)

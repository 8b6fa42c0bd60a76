"""
How does Faust hand whole batches to one coroutine, and commit only what that coroutine has finished?

This is the one place that touches Faust's internals. Stock Faust acknowledges an event in a `finally`, so an event
whose handler fails is lost, and it spends most of its time on bookkeeping per event. The lane keeps Faust's group,
rebalance and commit machinery and replaces what lies between fetching and committing:

    fetch -> handler(batches) -> its offsets become committable -> Faust commits
    handler raises            -> the fetcher crashes -> the worker stops, offsets where they were
    partitions revoked        -> wait for the running batch, commit what is finished, then let go

Guarded by tests/streams/worker/test_lane_guard.py, which fails when an upgrade changes what is overridden here.
Source: faust-streaming 0.15.3, transport/consumer.py, transport/drivers/aiokafka.py; issues #606, #316, #502.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from faust.exceptions import ConsumerNotStarted
from faust.transport.consumer import ensure_TP
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread as _ConsumerThread
from faust.transport.drivers.aiokafka import Consumer as _Consumer
from faust.transport.drivers.aiokafka import Producer as _Producer
from faust.transport.drivers.aiokafka import Transport as _Transport

from safebus.schemas.kafka.assigning import SeeingAssignor
from safebus.schemas.kafka.connection import is_about_a_right
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.records import FetchedRecord

#: (partition, its records in order), one for each partition of a poll.
Batches = Sequence[tuple[Partition, Sequence[FetchedRecord]]]
BatchHandler = Callable[[Batches, int], Awaitable[None]]


class Lane:
    """
    What one worker's consumer does with its batches.

    Attributes:
        topics: The topics that go through the lane; everything else takes Faust's own way.
        handler: Called with every batch of a poll and the group's generation; returns when all of it is done.
    """

    def __init__(self, topics: Sequence[str], handler: BatchHandler) -> None:
        self.topics = frozenset(topics)
        self.handler = handler


_LANES: WeakKeyDictionary[Any, Lane] = WeakKeyDictionary()


def give_lane(app: Any, lane: Lane) -> None:
    """Say what goes through this application's lane; once, before it starts."""
    _LANES[app] = lane


def lane_of(app: Any) -> Lane:
    """The lane of an application."""
    return _LANES[app]


#: Until a partition that may not be read is asked for again, seconds; who leaves it out does so within a few.
_NOT_AT_ONCE_S = 0.2


class LaneThread(_ConsumerThread):
    """The thread that fetches. Partition n of every topic goes to one worker: it writes partition n of `decisions`."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust's own choice deals partitions out one by one, so that two workers would share one decisions partition.
        consumer._partition_assignment_strategy = (SeeingAssignor,)
        return consumer

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Any:
        """
        What was fetched. A topic that may not be read any more gives nothing, and keeps no other from being read.

        Of several partitions that are ready aiokafka raises for one that is not, and gives the others the next time.
        """
        try:
            return await super()._fetch_records(*args, **kwargs)
        except Exception as exc:
            if not is_about_a_right(exc):
                raise
            await asyncio.sleep(_NOT_AT_ONCE_S)
            return {}


class LaneConsumer(_Consumer):
    """Faust's consumer with the lane in it. `give_lane` says what goes through."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lane: Lane = lane_of(self.app)
        self._lane_next: dict[Any, int] = {}  # partition -> offset of the next record, safe to commit
        self._lane_busy: asyncio.Future[Any] | None = None

    def _new_consumer_thread(self) -> LaneThread:
        return LaneThread(self, loop=self.loop, beacon=self.beacon)

    def committed_positions(self) -> dict[Partition, int]:
        """Every partition of the lane that is ours, and up to where it is committed; 0: nothing yet."""
        try:
            ours = self.assignment()
        except ConsumerNotStarted:
            return {}
        return {
            Partition(tp.topic, tp.partition): max(0, self._committed_offset.get(tp) or 0)
            for tp in ours
            if tp.topic in self._lane.topics
        }

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        yield from super()._filter_tps_with_pending_acks(topics)
        for tp in list(self._lane_next):
            if topics is None or tp in topics or tp.topic in topics:
                yield tp

    def _new_offset(self, tp: Any) -> int | None:
        if tp.topic in self._lane.topics:
            return self._lane_next.get(tp)
        found: int | None = super()._new_offset(tp)
        return found

    async def _commit_offsets(self, offsets: Any, start_new_transaction: bool = True) -> bool:
        # Upstream moves its idea of the committed offset although the commit failed, and so never repeats it (#316).
        assigned = self.assignment()
        committable = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        if not committable:
            return False
        await self.app.producer.flush()
        if not await self._commit(committable):
            self.log.warning("offsets not committed; they will be committed with the next batch")
            return False
        self._committed_offset.update(committable)
        self.app.monitor.on_tp_commit(committable)
        return True

    async def on_partitions_revoked(self, revoked: Any) -> None:
        # Upstream forgets what is finished before it commits, so every rebalance would redo a commit interval (#502).
        self.stop_flow()
        if self._lane_busy is not None and not self._lane_busy.done():
            await asyncio.wait([self._lane_busy])
        if self._lane_next:
            await self.commit()
        for tp in revoked:
            self._lane_next.pop(ensure_TP(tp), None)
        await super().on_partitions_revoked(revoked)

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                await asyncio.sleep(0)
                records, active = await self._wait_next_records(1.0)
                if not records or self.should_stop:
                    continue
                if not self.flow_active:
                    # A rebalance is on: what was fetched belongs to the old assignment. Read it again after the seek.
                    await self.perform_seek()
                    continue
                await self._through_the_lane(records, active)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _through_the_lane(self, records: Any, active: Any) -> None:
        generation = self.app.consumer_generation_id
        batches = []
        for tp, found in records.items():
            if active is not None and tp not in active:
                continue
            if tp.topic not in self._lane.topics:
                await self._upstream_way(tp, found, generation)
                continue
            read = self._read_offset[tp]
            new = [r for r in found if read is None or r.offset >= read]
            if new:
                batches.append((ensure_TP(tp), new))
        if not batches:
            return
        handed = [(Partition(tp.topic, tp.partition), new) for tp, new in batches]
        self._lane_busy = asyncio.ensure_future(self._lane.handler(handed, generation))
        await self._lane_busy  # raises: the fetcher crashes, the worker stops, no offset has moved
        if self.app.consumer_generation_id != generation:
            return  # the partitions may be someone else's by now; whoever has them redoes this batch
        for tp, new in batches:
            self._lane_next[tp] = self._read_offset[tp] = new[-1].offset + 1
        self._n_acked += sum(len(new) for _, new in batches)
        if self._commit_every and self._n_acked >= self._commit_every:
            self._n_acked = 0
            await self.commit()

    async def _upstream_way(self, tp: Any, found: Any, generation: int) -> None:
        for record in found:
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            await self.wait_first(self.callback(self._to_message(tp, record)), self.suspend_flow.wait())
            self._read_offset[tp] = record.offset


class IdempotentProducer(_Producer):
    """Faust's own producer is not idempotent by default. Nothing of ours goes through it."""

    def _settings_extra(self) -> Any:
        return {"acks": "all", "enable_idempotence": True}


class LaneTransport(_Transport):
    """The driver with the lane's consumer and an idempotent producer."""

    Consumer = LaneConsumer
    Producer = IdempotentProducer

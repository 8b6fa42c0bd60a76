"""
Is the index of events up to date, and what stands on the topics about one event?

Bringing it up to date reads keys and headers only, from where the index ends; nothing is decoded. The first record read
of each partition is the last one the index knows: if it is another, the index is of another broker and is begun again.
Then the few records about an event are read at their offsets, so the answer takes as long with ten decisions as with
millions. `safebus index --follow` does the reading ahead; without it, whoever asks first reads what is new.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebus.consumers.audit.explain.index_file import (
    BegunAgain,
    EventIndex,
    Reached,
    Unusable,
    open_index,
    throw_away,
)
from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import DecisionRecord, Receipt, RegisterRecord
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.own_records import Strange, own_record
from safebus.streams.register.store import Register

_MUST = (topics.DECISIONS, topics.REGISTER)

#: The kinds of register entries that an explanation names; people are not among them.
KINDS = ("partner/", "basis/", "deliveries/")

#: More than this to read first is said, because the answer then takes longer than a second.
MANY = 20_000

_AT_ONCE = 100_000  # rows to a transaction: sorted, so that a page is written once for many of them
_EVERY_S = 1.0  # how often a follower looks
_TRIES = 3


def is_indexed(topic: str) -> bool:
    """Does the index hold where events stand on this topic?"""
    return topic in _MUST or topics.partner_of_receipts(topic) is not None


@dataclass(frozen=True)
class AboutEvent:
    """
    What stands on the topics about one event.

    Attributes:
        decisions: One, unless two agencies used the same id.
        receipts: By time.
        register: Only its partners, its catalogue of bases and what operators said of deliveries, as of now.
        strange: What stands on partners' receipts under this event's id, and the bus did not write.
    """

    decisions: list[DecisionRecord]
    receipts: list[Receipt]
    register: Register
    strange: list[Strange]


async def about_event(
    connection: Connection, event_id: str, *, home: Path, say: Callable[[str], None]
) -> AboutEvent:  # fmt: skip
    """
    Bring the index up to date and read exactly the records about one event.

    Raises:
        NotReachable: A topic cannot be read.
    """
    wanted = uuid.UUID(event_id).bytes
    async with Reader(connection, is_indexed, must=_MUST) as reader:
        for tries_left in reversed(range(_TRIES)):
            try:
                with open_index(home, say=say) as index:
                    await bring_up_to_date(reader, index, say=say, progress=lambda _n: None)
                    return await _read(reader, event_id, index.places(wanted), sorted(index.entries().values()))
            except (Unusable, BegunAgain) as exc:
                if not tries_left:
                    raise
                _begin_again(home, exc, say)
                await reader.look()
    raise AssertionError("the last try returns or raises")


async def keep_index(
    connection: Connection,
    *,
    home: Path,
    follow: bool,
    say: Callable[[str], None],
    progress: Callable[[int], None],
) -> int:
    """
    Bring the index up to date once; with `follow`, go on until the task is cancelled.

    Returns:
        How many records were read.
    """
    read = 0
    async with Reader(connection, is_indexed, must=_MUST) as reader:
        while True:
            try:
                with open_index(home, say=say) as index:
                    read += await bring_up_to_date(reader, index, say=say, progress=progress)
                    while follow and index.is_there():
                        await asyncio.sleep(_EVERY_S)
                        await reader.look()
                        read += await _read_on(reader, index, progress)
                if not follow:
                    return read
            except (Unusable, BegunAgain) as exc:
                _begin_again(home, exc, say)
            await reader.look()


def _begin_again(home: Path, exc: Exception, say: Callable[[str], None]) -> None:
    if isinstance(exc, Unusable):
        say(f"the index is damaged ({exc}); it is made again from the topics")
        throw_away(home)


async def bring_up_to_date(
    reader: Reader,
    index: EventIndex,
    *,
    say: Callable[[str], None],
    progress: Callable[[int], None],
    many: int = MANY,
) -> int:
    """
    Read into the index what came since it was last read.

    Returns:
        How many records that were.

    Raises:
        BegunAgain: Another process cleared it meanwhile.
        Unusable: The file is damaged.
    """
    if not await _goes_on(reader, index.reached()):
        say("the index is of another broker, or of topics that were made again; it is made again")
        index.clear()
        for partition in reader.partitions:
            reader.seek(partition, reader.begins[partition])
    known = index.reached()
    missing = sum(reader.ends[partition] - _next(known, partition, reader) for partition in reader.partitions)
    if missing > many:
        say(f"{missing} records are not in the index yet and are read first; `safebus index --follow` keeps it ready")
    return await _read_on(reader, index, progress)


def _next(known: dict[tuple[str, int], Reached], partition: Partition, reader: Reader) -> int:
    found = known.get(partition)
    return max(found.next, reader.begins[partition]) if found else reader.begins[partition]


async def _goes_on(reader: Reader, known: dict[tuple[str, int], Reached]) -> bool:
    """Stand after what the index knows; does each partition still hold the last record that was read of it?"""
    if not known.keys() <= set(reader.partitions):
        return False
    kept = {}
    for partition in reader.partitions:
        found = known.get(partition)
        if found is not None and reader.begins[partition] <= found.last:
            kept[partition] = found
            reader.seek(partition, found.last)
        else:
            reader.seek(partition, _next(known, partition, reader))
    for partition, found in kept.items():
        record = await reader.peek(partition)
        if record is None or record.offset != found.last or _digest(record) != found.digest:
            return False
        reader.take(partition)
    return all(reader.ends[partition] >= _next(known, partition, reader) for partition in reader.partitions)


async def _read_on(reader: Reader, index: EventIndex, progress: Callable[[int], None]) -> int:
    count = 0
    for partition in reader.partitions:
        rows: list[Any] = []
        found_in = _entries if partition.topic == topics.REGISTER else _events
        while records := await reader.take_some(partition):
            rows += found_in(partition.topic, records)
            last = records[-1]
            count += len(records)
            progress(len(records))
            if len(rows) >= _AT_ONCE or await reader.peek(partition) is None:
                reached = Reached(last.offset + 1, last.offset, _digest(last))
                if partition.topic == topics.REGISTER:
                    index.add(partition.topic, partition.number, entries=rows, reached=reached)
                else:
                    index.add(partition.topic, partition.number, events=rows, reached=reached)
                rows = []
    return count


def _events(topic: str, records: list[Any]) -> list[tuple[bytes, int]]:
    """(event, offset) of each record that is about one."""
    found = [(_event_of(topic, record), record.offset) for record in records]
    return [(event, offset) for event, offset in found if event is not None]


def _event_of(topic: str, record: Any) -> bytes | None:
    """What a record says that it is about; None: nothing of ours, for an event id is a UUID."""
    event_id = record.key if topic == topics.DECISIONS else _event_header(record.headers)
    try:
        return uuid.UUID((event_id or b"").decode()).bytes
    except ValueError:
        return None


def _entries(_topic: str, records: list[Any]) -> list[tuple[str, int]]:
    """(record id, offset) of each register record that an explanation may name."""
    named = (((r.key or b"").decode("utf-8", "replace"), r.offset) for r in records)
    return [(name, offset) for name, offset in named if name.startswith(KINDS)]


def _event_header(marks: Any) -> bytes | None:
    return next((value for name, value in marks if name == headers.EVENT), None)


def _digest(record: Any) -> bytes:
    found = hashlib.sha256(struct.pack(">q", record.timestamp))
    found.update(record.key or b"")
    found.update(record.value or b"")
    return found.digest()[:16]


async def _read(reader: Reader, event_id: str, places: list[tuple[str, int, int]], entries: list[int]) -> AboutEvent:
    by_partition: dict[Partition, list[int]] = defaultdict(list)
    for topic, number, offset in places:
        by_partition[Partition(topic, number)].append(offset)
    decisions: list[DecisionRecord] = []
    receipts: list[Receipt] = []
    strange: list[Strange] = []
    for partition, offsets in by_partition.items():
        partner = topics.partner_of_receipts(partition.topic)
        for record in (await reader.at(partition, offsets)).values():
            if _event_of(partition.topic, record) != uuid.UUID(event_id).bytes:
                raise Unusable("it names records about another event")
            if partner is None:
                decided = own_record(
                    record, DecisionRecord, belongs=lambda d: d.event_id == event_id, in_transaction=True
                )
                strange += [decided] if isinstance(decided, Strange) else []
                decisions += [decided] if isinstance(decided, DecisionRecord) else []
            else:
                found = own_record(
                    record,
                    Receipt,
                    belongs=lambda r, p=partner: (r.partner, r.event_id) == (p, event_id),  # type: ignore[misc]
                )
                strange += [found] if isinstance(found, Strange) else []
                receipts += [found] if isinstance(found, Receipt) else []
    register = Register()
    for offset, record in sorted((await reader.at(Partition(topics.REGISTER, 0), entries)).items()):
        register.apply(offset, codec.decode_record(record.value, RegisterRecord))
    return AboutEvent(decisions, sorted(receipts, key=lambda r: r.at), register, strange)

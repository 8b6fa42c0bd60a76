"""
What does a decision record say of where its event stands and what it rests on?

Only the beginning of the record is read, its answers are not: they are compared as bytes, and reading them would cost
more than everything else that verifying adds to deciding.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import fastavro

from safebus.schemas import codec
from safebus.schemas.bus_records import DecisionRecord, Earlier, Origin
from safebus.schemas.event_schemas import bus_schemas
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader


@dataclass(frozen=True)
class Head:
    """The beginning of a decision record: what is needed to make it again."""

    event_id: str
    origin: Origin
    input_digest: str
    rules_digest: str
    register_offset: int
    decided_at: datetime
    earlier: Earlier | None


_NAMES = ("event_id", "input_digest", "rules_digest", "register_offset", "decided_at")


def head_of(value: bytes | None) -> Head | None:
    """
    Read the beginning of a decision record.

    Returns:
        None: it is no decision record of this version.
    """
    if not value or codec.written_under(value, DecisionRecord.SCHEMA) is None:
        return None
    try:
        read: Any = fastavro.schemaless_reader(io.BytesIO(value[10:]), _head_schema(value[2:10]), None)
        earlier = read.get("earlier")  # not in records of earlier versions
        return Head(
            origin=Origin(**read["origin"]),
            earlier=None if earlier is None else Earlier.model_validate(earlier),
            **{name: read[name] for name in _NAMES},
        )
    except (ValueError, EOFError, IndexError, StopIteration, OverflowError):
        return None


class EventThere(NamedTuple):
    """What stands where an event was published, and when the broker took it in, milliseconds since 1970."""

    value: bytes | None
    at_ms: int


async def events_at(origins: Iterable[Origin], reader: Reader) -> dict[Origin, EventThere]:
    """The events at these places; those that are kept no longer are left out."""
    wanted: dict[Partition, set[int]] = defaultdict(set)
    for origin in origins:
        wanted[Partition(origin.topic, origin.partition)].add(origin.offset)
    return {
        origin_of(partition, offset): EventThere(record.value, record.timestamp)
        for partition, offsets in wanted.items()
        for offset, record in (await reader.at(partition, offsets)).items()
    }


def origin_of(partition: Partition, offset: int) -> Origin:
    """A place as a decision record names it."""
    return Origin(topic=partition.topic, partition=partition.number, offset=offset)


@cache
def _head_schema(fingerprint: bytes) -> Any:
    whole = bus_schemas(DecisionRecord.SCHEMA)[fingerprint]
    # Avro has no way to a field but through all before it: what stands before the answers can be read alone.
    names = [field["name"] for field in whole["fields"]]
    fields = whole["fields"][: names.index("answers")]
    return fastavro.parse_schema({"type": "record", "name": "DecisionHead", "fields": fields})

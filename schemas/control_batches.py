"""
How do we read past the marks that a transaction leaves?

Every committed or undone transaction ends with a control batch, which readers skip. The embedded broker (librdkafka's
mock cluster) writes them without a checksum, so aiokafka would take the topic for damaged. A control batch carries no
data, and which transactions were undone is told apart from it, so it is believed without its checksum; every batch
with records in it is still checked.

Source: librdkafka 2.12, rdkafka_mock.c; aiokafka 0.14, consumer/fetcher.py `PartitionRecords._unpack_records`;
Kafka protocol, "Control Batches".
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer import fetcher


class _ControlBatch:
    """A control batch whose checksum is not asked for."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def validate_crc(self) -> bool:
        return True


class _Batches:
    """What one fetch brought, as `fetcher.PartitionRecords` reads it."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def has_next(self) -> bool:
        found: bool = self._records.has_next()
        return found

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        return _ControlBatch(batch) if getattr(batch, "is_control_batch", False) else batch


class PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """aiokafka's, with control batches believed."""

    def __init__(self, tp: Any, records: Any, *others: Any) -> None:
        super().__init__(tp, _Batches(records), *others)


def install() -> None:
    """For every consumer of this process; harmless when repeated."""
    fetcher.PartitionRecords = PartitionRecords

"""
Does the Faust that is installed still look like the one the lane was written against?

The lane replaces parts of a consumer and calls others that upstream calls private. When an upgrade changes any of
them, this fails: read the change, mend `streams/worker/lane.py`, run the fault tests, then write the new digest here.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
from typing import Any

import faust.streams
import pytest
from faust.transport.drivers import aiokafka as driver

from safebus.streams.worker.lane import IdempotentProducer, LaneConsumer, LaneThread, LaneTransport

#: (method, first 16 hex digits of the SHA-256 of its source) in faust-streaming 0.15.3.
SEEN = [
    ("Consumer._filter_tps_with_pending_acks", "f6f9239774234e7e"),
    ("Consumer._new_offset", "1d2c7ea89a7ad4f1"),
    ("Consumer._commit_offsets", "1a69799041188441"),
    ("Consumer.on_partitions_revoked", "d04b7ae72c6fc206"),
    ("Consumer._drain_messages", "44a2500309e83c63"),
    ("Consumer._wait_next_records", "6218e1969a636b3f"),
    ("Consumer.perform_seek", "0e8c130ff4b0afd8"),
    ("Consumer._to_message", "7c24f6511b2fcef7"),
    ("Consumer.commit", "a354437baaa08bf8"),
    ("Producer._settings_extra", "a4c7bc41b6382223"),
    ("Producer._settings_default", "9c39987fb719e984"),
    ("AIOKafkaConsumerThread._commit", "932852ce7a23f658"),
    ("AIOKafkaConsumerThread._create_worker_consumer", "c2701bfc3e6f6cad"),
    ("AIOKafkaConsumerThread._fetch_records", "39a2c6c79fc1455a"),
    ("Consumer._new_consumer_thread", "0870ec53dea75083"),
    ("Consumer.assignment", "58f5bf9281fb8ef9"),
]


def named(qualified: str) -> Any:
    """`Consumer.commit` -> the method, found where the driver's class has it."""
    owner, method = qualified.split(".")
    classes = {"ConsumerThread": driver.AIOKafkaConsumerThread, "AIOKafkaConsumerThread": driver.AIOKafkaConsumerThread}
    return getattr(classes.get(owner, driver.Producer if owner == "Producer" else driver.Consumer), method)


@pytest.mark.parametrize(("method", "digest"), SEEN)
def test_what_the_lane_overrides_or_calls_is_unchanged(method: str, digest: str) -> None:
    assert hashlib.sha256(inspect.getsource(named(method)).encode()).hexdigest()[:16] == digest


def test_the_versions_are_the_pinned_ones() -> None:
    names = ("faust-streaming", "mode-streaming", "aiokafka")
    assert [importlib.metadata.version(name) for name in names] == ["0.15.3", "0.7.1", "0.14.0"]


def test_the_overrides_are_in_effect() -> None:
    assert LaneTransport.Consumer is LaneConsumer
    assert LaneTransport.Producer is IdempotentProducer
    assert LaneThread._create_worker_consumer is not driver.AIOKafkaConsumerThread._create_worker_consumer
    assert LaneConsumer._drain_messages is not driver.Consumer._drain_messages
    assert LaneConsumer._commit_offsets is not driver.Consumer._commit_offsets


def test_fausts_stream_iterator_is_the_compiled_one() -> None:
    """The pure one acknowledges events of an old generation that it never delivered."""
    assert faust.streams._CStreamIterator is not None

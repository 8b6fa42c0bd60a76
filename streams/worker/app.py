"""
How is the Faust application built that carries the worker?

Every setting here closes a trap: what is left out defaults to losing or leaking (see docs/decisions/0003).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust
import faust.streams
from mode.supervisors import CrashingSupervisor

from safebus.schemas.errors import BrokenPromise
from safebus.schemas.kafka import batches
from safebus.schemas.kafka.connection import Connection
from safebus.streams.worker.lane import BatchHandler, Lane, LaneTransport, give_lane

GROUP = "safebus-worker"  # never changes: another name means another group, which would decide everything again


def build(
    connection: Connection,
    topics: Sequence[str],
    handler: BatchHandler,
    *,
    session_timeout_s: float,
    commit_every_s: float,
    scratch: Path,
) -> faust.App:
    """
    The application, with every `in.*` topic on the lane.

    Args:
        session_timeout_s: How long until a killed worker's partitions go to another, seconds.
        commit_every_s: How much work a killed worker's successor redoes, seconds.
        scratch: Where Faust makes the empty folders it insists on.

    Raises:
        BrokenPromise: A setting that promises rest on is not in effect.
    """
    app = faust.App(
        GROUP,
        version=1,
        broker=[f"kafka://{address}" for address in connection.bootstrap.split(",")],
        broker_credentials=faust.SSLCredentials(connection.tls) if connection.tls else None,
        store="memory://",
        datadir=str(scratch),  # Faust makes empty folders there; by default where the process was started
        processing_guarantee="at_least_once",
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        web_enabled=False,  # on by default, on 0.0.0.0, with table data
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        producer_acks=-1,
        producer_request_timeout=20.0,  # default 1200 s: an unsendable message would outlast the rebalance
        producer_threaded=False,
        stream_publish_on_commit=False,
        stream_wait_empty=True,
        broker_commit_interval=commit_every_s,
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=session_timeout_s / 5,
        broker_rebalance_timeout=30.0,
        broker_request_timeout=max(30.0, session_timeout_s + 5),
        broker_max_poll_interval=300.0,
        broker_max_poll_records=500,
        # Partitions are drained one after another, each by what was fetched of it: with megabytes one would wait
        # for thousands of events of another.
        consumer_max_fetch_size=256 * 1024,
        consumer_auto_offset_reset="earliest",
        agent_supervisor=CrashingSupervisor,
        worker_redirect_stdouts=False,
    )
    give_lane(app, Lane(topics, handler))
    app.transport = LaneTransport(app.conf.broker, app, loop=app.loop)
    app.producer_transport = LaneTransport(app.conf.broker, app, loop=app.loop)
    for topic in topics:
        _subscribe(app, topic)
    _insist(app)
    return app


def _subscribe(app: faust.App, topic: str) -> None:
    """Faust subscribes to topics that have an agent; the lane takes the records before this one sees any."""

    async def never(stream: Any) -> None:
        async for _ in stream:
            raise BrokenPromise(f"a record of `{topic}` went past the lane; stop and look at streams/worker/lane.py")

    app.agent(app.topic(topic, key_type=bytes, value_type=bytes), name=f"lane.{topic}", concurrency=1)(never)


def _insist(app: faust.App) -> None:
    conf = app.conf
    promises = {
        "the web server is off": conf.web_enabled is False,
        "at least once": str(conf.processing_guarantee.value) == "at_least_once",
        "nothing is published on commit": conf.stream_publish_on_commit is False,
        "the lane's driver is used": isinstance(app.transport, LaneTransport),
        "batches are read tolerantly (`batches.install`)": batches.installed(),
        "Faust's iterator is the compiled one": getattr(faust.streams, "_CStreamIterator", None) is not None,
    }
    broken = [name for name, holds in promises.items() if not holds]
    if broken:
        raise BrokenPromise(f"Faust is not set up as promised: not {', not '.join(broken)}")

"""
How is one of aiokafka's consumers made, started and ended?

For the modules beside this one; everybody else uses `reader.Reader`, `offsets.Offsets` or `group.Group`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError, KafkaError

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection


def make_consumer(connection: Connection, *, group: str | None = None, **settings: Any) -> Any:
    """
    One that commits nothing by itself.

    Raises:
        BrokenPromise: This process did not call `batches.install`.
    """
    return AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **settings, **connection.consumer_settings())


async def start_consumer(consumer: Any, connection: Connection) -> None:
    """
    Connect.

    Raises:
        NotReachable: No broker answers, or it does not take us.
    """
    try:
        await consumer.start()
    except KafkaConnectionError as exc:
        raise await connection.unreachable() from exc
    except KafkaError as exc:
        raise NotReachable(
            f"`{connection.bootstrap}` answers and does not take us ({type(exc).__name__}); `safebus doctor` looks"
        ) from exc


async def stop_consumer(consumer: Any) -> None:
    """Disconnect, also from a broker that is gone, and also one that never started."""
    # aiokafka cancels tasks of its own and may let that through, as if we were cancelled ourselves: so a task apart.
    await asyncio.wait([asyncio.ensure_future(consumer.stop())])
    await consumer._client.close()

"""
How does the worker write, and know that it is written?

`send_all` returns only when the broker has acknowledged every message, and raises if one was refused: a send that was
merely handed to a client's buffer proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaConnectionError, KafkaError, TopicAuthorizationFailedError

from schemas.errors import NotReachable


@dataclass(frozen=True)
class Message:
    """One message. `partition` None: by the key."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    partition: int | None = None


class Outbound:
    """An idempotent producer that waits for every acknowledgement."""

    def __init__(self, bootstrap: str, *, tls: Any = None, client_id: str = "safebus") -> None:
        self._bootstrap = bootstrap
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            client_id=client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=2,
            max_batch_size=131_072,
            max_request_size=1_048_576,
            request_timeout_ms=20_000,
            security_protocol="SSL" if tls else "PLAINTEXT",
            ssl_context=tls,
        )

    async def start(self) -> None:
        """
        Connect.

        Raises:
            NotReachable: No broker answers, or this certificate may write nothing.
        """
        try:
            await self._producer.start()
        except ClusterAuthorizationFailedError as exc:
            raise NotReachable(f"`{self._bootstrap}` lets this certificate write to no topic; `safebus acls plan`") from exc
        except KafkaConnectionError as exc:
            raise NotReachable(f"no broker answers at `{self._bootstrap}`; is it up? `safebus doctor` looks") from exc

    async def send_all(self, messages: Iterable[Message]) -> list[int]:
        """
        Write messages and wait until the broker has all of them.

        Returns:
            Their offsets, in order.

        Raises:
            NotReachable: One was not acknowledged in time, or refused.
        """
        waiting = [
            (m, await self._producer.send(m.topic, m.value, key=m.key, partition=m.partition, headers=m.headers))
            for m in messages
        ]
        offsets: list[int] = []
        for message, acknowledged in waiting:
            try:
                offsets.append((await acknowledged).offset)
            except TopicAuthorizationFailedError as exc:
                raise NotReachable(f"this certificate may not write to `{message.topic}`; `safebus acls plan`") from exc
            except KafkaError as exc:
                raise NotReachable(
                    f"`{message.topic}` did not acknowledge a message of {len(message.value)} bytes: {type(exc).__name__}"
                ) from exc
        return offsets

    async def stop(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()

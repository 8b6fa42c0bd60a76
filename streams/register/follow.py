"""
Is the register that decisions rest on up to date?

A reader without a group follows the one partition of `register`. Before each batch it asks the broker where the
register ends and waits until it has applied everything up to there: whatever was acknowledged before an event is
decided counts for that event (a read barrier, about 1 ms).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from safebus.schemas import codec, topics
from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadRegister, NotReachable, Refused
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import stop_consumer
from safebus.streams.register.store import Register, RegisterAsOf

_TP = TopicPartition(topics.REGISTER, 0)


class RegisterReader:
    """
    The register as of now, and as of any offset before.

    Attributes:
        now: The state that the last `catch_up` reached.
    """

    def __init__(self, connection: Connection, *, patience_s: float = 30.0) -> None:
        self._connection = connection
        self._patience_s = patience_s
        self._consumer = AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
            **connection.settings(),
        )
        # On a connection of its own: on the other one a question waits for as long as the broker holds a fetch.
        self._asking = AIOKafkaConsumer(group_id=None, enable_auto_commit=False, **connection.settings())
        self._log: list[tuple[int, RegisterRecord]] = []
        self._position = 0
        self._under_way: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._not_understood: BadRegister | None = None
        self._as_of = RegisterAsOf(self._log)
        self.now = Register()

    async def start(self) -> None:
        """
        Connect and read the whole register.

        Raises:
            NotReachable: No broker answers.
            BadRegister: A record that this version does not understand.
        """
        try:
            await self._consumer.start()
            await self._asking.start()
        except KafkaConnectionError as exc:
            raise self._connection.unreachable() from exc
        self._consumer.assign([_TP])
        await self._consumer.seek_to_beginning(_TP)
        await self.catch_up()

    async def catch_up(self) -> Register:
        """
        Wait until everything acknowledged before this call has been applied.

        Who calls while the broker is being asked shares the next question with all others who do; never the one
        under way, which may have been asked before something was acknowledged.

        Raises:
            NotReachable: The register cannot be read to its end in time; nothing may be decided.
        """
        if self._following is None:
            self._following = asyncio.create_task(self._read_after(self._under_way))
        await asyncio.shield(self._following)
        return self.now

    async def _read_after(self, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._under_way, self._following = self._following, None
        await self._read_to_the_end()

    async def _read_to_the_end(self) -> None:
        if self._not_understood is not None:
            # The consumer has moved past it; going on would mean a register with a hole.
            raise self._not_understood
        try:
            async with asyncio.timeout(self._patience_s):
                end = (await self._asking.end_offsets([_TP]))[_TP]
                while self._position < end:
                    self._apply(await self._consumer.getmany(_TP, timeout_ms=100))
                    self._position = max(self._position, await self._consumer.position(_TP))
        except (KafkaError, TimeoutError) as exc:
            raise NotReachable(
                f"the register stands at offset {self._position} and could not be read to its end; "
                "nothing is decided on an old register"
            ) from exc

    async def ends(self, where: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """
        Where these partitions end now, (topic, partition) -> offset of the next record.

        Raises:
            NotReachable: The broker does not say.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                found = await self._asking.end_offsets([TopicPartition(*w) for w in where]) if where else {}
        except (KafkaError, TimeoutError) as exc:
            raise NotReachable("the broker does not say where the partitions of this worker end") from exc
        return {(tp.topic, tp.partition): end for tp, end in found.items()}

    def at(self, offset: int) -> Register:
        """The state as of one offset, made again from the log."""
        return self.now if offset == self.now.offset else self._as_of.at(offset)

    @property
    def log(self) -> list[tuple[int, RegisterRecord]]:
        """Everything applied so far, by offset."""
        return self._log

    def _apply(self, fetched: dict[Any, list[Any]]) -> None:
        for message in fetched.get(_TP, ()):
            try:
                record = codec.decode_record(message.value, RegisterRecord)
                self.now.apply(message.offset, record)
            except (BadRegister, Refused) as exc:
                self._not_understood = BadRegister([f"register offset {message.offset} is not understood: {exc}"])
                raise self._not_understood from None
            self._log.append((message.offset, record))

    async def stop(self) -> None:
        """Disconnect."""
        await stop_consumer(self._consumer)
        await stop_consumer(self._asking)


async def current_register(connection: Connection) -> Register:
    """The register as it stands."""
    reader = RegisterReader(connection)
    try:
        await reader.start()
        return reader.now
    finally:
        await reader.stop()

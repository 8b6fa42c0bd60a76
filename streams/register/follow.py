"""
Is the register that decisions rest on up to date?

A reader without a group follows the one partition of `register`. Before each batch it asks the broker where the
register ends and waits until it has applied everything up to there: whatever was acknowledged before an event is
decided counts for that event (a read barrier, about 1 ms).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

from safebus.schemas import codec, gate, headers, topics
from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadInput, BadRegister, NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.offsets import Offsets
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.keys import DigestKey, PersonKey
from safebus.streams.register import dressing
from safebus.streams.register.governance import TOKEN_KEY, TokenKey
from safebus.streams.register.store import Register, RegisterAsOf

_REGISTER = Partition(topics.REGISTER, 0)


class RegisterReader:
    """
    The register as of now, and as of any offset before.

    Args:
        key: Of the bus, as this process holds it: a record under another one is not understood. None: it holds none.

    Attributes:
        now: The state that the last `catch_up` reached.
    """

    def __init__(self, connection: Connection, *, key: PersonKey | DigestKey | None, patience_s: float = 30.0) -> None:
        self._patience_s, self._key = patience_s, key
        # Also what is not committed: a transaction that somebody left open must not hide a withdrawal behind it.
        self._reader = Reader(connection, partitions=[_REGISTER], committed=False, patience_s=patience_s)
        # On a connection of its own: on the other one a question waits for as long as the broker holds a fetch.
        self._asked = Offsets(connection, committed=False, patience_s=patience_s)
        self._log: list[tuple[int, RegisterRecord]] = []
        self._taken_in = array("q")
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
        async with AsyncExitStack() as undo:
            await undo.enter_async_context(self._reader)
            await undo.enter_async_context(self._asked)
            await self.catch_up()
            undo.pop_all()

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
            # The reader has moved past it; going on would mean a register with a hole.
            raise self._not_understood
        try:
            async with asyncio.timeout(self._patience_s):
                self._reader.stop_at(await self._asked.ends_of([_REGISTER]))
                while records := await self._reader.take_some(_REGISTER):
                    self._apply(records)
        except (NotReachable, TimeoutError) as exc:
            raise NotReachable(
                f"the register stands at offset {self._reader.position(_REGISTER)} and could not be read to its end; "
                "nothing is decided on an old register"
            ) from exc

    async def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """
        Where these partitions end now: offset of the next record.

        Raises:
            NotReachable: The broker does not say.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._asked.ends_of(partitions)
        except (NotReachable, TimeoutError) as exc:
            raise NotReachable("the broker does not say where the partitions of this worker end") from exc

    def at(self, offset: int) -> Register:
        """The state as of one offset, made again from the log."""
        return self.now if offset == self.now.offset else self._as_of.at(offset)

    @property
    def log(self) -> list[tuple[int, RegisterRecord]]:
        """Everything applied so far, by offset."""
        return self._log

    @property
    def taken_in(self) -> list[tuple[int, int]]:
        """When the broker took each of them in: offset and milliseconds since 1970. Nobody else writes these times."""
        return [(offset, at) for (offset, _), at in zip(self._log, self._taken_in, strict=True)]

    def _apply(self, records: Iterable[Any]) -> None:
        for message in records:
            try:
                gate.check_marks(message.headers)
                self._check_key(message)
                record = codec.decode_record(message.value or b"", RegisterRecord)
                if self._key is not None:
                    record = dressing.plain(record, self._key)
                self.now.apply(message.offset, record)
                self._check_generation(record)
            except BadInput as exc:
                self._not_understood = BadRegister([f"register offset {message.offset} is not understood: {exc}"])
                raise self._not_understood from None
            except BaseException as exc:  # whatever it was: the reader is past it, and nobody may go on with a hole
                what = f"register offset {message.offset} could not be taken in ({type(exc).__name__})"
                self._not_understood = BadRegister([what])
                raise
            self._log.append((message.offset, record))
            self._taken_in.append(message.timestamp)

    def _check_key(self, message: Any) -> None:
        """Under another key everybody would be a stranger, and no danger would be known."""
        under = dict(message.headers).get(headers.KEYS)
        if self._key is None:
            return
        if under is None:
            raise BadRegister(["it does not say under which key it was written; load its folder into a new bus"])
        if self._key.fingerprints.keys() & under.decode("ascii", "replace").split():
            return
        theirs = under[:40].decode("ascii", "replace").replace(" ", " or ")
        ours = " or ".join(self._key.fingerprints)
        what = f"it was written with another key than ours, which is {ours} and not {theirs}"
        raise BadRegister([f"{what}; `safebus keys export`, where this bus was made, gives us its own"])

    def _check_generation(self, record: RegisterRecord) -> None:
        """What is written from here on could not be read by whoever lacks the secret it is written under."""
        entry = self.now.entry(record.record_id) if record.kind == TOKEN_KEY and self._key is not None else None
        if self._key is None or not isinstance(entry, TokenKey):
            return
        ours = self._key.fingerprints
        if entry.generation not in (ours.get(entry.fingerprint), ours.get(entry.digest_fingerprint)):
            raise BadRegister(
                [
                    f"from here on generation {entry.generation} of the bus's secret counts, with the fingerprint "
                    f"{entry.fingerprint}, and this process holds {' and '.join(ours)}; bring it "
                    f"`person.{entry.generation}.key`, or `digest.{entry.generation}.key` where it has digest.key: "
                    "`safebus keys export ROLE`, where the bus's keys are, gives it"
                ]
            )

    async def stop(self) -> None:
        """Disconnect."""
        await self._reader.stop()
        await self._asked.stop()


async def current_register(connection: Connection, *, key: PersonKey | DigestKey | None = None) -> Register:
    """The register as it stands. `key`: as for `RegisterReader`."""
    reader = RegisterReader(connection, key=key)
    try:
        await reader.start()
        return reader.now
    finally:
        await reader.stop()

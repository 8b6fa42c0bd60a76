"""
A wire between a client and the embedded broker, that can be cut, and that can change what the broker says.

It is how a real client meets what the embedded broker never does: falling silent, refusing for want of a right,
answering with an offset. Addresses in the broker's answers are rewritten, so that the client stays on this wire.

Source: Kafka protocol guide: each message is its length (4 bytes), then, in a request, api key (2), version (2) and
correlation id (4); in an answer, the correlation id (4).
"""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable

PRODUCE, LIST_OFFSETS, METADATA, OFFSET_FETCH, INIT_PRODUCER_ID = 0, 2, 3, 9, 22

Change = Callable[[bytes], bytes]


class Wire:
    """
    One wire.

    Attributes:
        answers_to: What to make of the broker's answer to a kind of request, without its correlation id.
        asked: How often each kind of request was made.
    """

    def __init__(self, bootstrap: str) -> None:
        host, _, port = bootstrap.partition(":")
        self._far = (host, int(port))
        self._open: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.bootstrap = ""
        self.silent = False
        self.answers_to: dict[int, Change] = {}
        self.asked: Counter[int] = Counter()

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        self._near_port: int = self._server.sockets[0].getsockname()[1]
        self.bootstrap = f"127.0.0.1:{self._near_port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._open:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(3):  # closed they are at the loop's next turns, which a test that ends now would not have
            await asyncio.sleep(0)

    async def _joined(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_broker, to_broker = await asyncio.open_connection(*self._far)
        self._open += [to_client, to_broker]
        asked: dict[bytes, int] = {}
        for carry in (self._requests(from_client, to_broker, asked), self._answers(from_broker, to_client, asked)):
            task = asyncio.create_task(carry)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _requests(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, asked: dict[bytes, int]
    ) -> None:
        async for message in _messages(source):
            asked[message[4:8]] = struct.unpack(">h", message[:2])[0]
            self.asked[asked[message[4:8]]] += 1
            if not self.silent:
                await _pass_on(message, target)

    async def _answers(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, asked: dict[bytes, int]
    ) -> None:
        theirs, ours = (_address(self._far[0], port) for port in (self._far[1], self._near_port))
        async for message in _messages(source):
            change = self.answers_to.get(asked.pop(message[:4]), bytes)
            if not self.silent:
                await _pass_on(message[:4] + change(message[4:].replace(theirs, ours)), target)


def _address(host: str, port: int) -> bytes:
    return host.encode() + struct.pack(">i", port)


async def _messages(source: asyncio.StreamReader) -> AsyncIterator[bytes]:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            yield await source.readexactly(struct.unpack(">i", await source.readexactly(4))[0])


async def _pass_on(message: bytes, target: asyncio.StreamWriter) -> None:
    target.write(struct.pack(">i", len(message)) + message)
    await target.drain()

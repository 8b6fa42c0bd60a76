"""
How is one request sent to a server of which nothing is believed but its status?

On a connection of its own, connected first and sent on later. HTTP is read only as far as the head of the answer:
whatever a server says after it (a body where there is none, more than it announced, nonsense) changes nothing any more,
for the request has taken effect. Nor does a head that is no HTTP but for its first line, such as one with a cookie of
100 kB or a name with a space: what other clients take for success is success.

Sources: RFC 9112 (h11 reads it); RFC 8305, Happy Eyeballs.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import h11
from aiohappyeyeballs import start_connection
from aiohappyeyeballs.types import AddrInfoType
from yarl import URL

from safebus.consumers.adapters.addresses import AddressNotAllowed, may_connect
from safebus.consumers.adapters.own_threads import NoAnswer, OwnThreads

#: Looks a host and port up, as `socket.getaddrinfo` gives it.
LookUp = Callable[[str, int], Awaitable[Sequence[AddrInfoType]]]
#: Seconds until the next address of a name is tried beside the one before. Source: RFC 8305, section 8.
_NEXT_ADDRESS_S = 0.25
#: Seconds in which the rest of an answer may come.
_LISTEN_S = 1.0
_READ = 4096
#: The line that an answer begins with, whole. Source: RFC 9112, 4.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] +([2-5][0-9]{2})( [^\r\n]*)?\r?\n")
#: What a server says before its answer, whole, whatever its headers are. Source: RFC 9110, 15.2.
_HINT = re.compile(rb"HTTP/1\.[01] +1[0-9]{2}( [^\r\n]*)?\r?\n([^\r\n][^\n]*\n)*\r?\n")
_HINT_BEGINS = re.compile(rb"HTTP/1\.[01] +1[0-9]{2}")
_LONGEST_HINT = 262_144


def by_this_machine(threads: OwnThreads) -> LookUp:
    """
    As this machine knows it; raises TimeoutError.

    Args:
        threads: One each time, until the name's server answers or this machine gives it up.
    """

    async def look_up(host: str, port: int) -> Sequence[AddrInfoType]:
        try:
            return await threads.run(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        except NoAnswer:
            raise TimeoutError from None

    return look_up


@dataclass(frozen=True)
class Head:
    """What an answer begins with."""

    status: int
    retry_after: str | None


class OnePost:
    """A connection for one request. Use `connect` to make one."""

    def __init__(self, url: URL, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._url, self._reader, self._writer = url, reader, writer
        self._http = h11.Connection(h11.CLIENT)
        self._answer = b""  # as it came; what was only 1xx is left out

    def gone(self) -> OSError | None:
        """Why nothing can be sent, where the server has hung up since it was connected; None: it has not."""
        error = self._reader.exception()
        if error is None and not self._reader.at_eof():
            return None
        return error if isinstance(error, OSError) else ConnectionResetError("it hung up before anything was sent")

    async def send(self, headers: dict[str, str], content: bytes, *, within_s: float, cap: int) -> Head:
        """
        Send it and wait for the head of the answer.

        Args:
            cap: Bytes of the rest that are read, and thrown away: a server may take it ill when nobody listens.

        Raises:
            OSError: The connection is lost. TimeoutError: no answer came in time.
            h11.RemoteProtocolError: What came is no HTTP, not even in its first line.
        """
        all_headers = [("host", self._url.raw_authority), ("connection", "close"), *headers.items()]
        request = h11.Request(method="POST", target=self._url.raw_path_qs, headers=all_headers)
        async with asyncio.timeout(within_s):
            for part in (request, h11.Data(content), h11.EndOfMessage()):
                self._writer.write(self._http.send(part) or b"")
            await self._writer.drain()
            head = await self._head()
        await self._listen_a_little(cap)
        return head

    async def _head(self) -> Head:
        try:
            while not isinstance(event := await self._event(), h11.Response):
                self._answer, _ = self._http.trailing_data  # 1xx: more is to come
        except h11.RemoteProtocolError:
            if (status := await self._status_alone()) is None:
                raise
            return Head(status, None)
        return Head(event.status_code, _retry_after(event))

    async def _status_alone(self) -> int | None:
        """Of an answer that is no HTTP but for its first line, behind whatever stands before that; None: of none."""
        answer, read = self._answer.lstrip(b"\r\n"), 0
        while True:
            # What was read is looked at once: hints without end must not keep others waiting.
            while hint := _HINT.match(answer):
                answer = answer[hint.end() :].lstrip(b"\r\n")
            if line := _STATUS_LINE.match(answer):
                return int(line[1])
            if read > _LONGEST_HINT or not _may_become_one(answer):
                return None
            if not (more := await self._reader.read(_READ)):
                return None
            answer, read = (answer + more).lstrip(b"\r\n"), read + len(more)

    async def _event(self) -> h11.Event:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._reader.read(_READ)
            if not data:
                raise ConnectionResetError("it hung up and did not end its answer")
            self._answer += data
            self._http.receive_data(data)
        assert isinstance(event, h11.Event)  # paused it is only when we pipeline
        return event

    async def _listen_a_little(self, cap: int) -> None:
        with suppress(OSError, h11.RemoteProtocolError):
            async with asyncio.timeout(_LISTEN_S):
                while cap > 0 and isinstance(event := await self._event(), h11.Data):
                    cap -= len(event.data)

    def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()


async def connect(url: URL, *, tls: ssl.SSLContext, names: LookUp, allow_private: bool, within_s: float) -> OnePost:
    """
    Look the host up, connect and, for https, check who it is; nothing of a request is sent.

    Raises:
        AddressNotAllowed: All that the name stands for is where this destination may not be.
        OSError: It cannot be reached. TimeoutError: not in time.
    """
    assert url.raw_host is not None and url.port is not None  # `check_url` has seen them
    loopback_only = url.scheme == "http"
    async with asyncio.timeout(within_s):
        infos = [
            info
            for info in await names(url.raw_host, url.port)
            if may_connect(str(info[4][0]), allow_private=allow_private, loopback_only=loopback_only)
        ]
        if not infos:
            raise AddressNotAllowed("this destination may not have this address")
        # What is connected to is what was judged: no name is looked up again.
        sock = await start_connection(infos, happy_eyeballs_delay=_NEXT_ADDRESS_S)
        try:
            reader, writer = await asyncio.open_connection(
                sock=sock,
                ssl=None if loopback_only else tls,
                server_hostname=None if loopback_only else url.raw_host.removesuffix("."),
            )
        except BaseException:
            sock.close()
            raise
    return OnePost(url, reader, writer)


def _may_become_one(answer: bytes) -> bool:
    """Nothing yet, or a first line or a hint that is not whole."""
    line, whole, _ = answer.partition(b"\n")
    return b"HTTP/1.".startswith(line[:7]) and (not whole or _HINT_BEGINS.match(line) is not None)


def _retry_after(answer: h11.Response) -> str | None:
    found = next((value for name, value in answer.headers if name == b"retry-after"), None)
    return None if found is None else found.decode("latin-1")

"""
How does an agency publish an event?

    from safebus import Connection, Publisher

    async with Publisher(Connection("127.0.0.1:9092"), agency="fordshire-police", case_secret=secret) as publisher:
        accepted = await publisher.publish(event, case="case 4711")

The call returns when the broker has the event, and the same event may be published again without harm: the bus knows
its id. `case` keeps one case's events in order; it leaves this process only as a keyed token.

Django, Flask, Celery and whatever has threads and no event loop: `PublisherSync` (docs/how-to/embed-a-publisher.md).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol

from safebus.producers.event_check import checked, checked_case
from safebus.schemas import headers, topics
from safebus.schemas.errors import BadInput, NotReachable, SafebusError, SomeNotAccepted
from safebus.schemas.events import Event
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer, Written

#: A request of a web application should know by then.
PATIENCE_S: Final = 5.0
LONGEST_S: Final = 3600.0


@dataclass(frozen=True)
class Accepted:
    """Where the broker put an event. Not yet what was decided: `safebus explain EVENT_ID` says that."""

    event_id: str
    topic: str
    partition: int
    offset: int


class Link(Protocol):
    """What a publisher asks of a `Writer`."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def outcomes(self, messages: Iterable[Message], /) -> list[Written | SafebusError]: ...


class Publisher:
    """
    Publishes one agency's events. It may be made anywhere; whoever starts it uses it, in that event loop and process.

    Brokers may stop and come back: the next event connects anew.

    Args:
        case_secret: At least 16 bytes that only this agency has; it turns case references into opaque keys.
        timeout_s: How long a call waits for the broker, seconds.
    """

    def __init__(
        self, connection: Connection, *, agency: str, case_secret: bytes, timeout_s: float = PATIENCE_S
    ) -> None:
        self._messages = Messages(agency, case_secret)
        if not isinstance(timeout_s, int | float) or not 0.001 <= timeout_s <= LONGEST_S:
            raise BadInput(f"`timeout_s` is `{timeout_s}`, expected a number of seconds, at most {LONGEST_S:.0f}")
        self._outbound = self._link(connection, agency, timeout_s)

    def _link(self, connection: Connection, agency: str, timeout_s: float) -> Link:
        """What its events go out by; `safebus.testing` has another."""
        return Writer(connection, client_id=f"publisher-{agency}", timeout_s=timeout_s)

    async def start(self) -> None:
        """
        Connect; `async with` does it.

        Raises:
            NotReachable: No broker answers.
        """
        await self._outbound.start()

    async def stop(self) -> None:
        """
        Send what is on its way, and disconnect; `async with` does it.

        Raises:
            WrongUse: Another event loop or process started it.
        """
        await self._outbound.stop()

    async def __aenter__(self) -> Publisher:
        await self.start()
        return self

    async def __aexit__(
        self, _t: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None
    ) -> None:
        await self.stop()

    async def publish(self, event: Event, *, case: str) -> Accepted:
        """
        Publish an event and wait until the broker has it.

        Args:
            case: The agency's own reference of the case.

        Raises:
            BadInput: This agency may not publish it, or it does not fit its schema; says what to mend.
            NotReachable: The broker did not acknowledge it, or will not take it from us (`NotAllowed`, `NoTopic`).
                Publish the same event again, with all its fields as they were: it counts once.
            WrongUse: It was not started, or by another event loop or process.
        """
        try:
            return (await self.publish_all([(event, case)]))[0]
        except SomeNotAccepted as exc:
            raise exc.not_accepted[0][1] from None

    async def publish_all(self, events: Iterable[tuple[Event, str]]) -> list[Accepted]:
        """
        Publish several events, each with the agency's reference of its case; those of one case stay in order.

        Raises:
            BadInput: One of them may not be published; says which. Then none was.
            SomeNotAccepted: Not all were acknowledged; says which. Publish those again: what counts twice counts once.
            WrongUse: As `publish`.
        """
        given = list(events)
        messages = [self._messages.of(event, case, at) for at, (event, case) in _numbered(given)]
        try:
            told = await self._outbound.outcomes(messages)
        except NotReachable as exc:
            told = [exc for _ in messages]
        return _all_accepted(given, messages, told)

    def case_key(self, case: str) -> bytes:
        """The opaque key of a case: HMAC-SHA-256 (RFC 2104), cut to 128 bits."""
        return self._messages.case_key(case)

    @property
    def case_secret_fingerprint(self) -> str:
        """
        Names the case secret and does not tell it: 16 hexadecimal digits.

        All processes of an agency must show the same one. Beside the agency in the register, it lets the bus say so
        when one does not.
        """
        return self._messages.fingerprint


def _numbered(given: Sequence[tuple[Event, str]]) -> Iterable[tuple[str, tuple[Event, str]]]:
    """Each with its place, to be named where there are several."""
    for number, one in enumerate(given, 1):
        yield (f"event {number} of {len(given)}" if len(given) > 1 else ""), one


def _all_accepted(
    given: Sequence[tuple[Event, str]], messages: Sequence[Message], told: Sequence[Written | SafebusError]
) -> list[Accepted]:
    accepted: list[Accepted] = []
    refused: list[tuple[str, SafebusError]] = []
    for (event, _), message, became in zip(given, messages, told, strict=True):
        if isinstance(became, SafebusError):
            refused.append((event.event_id, became))
        else:
            accepted.append(Accepted(event.event_id, message.topic, *became))
    if refused:
        raise SomeNotAccepted(accepted, refused)
    return accepted


class Messages:
    """
    What an agency's events are on the wire.

    Raises:
        BadInput: The agency cannot be one, or the secret can be guessed.
    """

    def __init__(self, agency: str, case_secret: bytes) -> None:
        if not isinstance(agency, str):
            raise BadInput(f"`agency` is of type `{type(agency).__name__}`, expected text, such as `fordshire-police`")
        if not isinstance(case_secret, bytes):
            raise BadInput(f"`case_secret` is of type `{type(case_secret).__name__}`, expected bytes")
        if len(case_secret) < 16:
            raise BadInput(
                f"`case_secret` has {len(case_secret)} bytes, expected at least 16; `secrets.token_bytes(32)`"
            )
        self._topic = topics.published_by(agency)
        self._agency = agency
        self._secret = case_secret
        self.fingerprint = hmac.new(case_secret, b"fingerprint of a case secret", hashlib.sha256).hexdigest()[:16]

    def of(self, event: Event, case: str, place: str = "") -> Message:
        """
        The message of one event.

        Args:
            place: Which of several it is, for the error.

        Raises:
            BadInput: It may not be published.
        """
        try:
            value = checked(event)
            if event.publisher.agency != self._agency:
                raise BadInput(
                    f"`publisher.agency` is `{event.publisher.agency}`, but this publisher writes for "
                    f"`{self._agency}`; set it, or use that agency's publisher"
                )
            key = self.case_key(case)
        except BadInput as exc:
            if not place:
                raise
            which = f" ({event.shown_id()})" if isinstance(event, Event) else ""
            raise BadInput(f"{place}{which}: {exc}; none was published") from None
        about = headers.cloud_event(id=event.event_id, source=self._agency, type=event.event_type)
        return Message(self._topic, key, value, [*about, (headers.CASE_KEY_BY, self.fingerprint.encode())])

    def case_key(self, case: str) -> bytes:
        """The opaque key of a case: HMAC-SHA-256 (RFC 2104), cut to 128 bits."""
        plain = checked_case(case).encode()
        return hmac.new(self._secret, plain, hashlib.sha256).hexdigest()[:32].encode()

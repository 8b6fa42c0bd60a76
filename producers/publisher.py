"""
How does an agency publish an event?

    from safebus import Connection, Publisher

    async with Publisher(Connection("127.0.0.1:9092"), agency="fordshire-police", case_secret=secret) as publisher:
        accepted = await publisher.publish(event, case="case 4711")

The call returns when the broker has the event, and the same event may be published again without harm: the bus knows
its id. `case` keeps one case's events in order; it leaves this process only as a keyed token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from safebus.schemas import codec, gate, headers, topics
from safebus.schemas.errors import BadInput, Refused
from safebus.schemas.events import Event
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer


@dataclass(frozen=True)
class Accepted:
    """Where the broker put an event. Not yet what was decided: `safebus explain EVENT_ID` says that."""

    event_id: str
    topic: str
    partition: int
    offset: int


class Publisher:
    """
    Publishes one agency's events.

    Args:
        case_secret: At least 16 bytes that only this agency has; it turns case references into opaque keys.
    """

    def __init__(self, connection: Connection, *, agency: str, case_secret: bytes) -> None:
        if len(case_secret) < 16:
            raise BadInput(
                f"`case_secret` has {len(case_secret)} bytes, expected at least 16; `secrets.token_bytes(32)`"
            )
        self._topic = topics.published_by(agency)
        self._agency = agency
        self._secret = case_secret
        self._outbound = Writer(connection, client_id=f"publisher-{agency}")

    async def __aenter__(self) -> Publisher:
        await self._outbound.start()
        return self

    async def __aexit__(
        self, _t: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None
    ) -> None:
        await self._outbound.stop()

    async def publish(self, event: Event, *, case: str) -> Accepted:
        """
        Publish an event and wait until the broker has it.

        Args:
            case: The agency's own reference of the case.

        Raises:
            BadInput: This agency may not publish it, or it does not fit its schema; says what to mend.
            NotReachable: The broker did not acknowledge. Publish the same event again: it counts once.
        """
        return (await self.publish_all([(event, case)]))[0]

    async def publish_all(self, events: list[tuple[Event, str]]) -> list[Accepted]:
        """
        Publish several events; those of one case stay in order.

        Raises:
            BadInput: One of them may not be published; then none was.
            NotReachable: One was not acknowledged; publish all of them again.
        """
        messages = [self._message(event, case) for event, case in events]
        written = await self._outbound.send_all(messages)
        return [
            Accepted(event.event_id, self._topic, partition, offset)
            for (event, _), (partition, offset) in zip(events, written, strict=True)
        ]

    def _message(self, event: Event, case: str) -> Message:
        if event.publisher.agency != self._agency:
            raise BadInput(
                f"`publisher.agency` is `{event.publisher.agency}`, but this publisher writes for `{self._agency}`; "
                "set it, or use that agency's publisher"
            )
        checked_case(case)
        value = checked(event)
        about = headers.cloud_event(id=event.event_id, source=self._agency, type=event.event_type)
        return Message(self._topic, self.case_key(case), value, about)

    def case_key(self, case: str) -> bytes:
        """The opaque key of a case: HMAC-SHA-256 (RFC 2104), cut to 128 bits."""
        return hmac.new(self._secret, case.encode(), hashlib.sha256).hexdigest()[:32].encode()


def checked_case(case: str) -> None:
    """
    Refuse what is no reference of a case.

    Raises:
        BadInput: It is empty, or no text.
    """
    if not case.strip():
        raise BadInput("`case` is empty; give your own reference of the case, it never leaves this process")
    try:
        case.encode()
    except UnicodeEncodeError:
        raise BadInput(
            "`case` holds what is no text (half a character, or bytes that are not UTF-8); type it again"
        ) from None


def checked(event: Event) -> bytes:
    """
    The bytes of an event, if the bus takes them: what it would put in quarantine is refused while the person who can
    mend it is still looking.

    Raises:
        BadInput: It would be refused; says what to mend.
    """
    value = codec.encode(event)
    try:
        received = codec.decode(value)
    except Refused as exc:
        limits = gate.DEFAULT_LIMITS
        raise BadInput(
            f"the bus would refuse this event: {exc.detail} ({exc.reason}; at most {limits.value_bytes} bytes, "
            f"{limits.items} items in a list, {limits.string_chars} characters in a text)"
        ) from None
    if found := next(_what_acts(received.record, ""), None):
        raise BadInput(f"{found}, which is no text and acts on whatever shows it; remove it")
    return value


#: Control characters but for tab and what ends a line or page, and what turns the direction of the text that follows: a
#: terminal obeys the first, a reader is deceived by the second. The bus lets them in and shows them escaped, because an
#: alert that does not come is worse; here somebody can still mend it.
#: Source: Unicode, Cc; Unicode Standard Annex 9, explicit directional embeddings, overrides and isolates.
_ACTS: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _what_acts(value: object, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if not value.isprintable() and (found := _ACTS.search(value)):
            yield f"`{path}` has the character U+{ord(found.group()):04X}"
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _what_acts(each, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _what_acts(each, f"{path}.{number}")

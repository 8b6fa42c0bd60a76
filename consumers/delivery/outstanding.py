"""
Which deliveries stood on somebody's consent, and were not followed by a notice of its end?

They are kept for as long as the partner holds them, which is years, so there may be very many: each is packed into a
few bytes, about a third of what the same takes as values. Nothing is lost by it: what goes in comes out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

#: How a text is packed, by its first byte: as 16 bytes, as the bytes that its hex digits stand for, or as it is.
_UUID, _HEX, _PLAIN = b"\x00", b"\x01", b"\x02"
_LENGTH_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a partner may hold, and what is needed to tell it that the consent was withdrawn."""

    digest: str
    event_id: str
    subject_token: str
    purpose: str
    consent_meaning: str | None


class Voice(NamedTuple):
    """On whose consent, and for what, a notification was handed over."""

    notification_id: str
    subject_token: str
    purpose: str
    consent_meaning: str | None


class Outstanding(Mapping[str, Delivered]):
    """Notification id -> what the partner may hold."""

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        #: Purposes and meanings are few, and stand here once.
        self._words: dict[str | None, int] = {}
        self._by_number: list[str | None] = []

    def __getitem__(self, notification_id: str) -> Delivered:
        words, token, event_id, digest = _parts(self._packed[_packed(notification_id)])
        purpose, meaning = self._said(words)
        return Delivered(_text(digest), _text(event_id), _text(token), purpose, meaning)

    def __setitem__(self, notification_id: str, delivered: Delivered) -> None:
        d = delivered
        words = b"".join(self._number(word).to_bytes(_LENGTH_BYTES) for word in (d.purpose, d.consent_meaning))
        parts = (words, *map(_packed, (d.subject_token, d.event_id, d.digest)))
        self._packed[_packed(notification_id)] = b"".join(len(p).to_bytes(_LENGTH_BYTES) + p for p in parts)

    def voices(self) -> Iterator[Voice]:
        """
        Of all that were there when this began, without what is only needed to tell of one.

        What comes or goes meanwhile disturbs nobody who looks at all of them.
        """
        for key in list(self._packed):
            if (packed := self._packed.get(key)) is not None:
                parts = _parts(packed)
                purpose, meaning = self._said(next(parts))
                yield Voice(_text(key), _text(next(parts)), purpose, meaning)

    def _said(self, words: bytes) -> tuple[str, str | None]:
        purpose, meaning = (self._by_number[int.from_bytes(w)] for w in (words[:_LENGTH_BYTES], words[_LENGTH_BYTES:]))
        return purpose or "", meaning

    def discard(self, notification_id: str) -> None:
        """The partner was told, or never had it."""
        self._packed.pop(_packed(notification_id), None)

    def __contains__(self, notification_id: object) -> bool:
        return isinstance(notification_id, str) and _packed(notification_id) in self._packed

    def __iter__(self) -> Iterator[str]:
        return map(_text, self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def _number(self, word: str | None) -> int:
        if word not in self._words:
            self._words[word] = len(self._by_number)
            self._by_number.append(word)
        return self._words[word]


def _packed(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return _PLAIN + text.encode()
    for kind, written in ((_UUID, _as_uuid), (_HEX, bytes.hex)):
        if written(raw) == text:
            return kind + raw
    return _PLAIN + text.encode()


def _text(packed: bytes) -> str:
    kind, rest = packed[:1], packed[1:]
    if kind == _UUID:
        return _as_uuid(rest)
    return rest.hex() if kind == _HEX else rest.decode()


def _as_uuid(raw: bytes) -> str:
    """Not by `uuid.UUID`: of very many that takes seconds."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _parts(packed: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(packed):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(packed[at:begin])
        yield packed[begin:at]

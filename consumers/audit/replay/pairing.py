"""
Is every notification that was permitted on its topic, and was everything there permitted?

Two streams that belong together, each read forward: what decisions permitted, and what stands on the partners' topics.
Whatever has met its like is forgotten, so what is held is what one stream is ahead of the other, and what is wrong.
What never meets its like is handed back to be looked up: a copy that a redo sent again, or a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Key(NamedTuple):
    """
    One notification as it was decided, or as it stands on a topic.

    Attributes:
        digest: Keyed digest of its bytes.
    """

    partner: str
    notification_id: str
    digest: str


@dataclass(frozen=True)
class Permit:
    """
    A decision permits a notification.

    Attributes:
        made_again: Deciding again gave the same bytes; when they stand on the topic too, all three agree.
    """

    event_id: str
    made_again: bool


@dataclass(frozen=True)
class SeenOnTopic:
    """
    A notification stands on a topic.

    Attributes:
        at_ms: When the broker took it, milliseconds.
    """

    value: bytes
    at_ms: int


class Pairing:
    """
    What was permitted and not seen yet, and what was seen and not permitted yet.

    Attributes:
        agreed: How many were permitted, made again, and stand on their topics: the same bytes all three times.
    """

    def __init__(self) -> None:
        self._awaited: dict[Key, Permit] = {}
        self._early: dict[Key, SeenOnTopic] = {}
        self.agreed = 0

    @property
    def awaited(self) -> int:
        """How many are permitted and not seen."""
        return len(self._awaited)

    @property
    def held(self) -> int:
        """How much is remembered."""
        return len(self._awaited) + len(self._early)

    def permitted(self, key: Key, permit: Permit) -> None:
        """A decision permits this."""
        if self._early.pop(key, None) is None:
            self._awaited[key] = permit
        else:
            self.agreed += permit.made_again

    def stands(self, key: Key, standing: SeenOnTopic) -> None:
        """This stands on a topic."""
        permit = self._awaited.pop(key, None)
        if permit is None:
            self._early[key] = standing
        else:
            self.agreed += permit.made_again

    def strays(self, *, before_ms: int | None = None) -> list[tuple[Key, SeenOnTopic]]:
        """Let go of what stands on a topic since before a time and was not permitted; None: of all of it."""
        found = [
            (key, standing) for key, standing in self._early.items() if before_ms is None or standing.at_ms < before_ms
        ]
        for key, _ in found:
            del self._early[key]
        return found

    def missing(self) -> dict[Key, Permit]:
        """Let go of what was permitted and not seen."""
        found, self._awaited = self._awaited, {}
        return found

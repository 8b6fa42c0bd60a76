"""
What does each partner of the story answer, and what must follow from it?

Answers are chance, seeded by the notification's id, so they do not depend on what comes first. `Expected` follows the
same answers on paper: it says for how many attempts and receipts to wait before the clock may move, and nothing more;
whether they are right is for the comparison of the two trees.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

#: Further than the longest wait between two attempts, so that each step of the clock makes everything due.
STEP = timedelta(hours=13)
_GIVE_UP_AFTER = timedelta(hours=72)

_ANSWERS = (
    *[("ACCEPTED",)] * 24,
    ("BUSY", "ACCEPTED"),
    ("UNKNOWN", "ACCEPTED"),
    ("BUSY", "UNKNOWN", "BUSY", "ACCEPTED"),
    ("OTHER_CONTENT",),
    ("OTHER_CONTENT",),
    ("UNKNOWN", "OTHER_CONTENT"),
    ("BUSY",),
    ("UNKNOWN",),
)
#: The first notification of each of two partners: their destinations let nothing in for three steps, and say the same
#: each time: whether another refusal has a receipt is not the same in all trees.
CLOSED: tuple[tuple[str, ...], ...] = (
    ("NOT_LET_IN", "NOT_LET_IN", "NOT_LET_IN", "ACCEPTED"),
    ("GONE", "GONE", "GONE", "ACCEPTED"),
)
_CODES = {
    "BUSY": "503",
    "UNKNOWN": "timeout",
    "REFUSED": "422",
    "OTHER_CONTENT": "other_content",
    "NOT_LET_IN": "403",
    "GONE": "410",
}


def script(notification_id: str, kind: str) -> tuple[str, ...]:
    """What a partner answers about this, attempt by attempt; the last one again and again."""
    chance = random.Random(f"{notification_id} {kind}")
    if kind != "notification":
        return ("ACCEPTED",) if chance.random() < 0.7 else ("REFUSED",)
    return chance.choice(_ANSWERS)


class PatternedAdapter:
    """Answers as the script says; what is accepted goes into a real folder by the real adapter."""

    transport = "folder"

    def __init__(self, tree: Any, folder: Any, scripts: dict[str, tuple[str, ...]]) -> None:
        self._tree, self._inner, self._scripts = tree, tree.FolderAdapter(folder), scripts
        self._asked: Counter[tuple[str, str]] = Counter()
        self.attempts = 0

    async def open(self) -> None:
        """Get the folder ready."""
        await self._inner.open()

    async def close(self) -> None:
        """Let go of the folder."""
        await self._inner.close()

    async def deliver(self, parcel: Any) -> Any:
        """One attempt, or one notice, of a tree whose adapters have one step."""
        reply = self._reply(parcel)
        return await self._inner.deliver(parcel) if reply == "ACCEPTED" else self._answer(reply)

    @asynccontextmanager
    async def prepare(self, parcel: Any) -> AsyncIterator[Any]:
        """The same in two steps."""
        async with self._inner.prepare(parcel) as ready:

            async def effect() -> Any:
                reply = self._reply(parcel)
                if reply != "ACCEPTED":
                    return self._answer(reply)
                return await ready() if callable(ready) else ready

            yield effect

    def _reply(self, parcel: Any) -> str:
        kind, about = str(parcel.kind), str(parcel.notification_id)
        number = self._asked[about, kind]
        self._asked[about, kind] += 1
        self.attempts += kind == "notification"
        told = self._scripts.get(about) if kind == "notification" else None
        return nth(told or script(about, kind), number)

    def _answer(self, reply: str) -> Any:
        # An older tree has one word for both.
        word = reply if reply in self._tree.Reply.__members__ else "REFUSED"
        return self._tree.PartnerAnswer(self._tree.Reply(word), _CODES[reply])


def nth(answers: tuple[str, ...], number: int) -> str:
    """The answer to this attempt, counted from 0."""
    return answers[min(number, len(answers) - 1)]


class Expected:
    """How far one partner's deliveries come with each step of the clock, on paper."""

    def __init__(self, scripts: dict[str, tuple[str, ...]]) -> None:
        self._scripts = scripts
        self._cases: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._tried: Counter[str] = Counter()
        self._first: dict[str, datetime] = {}
        self._maybe_there: set[str] = set()
        self._held = False
        self.attempts = self.receipts = 0
        self.on_consent: list[Any] = []
        self.ended: list[Any] = []

    def add(self, notifications: Iterable[Any]) -> None:
        """These are on the partner's topic."""
        for n in notifications:
            self._cases[n.subject_token].append(n)

    @property
    def left(self) -> int:
        """How many have not ended."""
        return sum(map(len, self._cases.values()))

    def step(self, now: datetime, why_not: Callable[[Any, datetime], Any]) -> None:
        """The clock stands here; everything is due."""
        for case in self._cases.values():
            while case and self._ends(case[0], now, why_not):
                self.ended.append(case.popleft())

    def _ends(self, n: Any, now: datetime, why_not: Callable[[Any, datetime], Any]) -> bool:
        on_consent = n.consent_meaning is not None
        if why_not(n, now) is not None:
            self.receipts += 1
            self._there(n, accepted=False)
            return True
        answers = self._scripts.get(n.notification_id) or script(n.notification_id, "notification")
        reply = nth(answers, self._tried[n.notification_id])
        self._tried[n.notification_id] += 1
        self.attempts += 1
        self.receipts += on_consent  # said before the attempt
        if reply in ("NOT_LET_IN", "GONE"):
            self.receipts += on_consent or not self._held
            self._held = True
            return False
        self._held = False
        self.receipts += 1
        first = self._first.setdefault(n.notification_id, now)
        given_up = now - first >= _GIVE_UP_AFTER
        if reply in ("BUSY", "UNKNOWN") and not given_up:
            if reply == "UNKNOWN":
                self._maybe_there.add(n.notification_id)
            return False
        self._there(n, accepted=reply == "ACCEPTED")
        return True

    def _there(self, n: Any, *, accepted: bool) -> None:
        if n.consent_meaning is not None and (accepted or n.notification_id in self._maybe_there):
            self.on_consent.append(n)

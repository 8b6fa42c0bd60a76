"""
What does one tree make of the deliveries of the story?

The real courier of each partner on the embedded broker, all under one clock that stands still until everything that is
due is done, and then moves by 13 hours. Jitter is fixed, partners answer by `partners`, and what they accept is a file.
In the end consents are withdrawn, and what was delivered is sent again, once as it was and once with other content.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from inspect import signature
from pathlib import Path
from typing import Any

from .decide import Decider
from .partners import CLOSED, STEP, Expected, PatternedAdapter
from .recording import packed

EACH = 120  # notifications of one partner, at most
PATIENCE_S = 120.0
_MOST_STEPS = 200


@dataclass
class Clock:
    """Stands still until it is moved."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Follower:
    """The register as whoever asks it before an attempt sees it; it changes in the same instant as the clock."""

    now: Any

    async def catch_up(self) -> Any:
        """Nothing to wait for."""
        return self.now


@dataclass
class Written:
    """What a courier did: a tally. The tree of before counts receipts itself, and its attempts the adapter counts."""

    receipts: int = 0
    attempts: int = 0

    def attempted(self, _reply: Any, _took: Any) -> None:
        """
        One more, and what follows from its answer is known in the same moment.

        The adapter counts it a moment earlier: where a refusal has no receipt, the clock would move in between, and the
        courier would wait from then on.
        """
        self.attempts += 1

    def receipt_written(self, _stage: Any, _since_decided: Any) -> None:
        """One more."""
        self.receipts += 1

    def noticed(self, _told: Any) -> None:
        """Counted by the courier."""


@dataclass
class Post:
    """One partner's courier, its folder and what to wait for."""

    partner: str
    courier: Any
    adapter: PatternedAdapter
    expected: Expected
    later: list[Any] = field(default_factory=list)

    written: Written = field(default_factory=Written)

    def __post_init__(self) -> None:
        if hasattr(self.courier.facts, "tally"):
            self.courier.facts.tally = self.written

    def standing(self) -> tuple[int, int]:
        """(attempts, receipts) until now."""
        stages = getattr(self.courier.facts, "stages", None)
        if stages is None:
            return self.written.attempts, self.written.receipts
        return self.adapter.attempts, sum(stages.values())


class Delivering:
    """One tree's deliveries."""

    def __init__(self, decider: Decider, connection: Any, folder: Path, clock: Clock, register: Any) -> None:
        self._decider, self._tree = decider, decider.tree
        self._connection, self._folder, self._clock = connection, folder, clock
        self._follower = Follower(register)
        self._recheck = self._tree.RegisterRecheck(self._follower)
        self._posts: list[Post] = []

    async def run(self, outputs: list[Any], withdrawals: list[Any]) -> None:
        """Deliver all, then let consents end and repeat some; take down what was written."""
        by_partner: dict[str, list[Any]] = {}
        for output in outputs:
            by_partner.setdefault(output.notification.recipient, []).append(output)
        async with self._couriers({p: found[:: -(-len(found) // EACH)] for p, found in sorted(by_partner.items())}):
            for number in range(_MOST_STEPS):
                await self._step()
                if not any(post.expected.left or post.later for post in self._posts):
                    break
                assert number + 1 < _MOST_STEPS, "the story of the deliveries has no end"
                self._clock.now += STEP
            await self._end_consents(withdrawals)
            await self._repeat()
        await self._take_down()

    @asynccontextmanager
    async def _couriers(self, found: dict[str, list[Any]]) -> AsyncIterator[None]:
        stop = asyncio.Event()
        running = []
        for number, (partner, outputs) in enumerate(found.items()):
            # Two destinations are closed at first: one for what stands on a consent, if there is any, one for the rest.
            alone = _first(outputs, on_consent=number == 0) if number < 2 else None
            closed = {alone.notification.notification_id: CLOSED[number]} if alone else {}
            post = self._post(partner, closed)
            now = [alone] if alone else outputs
            post.later = [output for output in outputs if output not in now]
            await self._send(post, now)
            running.append(asyncio.create_task(post.courier.run(stop)))
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*running)

    def _post(self, partner: str, scripts: dict[str, tuple[str, ...]]) -> Post:
        folder = self._folder / partner
        folder.mkdir()
        adapter = PatternedAdapter(self._tree, folder, scripts)
        courier = self._tree.Courier(
            self._connection,
            partner=partner,
            adapter=adapter,
            recheck=self._recheck,
            key=getattr(self._decider.key, "digests", self._decider.key),  # an older tree has one for both
            clock=self._clock,
            jitter=lambda: 0.25,
            **_however_long(self._tree.Courier),
        )
        self._posts.append(Post(partner, courier, adapter, Expected(scripts)))
        return self._posts[-1]

    async def _send(self, post: Post, outputs: list[Any]) -> None:
        await self._write(post, [(output.notification, output.value) for output in outputs])
        post.expected.add(output.notification for output in outputs)

    async def _write(self, post: Post, found: list[tuple[Any, bytes]]) -> None:
        topic = self._tree.topics.notifications_for(post.partner)
        writer = self._tree.Writer(self._connection, client_id="story")
        await writer.start()
        await writer.send_all([self._tree.Message(topic, n.subject_token.encode(), value) for n, value in found])
        await writer.stop()

    async def _step(self) -> None:
        """What is due at this moment is done."""
        for post in self._posts:
            if post.later and not post.expected.left:
                await self._send(post, post.later)
                post.later = []
            post.expected.step(self._clock.now, self._recheck.why_not)
        for post in self._posts:
            await self._until(
                post, lambda p: (p.standing(), (p.expected.attempts, p.expected.receipts)), "attempts and receipts"
            )

    async def _end_consents(self, withdrawals: list[Any]) -> None:
        register = self._follower.now
        for offset, record in enumerate(withdrawals, start=register.offset + 1):
            register.apply(offset, record)
        self._clock.now += timedelta(hours=1)
        told = {post.partner: sum(self._consent_ended(n) for n in post.expected.on_consent) for post in self._posts}
        for post in self._posts:
            await self._until(post, lambda p: (sum(p.courier.facts.notices.values()), told[p.partner]), "notices")

    def _consent_ended(self, n: Any) -> bool:
        how = self._recheck.consent_ended(
            person=n.subject_token,
            meaning=n.consent_meaning,
            purpose=n.purpose,
            partner=n.recipient,
            now=self._clock.now,
        )
        return how is not None

    async def _repeat(self) -> None:
        """The last one of each partner again, and then under the same id with another urgency."""
        codec = self._tree.codec
        for post in self._posts:
            last = post.expected.ended[-1]
            other = last.model_copy(update={"urgency": "ROUTINE" if last.urgency == "IMMEDIATE" else "IMMEDIATE"})
            await self._write(post, [(n, codec.encode_record(n)) for n in (last, other)])
            post.expected.receipts += 1
        for post in self._posts:
            await self._until(post, lambda p: (p.standing()[1], p.expected.receipts), "receipts of a repeat")

    async def _until(self, post: Post, both: Callable[[Post], tuple[Any, Any]], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (found := both(post))[0] != found[1]:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            found = both(post)
            raise RuntimeError(
                f"`{post.partner}` at {self._clock.now}: {found[0]} {what}, expected {found[1]}"
            ) from None

    async def _take_down(self) -> None:
        recording, tree = self._decider.recording, self._tree
        numbers: Counter[str] = Counter()
        # Each partner has its own since 0.2.
        of = getattr(tree.topics, "receipts_from", None)
        for topic in [of(post.partner) for post in self._posts] if of else [tree.topics.RECEIPTS]:
            async for record in tree.read_topic(self._connection, topic):
                receipt = tree.codec.decode_record(record.value, tree.records.Receipt)
                about = f"{receipt.partner} {receipt.notification_id}"
                numbers[about] += 1
                recording.add("receipt", f"{about} #{numbers[about]}", packed(record.key, record.headers, record.value))
                recording.counts[f"receipt: {receipt.stage}"] += 1
                recording.counts[f"stopped: {receipt.reason}"] += receipt.stage == tree.records.Stage.STOPPED
        for post in self._posts:
            async for record in tree.read_topic(self._connection, tree.topics.parked_for(post.partner)):
                headers = dict(record.headers)
                n = tree.codec.decode_record(record.value, tree.records.Notification)
                about = f"parked {post.partner} {n.notification_id}"
                numbers[about] += 1
                recording.add("parked", f"{about} #{numbers[about]}", packed(record.key, record.headers, record.value))
                recording.counts[f"parked: {headers['sb_reason'].decode()}"] += 1
        for file in sorted(self._folder.rglob("*")):
            if file.is_file():
                recording.add("file", str(file.relative_to(self._folder)), file.read_bytes())
                recording.counts["file: notice" if "withdrawn" in file.name else "file: notification"] += 1


def _however_long(courier: Any) -> dict[str, float]:
    """That this machine stands still for a while puts nothing on record. An older tree has no such record."""
    return {"on_record_after_s": 3_600.0} if "on_record_after_s" in signature(courier).parameters else {}


def _first(outputs: list[Any], *, on_consent: bool) -> Any:
    wanted = (o for o in outputs if (o.notification.consent_meaning is not None) == on_consent)
    return next(wanted, outputs[0])


def deliver(decider: Decider, outputs: list[Any], *, register: Any, withdrawals: list[Any], now: datetime) -> None:
    """Deliver these notifications under this register, from this moment on."""
    tree = decider.tree
    partners = sorted({output.notification.recipient for output in outputs})
    table = {t.name: t.partitions for t in tree.topics.table([], partners)}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "partners"
        folder.mkdir()
        with tree.open_broker("embedded", data_dir=Path(place) / "broker") as broker:
            broker.create_topics(table, configs={})
            connection = tree.Connection(broker.bootstrap)
            asyncio.run(Delivering(decider, connection, folder, Clock(now), register).run(outputs, withdrawals))

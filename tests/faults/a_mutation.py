"""
What would the bus be without one of its safeguards?

Each mutation takes one out, in the process that it is named to. A harness that finds nothing then proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _commit_first() -> None:
    """The lane commits what it has fetched, and then has it handled."""
    from faust.transport.consumer import ensure_TP

    from safebus.streams.worker.lane import LaneConsumer

    original = LaneConsumer._through_the_lane

    async def through(self: Any, records: Any, active: Any) -> None:
        for tp, found in records.items():
            if tp.topic in self._lane.topics and found:
                self._lane_next[ensure_TP(tp)] = found[-1].offset + 1
        await self.commit()
        await original(self, records, active)

    LaneConsumer._through_the_lane = through


def _no_dedupe() -> None:
    """The worker knows nothing of what was decided before."""
    from safebus.streams.worker.dedupe import Dedupe

    async def nothing(*_: Any) -> dict[Any, Any]:
        return {}

    Dedupe.find = lambda *_: None
    Dedupe.on_record = nothing


def _no_fence() -> None:
    """Decisions are written by whoever believes that a partition is its own."""
    from safebus.schemas.kafka.writer import Writer

    original = Writer.__init__

    def init(self: Any, connection: Any, *, transactional_id: str | None = None, **kwargs: Any) -> None:
        original(self, connection, **kwargs)

    Writer.__init__ = init
    Writer.send_as_one = Writer.send_all


def _effects_first() -> None:
    """Notifications go out, and then the decision is written that they follow from."""
    from safebus.schemas.kafka.writer import Writer
    from safebus.streams.worker.decision_log import DecisionLog

    write, send_each, kept = DecisionLog.write, Writer.send_each, []

    async def keep(self: Any, messages: Any) -> None:
        kept.append((self, messages))

    async def send(self: Any, messages: Any) -> Any:
        refused = await send_each(self, messages)
        while kept:
            log, decisions = kept.pop()
            await write(log, decisions)
        return refused

    DecisionLog.write, Writer.send_each = keep, send


def _no_ledger() -> None:
    """The adapter does not remember what it handed over."""
    from safebus.consumers.delivery.ledger import Ledger

    Ledger.ended = lambda *_: None


def _no_lease() -> None:
    """The adapter never doubts that its partitions are its own."""
    from safebus.consumers.delivery.source import Source

    Source.surely_ours = lambda *_, **__: True


def _takes_any_answer() -> None:
    """The adapter takes whatever a web server says for a yes."""
    from safebus.consumers.adapters import webhook
    from safebus.consumers.adapters.adapter import PartnerAnswer, Reply

    webhook.answer_of = lambda status, *_, **__: PartnerAnswer(Reply.ACCEPTED, str(status))


def _no_order() -> None:
    """Each notification is a case of its own."""
    from collections import deque

    from safebus.consumers.delivery.cases import Case, Cases

    def add(self: Any, item: Any) -> None:
        self._cases[f"{item.notification.subject_token} {item.notification.notification_id}"] = Case(deque([item]))

    Cases.add = add


def _tells_everyone() -> None:
    """What one recipient may have is also written to one that may not."""
    from dataclasses import replace

    from safebus.schemas.kafka.writer import Writer

    original = Writer.send_each

    async def send_each(self: Any, messages: Any) -> Any:
        found = list(messages)
        return await original(
            self, [*found, *(replace(m, topic="out.practice") for m in found if m.topic == "out.hub")]
        )

    Writer.send_each = send_each


def _no_barrier() -> None:
    """The worker decides on the register as it happens to have it; what is new is read behind its back."""
    import asyncio

    from safebus.streams.register.follow import RegisterReader

    original = RegisterReader.catch_up
    kept: set[Any] = set()

    async def catch_up(self: Any) -> Any:
        if self.now.offset < 0:
            return await original(self)
        if not any(not task.done() for task in kept):
            kept.add(asyncio.create_task(_later(self)))
        return self.now

    async def _later(self: Any) -> None:
        await asyncio.sleep(0.5)
        await original(self)

    RegisterReader.catch_up = catch_up


MUTATIONS: dict[str, Callable[[], None]] = {
    "commit-first": _commit_first,
    "no-dedupe": _no_dedupe,
    "no-fence": _no_fence,
    "effects-first": _effects_first,
    "no-ledger": _no_ledger,
    "no-lease": _no_lease,
    "takes-any-answer": _takes_any_answer,
    "no-order": _no_order,
    "tells-everyone": _tells_everyone,
    "no-barrier": _no_barrier,
}

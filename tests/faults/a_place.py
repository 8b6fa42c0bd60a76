"""
Where on the way of an event may a process end?

Each place wraps one function of the product in the process that runs it, and calls `reached` when it is passed. The
function that a place names must exist: one that is renamed there ends the process here with an AttributeError, and
the test that waits for a crash fails.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

CRASHED = 99  # the exit code of a process that ended at a place

Reached = Callable[[], None]


def nth(number: int, does: Callable[[], None]) -> Reached:
    """Do it at the n-th pass."""
    passes = iter(range(1, number + 1))

    def reached() -> None:
        if next(passes, None) == number:
            does()

    return reached


def crash() -> None:
    os._exit(CRASHED)


def pause() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def around(
    owner: Any,
    name: str,
    *,
    before: Callable[..., None] | None = None,
    after: Callable[..., None] | None = None,
) -> None:
    """Wrap a coroutine method: `before(self, *args)` and `after(result, self, *args)`."""
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @wraps(original)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(*args)
        result = await original(*args, **kwargs)
        if after is not None:
            after(result, *args)
        return result

    setattr(owner, name, wrapped)


def _decoded(reached: Reached) -> None:
    from safebus.schemas import codec

    original = codec.decode

    def decode(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        reached()
        return found

    codec.decode = decode


def _decided(reached: Reached) -> None:
    from safebus.streams.worker.decision_log import DecisionLog

    around(DecisionLog, "write", before=lambda _self, found: reached() if any(found.values()) else None)


def _decisions_sent(reached: Reached) -> None:
    from aiokafka import AIOKafkaProducer

    around(AIOKafkaProducer, "commit_transaction", before=lambda _self: reached())


def _decisions_committed(reached: Reached) -> None:
    from safebus.streams.worker.decision_log import DecisionLog

    around(DecisionLog, "write", after=lambda _done, _self, found: reached() if any(found.values()) else None)


def _first_output(reached: Reached) -> None:
    from aiokafka import AIOKafkaProducer

    original = AIOKafkaProducer.send

    async def send(self: Any, topic: str, *args: Any, **kwargs: Any) -> Any:
        future = await original(self, topic, *args, **kwargs)
        if topic.startswith("out."):
            await self.flush()  # this one is at the broker, and the rest of the batch is not
            reached()
        return future

    AIOKafkaProducer.send = send


def _outputs(reached: Reached) -> None:
    from safebus.schemas.kafka.writer import Writer

    def after(_done: Any, _self: Any, messages: Any) -> None:
        if any(m.topic.startswith("out.") for m in messages):
            reached()

    around(Writer, "send_each", after=after)


def _offsets_committed(reached: Reached) -> None:
    from safebus.streams.worker.lane import LaneConsumer

    around(LaneConsumer, "_commit_offsets", after=lambda done, *_: reached() if done else None)


def _revoked(reached: Reached) -> None:
    from safebus.streams.worker.lane import LaneConsumer

    around(LaneConsumer, "on_partitions_revoked", before=lambda _self, gone: reached() if gone else None)


def _partner_next(reached: Reached) -> None:
    for module in _hand_over():
        around(module, "hand_over", before=lambda *_, **__: reached())


def _partner_answered(reached: Reached) -> None:
    for module in _hand_over():
        around(module, "hand_over", after=lambda *_, **__: reached())


def _receipt_written(reached: Reached) -> None:
    from safebus.consumers.delivery.ledger import Ledger

    around(Ledger, "write", after=lambda *_: reached())


def _delivery_committed(reached: Reached) -> None:
    from safebus.consumers.delivery.source import Source

    original = Source.commit

    async def commit(self: Any) -> None:
        before = dict(self._committed)
        await original(self)
        if self._committed != before:
            reached()

    Source.commit = commit


def _hand_over() -> list[Any]:
    """Where something is handed to a partner, whatever the transport."""
    from safebus.consumers.delivery import attempt, notices

    return [attempt, notices]


WORKER_PLACES: dict[str, Callable[[Reached], None]] = {
    "decoded": _decoded,
    "decided": _decided,
    "decisions-sent": _decisions_sent,
    "decisions-committed": _decisions_committed,
    "first-output": _first_output,
    "outputs": _outputs,
    "offsets-committed": _offsets_committed,
    "revoked": _revoked,
}
ADAPTER_PLACES: dict[str, Callable[[Reached], None]] = {
    "partner-next": _partner_next,
    "partner-answered": _partner_answered,
    "receipt-written": _receipt_written,
    "delivery-committed": _delivery_committed,
}
PLACES = WORKER_PLACES | ADAPTER_PLACES

"""
What would the least program cost that hands over the same parcels?

Run as `python -m tests.bench.plain_delivery PARTNER DESTINATIONS`. It holds the notifications in memory, reads each
one's released fields, and calls the same adapter in the same order with as many cases under way, and prints how many a
second it handed over. What it does not do, and `safebus deliver` does: fetch from the broker, look whether it was
handed over before, ask the register before each attempt, write a receipt and wait for it, commit.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict, deque
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from safebus.consumers.adapters import destinations
from safebus.consumers.adapters.adapter import Adapter, Reply, always, hand_over
from safebus.consumers.delivery.parcels import parcel_of
from safebus.deploy.service import settings
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Notification
from safebus.schemas.kafka import batches
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.keys import PersonKey
from safebus.streams.register.follow import current_register
from safebus.streams.register.store import Register
from safebus.streams.rules.asked_again import read_view

_AT_ONCE = 8  # as `consumers.delivery.courier` has it


def main() -> None:
    """Deliver once."""
    batches.install()
    partner, file = sys.argv[1], Path(sys.argv[2])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as every command of ours
        sys.stdout.write(f"{runner.run(_deliver_all(partner, file)):.3f}\n")


async def _deliver_all(partner: str, file: Path) -> float:
    found = settings.load()
    connection = found.connection()
    register = await current_register(connection)
    values = [m.value async for m in read_topic(connection, topics.notifications_for(partner))]
    adapter = destinations.opened(destinations.read(file).of(partner), clock=lambda: datetime.now(UTC)).adapter
    await adapter.open()
    begin = time.monotonic()
    cases: defaultdict[str, deque[tuple[Notification, bytes]]] = defaultdict(deque)
    for value in values:
        notification = codec.decode_record(value, Notification)
        cases[notification.subject_token].append((notification, value))
    waiting = deque(cases.values())
    key = found.person_key()
    await asyncio.gather(*(_hand_over(waiting, adapter, register, key) for _ in range(_AT_ONCE)))
    took = time.monotonic() - begin
    await adapter.close()
    return len(values) / took


async def _hand_over(
    waiting: deque[deque[tuple[Notification, bytes]]], adapter: Adapter, register: Register, key: PersonKey
) -> None:
    """One of those under way: the oldest of the next case, and so on in turns."""
    while waiting:
        case = waiting.popleft()
        notification, value = case.popleft()
        view = read_view(notification, register)
        assert view is not None  # it was made under this register
        answer = await hand_over(adapter, parcel_of(notification, view, key.digest(value)), may_go=always)
        if answer.reply is not Reply.ACCEPTED:
            raise SystemExit(f"the partner's system answered `{answer.code}`; nothing was measured")
        if case:
            waiting.append(case)


if __name__ == "__main__":
    main()

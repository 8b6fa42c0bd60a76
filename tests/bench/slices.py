"""
What does one event cost the pure part, in a register of this size?

Each size is measured in a process of its own that holds only its own register: garbage is looked for in everything a
process holds, so two sizes in one process would each pay for both. The processes take turns (A B B A ...), one slice
of events at a time, so that a busy neighbour or a slower clock meets all of them alike.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

from safebus.schemas import codec
from safebus.schemas.bus_records import Origin
from safebus.schemas.keys import PersonKey
from safebus.streams.register.write import register_of
from safebus.streams.rules import sharing
from tests.bench import world

KEY = PersonKey(b"bench" * 8)
ORIGIN = Origin(topic=f"in.{world.POLICE}", partition=0, offset=0)
#: The whole pure part, and what it consists of.
STEPS = ("gate and decode", "decide and redact", "encode the decision", "all of it")


class Pure:
    """The pure part with a register of one size, and events to feed it."""

    def __init__(self, size: world.Size, *, families: int, now: datetime) -> None:
        among = world.families(families)
        entries = world.entries(size, among, key=KEY, today=now.date())
        self._register = register_of(entries, at=now)
        self._now = now
        self.values = world.values(world.events(among, families, before=now))
        self.received = [codec.decode(value) for value in self.values]
        self.records = [self.decide(received).record for received in self.received]

    def decide(self, received: codec.Received) -> sharing.Shared:
        """Who may have which fields: six answers, four of them with a view that is encoded."""
        found = sharing.share(received, self._register, origin=ORIGIN, now=self._now, key=KEY, rules_digest="bench")
        assert isinstance(found, sharing.Shared) and len(found.outputs) == len(world.PERMITTED)
        return found

    def whole(self, value: bytes) -> bytes:
        """From bytes that came in to the bytes of the decision; those of the views are made on the way."""
        return codec.encode_record(self.decide(codec.decode(value)).record)

    def slices(self) -> dict[str, Callable[[], float]]:
        """Step -> a slice of it; gives microseconds of processor time per event."""
        return {
            STEPS[0]: lambda: _timed(codec.decode, self.values),
            STEPS[1]: lambda: _timed(self.decide, self.received),
            STEPS[2]: lambda: _timed(codec.encode_record, self.records),
            STEPS[3]: lambda: _timed(self.whole, self.values),
        }


def _timed(step: Callable[[Any], Any], values: Iterable[Any]) -> float:
    count = 0
    begin = time.process_time()
    for value in values:
        step(value)
        count += 1
    return (time.process_time() - begin) / count * 1e6


def steps(rounds: int, *, families: int) -> dict[str, list[float]]:
    """Step -> microseconds per event, one number a round; the first round warms up and is left out."""
    slices = Pure(world.Size(), families=families, now=datetime.now(UTC)).slices()
    found: dict[str, list[float]] = {name: [] for name in slices}
    for _ in range(rounds + 1):
        for name, measure in slices.items():
            found[name].append(measure())
    return {name: each[1:] for name, each in found.items()}


def in_turns(sizes: Mapping[str, world.Size], rounds: int, *, families: int) -> dict[str, list[float]]:
    """Size by name -> microseconds per event of all of it, one number a round, warmed up."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        asked: dict[str, Connection] = {}
        for name, size in sizes.items():
            ours, theirs = context.Pipe()
            child = context.Process(target=_answer, args=(theirs, size, families), daemon=True)
            child.start()
            stack.callback(_end, child, ours)
            theirs.close()
            asked[name] = ours
        for ours in asked.values():
            ours.recv()  # it has built its world and warmed up
        found: dict[str, list[float]] = {name: [] for name in sizes}
        for i in range(rounds):
            for name in _order(list(asked), i):
                asked[name].send("measure")
                found[name].append(asked[name].recv())
        return found


def _order(names: Sequence[str], i: int) -> Sequence[str]:
    """There and back: whoever follows whom changes, so nobody always comes after the same."""
    return names if i % 2 == 0 else names[::-1]


def _answer(asked: Connection, size: world.Size, families: int) -> None:
    measure = Pure(size, families=families, now=datetime.now(UTC)).slices()[STEPS[3]]
    measure()
    asked.send("ready")
    while asked.recv() is not None:
        asked.send(measure())


def _end(child: Any, ours: Connection) -> None:
    if child.is_alive():
        ours.send(None)
    child.join(10)
    if child.is_alive():
        child.kill()
        child.join()

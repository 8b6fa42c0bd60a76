"""
Which parts does the bench have, and how much of each?

    pure      what one event costs the rules, without a broker
    flat      whether that grows with agreements, partners and consents
    worker    the worker on Apache Kafka, beside a plain librdkafka loop
    sizes     the same worker with a small and with a large register
    deliver   `safebus deliver` by folder, webhook and PostgreSQL, beside a plain loop of the same calls; and a
              connection for each POST beside a kept one
    replay    `safebus replay verify`, beside the worker that decided
    explain   `safebus explain` of one event among many, the first time and again
    soak      half an hour at 70 % of what the worker can do: memory, and how long records wait
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import slices, world
from tests.bench.rows import Row, alone, compared

if TYPE_CHECKING:
    from tests.bench.worker import Round

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Amount:
    """
    How much is measured.

    Attributes:
        families: Events in a slice of the pure part, each about another family.
        slices: Slices of each kind; `turns` the same for each size.
        events: On the topic, for the worker and what comes after it.
        rounds: Of worker and loop, and of each transport.
        more_decisions: Beside those for `explain`.
        minutes: Of the soak.
    """

    families: int
    slices: int
    turns: int
    large: world.Size
    events: int
    rounds: int
    delivered: int
    more_decisions: int
    minutes: float


NORMAL = Amount(60, 30, 40, world.Size(10_000, 1_000, 100_000), 6_000, 3, 2_000, 0, 30)
QUICK = replace(
    NORMAL, families=15, slices=5, turns=7, large=world.Size(300, 60, 3_000), events=2_000, rounds=1, delivered=200
)
FULL = replace(NORMAL, slices=60, turns=100, events=10_000, rounds=7, delivered=3_000, more_decisions=1_000_000)


def pure(amount: Amount, progress: Progress) -> list[Row]:
    """What one event costs the rules, step by step: four partners may know, two may not."""
    progress(f"pure: {amount.slices} slices of {amount.families} events")
    found = slices.steps(amount.slices, families=amount.families)
    return [alone("pure", step, "us of processor per event", rounds) for step, rounds in found.items()]


def flat(amount: Amount, progress: Progress) -> list[Row]:
    """Whether that grows with what stands in the register around it."""
    small, large = world.Size(), amount.large
    rows = []
    for name in ("agreements", "partners", "consents"):
        sizes = {"small": small, "large": replace(small, **{name: getattr(large, name)})}
        progress(f"flat: {getattr(small, name)} and {getattr(large, name)} {name}, {amount.turns} turns")
        found = slices.in_turns(sizes, amount.turns, families=amount.families)
        row = compared(
            "flat",
            f"{getattr(large, name)} {name}",
            "us of processor per event",
            found["large"],
            beside=f"{getattr(small, name)} {name}",
            beside_rounds=found["small"],
            at_most=1.1,
        )
        rows.append(row)
    return rows


def worker(amount: Amount, progress: Progress) -> list[Row]:
    """The worker on Apache Kafka beside a plain loop."""
    from tests.bench.bus import open_bus
    from tests.bench.worker import in_turns, loop_afresh, worker_afresh

    loop = "plain librdkafka loop"
    progress(f"worker: {amount.events} events, {amount.rounds} rounds each of worker and plain loop")
    with _folder() as folder, open_bus(folder, events=amount.events) as bus:
        turns = {"worker": lambda: worker_afresh(bus), loop: lambda: loop_afresh(bus)}
        found = in_turns(turns, amount.rounds, progress)
    return _pace_and_cost("worker", found, "worker", beside=loop, pace_at_least=0.8, cost_at_most=1.25)


def sizes(amount: Amount, progress: Progress) -> list[Row]:
    """The whole worker with a small register, and with one that is large in every way at once."""
    from tests.bench.bus import open_bus
    from tests.bench.worker import in_turns, worker_afresh

    small, large = (f"{s.agreements + s.partners + s.consents} records around it" for s in (world.Size(), amount.large))
    progress(f"sizes: {amount.events} events, {amount.rounds} rounds with {small}, and with {large}")
    with (
        _folder() as folder,
        open_bus(folder / "small", events=amount.events) as few,
        open_bus(folder / "large", events=amount.events, size=amount.large) as many,
    ):
        turns = {large: lambda: worker_afresh(many), small: lambda: worker_afresh(few)}
        found = in_turns(turns, amount.rounds, progress)
    return _pace_and_cost("sizes", found, large, beside=small, cost_at_most=1.1)


def _pace_and_cost(
    part: str,
    found: Mapping[str, Sequence[Round]],
    what: str,
    *,
    beside: str,
    cost_at_most: float,
    pace_at_least: float | None = None,
) -> list[Row]:
    """Two rows: how fast, and how much processor time an event costs."""
    pace = compared(
        part,
        what,
        "events/s",
        [r.events_per_s for r in found[what]],
        beside=beside,
        beside_rounds=[r.events_per_s for r in found[beside]],
        at_least=pace_at_least,
    )
    cost = compared(
        part,
        what,
        "us of processor per event",
        [r.us_per_event for r in found[what]],
        beside=beside,
        beside_rounds=[r.us_per_event for r in found[beside]],
        at_most=cost_at_most,
    )
    return [pace, cost]


def deliver(amount: Amount, progress: Progress) -> list[Row]:
    """Each transport beside a plain loop of the same calls, and a connection for each POST beside a kept one."""
    from tests.bench import connections
    from tests.bench.bus import open_bus
    from tests.bench.delivery import in_turns
    from tests.bench.worker import worker_round

    progress(f"deliver: {amount.delivered} notifications, {amount.rounds} rounds by each transport")
    with _folder() as folder, open_bus(folder, events=amount.delivered) as bus:
        worker_round(bus)
        found = in_turns(bus, folder / "systems", amount.rounds, progress)
        posts = connections.in_turns(folder / "posts", amount.delivered, amount.rounds, progress)
    anew = [
        compared("deliver", what, unit, ours, beside="on a kept connection", beside_rounds=kept)
        for (what, unit), (ours, kept) in posts.items()
    ]
    return anew + [
        compared(
            "deliver",
            f"safebus deliver by {transport}",
            "notifications/s",
            ours,
            beside="plain loop of the same calls",
            beside_rounds=plain,
        )
        for transport, (ours, plain) in found.items()
    ]


def replay(amount: Amount, progress: Progress) -> list[Row]:
    """`safebus replay verify`, its start included, beside the worker that made the decisions."""
    from safebus.streams.worker.app import GROUP
    from tests.bench.audit_commands import verified
    from tests.bench.bus import open_bus
    from tests.bench.worker import worker_round

    progress(f"replay: {amount.events} events, {amount.rounds} rounds")
    ours, worker_pace, peaks = [], [], []
    with _folder() as folder, open_bus(folder, events=amount.events) as bus:
        for _ in range(amount.rounds):
            bus.start_afresh([GROUP])
            worker_pace.append(worker_round(bus).events_per_s)
            done = verified(bus)
            ours.append(amount.events / done.took_s)
            peaks.append(done.peak_mb)
            progress(f"replay: {ours[-1]:.0f}/s, worker {worker_pace[-1]:.0f}/s")
    pace = compared("replay", "safebus replay verify", "decisions/s", ours, beside="worker", beside_rounds=worker_pace)
    return [pace, alone("replay", "its memory at most", "MB", peaks)]


def explain(amount: Amount, progress: Progress) -> list[Row]:
    """`safebus explain` of one event."""
    from tests.bench.audit_commands import explained, fill, one_of
    from tests.bench.bus import open_bus
    from tests.bench.worker import worker_round

    with _folder() as folder, open_bus(folder, events=amount.delivered) as bus:
        worker_round(bus)
        event_id = one_of(bus)
        if amount.more_decisions:
            fill(bus, amount.more_decisions, progress)
        among = amount.delivered + amount.more_decisions
        progress(f"explain: one event among {among}")
        first, *again = explained(bus, event_id, 1 + amount.rounds)
    return [
        alone("explain", f"one of {among}, the first time", "s", [first.took_s]),
        alone("explain", f"one of {among}, again", "s", [r.took_s for r in again]),
        alone("explain", "memory at most, the first time", "MB", [first.peak_mb]),
        alone("explain", "memory at most, again", "MB", [r.peak_mb for r in again]),
    ]


def soak(amount: Amount, progress: Progress) -> list[Row]:
    """Whether it stays as it is when it works for long."""
    from tests.bench import soak as soaking
    from tests.bench.bus import open_bus
    from tests.bench.delivery import open_systems
    from tests.bench.worker import worker_round

    with _folder() as folder, open_bus(folder, events=4_000) as bus, open_systems(folder / "systems") as systems:
        per_s = soaking.SHARE * worker_round(bus).events_per_s
        progress(f"soak: {amount.minutes:g} minutes at {per_s:.0f} events/s")
        seen = soaking.soak(bus, systems, minutes=amount.minutes, per_s=per_s, progress=progress)
    return soaking.rows(seen, minutes=amount.minutes, per_s=per_s)


PARTS: dict[str, Callable[[Amount, Progress], list[Row]]] = {
    "pure": pure,
    "flat": flat,
    "worker": worker,
    "sizes": sizes,
    "deliver": deliver,
    "replay": replay,
    "explain": explain,
    "soak": soak,
}
#: What is measured when no part is named: all but what takes half an hour.
USUAL: Sequence[str] = tuple(part for part in PARTS if part != "soak")
#: What `--quick` measures when no part is named: those without a broker.
WITHOUT_BROKER: Sequence[str] = ("pure", "flat")


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="safebus-bench-") as folder:
        yield Path(folder)

"""
What can be counted, and under which names?

Whoever works keeps plain numbers; here they are read when somebody asks, so counting costs the work next to nothing.
Every label's value is from a fixed list or from what is configured (partners, topics, transports): never an id, never
anything of an event. What is not on the list becomes `other`.

Source: prometheus.io, "Metric and label naming"; delivery notes 5.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from itertools import accumulate
from typing import Final, Protocol, get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from safebus.consumers.adapters.interface import Reply
from safebus.consumers.delivery.measures import Observed, Spread, Told
from safebus.consumers.delivery.stages import ENDED
from safebus.schemas import gate
from safebus.schemas.bus_records import Outcome
from safebus.schemas.event_schemas import event_schemas
from safebus.streams.worker.app import GROUP
from safebus.streams.worker.counts import Counts, Fate
from safebus.streams.worker.watchdog import Progress

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

OTHER: Final = "other"
#: What the worker sets events aside for, beside what the gate refuses them for.
SET_ASIDE_FOR: Final = (
    "WRONG_SOURCE", "ID_REUSED", "REDO_DIFFERS", "NO_RECIPIENT", "IDENTITY_AMBIGUOUS", "IDENTITY_MISMATCH",
)  # fmt: skip
REASONS: Final = (*gate.GateReason, *SET_ASIDE_FOR, OTHER)
FATES: Final[tuple[Fate, ...]] = get_args(Fate)


def registry(collector: Collector, *, rules_digest: str) -> CollectorRegistry:
    """A registry with one process's numbers, what it is made of, and what the system says of it."""
    found = CollectorRegistry()
    ProcessCollector(registry=found)
    found.register(_Build(rules_digest))
    found.register(collector)
    return found


def exposition(found: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The numbers as text, in the form that is asked for: Prometheus' own, or OpenMetrics; and its content type."""
    encode, content_type = choose_encoder(accept)
    return encode(found), content_type


class _Build(Collector):
    def __init__(self, rules_digest: str) -> None:
        self._labels = {"version": version("safebus"), "rules_digest": rules_digest}

    def collect(self) -> Iterator[InfoMetricFamily]:
        yield InfoMetricFamily("safebus_build", "Version, and the digest of the rules that decide", self._labels)


class There(Protocol):
    """The `in.*` topics and the partners there are by now; answers for others are counted together."""

    @property
    def publishing(self) -> Sequence[str]: ...

    @property
    def recipients(self) -> Collection[str]: ...


class WorkerNumbers(Collector):
    """A worker's numbers."""

    def __init__(
        self,
        counts: Counts,
        pulse: Progress,
        there: There,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counts, self._pulse, self._there, self._clock = counts, pulse, there, clock
        self._types = frozenset(event_schemas().current)
        self._since = clock()

    def collect(self) -> Iterator[Family]:
        """Read everything once."""
        yield self._events()
        yield self._decisions()
        yield self._quarantined()
        yield from self._progress(self._clock())
        yield from register_numbers(self._pulse, since=self._since, now=self._clock())

    def _events(self) -> Family:
        # From zero on: a first event must be an increase, and an agency that sends none must be seen to send none.
        events = CounterMetricFamily(
            "safebus_events", "Events dealt with, by what became of them", labels=("topic", "outcome")
        )
        for topic in sorted(self._there.publishing):
            for fate in FATES:
                events.add_metric((topic, fate), self._counts.by_topic.get((topic, fate), 0))
        return events

    def _decisions(self) -> Family:
        decisions = CounterMetricFamily(
            "safebus_decisions",
            "Answers, one for each recipient and person",
            labels=("event_type", "recipient", "decision"),
        )
        sums: dict[tuple[str, str, Outcome], int] = {}
        recipients = frozenset(self._there.recipients)
        for (event_type, recipient, outcome), count in list(self._counts.answers.items()):
            key = _known(event_type, self._types), _known(recipient, recipients), outcome
            sums[key] = sums.get(key, 0) + count
        for (event_type, recipient, outcome), count in sorted(sums.items()):
            decisions.add_metric((event_type, recipient, outcome.value.lower()), count)
        return decisions

    def _quarantined(self) -> Family:
        quarantined = CounterMetricFamily(
            "safebus_quarantined", "Events set aside, sealed, for a person to look at", labels=("reason",)
        )
        sums = dict.fromkeys(REASONS, 0)
        for reason, count in list(self._counts.quarantined.items()):
            sums[_known(reason, REASONS)] += count
        for reason, count in sums.items():
            quarantined.add_metric((str(reason),), count)
        return quarantined

    def _progress(self, now: float) -> Iterator[Family]:
        lag = GaugeMetricFamily(
            "safebus_consumer_lag_messages",
            "Records that wait to be dealt with",
            labels=("group", "topic", "partition"),
        )
        for (topic, partition), waiting in sorted(self._pulse.lag.items()):
            lag.add_metric((GROUP, topic, str(partition)), waiting)
        yield lag
        yield GaugeMetricFamily(
            "safebus_commit_age_seconds",
            "For how long records have waited without any of their partition being finished",
            self._pulse.commit_age_s(now),
        )


class DeliverNumbers(Collector):
    """The numbers of a delivery process. `clock` as the couriers', `ticks` as the pulse's."""

    def __init__(
        self,
        couriers: Sequence[Observed],
        pulse: Progress,
        *,
        clock: Callable[[], datetime],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._couriers, self._pulse, self._clock, self._ticks = couriers, pulse, clock, ticks
        self._since = ticks()

    def collect(self) -> Iterator[Family]:
        """Read everything once."""
        yield from self._attempts()
        yield from self._ended()
        yield from self._open(self._clock())
        yield from register_numbers(self._pulse, since=self._since, now=self._ticks())

    def _attempts(self) -> Iterator[Family]:
        labels = ("destination", "transport")
        attempts = CounterMetricFamily(
            "safebus_delivery_attempts", "What partners' systems answered", labels=(*labels, "outcome")
        )
        took = HistogramMetricFamily("safebus_delivery_duration_seconds", "How long one attempt took", labels=labels)
        arrival = HistogramMetricFamily(
            "safebus_event_to_delivery_seconds", "From decided to handed over", labels=("destination",)
        )
        for courier in self._couriers:
            where = courier.partner, courier.transport
            for reply in Reply:
                attempts.add_metric((*where, reply.value.lower()), courier.facts.attempts[reply])
            _add(took, where, courier.facts.took)
            _add(arrival, where[:1], courier.facts.arrival)
        yield from (attempts, took, arrival)

    def _ended(self) -> Iterator[Family]:
        ended = CounterMetricFamily(
            "safebus_deliveries_ended",
            "Deliveries to which nothing more happens by itself",
            labels=("destination", "outcome"),
        )
        notices = CounterMetricFamily(
            "safebus_notices", "Attempts to tell a partner that a consent ended", labels=("destination", "outcome")
        )
        for courier in self._couriers:
            for stage in sorted(ENDED):
                ended.add_metric((courier.partner, stage.value.lower()), courier.facts.stages[stage])
            for told in Told:
                notices.add_metric((courier.partner, told.value), courier.facts.notices[told])
        yield from (ended, notices)

    def _open(self, now: datetime) -> Iterator[Family]:
        labels = ("destination", "state")
        deliveries = GaugeMetricFamily(
            "safebus_deliveries", "Deliveries taken in (at most 500) that have not ended", labels=labels
        )
        oldest = GaugeMetricFamily(
            "safebus_delivery_oldest_seconds", "Since the oldest was decided; 0: none", labels=labels
        )
        held = GaugeMetricFamily(
            "safebus_destination_held", "1: it lets nothing in, look at it", labels=("destination",)
        )
        for courier in self._couriers:
            for standing, pile in courier.piles().items():
                deliveries.add_metric((courier.partner, standing.value), pile.count)
                age = 0.0 if pile.oldest is None else max(0.0, (now - pile.oldest).total_seconds())
                oldest.add_metric((courier.partner, standing.value), age)
            held.add_metric((courier.partner,), int(courier.held))
        yield from (deliveries, oldest, held)


def register_numbers(pulse: Progress, *, since: float, now: float) -> Iterable[Family]:
    """How far the register was read, and how long ago; before it ever was, since the process began."""
    yield GaugeMetricFamily(
        "safebus_register_offset", "Of the last register entry applied; -1: none", pulse.register_offset
    )
    at = since if pulse.register_at is None else pulse.register_at
    yield GaugeMetricFamily(
        "safebus_register_age_seconds", "Since the register was last read to its end", max(0.0, now - at)
    )


def _known(value: str, known: Collection[str]) -> str:
    return value if value in known else OTHER


def _add(family: HistogramMetricFamily, labels: Sequence[str], spread: Spread) -> None:
    ends = [*map(floatToGoString, spread.bounds), "+Inf"]
    family.add_metric(labels, list(zip(ends, accumulate(spread.counts), strict=True)), spread.total)

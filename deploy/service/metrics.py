"""
How are the numbers of `deploy.service.metric_list` kept and shown?

What happens is counted when it happens: the worker and the couriers tell their tally, and this is one. How things stand
is looked up when somebody asks. A process that shows nothing never loads this module, nor what it imports.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from safebus.consumers.adapters.adapter import Reply
from safebus.consumers.delivery.measures import Observed, PartnerTopic, Told
from safebus.consumers.delivery.stages import ENDED
from safebus.deploy.service import metric_list
from safebus.deploy.service.metric_list import FATES, OTHER, REASONS, Metric
from safebus.deploy.service.topic_plan import Drift
from safebus.schemas import signing
from safebus.schemas.bus_records import Answer, Stage
from safebus.schemas.errors import BadInput
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.kafka.allowed import Right
from safebus.streams.worker.app import GROUP
from safebus.streams.worker.counts import Fate
from safebus.streams.worker.watchdog import Progress


class Numbers:
    """
    What every process shows: what it is made of, how far it has read the register, and what the system says of it.

    Args:
        certificate: The file with that of this process.
        lacking: What it may not do and should.
        ticks: Seconds, by the same clock as the pulse.
    """

    def __init__(
        self,
        pulse: Progress,
        *,
        rules_digest: str,
        certificate: Path | None = None,
        lacking: Callable[[], Sequence[Right]] = tuple,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = CollectorRegistry()
        self._pulse, self._ticks, self._since = pulse, ticks, ticks()
        # A second series beside every counter, which nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        ProcessCollector(registry=self.registry)
        build = Info(metric_list.BUILD.name.removesuffix("_info"), metric_list.BUILD.meaning, registry=self.registry)
        build.info({"version": version("safebus"), "rules_digest": rules_digest})
        self._register_offset = self._gauge(metric_list.REGISTER_OFFSET)
        self._register_age = self._gauge(metric_list.REGISTER_AGE)
        self._certificate, self._certificate_ends = certificate, self._gauge(metric_list.CERTIFICATE_ENDS)
        self._lacking, self._rights_missing = lacking, self._gauge(metric_list.RIGHTS_MISSING)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The numbers as text, in the form that is asked for: Prometheus' own, or OpenMetrics; and its content type."""
        self.look(self._ticks())
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def look(self, now: float) -> None:
        """See how things stand; before the register was ever read, it ages from the start of the process on."""
        at = self._since if self._pulse.register_at is None else self._pulse.register_at
        self._register_offset.set(self._pulse.register_offset)
        self._register_age.set(max(0.0, now - at))
        self._rights_missing.clear()
        for right in self._lacking():
            self._rights_missing.labels(right.operation, right.name).set(1)
        if self._certificate is not None:
            # As the file has it now; while it is being renewed it may be none.
            with contextlib.suppress(BadInput):
                self._certificate_ends.set(signing.validity(self._certificate)[1].timestamp())

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.meaning, metric.label_names, registry=self.registry)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.meaning, metric.label_names, registry=self.registry)

    def _histogram(self, metric: Metric) -> Histogram:
        return Histogram(metric.name, metric.meaning, metric.label_names, registry=self.registry, buckets=metric.bounds)


class There(Protocol):
    """The `in.*` topics and the partners there are by now; what is of others is counted together."""

    @property
    def publishing(self) -> Sequence[str]: ...

    @property
    def recipients(self) -> Collection[str]: ...

    @property
    def lacking(self) -> Sequence[Right]: ...


class WorkerNumbers(Numbers):
    """
    A worker's numbers: an `EventTally`.

    Args:
        drift: How its topics differ from what they should be.
    """

    def __init__(
        self,
        pulse: Progress,
        there: There,
        *,
        rules_digest: str,
        certificate: Path | None = None,
        drift: Callable[[], Sequence[Drift]] = tuple,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            pulse, rules_digest=rules_digest, certificate=certificate, lacking=lambda: there.lacking, ticks=ticks
        )
        self._there = there
        self._types = frozenset(event_schemas().current)
        self._topics: frozenset[str] = frozenset()
        self._recipients: frozenset[str] = frozenset()
        self._events = self._counter(metric_list.EVENTS)
        self._decisions = self._counter(metric_list.DECISIONS)
        self._quarantined = self._counter(metric_list.QUARANTINED)
        self._owed = self._counter(metric_list.OWED)
        self._unclear = self._counter(metric_list.UNCLEAR)
        self._other_secret = self._counter(metric_list.OTHER_CASE_SECRET)
        self._lag = self._gauge(metric_list.LAG)
        self._commit_age = self._gauge(metric_list.COMMIT_AGE)
        self._drift, self._topic_drift = drift, self._gauge(metric_list.TOPIC_DRIFT)
        for reason in REASONS:
            self._quarantined.labels(reason)

    def event_dealt_with(self, topic: str, fate: Fate) -> None:
        """One event of a topic is dealt with."""
        if topic not in self._topics:
            self._show_topics()
        self._events.labels(_known(topic, self._topics), fate).inc()

    def answered(self, event_type: str, answers: Iterable[Answer]) -> None:
        """One event was decided for these recipients."""
        for answer in answers:
            if answer.recipient not in self._recipients:
                self._recipients |= frozenset(self._there.recipients)
            recipient = _known(answer.recipient, self._recipients)
            self._decisions.labels(_known(event_type, self._types), recipient, answer.outcome.value.lower()).inc()
            if answer.unclear:
                self._unclear.labels(recipient).inc()

    def set_aside(self, reason: str) -> None:
        """One event is put where a person looks."""
        self._quarantined.labels(_known(reason, REASONS)).inc()

    def is_owed(self, partner: str) -> None:
        """One notification is permitted, and the partner's topic did not take it."""
        self._recipients |= frozenset(self._there.recipients)
        self._owed.labels(_known(partner, self._recipients)).inc()

    def under_other_secret(self, topic: str) -> None:
        """The key of one event of a topic was made with another secret than the agency's."""
        self._other_secret.labels(_known(topic, self._topics)).inc()

    def look(self, now: float) -> None:
        """See how things stand."""
        super().look(now)
        self._show_topics()
        self._recipients |= frozenset(self._there.recipients)
        for recipient in sorted(self._recipients):
            for counter in (self._owed, self._unclear):
                counter.labels(recipient)  # from zero on
        self._lag.clear()  # a partition that is another worker's by now is shown by that one
        for (topic, partition), waiting in sorted(self._pulse.lag.items()):
            self._lag.labels(GROUP, topic, str(partition)).set(waiting)
        self._commit_age.set(self._pulse.commit_age_s(now))
        self._topic_drift.clear()
        for one in self._drift():
            self._topic_drift.labels(one.topic, one.setting).set(1)

    def _show_topics(self) -> None:
        # From zero on: a first event must be an increase, and an agency that sends none must be seen to send none.
        for topic in sorted(set(self._there.publishing) - self._topics):
            for fate in FATES:
                self._events.labels(topic, fate)
            self._other_secret.labels(topic)
        self._topics |= frozenset(self._there.publishing)


class DeliverNumbers(Numbers):
    """
    The numbers of a delivery process. From here on its couriers tell them what they do.

    Args:
        clock: As the couriers'.
    """

    def __init__(
        self,
        couriers: Collection[Observed],
        pulse: Progress,
        *,
        clock: Callable[[], datetime],
        rules_digest: str,
        certificate: Path | None = None,
        lacking: Callable[[], Sequence[Right]] = tuple,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(pulse, rules_digest=rules_digest, certificate=certificate, lacking=lacking, ticks=ticks)
        self._couriers, self._clock = couriers, clock
        self.attempts = self._counter(metric_list.ATTEMPTS)
        self.took = self._histogram(metric_list.DURATION)
        self.arrival = self._histogram(metric_list.ARRIVAL)
        self.ended = self._counter(metric_list.DELIVERIES_ENDED)
        self.notices = self._counter(metric_list.NOTICES)
        self.strange = self._counter(metric_list.STRANGE)
        self._deliveries = self._gauge(metric_list.DELIVERIES)
        self._oldest = self._gauge(metric_list.OLDEST)
        self._held = self._gauge(metric_list.HELD)
        self._silent = self._gauge(metric_list.SILENT)
        self._paused = self._gauge(metric_list.PAUSED)
        for courier in couriers:
            self.watch(courier)

    def watch(self, courier: Observed) -> None:
        """From here on this courier tells what it does."""
        courier.facts.tally = _OneCourier(self, courier.partner, courier.transport)

    def look(self, now: float) -> None:
        """See how things stand."""
        super().look(now)
        at = self._clock()
        for courier in self._couriers:
            for standing, pile in courier.piles().items():
                age = timedelta() if pile.oldest is None else at - pile.oldest
                self._deliveries.labels(courier.partner, standing.value).set(pile.count)
                self._oldest.labels(courier.partner, standing.value).set(_seconds(age))
            self._held.labels(courier.partner).set(int(courier.held))
            self._silent.labels(courier.partner).set(int(courier.silent))
            self._paused.labels(courier.partner).set(int(courier.paused))


class _OneCourier:
    """One courier's part of them, from zero on: a `DeliveryTally`."""

    def __init__(self, numbers: DeliverNumbers, partner: str, transport: str) -> None:
        self._attempts = {r: numbers.attempts.labels(partner, transport, r.value.lower()) for r in Reply}
        self._took = numbers.took.labels(partner, transport)
        self._arrival = numbers.arrival.labels(partner)
        self._ended = {s: numbers.ended.labels(partner, s.value.lower()) for s in sorted(ENDED)}
        self._notices = {told: numbers.notices.labels(partner, told.value) for told in Told}
        self._strange = {on: numbers.strange.labels(partner, on.value) for on in PartnerTopic}

    def attempted(self, reply: Reply, took: timedelta) -> None:
        """The partner answered an attempt, or did not."""
        self._attempts[reply].inc()
        self._took.observe(_seconds(took))

    def receipt_written(self, stage: Stage, since_decided: timedelta) -> None:
        """A receipt is on record."""
        if stage in self._ended:
            self._ended[stage].inc()
        if stage is Stage.HANDED_OVER:
            self._arrival.observe(_seconds(since_decided))

    def noticed(self, told: Told) -> None:
        """A partner was told that a consent ended, or was to be."""
        self._notices[told].inc()

    def strange(self, on: PartnerTopic) -> None:
        """A record stands there that the bus did not write."""
        self._strange[on].inc()


def _known(value: str, known: Collection[str]) -> str:
    return value if value in known else OTHER


def _seconds(span: timedelta) -> float:
    """A clock that was set back gives nothing below zero."""
    return max(0.0, span.total_seconds())

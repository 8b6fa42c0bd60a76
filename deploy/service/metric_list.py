"""
Which numbers does a process show, under which names, and what does each mean?

The one list. `deploy.service.metrics` makes them from it, docs/reference/metrics.md is made from it, and dashboards and
alerts name what stands here. Every label's value is from a fixed list or from what is configured (partners, topics,
transports): never an id, never anything of an event. What is on no list is counted as `other`.

Source: prometheus.io, "Metric and label naming".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, get_args

from safebus.consumers.adapters.adapter import Reply
from safebus.consumers.delivery.measures import OpenState, PartnerTopic, Told
from safebus.consumers.delivery.stages import ENDED
from safebus.deploy.service.topic_plan import SETTINGS
from safebus.schemas.bus_records import Outcome
from safebus.streams.rules.reasons import SET_ASIDE
from safebus.streams.worker.counts import Fate

OTHER: Final = "other"
FATES: Final[tuple[Fate, ...]] = get_args(Fate)
REASONS: Final = (*map(str, SET_ASIDE), OTHER)


class MetricKind(StrEnum):
    """As Prometheus calls them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True)
class Label:
    """
    What a number is told apart by.

    Attributes:
        holds: Where its values come from.
        values: All of them, where the list is fixed.
    """

    name: str
    holds: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """
    One number, or one for each value of its labels.

    Attributes:
        name: As it is shown; of a histogram, without `_bucket`, `_count` and `_sum`.
        meaning: Its help text.
        unit: Of its values; of a counter, what is counted.
        bounds: Of a histogram: the buckets' upper ends, included.
    """

    kind: MetricKind
    name: str
    meaning: str
    unit: str
    labels: tuple[Label, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """In the order in which values are given."""
        return tuple(label.name for label in self.labels)


_DESTINATION = Label("destination", "the partner")
_TRANSPORT = Label("transport", "of its adapter, as in the destinations file")
_STATE = Label("state", "how it stands", tuple(OpenState))

BUILD: Final = Metric(
    MetricKind.INFO,
    "safebus_build_info",
    "Version, and the digest of the rules that decide",
    "",
    (Label("version", "of safebus"), Label("rules_digest", "as in decision records")),
)
REGISTER_OFFSET: Final = Metric(
    MetricKind.GAUGE, "safebus_register_offset", "Of the last register entry applied; -1: none", "offset"
)
REGISTER_AGE: Final = Metric(
    MetricKind.GAUGE, "safebus_register_age_seconds", "Since the register was last read to its end", "seconds"
)
CERTIFICATE_ENDS: Final = Metric(
    MetricKind.GAUGE,
    "safebus_certificate_ends_timestamp_seconds",
    "When the certificate of this process ends; 0: it has none",
    "seconds since 1970",
)
RIGHTS_MISSING: Final = Metric(
    MetricKind.GAUGE,
    "safebus_rights_missing",
    "1: this process may not do this and should, or the topic is not there",
    "0 or 1",
    (Label("right", "as Kafka names it"), Label("topic", "of the bus")),
)
#: Of every process that shows numbers, beside `process_*`, which the system says of it.
OF_EACH: Final = (BUILD, REGISTER_OFFSET, REGISTER_AGE, CERTIFICATE_ENDS, RIGHTS_MISSING)

_IN_TOPIC: Final = Label("topic", "an `in.*` topic; each is shown as zero from the start on")
EVENTS: Final = Metric(
    MetricKind.COUNTER,
    "safebus_events_total",
    "Events dealt with, by what became of them",
    "events",
    (_IN_TOPIC, Label("outcome", "what became of it", FATES)),
)
DECISIONS: Final = Metric(
    MetricKind.COUNTER,
    "safebus_decisions_total",
    "Answers, one for each recipient and person",
    "answers",
    (
        Label("event_type", f"as `safebus schemas list` shows them, or `{OTHER}`"),
        Label("recipient", f"a partner with an `out.*` topic, or `{OTHER}`"),
        Label("decision", "the outcome", tuple(outcome.value.lower() for outcome in Outcome)),
    ),
)
QUARANTINED: Final = Metric(
    MetricKind.COUNTER,
    "safebus_quarantined_total",
    "Events set aside, sealed, for a person to look at",
    "events",
    (Label("reason", "see reasons.md; each is shown as zero from the start on", REASONS),),
)
LAG: Final = Metric(
    MetricKind.GAUGE,
    "safebus_consumer_lag_messages",
    "Records that wait to be dealt with",
    "records",
    (Label("group", "the workers' group"), Label("topic", "an `in.*` topic"), Label("partition", "one of ours")),
)
COMMIT_AGE: Final = Metric(
    MetricKind.GAUGE,
    "safebus_commit_age_seconds",
    "For how long records have waited without any of their partition being finished",
    "seconds",
)
OWED: Final = Metric(
    MetricKind.COUNTER,
    "safebus_notifications_owed_total",
    "Notifications that are permitted and that the partner's topic did not take; `safebus deliveries again` sends them",
    "notifications",
    (Label("recipient", f"a partner with an `out.*` topic, or `{OTHER}`"),),
)
UNCLEAR: Final = Metric(
    MetricKind.COUNTER,
    "safebus_notifications_unclear_total",
    "Notifications that do not say to their recipient which person is meant; `safebus deliveries list --unclear` shows "
    "them",
    "notifications",
    (Label("recipient", f"a partner with an `out.*` topic, or `{OTHER}`"),),
)
OTHER_CASE_SECRET: Final = Metric(
    MetricKind.COUNTER,
    "safebus_events_other_case_secret_total",
    "Events whose key was made with another case secret than the one that the register names for their agency, or than "
    "the first that came: two of its processes may put one case on two partitions, in no order",
    "events",
    (_IN_TOPIC,),
)
TOPIC_DRIFT: Final = Metric(
    MetricKind.GAUGE,
    "safebus_topic_drift",
    "1: this setting of this topic is not what it should be; `safebus topics plan` says what comes of it",
    "0 or 1",
    (
        Label("topic", "of those that a worker reads or writes"),
        Label("setting", "as Kafka names it, or the number of partitions", tuple(SETTINGS)),
    ),
)
OF_WORKERS: Final = (EVENTS, DECISIONS, QUARANTINED, OWED, UNCLEAR, OTHER_CASE_SECRET, LAG, COMMIT_AGE, TOPIC_DRIFT)

ATTEMPTS: Final = Metric(
    MetricKind.COUNTER,
    "safebus_delivery_attempts_total",
    "What partners' systems answered",
    "attempts",
    (_DESTINATION, _TRANSPORT, Label("outcome", "the answer", tuple(reply.value.lower() for reply in Reply))),
)
#: Adapters give up after half a minute.
DURATION: Final = Metric(
    MetricKind.HISTOGRAM,
    "safebus_delivery_duration_seconds",
    "How long one attempt took",
    "seconds",
    (_DESTINATION, _TRANSPORT),
    (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
#: 1 s to 5 days, as long as a partner's system may be down over a week-end.
ARRIVAL: Final = Metric(
    MetricKind.HISTOGRAM,
    "safebus_event_to_delivery_seconds",
    "From decided to handed over",
    "seconds",
    (_DESTINATION,),
    (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0, 72 * 3600.0, 120 * 3600.0),
)
DELIVERIES_ENDED: Final = Metric(
    MetricKind.COUNTER,
    "safebus_deliveries_ended_total",
    "Deliveries to which nothing more happens by itself",
    "deliveries",
    (_DESTINATION, Label("outcome", "how it ended", tuple(stage.value.lower() for stage in sorted(ENDED)))),
)
NOTICES: Final = Metric(
    MetricKind.COUNTER,
    "safebus_notices_total",
    "Attempts to tell a partner that a consent ended",
    "attempts",
    (_DESTINATION, Label("outcome", "what came of it", tuple(Told))),
)
STRANGE: Final = Metric(
    MetricKind.COUNTER,
    "safebus_strange_records_total",
    "Records on a partner's topics that the bus did not write: somebody has a right that is not theirs",
    "records",
    (_DESTINATION, Label("on", "on which of them", tuple(PartnerTopic))),
)
DELIVERIES: Final = Metric(
    MetricKind.GAUGE,
    "safebus_deliveries",
    "Deliveries taken in (at most 500) that have not ended",
    "deliveries",
    (_DESTINATION, _STATE),
)
OLDEST: Final = Metric(
    MetricKind.GAUGE,
    "safebus_delivery_oldest_seconds",
    "Since the oldest was decided; 0: none",
    "seconds",
    (_DESTINATION, _STATE),
)
HELD: Final = Metric(
    MetricKind.GAUGE, "safebus_destination_held", "1: it lets nothing in, look at it", "0 or 1", (_DESTINATION,)
)
SILENT: Final = Metric(
    MetricKind.GAUGE,
    "safebus_destination_silent",
    "1: ten attempts in a row came to nothing, and one at a time is made",
    "0 or 1",
    (_DESTINATION,),
)
PAUSED: Final = Metric(
    MetricKind.GAUGE, "safebus_deliveries_paused", "1: an operator wants nothing handed over", "0 or 1", (_DESTINATION,)
)
OF_DELIVERY: Final = (
    ATTEMPTS,
    DURATION,
    ARRIVAL,
    DELIVERIES_ENDED,
    NOTICES,
    STRANGE,
    DELIVERIES,
    OLDEST,
    HELD,
    SILENT,
    PAUSED,
)

"""Which numbers are shown, under which names, and what can never stand in a label."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from a_courier import ACourier
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from safebus.consumers.adapters.interface import Reply
from safebus.consumers.delivery.measures import OpenState, Pile, Spread, Told
from safebus.deploy.service import metrics
from safebus.schemas.bus_records import Outcome, Stage
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.gate import GateReason
from safebus.streams.rules.reasons import Aside
from safebus.streams.worker.app import GROUP
from safebus.streams.worker.counts import Counts
from safebus.streams.worker.watchdog import Progress

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
POLICE, HOUSING = "in.fordshire-police", "in.fordshire-housing"
ENCOMPASS = "police.encompass.v1"
#: Name and labels, as `name{label="value",...}` in the order of the labels' names -> value.
Shown = dict[str, float]


@dataclass
class There:
    """What the broker has."""

    publishing: list[str] = field(default_factory=lambda: [POLICE, HOUSING])
    recipients: list[str] = field(default_factory=lambda: ["ash-primary", "haven"])


def shown(collector: Collector, accept: str = "") -> Shown:
    """What is not zero, without what the system says of the process."""
    text, _ = metrics.exposition(metrics.registry(collector, rules_digest="d1"), accept)
    return {
        s.name + "{" + ",".join(f'{k}="{v}"' for k, v in sorted(s.labels.items())) + "}": s.value
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
        if s.value and s.name.startswith("safebus_")
    }


def worker(counts: Counts, pulse: Progress, *, now: float = 100.0) -> metrics.WorkerNumbers:
    """A worker that began at second 100."""
    ticks = iter([100.0])
    return metrics.WorkerNumbers(counts, pulse, There(), clock=lambda: next(ticks, now))


def test_a_workers_numbers_are_these() -> None:
    counts = Counts(quarantined={"TRUNCATED": 2, "NO_RECIPIENT": 1})
    for fate in ("routed", "routed", "withheld", "rejected", "rejected", "repeated", "redone"):
        counts.event(POLICE, fate)  # type: ignore[arg-type]
    counts.answers = {(ENCOMPASS, "haven", Outcome.PERMIT): 2, (ENCOMPASS, "ash-primary", Outcome.REFUSE): 3}
    pulse = Progress(register_at=101.0, register_offset=41)
    pulse.looked({(POLICE, 0): 9, (POLICE, 1): 5}, {(POLICE, 0): 9, (POLICE, 1): 2}, now=90.0)

    group = f'group="{GROUP}"'
    build = {key: value for key, value in shown(worker(counts, pulse, now=103.5)).items() if "safebus_build" in key}
    assert shown(worker(counts, pulse, now=103.5)) == build | {
        f'safebus_events_total{{outcome="routed",topic="{POLICE}"}}': 2,
        f'safebus_events_total{{outcome="withheld",topic="{POLICE}"}}': 1,
        f'safebus_events_total{{outcome="rejected",topic="{POLICE}"}}': 2,
        f'safebus_events_total{{outcome="repeated",topic="{POLICE}"}}': 1,
        f'safebus_events_total{{outcome="redone",topic="{POLICE}"}}': 1,
        f'safebus_decisions_total{{decision="permit",event_type="{ENCOMPASS}",recipient="haven"}}': 2,
        f'safebus_decisions_total{{decision="refuse",event_type="{ENCOMPASS}",recipient="ash-primary"}}': 3,
        'safebus_quarantined_total{reason="TRUNCATED"}': 2,
        'safebus_quarantined_total{reason="NO_RECIPIENT"}': 1,
        f'safebus_consumer_lag_messages{{{group},partition="1",topic="{POLICE}"}}': 3,
        "safebus_commit_age_seconds{}": 13.5,
        "safebus_register_offset{}": 41,
        "safebus_register_age_seconds{}": 2.5,
    }
    assert [re.sub(r"version=.*", "", key) for key in build] == ['safebus_build_info{rules_digest="d1",']


def test_before_the_first_event_every_agency_and_reason_is_shown_as_zero() -> None:
    """Or the first of a kind would be no increase, and an agency that sends nothing could not be seen."""
    text, _ = metrics.exposition(metrics.registry(worker(Counts(), Progress()), rules_digest="d1"), "")
    zeros = {
        (s.name, *sorted(s.labels.values()))
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
        if s.name in ("safebus_events_total", "safebus_quarantined_total") and s.value == 0
    }

    fates = {("safebus_events_total", *sorted((fate, topic))) for fate in metrics.FATES for topic in (POLICE, HOUSING)}
    assert zeros == fates | {("safebus_quarantined_total", str(reason)) for reason in metrics.REASONS}


def test_a_register_that_was_never_read_ages_from_the_start_on() -> None:
    assert shown(worker(Counts(), Progress(), now=161.0))["safebus_register_age_seconds{}"] == 61.0


_ANY = st.text(max_size=30) | st.sampled_from([ENCOMPASS, "haven", "TRUNCATED", POLICE])


@given(
    quarantined=st.dictionaries(_ANY, st.integers(1, 9)),
    by_topic=st.dictionaries(st.tuples(_ANY, st.sampled_from(metrics.FATES)), st.integers(1, 9)),
    answers=st.dictionaries(st.tuples(_ANY, _ANY, st.sampled_from(Outcome)), st.integers(1, 9)),
)
def test_whatever_was_counted_every_label_is_from_a_list(
    quarantined: dict[str, int],
    by_topic: dict[tuple[str, metrics.Fate], int],
    answers: dict[tuple[str, str, Outcome], int],
) -> None:
    """A name, an id or a number of a person cannot become a label; and nothing that was counted is lost."""
    counts = Counts(quarantined=quarantined, by_topic=by_topic, answers=answers)
    families = list(worker(counts, Progress()).collect())

    allowed = {
        "topic": {POLICE, HOUSING},
        "outcome": set(metrics.FATES),
        "reason": {str(reason) for reason in metrics.REASONS},
        "event_type": {*event_schemas().current, metrics.OTHER},
        "recipient": {*There().recipients, metrics.OTHER},
        "decision": {"permit", "refuse", "hold"},
    }
    samples = [s for family in families for s in family.samples]
    assert [(k, v) for s in samples for k, v in s.labels.items() if v not in allowed[k]] == []
    assert total(samples, "safebus_quarantined_total") == sum(quarantined.values())
    assert total(samples, "safebus_decisions_total") == sum(answers.values())


def total(samples: Iterable[object], name: str) -> float:
    return sum(s.value for s in samples if s.name == name)  # type: ignore[attr-defined]


def test_every_reason_that_the_worker_sets_aside_for_has_a_name_of_its_own() -> None:
    """`test_reasons` holds that there are no others."""
    assert set(metrics.REASONS) == {*GateReason, *Aside, metrics.OTHER}


def delivery(courier: ACourier) -> metrics.DeliverNumbers:
    return metrics.DeliverNumbers(
        [courier], Progress(register_at=7.0, register_offset=3), clock=lambda: NOON, ticks=lambda: 8.0
    )


def test_the_numbers_of_a_delivery_process_are_these() -> None:
    courier = ACourier(held=True)
    courier.open[OpenState.HELD] = Pile(4, NOON - timedelta(minutes=20))
    courier.facts.tried(Reply.BUSY, took=timedelta(seconds=30))
    courier.facts.tried(Reply.ACCEPTED, took=timedelta(milliseconds=20))
    courier.facts.wrote(Stage.WAITING, since_decided=timedelta(seconds=1))
    courier.facts.wrote(Stage.HANDED_OVER, since_decided=timedelta(hours=2))
    courier.facts.notices[Told.REFUSED] += 1
    found = {k: v for k, v in shown(delivery(courier)).items() if "_bucket" not in k and "_build" not in k}

    where = 'destination="haven"'
    assert found == {
        f'safebus_delivery_attempts_total{{{where},outcome="busy",transport="folder"}}': 1,
        f'safebus_delivery_attempts_total{{{where},outcome="accepted",transport="folder"}}': 1,
        f'safebus_delivery_duration_seconds_count{{{where},transport="folder"}}': 2,
        f'safebus_delivery_duration_seconds_sum{{{where},transport="folder"}}': 30.02,
        f"safebus_event_to_delivery_seconds_count{{{where}}}": 1,
        f"safebus_event_to_delivery_seconds_sum{{{where}}}": 7200,
        f'safebus_deliveries_ended_total{{{where},outcome="handed_over"}}': 1,
        f'safebus_notices_total{{{where},outcome="refused"}}': 1,
        f'safebus_deliveries{{{where},state="held"}}': 4,
        f'safebus_delivery_oldest_seconds{{{where},state="held"}}': 1200,
        f"safebus_destination_held{{{where}}}": 1,
        "safebus_register_offset{}": 3,
        "safebus_register_age_seconds{}": 1.0,
    }


def test_a_histogram_counts_up_to_each_bound_included() -> None:
    courier = ACourier()
    for hours in (0, 4, 24, 200):
        courier.facts.wrote(Stage.HANDED_OVER, since_decided=timedelta(hours=hours))
    found = shown(delivery(courier))
    buckets = [v for k, v in found.items() if k.startswith("safebus_event_to_delivery_seconds_bucket")]

    #             1 s 5 s 15 s 1 m 5 m 15 m 1 h 4 h 1 d 3 d 5 d +Inf
    assert buckets == [1, 1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 4]


def test_a_clock_that_was_set_back_gives_nothing_below_zero() -> None:
    spread = Spread((1.0, 2.0))
    for seconds in (-5, 1, 1.5, 9):
        spread.add(timedelta(seconds=seconds))

    assert spread == Spread((1.0, 2.0), [2, 1, 1], 11.5)


def test_a_pile_knows_its_oldest() -> None:
    pile = Pile().with_one(NOON).with_one(NOON - timedelta(hours=1)).with_one(NOON + timedelta(hours=1))

    assert pile == Pile(3, NOON - timedelta(hours=1))


def test_both_forms_say_the_same() -> None:
    courier = ACourier()
    registry = metrics.registry(delivery(courier), rules_digest="d1")
    plain, plain_type = metrics.exposition(registry, "text/plain")
    opened, opened_type = metrics.exposition(registry, "application/openmetrics-text; version=1.0.0")

    ours = "safebus_"
    first = {
        (s.name, *s.labels.items(), s.value) for f in text_string_to_metric_families(plain.decode()) for s in f.samples
    }
    second = {
        (s.name, *s.labels.items(), s.value)
        for f in openmetrics.text_string_to_metric_families(opened.decode())
        for s in f.samples
    }
    assert {s for s in first if s[0].startswith(ours)} == {s for s in second if s[0].startswith(ours)} != set()
    assert (plain_type.split(";")[0], opened_type.split(";")[0]) == ("text/plain", "application/openmetrics-text")

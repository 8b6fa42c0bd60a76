"""Which numbers are shown, under which names, and what can never stand in a label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from a_courier import ACourier
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from safebus.consumers.adapters.adapter import Reply
from safebus.consumers.delivery.measures import OpenState, PartnerTopic, Pile, Told
from safebus.deploy.service import metric_list
from safebus.deploy.service.metric_list import FATES, OTHER, REASONS, Metric
from safebus.deploy.service.metrics import DeliverNumbers, Numbers, WorkerNumbers
from safebus.deploy.service.topic_plan import SETTINGS, Drift
from safebus.schemas.bus_records import Answer, Outcome, Stage
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.gate import GateReason
from safebus.schemas.kafka.allowed import Of, Right
from safebus.streams.rules.reasons import Aside
from safebus.streams.worker.app import GROUP
from safebus.streams.worker.counts import Counts, Fate
from safebus.streams.worker.watchdog import Progress

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
POLICE, HOUSING = "in.fordshire-police", "in.fordshire-housing"
ENCOMPASS = "police.encompass.v1"
#: Name and labels, as `name{label="value",...}` in the order of the labels' names -> value.
Shown = dict[str, float]


LACKING = Right("worker", "WRITE", Of.TOPIC, "out.haven")


@dataclass
class There:
    """What the broker has."""

    publishing: list[str] = field(default_factory=lambda: [POLICE, HOUSING])
    recipients: list[str] = field(default_factory=lambda: ["ash-primary", "haven"])
    lacking: list[Right] = field(default_factory=list)


def shown(numbers: Numbers, accept: str = "") -> Shown:
    """What is not zero, without what the system says of the process."""
    text, _ = numbers.exposition(accept)
    return {
        s.name + "{" + ",".join(f'{k}="{v}"' for k, v in sorted(s.labels.items())) + "}": s.value
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
        if s.value and s.name.startswith("safebus_")
    }


def worker(
    pulse: Progress, *, now: float = 100.0, there: There | None = None, drift: Sequence[Drift] = ()
) -> WorkerNumbers:
    """A worker that began at second 100."""
    ticks = iter([100.0])
    return WorkerNumbers(
        pulse, there or There(), rules_digest="d1", drift=lambda: drift, ticks=lambda: next(ticks, now)
    )


def answer(recipient: str, outcome: Outcome) -> Answer:
    """One of a decision's answers; nothing else of it may be counted."""
    return Answer(
        decision_id="d",
        recipient=recipient,
        subject_token="t",
        interest="",
        outcome=outcome,
        reasons=(),
        agreement_id=None,
        agreement_version=None,
        flow=None,
        basis=None,
        purpose="p",
        consent_state=None,
        consent_offset=None,
        released=(),
        withheld=(),
        call=None,
        notification_id=None,
        output_digest=None,
    )


def test_a_workers_numbers_are_these() -> None:
    pulse = Progress(register_at=101.0, register_offset=41)
    pulse.looked({(POLICE, 0): 9, (POLICE, 1): 5}, {(POLICE, 0): 9, (POLICE, 1): 2}, now=90.0)
    numbers = worker(pulse, now=103.5)
    counts = Counts(tally=numbers)
    for fate in ("routed", "routed", "withheld", "rejected", "rejected", "repeated", "redone"):
        counts.event(POLICE, fate)  # type: ignore[arg-type]
    counts.answered(ENCOMPASS, [answer("haven", Outcome.PERMIT), answer("ash-primary", Outcome.REFUSE)])
    counts.answered(ENCOMPASS, [answer("haven", Outcome.PERMIT), *[answer("ash-primary", Outcome.REFUSE)] * 2])
    for reason in ("TRUNCATED", "NO_RECIPIENT", "TRUNCATED"):
        counts.set_aside(reason)

    group = f'group="{GROUP}"'
    found = shown(numbers)
    build = {key: value for key, value in found.items() if "safebus_build" in key}
    assert found == build | {
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
    assert counts.quarantined == {"TRUNCATED": 2, "NO_RECIPIENT": 1}


def test_what_does_not_say_who_is_meant_is_counted_for_whoever_got_it() -> None:
    numbers = worker(Progress())
    unclear = answer("haven", Outcome.PERMIT).model_copy(update={"unclear": True})
    text, _ = numbers.exposition("")
    numbers.answered(
        ENCOMPASS, [unclear, answer("haven", Outcome.PERMIT), unclear.model_copy(update={"recipient": "x"})]
    )

    found = {key: value for key, value in shown(numbers).items() if "unclear" in key}
    assert 'safebus_notifications_unclear_total{recipient="haven"} 0.0' in text.decode(), "or the first is no increase"
    assert found == {
        f'safebus_notifications_unclear_total{{recipient="{recipient}"}}': 1 for recipient in ("haven", OTHER)
    }


def test_a_partition_that_is_another_workers_by_now_is_not_shown() -> None:
    pulse = Progress()
    pulse.looked({(POLICE, 0): 2, (POLICE, 1): 5}, {}, now=90.0)
    numbers = worker(pulse)
    before = shown(numbers)
    pulse.looked({(POLICE, 1): 5}, {}, now=91.0)
    after = shown(numbers)

    lag = "safebus_consumer_lag_messages"
    assert [len([key for key in each if key.startswith(lag)]) for each in (before, after)] == [2, 1]


def test_who_has_joined_since_is_counted_by_name() -> None:
    """And its topic is shown from zero on, with the next look."""
    there = There()
    numbers = worker(Progress(), there=there)
    numbers.answered(ENCOMPASS, [answer("new", Outcome.PERMIT)])
    there.publishing, there.recipients = [*there.publishing, "in.new"], [*there.recipients, "new"]
    numbers.answered(ENCOMPASS, [answer("new", Outcome.PERMIT)])
    text, _ = numbers.exposition("")

    decisions = {key: value for key, value in shown(numbers).items() if key.startswith("safebus_decisions")}
    assert decisions == {
        f'safebus_decisions_total{{decision="permit",event_type="{ENCOMPASS}",recipient="{recipient}"}}': 1
        for recipient in (OTHER, "new")
    }
    assert [line for line in text.decode().splitlines() if 'topic="in.new"' in line] == [
        *(f'safebus_events_total{{outcome="{fate}",topic="in.new"}} 0.0' for fate in FATES),
        'safebus_events_other_case_secret_total{topic="in.new"} 0.0',
    ]


def test_before_the_first_event_every_agency_and_reason_is_shown_as_zero() -> None:
    """Or the first of a kind would be no increase, and an agency that sends nothing could not be seen."""
    text, _ = worker(Progress()).exposition("")
    zeros = {
        (s.name, *sorted(s.labels.values()))
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
        if s.name in ("safebus_events_total", "safebus_quarantined_total") and s.value == 0
    }

    fates = {("safebus_events_total", *sorted((fate, topic))) for fate in FATES for topic in (POLICE, HOUSING)}
    assert zeros == fates | {("safebus_quarantined_total", str(reason)) for reason in REASONS}


def test_what_a_partner_is_owed_and_what_the_worker_lacks_is_shown_until_it_is_mended() -> None:
    there = There(lacking=[LACKING])
    numbers = worker(Progress(), there=there)
    counts = Counts(tally=numbers)
    before = shown(numbers)
    counts.is_owed("haven")
    counts.is_owed("whoever")
    owing = shown(numbers)
    there.lacking = []
    after = shown(numbers)

    missing = 'safebus_rights_missing{right="WRITE",topic="out.haven"}'
    assert 'safebus_notifications_owed_total{recipient="haven"}' not in before  # only what is not zero is shown here
    assert owing['safebus_notifications_owed_total{recipient="haven"}'] == 1
    assert owing[f'safebus_notifications_owed_total{{recipient="{OTHER}"}}'] == 1
    assert (before[missing], owing[missing], missing in after) == (1, 1, False)
    assert counts.owed == 2


def test_events_under_another_case_secret_are_counted_by_their_topic() -> None:
    numbers = worker(Progress())
    counts = Counts(tally=numbers)
    assert f'safebus_events_other_case_secret_total{{topic="{POLICE}"}} 0.0' in numbers.exposition("")[0].decode()
    counts.under_other_secret(POLICE)
    counts.under_other_secret("in.whoever")

    found = shown(numbers)
    assert found[f'safebus_events_other_case_secret_total{{topic="{POLICE}"}}'] == 1
    assert found[f'safebus_events_other_case_secret_total{{topic="{OTHER}"}}'] == 1


def test_a_register_that_was_never_read_ages_from_the_start_on() -> None:
    assert shown(worker(Progress(), now=161.0))["safebus_register_age_seconds{}"] == 61.0


_ANY = st.text(max_size=30) | st.sampled_from([ENCOMPASS, "haven", "TRUNCATED", POLICE])


@given(
    quarantined=st.dictionaries(_ANY, st.integers(1, 9)),
    by_topic=st.dictionaries(st.tuples(_ANY, st.sampled_from(FATES)), st.integers(1, 9)),
    answers=st.dictionaries(st.tuples(_ANY, _ANY, st.sampled_from(Outcome)), st.integers(1, 9)),
)
def test_whatever_was_counted_every_label_is_from_a_list(
    quarantined: dict[str, int],
    by_topic: dict[tuple[str, Fate], int],
    answers: dict[tuple[str, str, Outcome], int],
) -> None:
    """A name, an id or a number of a person cannot become a label; and nothing that was counted is lost."""
    numbers = worker(Progress())
    counts = Counts(tally=numbers)
    for reason, count in quarantined.items():
        for _ in range(count):
            counts.set_aside(reason)
    for (topic, fate), count in by_topic.items():
        for _ in range(count):
            counts.event(topic, fate)
    for (event_type, recipient, outcome), count in answers.items():
        counts.answered(event_type, [answer(recipient, outcome)] * count)
    numbers.look(100.0)

    allowed = {
        "topic": {POLICE, HOUSING, OTHER},
        "outcome": set(FATES),
        "reason": set(REASONS),
        "event_type": {*event_schemas().current, OTHER},
        "recipient": {*There().recipients, OTHER},
        "decision": {"permit", "refuse", "hold"},
    }
    samples = [s for metric in metric_list.OF_WORKERS for s in samples_of(numbers, metric)]
    assert [(k, v) for s in samples for k, v in s.labels.items() if v not in allowed[k]] == []
    assert total(samples, "safebus_quarantined_total") == sum(quarantined.values())
    assert total(samples, "safebus_decisions_total") == sum(answers.values())
    assert total(samples, "safebus_events_total") == sum(by_topic.values())


def samples_of(numbers: Numbers, metric: Metric) -> list[Sample]:
    """Of one metric of the list, as it stands."""
    ours = metric.name.removesuffix("_total").removesuffix("_info")
    return [s for family in numbers.registry.collect() if family.name == ours for s in family.samples]


def total(samples: Iterable[Sample], name: str) -> float:
    return sum(s.value for s in samples if s.name == name)


def test_every_reason_that_the_worker_sets_aside_for_has_a_name_of_its_own() -> None:
    """`test_reasons` holds that there are no others."""
    assert set(REASONS) == {*GateReason, *Aside, OTHER}


def delivery(courier: ACourier, *, lacking: Sequence[Right] = ()) -> DeliverNumbers:
    """From here on this courier is counted."""
    pulse = Progress(register_at=7.0, register_offset=3)
    return DeliverNumbers(
        [courier], pulse, clock=lambda: NOON, rules_digest="d1", lacking=lambda: lacking, ticks=lambda: 8.0
    )


def test_the_numbers_of_a_delivery_process_are_these() -> None:
    courier = ACourier(held=True, silent=True, paused=True)
    numbers = delivery(courier)
    courier.open[OpenState.HELD] = Pile(4, NOON - timedelta(minutes=20))
    courier.facts.tried(Reply.BUSY, took=timedelta(seconds=30))
    courier.facts.tried(Reply.ACCEPTED, took=timedelta(milliseconds=20))
    courier.facts.wrote(Stage.WAITING, since_decided=timedelta(seconds=1))
    courier.facts.wrote(Stage.HANDED_OVER, since_decided=timedelta(hours=2))
    courier.facts.noticed(Told.REFUSED)
    courier.facts.strange(PartnerTopic.RECEIPTS)
    found = {k: v for k, v in shown(numbers).items() if "_bucket" not in k and "_build" not in k}

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
        f'safebus_strange_records_total{{{where},on="receipts"}}': 1,
        f'safebus_deliveries{{{where},state="held"}}': 4,
        f'safebus_delivery_oldest_seconds{{{where},state="held"}}': 1200,
        f"safebus_destination_held{{{where}}}": 1,
        f"safebus_destination_silent{{{where}}}": 1,
        f"safebus_deliveries_paused{{{where}}}": 1,
        "safebus_register_offset{}": 3,
        "safebus_register_age_seconds{}": 1.0,
    }


def test_a_histogram_counts_up_to_each_bound_included() -> None:
    courier = ACourier()
    numbers = delivery(courier)
    for hours in (0, 4, 24, 200):
        courier.facts.wrote(Stage.HANDED_OVER, since_decided=timedelta(hours=hours))
    found = shown(numbers)
    buckets = [v for k, v in found.items() if k.startswith("safebus_event_to_delivery_seconds_bucket")]

    #             1 s 5 s 15 s 1 m 5 m 15 m 1 h 4 h 1 d 3 d 5 d +Inf
    assert buckets == [1, 1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 4]


def test_a_clock_that_was_set_back_gives_nothing_below_zero() -> None:
    courier = ACourier()
    numbers = delivery(courier)
    for seconds in (-5, 1, 1.5, 29):
        courier.facts.tried(Reply.ACCEPTED, took=timedelta(seconds=seconds))
    found = shown(numbers)
    name, where = "safebus_delivery_duration_seconds", 'destination="haven"'
    buckets = [v for k, v in found.items() if k.startswith(f"{name}_bucket")]

    #             10 ms 50 ms 0.1 s 0.25 s 0.5 s 1 s 2.5 s 5 s 10 s 30 s +Inf
    assert buckets == [1, 1, 1, 1, 1, 2, 3, 3, 3, 4, 4]
    assert found[f'{name}_sum{{{where},transport="folder"}}'] == 31.5


def test_a_pile_knows_its_oldest() -> None:
    pile = Pile().with_one(NOON).with_one(NOON - timedelta(hours=1)).with_one(NOON + timedelta(hours=1))

    assert pile == Pile(3, NOON - timedelta(hours=1))


def test_both_forms_say_the_same() -> None:
    numbers = delivery(ACourier())
    plain, plain_type = numbers.exposition("text/plain")
    opened, opened_type = numbers.exposition("application/openmetrics-text; version=1.0.0")

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


def test_what_is_on_the_list_is_shown_with_these_labels_and_nothing_else_is() -> None:
    """Where a label has a fixed list of values, all of them are there before the first is counted."""
    pulse = Progress()
    pulse.looked({(POLICE, 0): 1}, {}, now=90.0)
    drift = [Drift("register", setting, "is", "should", "harm") for setting in SETTINGS]
    working = worker(pulse, there=There(lacking=[LACKING]), drift=drift)
    delivering = delivery(ACourier(), lacking=[LACKING])
    working.answered(ENCOMPASS, [answer("haven", outcome) for outcome in Outcome])
    for numbers, listed in ((working, metric_list.OF_WORKERS), (delivering, metric_list.OF_DELIVERY)):
        numbers.look(100.0)
        ours = [family for family in numbers.registry.collect() if family.name.startswith("safebus_")]

        assert {(f.name, f.type, f.documentation) for f in ours} == {
            (m.name.removesuffix("_total").removesuffix("_info"), m.kind, m.meaning)
            for m in (*metric_list.OF_EACH, *listed)
        }
        for metric in (*metric_list.OF_EACH, *listed):
            samples = samples_of(numbers, metric)
            assert {tuple(sorted(set(s.labels) - {"le"})) for s in samples} == {tuple(sorted(metric.label_names))}
            for label in metric.labels:
                if label.values:
                    assert {s.labels[label.name] for s in samples} == set(label.values)


def test_what_is_not_counted_by_anyone_is_counted_all_the_same() -> None:
    """A process without a health port says at its end what it did."""
    counts, courier = Counts(), ACourier()
    counts.event(POLICE, "routed")
    counts.answered(ENCOMPASS, [answer("haven", Outcome.PERMIT)])
    counts.set_aside("TRUNCATED")
    courier.facts.tried(Reply.ACCEPTED, took=timedelta(seconds=1))
    courier.facts.wrote(Stage.HANDED_OVER, since_decided=timedelta(seconds=1))
    courier.facts.noticed(Told.WAITS)

    assert counts.quarantined == {"TRUNCATED": 1}
    assert courier.facts.notices == {Told.WAITS: 1}

"""Do the alerts that are shipped speak of numbers that are shown?"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from a_courier import ACourier
from test_metrics import LACKING, There

from safebus.deploy.service import metrics
from safebus.deploy.service.metrics import DeliverNumbers, Numbers, WorkerNumbers
from safebus.deploy.service.topic_plan import Drift
from safebus.streams.worker.watchdog import Progress

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FILE = Path(metrics.__file__).parents[1] / "alerts" / "safebus.yaml"
RULES: list[dict[str, Any]] = [r for g in yaml.safe_load(FILE.read_text("utf-8"))["groups"] for r in g["rules"]]
#: What Prometheus itself makes of every scrape.
OF_PROMETHEUS = {"up": {"job", "instance"}}
_LANGUAGE = {
    "absent", "and", "by", "deriv", "d", "h", "increase", "m", "max", "min_over_time", "offset", "on", "sum", "time",
    "unless",
}  # fmt: skip


@pytest.fixture
def names() -> dict[str, set[str]]:
    """Every number that a worker or a delivery process shows -> its labels."""
    pulse = Progress(register_at=0.0)
    pulse.looked({("in.police", 0): 1}, {}, now=0.0)
    numbers: list[Numbers] = [
        WorkerNumbers(
            pulse,
            There(["in.police"], ["haven"], [LACKING]),
            rules_digest="d1",
            drift=lambda: [Drift("register", "cleanup.policy", "compact", "delete", "")],
        ),
        DeliverNumbers([ACourier()], pulse, clock=lambda: NOON, rules_digest="d1"),
    ]
    for each in numbers:
        each.look(0.0)
    samples = [s for each in numbers for family in each.registry.collect() for s in family.samples]
    return {s.name: {*s.labels, "job", "instance"} for s in samples} | OF_PROMETHEUS


@pytest.mark.parametrize("rule", RULES, ids=[r["alert"] for r in RULES])
def test_an_alert_names_only_numbers_and_labels_that_are_shown(
    rule: dict[str, Any], names: dict[str, set[str]]
) -> None:
    bare = re.sub(r'"[^"]*"', "", rule["expr"])
    words = set(re.findall(r"[a-z_]+", re.sub(r"\d+[smhd]", "", bare)))
    shown = words & set(names)
    labels = set().union(*(names[name] for name in shown))

    assert shown, "it speaks of no number at all"
    assert words - set(names) - _LANGUAGE - labels == set()


@pytest.mark.parametrize("rule", RULES, ids=[r["alert"] for r in RULES])
def test_an_alert_says_what_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "to_do"}

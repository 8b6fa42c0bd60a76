"""
Which numbers can be watched, and which reasons can be given?

Both pages are made from the tables that the code works by, so they cannot say anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from safebus.deploy.service import metric_list
from safebus.deploy.service.metric_list import Metric, MetricKind
from safebus.streams.rules.reasons import LATER, SET_ASIDE, Code, Rule, Use

_MADE = "<!-- Made by `python -m docs.generate` from what the code works by; change it there. -->"
_USES: Final = {
    Use.PERMIT: "Said of a permit",
    Use.HOLD: "Why nothing goes before a person has decided",
    Use.REFUSAL: "Why a recipient does not get it, or no longer",
    Use.STOP: "Why what was permitted is not handed over after all",
}


def reasons_page() -> str:
    """Every reason, the rules and where they come from."""
    parts = [
        "# Reasons",
        _MADE,
        "What is recorded are code, rule and what is meant; the sentences here say it in words, with what is meant for "
        "`{about}`. `safebus explain` shows them for one event.",
        "R10 or R12: the first when it is decided, the second when it is about to be handed over. R03 or R04: the "
        "first of a public authority, the second of any other body.",
    ]
    for use, title in _USES.items():
        rows = [
            (f"`{code.name}`", code.value.sentence, " or ".join(rule.name for rule in code.value.rules))
            for code in Code
            if code.value.use is use
        ]
        parts += [f"## {title}", _table(("code", "sentence", "rule"), rows)]
    parts += [
        "## Why an event is set aside",
        "A person looks at these: `safebus quarantine list` shows the code, and what was found; "
        "`safebus_quarantined_total` counts them by it.",
        _table(("code", "sentence"), [(f"`{reason}`", sentence) for reason, sentence in SET_ASIDE.items()]),
        "## Rules",
        "A rule that is given for a field may carry a mask after a comma: `AGREEMENT, the year only`.",
        _table(("rule", "source"), [(rule.name, rule.value) for rule in Rule]),
        "## Rules that the bus does not decide by yet",
        _table(("rule", "is about"), list(LATER.items())),
    ]
    return _page(parts)


def metrics_page() -> str:
    """Every metric, its labels and their values."""
    parts = [
        "# Metrics",
        _MADE,
        "What `/metrics` shows of a process that was started with `--health-port`, beside what the system says of it "
        "(`process_*`). Labels hold partners, topics, transports and words from fixed lists, and nothing else: no id, "
        "no token, nothing of an event. What is on no list is counted as `other`. How to scrape them, and the alerts "
        "that are shipped: [operating](../operating.md).",
    ]
    for title, listed in (
        ("Every process", metric_list.OF_EACH),
        ("`safebus worker`", metric_list.OF_WORKERS),
        ("`safebus deliver`", metric_list.OF_DELIVERY),
    ):
        parts += [f"## {title}", _table(("metric", "kind", "unit", "labels", "tells"), map(_metric, listed))]
    parts.append("## Labels and buckets")
    for metric in (*metric_list.OF_EACH, *metric_list.OF_WORKERS, *metric_list.OF_DELIVERY):
        if metric.labels or metric.bounds:
            parts += [f"### `{metric.name}`", _details(metric)]
    return _page(parts)


def _metric(metric: Metric) -> tuple[str, ...]:
    labels = ", ".join(metric.label_names)
    return f"`{metric.name}`", metric.kind, metric.unit, labels, metric.meaning


def _details(metric: Metric) -> str:
    lines = [
        f"- {label.name}: {label.holds}" + (f": {', '.join(f'`{v}`' for v in label.values)}" if label.values else "")
        for label in metric.labels
    ]
    if metric.kind is MetricKind.HISTOGRAM:
        lines.append(f"- buckets, up to and with: {', '.join(f'{bound:g}' for bound in metric.bounds)} {metric.unit}")
    return "\n".join(lines)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"

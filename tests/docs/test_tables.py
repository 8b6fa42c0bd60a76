"""Do the pages of metrics and reasons leave nothing out?"""

from docs.generate.metrics_and_reasons import metrics_page, reasons_page
from safebus.deploy.service import metric_list
from safebus.streams.rules.reasons import LATER, SET_ASIDE, Code, Rule


def test_every_reason_and_every_rule_has_its_row() -> None:
    rows = [line.split(" | ")[0] for line in reasons_page().splitlines() if line.startswith("| ")]
    names = [*(f"`{code.name}`" for code in Code), *(f"`{reason}`" for reason in SET_ASIDE), *Rule.__members__, *LATER]

    assert sorted(row.removeprefix("| ") for row in rows if row not in ("| code", "| rule", "| ---")) == sorted(names)


def test_every_metric_has_its_row() -> None:
    rows = [line.split(" | ")[0] for line in metrics_page().splitlines() if line.startswith("| `")]
    listed = (*metric_list.OF_EACH, *metric_list.OF_WORKERS, *metric_list.OF_DELIVERY)

    assert rows == [f"| `{metric.name}`" for metric in listed]

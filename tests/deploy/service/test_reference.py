"""Do the pages of docs/reference say what the code works by?"""

from __future__ import annotations

from pathlib import Path

import pytest

from safebus.deploy.service import metric_list
from safebus.deploy.service.reference import PAGES, metrics_page, reasons_page, write
from safebus.streams.rules.reasons import LATER, SET_ASIDE, Code, Rule

FOLDER = Path(__file__).parents[3] / "docs" / "reference"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == PAGES[name](), "`make reference` writes it anew"


def test_every_page_is_written(tmp_path: Path) -> None:
    write(tmp_path)

    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == {
        name: page() for name, page in PAGES.items()
    }


def test_every_reason_and_every_rule_has_its_row() -> None:
    rows = [line.split(" | ")[0] for line in reasons_page().splitlines() if line.startswith("| ")]
    names = [*(f"`{code.name}`" for code in Code), *(f"`{reason}`" for reason in SET_ASIDE), *Rule.__members__, *LATER]

    assert sorted(row.removeprefix("| ") for row in rows if row not in ("| code", "| rule", "| ---")) == sorted(names)


def test_every_metric_has_its_row() -> None:
    rows = [line.split(" | ")[0] for line in metrics_page().splitlines() if line.startswith("| `")]
    listed = (*metric_list.OF_EACH, *metric_list.OF_WORKERS, *metric_list.OF_DELIVERY)

    assert rows == [f"| `{metric.name}`" for metric in listed]

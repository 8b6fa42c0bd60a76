"""The page of threats names only what is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.generate import threats

SOURCE = Path(threats.__file__).with_suffix(".yaml")


def test_every_threat_has_its_row_with_tests_that_run() -> None:
    found = threats.threats()

    assert len(found) == 35
    assert all(t.tests for t in found)
    assert {t.not_yet for t in found if t.not_yet} == set(threats.ISSUES)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tests": ["schemas/test_gate.py::test_nothing"]}, "`tests/schemas/test_gate.py` has no test `test_nothing`"),
        ({"tests": ["schemas/test_nothing.py::test_it"]}, "there is no `tests/schemas/test_nothing.py`"),
        ({"tests": []}, "threat 1 names no test"),
        ({"not_yet": "some day"}, "`some day` is none of the issues to come"),
        ({"lacks": ""}, None),
        ({"note": "x"}, "threat 1 has .*'note'"),
        ({"number": 36}, "expected 1 to 35, in order"),
    ],
)
def test_what_is_not_so_is_refused(tmp_path: Path, change: dict[str, Any], why: str | None) -> None:
    rows = yaml.safe_load(SOURCE.read_text("utf-8"))
    rows[0] |= change
    file = tmp_path / "threats.yaml"
    file.write_text(yaml.safe_dump(rows), "utf-8")

    if why is None:
        assert threats.threats(file)
    else:
        with pytest.raises(threats.NotShown, match=why):
            threats.threats(file)


@pytest.mark.parametrize(
    "text",
    [
        "import pytest\n@pytest.mark.skip(reason='x')\ndef test_it(): ...\n",
        "import pytest\n@pytest.mark.xfail\nasync def test_it(): ...\n",
        "import pytest\npytestmark = [pytest.mark.skipif(True, reason='x')]\ndef test_it(): ...\n",
        "import pytest\ndef test_it():\n    pytest.skip('x')\n",
    ],
)
def test_a_test_that_does_not_run_shows_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "test_x.py").write_text(text, "utf-8")

    assert threats.why_not_run("test_x.py::test_it", tests=tmp_path) is not None


def test_a_test_that_runs_is_taken(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("import pytest\npytestmark = pytest.mark.flow\ndef test_it(): ...\n", "utf-8")

    assert threats.why_not_run("test_x.py::test_it", tests=tmp_path) is None

"""What a page shows as Python is what runs."""

from __future__ import annotations

import datetime
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from a_page import README, ROOT, Page

EXAMPLE = ROOT / "docs" / "examples" / "first_event.py"
REAL = ROOT / "tests" / "data" / "real"


def test_the_readme_shows_the_example_as_it_is() -> None:
    """The example itself runs in `tests/flows/test_what_is_shown.py`."""
    [shown] = [block for block in README.blocks if "Publisher(" in block]

    assert shown in EXAMPLE.read_text("utf-8")


def test_the_tutorial_shows_all_of_it() -> None:
    assert EXAMPLE.read_text("utf-8") in Page("docs/tutorial/first-event.md").blocks


@pytest.mark.parametrize(
    "program",
    [
        "java/Publish.java",
        "go/main.go",
        "javascript/publish.js",
        "csharp/Publish.cs",
        "with_fastavro.py",
        "with_avro_python3.py",
    ],
)
def test_what_another_language_is_shown_is_what_the_encoders_are_tried_with(program: str) -> None:
    """The programs themselves run in `tests/encoders/`."""
    text = (ROOT / "tests" / "encoders" / program).read_text("utf-8")
    [shown] = re.findall(r"^ *(?://|#) shown: begins\n(.*?)^ *(?://|#) shown: ends\n", text, re.DOTALL | re.MULTILINE)

    assert textwrap.dedent(shown).strip() + "\n" in Page("docs/how-to/publish-from-another-language.md").blocks


@pytest.mark.parametrize("file", ["mns/pds-death-notification-2.json", "nems/PDS-Change-Of-Address-ems-example.xml"])
def test_importing_is_as_it_is_shown(file: str) -> None:
    [shown] = [block for block in Page("docs/importers.md").blocks if "import_signal" in block]
    if file.startswith("nems"):
        shown = shown.replace("outcome = import_signal(", "outcome = import_message(")
    names: dict[str, Any] = {"data": Path(REAL / file).read_bytes(), "datetime": datetime.datetime, "UTC": datetime.UTC}

    exec(shown, names)

    assert type(names["outcome"]).__name__ == "Imported"

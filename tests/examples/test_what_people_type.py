"""
What people typed, or their programs wrote, and what the bus says to it: one file for each kind of slip.

Each once went through, or was called a bug of ours; `tests/data/cases/ways-in/json` has them as they came.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from safebus.schemas.errors import BadInput
from safebus.schemas.events import Event, from_json
from safebus.schemas.plain_text import bytes_of

NOBODYS = "`subjects.0.nhs_number`: all digits are alike: that is nobody's NHS number; leave it out"
TYPED = Path(__file__).parents[1] / "data" / "cases" / "ways-in" / "json"


def typed(name: str) -> Event:
    return from_json(bytes_of(TYPED / f"{name}.json"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        # The last of the two numbers won, and the event went to the school of the other child.
        ("dup_key_no_confirm", "`nhs_number` stands twice in one object, again at line 28, column 4; keep one"),
        # "00000000" was the first of January 1970.
        ("dob_eight_zeros", "`subjects.0.date_of_birth`: expected a date as 2026-11-22"),
        ("dob_zeros_no_number", "`subjects.0.date_of_birth`: expected a date as 2026-11-22"),
        ("count_true", "`payload.previous_incidents`: Input should be a valid integer"),
        # A number that fits its check digit and is nobody's matched whoever else had it.
        ("nhs_nines", "`subjects.0.nhs_number`: all digits are alike: that is nobody's NHS number; leave it out"),
        (
            "placeholder_child",
            "`subjects.0.nhs_number`: all digits are alike: that is nobody's NHS number; leave it out",
        ),
        # It was "a bug: UnicodeDecodeError".
        (
            "cp1252",
            "line 24, column 25: byte 0xE1 is not UTF-8 (an accent or a curly quote saved as Windows-1252?); "
            "save it as UTF-8",
        ),
    ],
)
def test_a_slip_is_refused_with_its_place_and_what_to_do(name: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        typed(name)

    assert str(refused.value) == said


def test_a_byte_order_mark_before_the_text_says_nothing() -> None:
    """It was "not JSON from line 1, column 1 on"."""
    assert typed("bom").subjects[0].family_name == "Hart"

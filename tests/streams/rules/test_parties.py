"""Who is there, and from when until when?"""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from safebus.streams.rules.parties import Involvement, KnownPerson

DAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("dates", "holds"),
    [
        ({}, True),
        ({"starts_on": DAY}, True),
        ({"ends_on": DAY}, True),
        ({"starts_on": date(2026, 11, 21)}, False),
        ({"ends_on": date(2026, 11, 19)}, False),
    ],
)
def test_a_tie_holds_on_its_first_and_last_day(dates: dict[str, Any], holds: bool) -> None:
    assert Involvement(person_id="ava", partner="ash-primary", role="attends_school", **dates).holds(DAY) is holds


def test_a_person_without_a_token_cannot_be_known() -> None:
    with pytest.raises(ValidationError):
        KnownPerson(person_id="ava", tokens={})

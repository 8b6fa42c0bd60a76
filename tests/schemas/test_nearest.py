"""Which word was meant?"""

import pytest

from safebus.schemas.nearest import did_you_mean, nearest, or_the_known

ROLES = ["attends_school", "health_visiting", "registered_patient"]


@pytest.mark.parametrize(
    ("word", "found"),
    [("attends_shcool", "attends_school"), ("health_visitor", "health_visiting"), ("zzz", None), ("", None)],
)
def test_a_slip_finds_its_word_and_another_word_none(word: str, found: str | None) -> None:
    assert nearest(word, ROLES) == found


def test_what_is_near_can_be_asked_more_strictly() -> None:
    assert nearest("health_visitor", ROLES, alike=0.9) is None


def test_the_end_of_a_complaint() -> None:
    assert did_you_mean("attends_shcool", ROLES) == "; did you mean `attends_school`?"
    assert did_you_mean("zzz", ROLES) == ""
    assert or_the_known("zzz", ["a", "b"]) == "; known are a, b"
    assert or_the_known("zzz", ["a", "b"], said="expected one of") == "; expected one of a, b"

"""What the rules digest covers: whatever can change a decision or a view, and nothing else."""

import pytest

from safebus.deploy.service.rules_digest import covered, meaning_of, rules_digest


def test_the_rules_and_what_they_rest_on_are_covered() -> None:
    rules = {"agreements", "bases", "consent", "decision", "identity", "lookups", "notifications", "parties", "reasons",
             "release", "routing", "sharing", "views"}  # fmt: skip

    assert {f"streams.rules.{name}" for name in rules} <= set(covered())
    assert {"schemas.events", "schemas.gate", "schemas.classes", "streams.register.store"} <= set(covered())


@pytest.mark.parametrize(
    "module", ["schemas.kafka", "schemas.topics", "schemas.headers", "schemas.sealing", "streams.worker"]
)
def test_what_cannot_change_a_decision_is_not(module: str) -> None:
    """A comment in a Kafka module once turned a redo into an alert in quarantine."""
    assert [name for name in covered() if name.startswith(module)] == []


WRITTEN = '''"""What it says."""

# why
def one(x: int) -> int:
    """More words."""
    return x + 1
'''


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (WRITTEN.replace("# why", "# why not"), True),
        (WRITTEN.replace("More words.", "Other words."), True),
        (WRITTEN.replace("return x + 1", "return (x + 1)"), True),
        (WRITTEN.replace("x + 1", "x + 2"), False),
        (WRITTEN.replace("one(", "two("), False),
        (WRITTEN.replace("return x + 1", "return 'a text that is returned'"), False),
    ],
)
def test_words_and_layout_are_no_part_of_it_and_everything_else_is(other: str, same: bool) -> None:
    assert (meaning_of(WRITTEN) == meaning_of(other)) is same


REASON = 'LATE = Entry(Use.REFUSAL, words("too late"), Rule.R01)'


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (REASON.replace("too late", "it came too late"), True),
        (REASON.replace("R01", "R02"), False),
        (REASON.replace("LATE", "TOO_LATE"), False),
        (REASON.replace("words", "found"), False),
    ],
)
def test_a_reason_may_be_put_in_other_words(other: str, same: bool) -> None:
    assert other != REASON
    assert (meaning_of(REASON) == meaning_of(other)) is same


def test_it_is_short_and_always_the_same() -> None:
    assert len(rules_digest()) == 16
    assert rules_digest.__wrapped__() == rules_digest()

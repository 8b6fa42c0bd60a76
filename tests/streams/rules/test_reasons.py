"""Every reason has a sentence and a source, and every sentence has a case in which it is said."""

import pytest
from a_reason import CASES

from safebus.streams.rules import reasons as plain_words


@pytest.mark.parametrize("code", sorted(plain_words.SENTENCES))
def test_each_sentence_is_said_in_a_real_case(code: str) -> None:
    found = next(reason for reason in CASES[code]() if reason.code == code)

    assert plain_words.say(found) == plain_words.SENTENCES[code].replace("{about}", found.about)
    assert plain_words.source_of(found.rule)


@pytest.mark.parametrize("code", sorted(CASES))
def test_each_reason_that_is_given_has_a_sentence_and_a_source(code: str) -> None:
    for reason in CASES[code]():
        assert plain_words.say(reason)
        assert plain_words.source_of(reason.rule)


def test_a_sentence_names_what_is_meant_and_not_whom() -> None:
    reason = next(r for r in CASES["GATEWAY_RECIPIENT"]() if r.code == "GATEWAY_RECIPIENT")

    assert plain_words.say(reason) == (
        "CDA98-115 allows disclosure to a relevant authority only, and this recipient is none"
    )


def test_a_mask_behind_a_rule_does_not_hide_its_source() -> None:
    assert plain_words.source_of("AGREEMENT, the year only") == "named by the agreement"


def test_every_rule_of_the_domain_is_decided_or_stands_among_those_to_come() -> None:
    rules = {f"R{number:02}" for number in range(1, 29)}

    assert rules <= set(plain_words.SOURCES) | set(plain_words.LATER)
    assert not set(plain_words.SOURCES) & set(plain_words.LATER)

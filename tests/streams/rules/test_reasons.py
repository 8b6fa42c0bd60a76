"""Every reason stands in the table once, with a sentence and a source; every entry has a case in which it is given."""

import re
from pathlib import Path

import pytest
from a_reason import CASES, restricted
from a_register import demo, share

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import Reason
from safebus.schemas.gate import GateReason
from safebus.streams.rules import reasons
from safebus.streams.rules.agreements import Status
from safebus.streams.rules.consent import HOLDS, State
from safebus.streams.rules.reasons import Aside, Code, Rule, Use, why

ROOT = Path(reasons.__file__).parents[2]
#: Whatever gives reasons, without the table itself: file -> text.
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in sorted((ROOT / "streams").rglob("*.py"))
    if path != Path(reasons.__file__)
}


@pytest.mark.parametrize("code", list(Code))
def test_each_reason_is_given_in_a_real_case_by_one_of_its_rules(code: Code) -> None:
    found = next(reason for reason in CASES[code.name]() if reason.code == code.name)

    assert reasons.say(found) == code.value.sentence.replace("{about}", found.about)
    assert Rule[found.rule] in code.value.rules


@pytest.mark.parametrize("code", sorted(CASES))
def test_each_reason_that_is_given_has_a_sentence_and_a_source(code: str) -> None:
    for reason in CASES[code]():
        assert reasons.say(reason)
        assert reasons.source_of(reason.rule)


def test_a_permit_gives_notes_and_a_refusal_gives_refusals() -> None:
    use_of = {code.name: code.value.use for code in Code}
    permits = {code for code, use in use_of.items() if use is Use.PERMIT}

    for case in CASES.values():
        given = {reason.code for reason in case()}
        assert given <= permits or not given & permits


def test_what_is_given_by_one_rule_needs_none_named() -> None:
    assert why(Code.UNKNOWN_PARTNER, "haven") == Reason(code="UNKNOWN_PARTNER", rule="R01", about="haven")


def test_what_is_given_by_several_rules_needs_one_of_them_named() -> None:
    """Asked before handing over, the same consent is missed by another rule than when it was decided."""
    refused = why(Code.CONSENT_WITHDRAWN, "housing", rule=Rule.R12)

    assert refused == Reason(code="CONSENT_WITHDRAWN", rule="R12", about="housing")
    for wrong in (None, Rule.R01):
        with pytest.raises(ValueError, match="values to unpack"):
            why(Code.CONSENT_WITHDRAWN, "housing", rule=wrong)


def test_every_state_in_which_it_does_not_hold_has_a_reason() -> None:
    assert set(reasons.NOT_AGREED) == set(State) - HOLDS
    assert set(reasons.NOT_ACTIVE) == set(Status) - {Status.ACTIVE}
    for state, code in {**reasons.NOT_AGREED, **reasons.NOT_ACTIVE}.items():
        assert code.name.endswith(f"_{state.upper()}")


def test_every_reason_to_set_aside_has_a_sentence() -> None:
    assert set(reasons.SET_ASIDE) == {*GateReason, *Aside}
    assert all(reasons.SET_ASIDE.values())
    assert len({*map(str, reasons.SET_ASIDE), *Code.__members__}) == len(reasons.SET_ASIDE) + len(Code)


def test_every_reason_of_a_decision_is_given_somewhere() -> None:
    found = names(r"\bCode\.([A-Z_]+)")
    by_state = {code.name for code in (*reasons.NOT_AGREED.values(), *reasons.NOT_ACTIVE.values())}

    assert found | by_state == set(Code.__members__)


def test_every_reason_to_set_aside_is_given_somewhere() -> None:
    found = names(r"\bAside\.([A-Z_]+)")

    assert found == set(Aside.__members__)


def names(pattern: str) -> set[str]:
    """What a pattern finds in `streams`."""
    return {name for text in SOURCES.values() for name in re.findall(pattern, text)}


def test_nobody_gives_a_reason_past_the_table() -> None:
    """A literal could be mistyped, and would stand on record for ever."""
    spelled = {path for path, text in SOURCES.items() if re.search(r"\bReason\(\s*code=", text)}

    assert spelled == set()


def test_a_sentence_names_what_is_meant_and_not_whom() -> None:
    reason = next(r for r in CASES["GATEWAY_RECIPIENT"]() if r.code == "GATEWAY_RECIPIENT")

    assert reasons.say(reason) == (
        "CDA98-115 allows disclosure to a relevant authority only, and this recipient is none"
    )


def test_every_rule_that_a_field_leaves_or_stays_by_has_a_source() -> None:
    for event in (story.incident(), story.moved_to_temporary_accommodation(1)):
        for register in (demo(), restricted()):
            for answer in share(event, register).record.answers:
                for field in (*answer.released, *answer.withheld):
                    assert reasons.source_of(field.rule)


def test_a_mask_behind_a_rule_does_not_hide_its_source() -> None:
    assert reasons.source_of("AGREEMENT, the year only") == "named by the agreement"


def test_every_rule_of_the_domain_is_decided_or_stands_among_those_to_come() -> None:
    rules = {f"R{number:02}" for number in range(1, 29)}

    assert rules <= set(Rule.__members__) | set(reasons.LATER)
    assert not set(Rule.__members__) & set(reasons.LATER)

"""R03, R04, R06, R09: a basis must be law there and then, and open to the body that relies on it."""

from datetime import UTC, datetime
from typing import Any

from a_case import (
    AVA,
    MAYA,
    decide,
    incident,
    it_reaches,
    reasons,
    the_register,
    with_agreement,
    with_basis,
    with_flow,
    with_partner,
)

from safebus.streams.register.store import Register

ENCOMPASS = "fordshire-encompass"
PUBLIC_TASK = {"art6": "A6-1-e", "power_or_duty": "POLICE-CL", "confidentiality": "CLDC-OPI"}


def to_schools_on(**basis: str) -> Register:
    """The register, with another basis for telling schools."""
    return with_flow(the_register(), ENCOMPASS, "to-schools", basis=PUBLIC_TASK | basis)


def to_haven_on(**basis: Any) -> Register:
    """The register, with another basis for telling the charity."""
    return with_flow(the_register(), ENCOMPASS, "to-haven", basis=PUBLIC_TASK | basis)


def test_r03_police_may_not_rely_on_a_recognised_legitimate_interest() -> None:
    decided = decide(incident(), to_schools_on(art6="A6-1-ea"))

    assert not it_reaches(decided, "ash-primary", AVA)
    assert reasons(decided, "ash-primary", AVA) == ["BASIS_NOT_AVAILABLE R03 A6-1-ea"]


def test_r03_police_may_rely_on_their_public_task() -> None:
    decided = decide(incident(), to_schools_on(art6="A6-1-e"))

    assert it_reaches(decided, "ash-primary", AVA)


def test_r03_a_charity_may_receive_on_a_recognised_legitimate_interest() -> None:
    decided = decide(incident(), the_register())

    assert reasons(decided, "haven", MAYA) == ["PERMITTED R01 fordshire-encompass v3 to-haven"]


def test_r04_a_charity_cannot_borrow_the_public_task_of_the_police() -> None:
    decided = decide(incident(), to_haven_on(receiving_art6={"charity": "A6-1-e"}))

    assert not it_reaches(decided, "haven", MAYA)
    assert reasons(decided, "haven", MAYA) == ["BASIS_NOT_AVAILABLE R04 A6-1-e"]


def test_r04_a_charity_cannot_publish_on_a_public_task() -> None:
    decided = decide(incident(), with_partner(the_register(), "fordshire-police", org_type="charity"))

    assert reasons(decided, "fordshire-mash", AVA) == ["BASIS_NOT_AVAILABLE R04 A6-1-e"]


def test_r04_a_contracted_provider_may_rely_on_the_public_task_it_carries_out() -> None:
    decided = decide(incident(), with_partner(the_register(), "fordshire-police", org_type="contracted_provider"))

    assert it_reaches(decided, "fordshire-mash", AVA)


def test_r06_the_power_to_tell_a_relevant_authority_does_not_reach_a_charity() -> None:
    """Crime and Disorder Act 1998 s.115 runs one way: to police, councils, probation and health bodies."""
    decided = decide(incident(), to_haven_on(power_or_duty="CDA98-115"))

    assert not it_reaches(decided, "haven", MAYA)
    assert reasons(decided, "haven", MAYA) == ["GATEWAY_RECIPIENT R06 CDA98-115"]


def test_r06_the_power_to_tell_a_relevant_authority_reaches_the_mash() -> None:
    decided = decide(incident(), the_register())

    assert reasons(decided, "fordshire-mash", AVA) == ["PERMITTED R01 fordshire-encompass v3 to-mash"]


def test_r09_the_duty_to_tell_schools_reaches_back_to_its_first_day_and_no_further() -> None:
    """Domestic Abuse Act 2021 s.49A is law since 7 November 2025."""
    on_the_day = decide(incident(occurred_at=datetime(2025, 11, 7, 0, 0, tzinfo=UTC)), the_register())
    the_day_before = decide(incident(occurred_at=datetime(2025, 11, 6, 23, 59, tzinfo=UTC)), the_register())

    assert it_reaches(on_the_day, "ash-primary", AVA)
    assert not it_reaches(the_day_before, "ash-primary", AVA)
    assert reasons(the_day_before, "ash-primary", AVA) == ["BASIS_NOT_IN_FORCE R09 DAA21-49A"]


def test_r09_a_duty_on_paper_carries_nothing_until_it_is_commenced() -> None:
    """Children Act 2004 s.16LA was enacted in 2026 and awaits its day."""
    today = decide(incident(), to_schools_on(power_or_duty="CA04-16LA"))
    commenced = with_basis(to_schools_on(power_or_duty="CA04-16LA"), "CA04-16LA", in_force_from="2026-11-19")

    assert reasons(today, "ash-primary", AVA) == ["BASIS_NOT_IN_FORCE R09 CA04-16LA"]
    assert it_reaches(decide(incident(), commenced), "ash-primary", AVA)


def test_r09_a_repealed_basis_holds_to_its_last_day() -> None:
    register = with_basis(the_register(), "DAA21-49A", in_force_to="2026-11-18")

    assert reasons(decide(incident(), register), "ash-primary", AVA) == ["BASIS_NOT_IN_FORCE R09 DAA21-49A"]


def test_r09_law_of_england_does_not_carry_an_agreement_in_scotland() -> None:
    register = with_agreement(the_register(), ENCOMPASS, territory="scotland")

    assert reasons(decide(incident(), register), "ash-primary", AVA) == ["BASIS_NOT_IN_FORCE R09 DAA21-49A"]


def test_r09_the_basis_of_the_recipient_must_be_law_too() -> None:
    register = with_basis(the_register(), "A6-1-ea", in_force_from=None)

    assert reasons(decide(incident(), register), "haven", MAYA) == ["BASIS_NOT_IN_FORCE R09 A6-1-ea"]


def test_a_basis_that_nobody_knows_carries_nothing() -> None:
    assert reasons(decide(incident(), to_schools_on(art6="A6-1-z")), "ash-primary", AVA) == ["BASIS_UNKNOWN R09 A6-1-z"]
    assert reasons(decide(incident(), to_haven_on(receiving_art6={"charity": "A6-1-z"})), "haven", MAYA) == [
        "BASIS_UNKNOWN R09 A6-1-z"
    ]


def test_an_agreement_that_is_silent_about_this_kind_of_recipient_carries_nothing_to_it() -> None:
    decided = decide(incident(), to_haven_on(receiving_art6={"public_authority": "A6-1-e"}))

    assert reasons(decided, "haven", MAYA) == ["BASIS_UNKNOWN R09 charity"]


def test_a_public_authority_that_names_no_power_or_duty_may_not_share() -> None:
    silent = with_flow(the_register(), ENCOMPASS, "to-schools", basis={"art6": "A6-1-e", "confidentiality": "CLDC-OPI"})

    assert reasons(decide(incident(), silent), "ash-primary", AVA) == ["NO_POWER_OR_DUTY R01 fordshire-police"]


def test_r09_a_day_to_come_makes_no_law_of_today() -> None:
    """A publisher's clock, or a slip of the pen, must not reach into a law that is not commenced."""
    register = with_basis(the_register(), "DAA21-49A", in_force_from="2027-01-01")
    dated_ahead = incident(occurred_at=datetime(2027, 6, 1, tzinfo=UTC))

    assert reasons(decide(dated_ahead, register), "ash-primary", AVA) == ["BASIS_NOT_IN_FORCE R09 DAA21-49A"]

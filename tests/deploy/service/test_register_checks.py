"""What an adapter asks before it tells a partner anything, answered from the register as of now."""

from types import SimpleNamespace
from typing import Any, cast

from a_reason import AVA, GARY, consent
from a_register import NOON, put

from safebus.deploy.service.register_checks import RegisterRecheck
from safebus.streams.register.store import Register
from safebus.streams.rules.consent import State

PURPOSE = "temporary_accommodation_notice"


def ended(register: Register, partner: str) -> str | None:
    reader: Any = SimpleNamespace(now=register)  # what follows the register has one state at a time
    return RegisterRecheck(cast(Any, reader)).consent_ended(
        person=AVA, meaning="service_agreement", purpose=PURPOSE, partner=partner, now=NOON
    )


def test_whoever_governs_a_school_does_not_learn_from_a_notice_what_she_did() -> None:
    """She took her agreement back; the school knew of it before he was recorded as a danger."""
    register = consent(State.WITHDRAWN)
    assert (ended(register, "ash-primary"), ended(register, "beech-primary")) == ("withdrawn", "withdrawn")

    register = put(register, "danger/1", "danger", {"person_id": GARY, "to": AVA, "source": "an order"})
    assert (ended(register, "ash-primary"), ended(register, "beech-primary")) == ("withdrawn", None)

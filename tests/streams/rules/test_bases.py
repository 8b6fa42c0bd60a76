"""Is a basis law there and then, and for this body?"""

from datetime import date
from typing import Any

import pytest

from safebus.streams.rules.bases import Basis, BasisKind, OrgType


def basis(**changes: Any) -> Basis:
    values = {
        "code": "DAA21-49A",
        "kind": BasisKind.POWER_OR_DUTY,
        "title": "Duty to notify schools",
        "source": "Domestic Abuse Act 2021 s.49A",
        "territory": ("england", "wales"),
        "in_force_from": date(2025, 11, 7),
    }
    return Basis(**(values | changes))


@pytest.mark.parametrize(
    ("on", "territory", "changes", "is_law"),
    [
        (date(2025, 11, 6), "england", {}, False),
        (date(2025, 11, 7), "england", {}, True),
        (date(2025, 11, 7), "scotland", {}, False),
        (date(2099, 1, 1), "wales", {}, True),
        (date(2026, 6, 30), "england", {"in_force_to": date(2026, 6, 30)}, True),
        (date(2026, 7, 1), "england", {"in_force_to": date(2026, 6, 30)}, False),
        (date(2099, 1, 1), "england", {"in_force_from": None}, False),
    ],
)
def test_law_is_law_from_its_first_day_to_its_last_where_it_is_law(
    on: date, territory: str, changes: dict[str, Any], is_law: bool
) -> None:
    assert basis(**changes).in_force(on, territory) is is_law


@pytest.mark.parametrize(
    ("available_to", "open_to"),
    [
        ((), set(OrgType)),
        ((OrgType.CHARITY,), {OrgType.CHARITY}),
    ],
)
def test_a_basis_is_open_to_whom_it_names_or_to_all(available_to: tuple[OrgType, ...], open_to: set[OrgType]) -> None:
    found = basis(available_to=available_to)

    assert {org_type for org_type in OrgType if found.open_to(org_type)} == open_to

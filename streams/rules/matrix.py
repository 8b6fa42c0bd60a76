"""
Which kinds of recipient are never given which data?

Our own matrix, a start for those who agree: classes of fields by kinds of recipient. It decides nothing: an agreement
may say otherwise, but then somebody confirms it by name when it is loaded (`streams.register.to_confirm`).

    A  allow     M  mask or generalise     D  drop     P  pointer only: whoever needs it rings the publisher
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from safebus.schemas.classes import DataClass
from safebus.streams.rules.agreements import Flow, Group
from safebus.streams.rules.release import ViewLeaf


class RecipientKind(StrEnum):
    """A kind of recipient: a column of the matrix."""

    MASH = "mash"
    SCHOOL = "school"
    COMMUNITY_HEALTH = "community_health"  # health visiting, school nursing, GP
    EMERGENCY_DEPARTMENT = "emergency_department"
    POLICE = "police"
    PROBATION = "probation"
    HOUSING = "housing"
    DA_CHARITY = "da_charity"
    ADULT_CARE = "adult_care"


#: The rows that speak of persons instead of a class.
OTHER_CHILDREN, ALLEGED_PERPETRATORS = "OTHER_CHILDREN", "ALLEGED_PERPETRATORS"

#: One letter for each kind, in the order of `RecipientKind`. Classes without a row are given as the agreement says.
MATRIX: Mapping[str, str] = {
    DataClass.ID_CORE: "AAAAAAAAA",
    OTHER_CHILDREN: "ADAMAMAAM",
    DataClass.NHS_NUMBER: "AMAADDDDA",
    DataClass.UPN: "AADDDDDDD",
    DataClass.LOCATION_HOME: "AMADAAAAA",
    DataClass.LOCATION_SAFE: "PDPDADPAP",
    DataClass.CONTACT_SAFE: "ADDDADMAA",
    DataClass.INCIDENT_FACT: "AAAMAAMAA",
    DataClass.INCIDENT_NARRATIVE: "ADMDAMDAA",
    DataClass.VOICE_OF_CHILD: "AAADADDDD",
    ALLEGED_PERPETRATORS: "ADMDAAMAA",  # who it is; a school may have the relationship, which is no identity
    DataClass.CRIMINAL: "MDDDAADDM",
    DataClass.HEALTH_CHILD: "AMAAMDDDM",
    DataClass.HEALTH_ADULT: "ADMDMMDMA",
    DataClass.SEXUAL_REPRODUCTIVE: "PDPPPDDPP",
    DataClass.IMMIGRATION: "ADDDDDMDA",
    DataClass.REFERRER: "DDDDDDDDD",
    DataClass.PLAN_STATUS: "AAAAAMDMD",
    DataClass.RISK_SCORE: "ADMDAAMAA",
    DataClass.FREE_TEXT: "ADDDADDDD",
}

#: Sector of a partner -> the kinds that it may be. `health` says no more than that.
KINDS: Mapping[str, frozenset[RecipientKind]] = {kind.value: frozenset({kind}) for kind in RecipientKind} | {
    "health": frozenset({RecipientKind.COMMUNITY_HEALTH, RecipientKind.EMERGENCY_DEPARTMENT})
}

_NO_IDENTITY = frozenset({DataClass.ROLE, DataClass.RELATIONSHIP})


def never_given(row: str, sector: str) -> bool:
    """Does the matrix give this row to no kind that the sector may be? A sector that it does not know is asked of."""
    return all(MATRIX[row][list(RecipientKind).index(kind)] in "DP" for kind in KINDS[sector])


def rows_named(flow: Flow, paths: Mapping[str, ViewLeaf]) -> dict[str, list[str]]:
    """
    The rows of the matrix that a flow releases from, each with what names it.

    Args:
        paths: The view paths of the event's type.
    """
    found: dict[str, list[str]] = {}
    for named, group, data_class in _named(flow, paths):
        for row in _rows(group, data_class):
            found.setdefault(row, []).append(named)
    return found


def _named(flow: Flow, paths: Mapping[str, ViewLeaf]) -> Iterator[tuple[str, Group, DataClass | None]]:
    for group in Group:
        for data_class in sorted(flow.release.of(group)):
            yield f"release.{group}: {data_class}", group, data_class
    for path in flow.fields:
        if path in paths:
            yield f"fields: {path}", paths[path].group, paths[path].data_class
    if Group.OTHER_CHILDREN in flow.mask:
        yield "mask: other_children: count", Group.OTHER_CHILDREN, None


def _rows(group: Group, data_class: DataClass | None) -> Iterator[str]:
    if data_class is not None and data_class in MATRIX:
        yield data_class
    if group is Group.OTHER_CHILDREN:
        yield OTHER_CHILDREN
    if group is Group.ALLEGED_PERPETRATORS and data_class not in _NO_IDENTITY:
        yield ALLEGED_PERPETRATORS

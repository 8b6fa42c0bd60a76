"""The matrix as data: who is never given what."""

from collections.abc import Iterator

import pytest
from a_register import flow

from safebus.schemas.classes import DataClass
from safebus.schemas.event_schemas import event_schemas
from safebus.streams.rules.matrix import KINDS, MATRIX, RecipientKind, never_given, rows_named
from safebus.streams.rules.release import view_paths

PATHS = view_paths(event_schemas().of("police.encompass.v1"))

#: Sector -> the rows of which the notes say D or P, written down from the table column by column.
NEVER = {
    "mash": "LOCATION_SAFE SEXUAL_REPRODUCTIVE REFERRER",
    "school": "OTHER_CHILDREN LOCATION_SAFE CONTACT_SAFE INCIDENT_NARRATIVE ALLEGED_PERPETRATORS CRIMINAL HEALTH_ADULT "
    "SEXUAL_REPRODUCTIVE IMMIGRATION REFERRER RISK_SCORE FREE_TEXT",
    "community_health": "UPN LOCATION_SAFE CONTACT_SAFE CRIMINAL SEXUAL_REPRODUCTIVE IMMIGRATION REFERRER FREE_TEXT",
    "emergency_department": "UPN LOCATION_HOME LOCATION_SAFE CONTACT_SAFE INCIDENT_NARRATIVE VOICE_OF_CHILD "
    "ALLEGED_PERPETRATORS CRIMINAL HEALTH_ADULT SEXUAL_REPRODUCTIVE IMMIGRATION REFERRER RISK_SCORE FREE_TEXT",
    "police": "NHS_NUMBER UPN SEXUAL_REPRODUCTIVE IMMIGRATION REFERRER",
    "probation": "NHS_NUMBER UPN LOCATION_SAFE CONTACT_SAFE VOICE_OF_CHILD HEALTH_CHILD SEXUAL_REPRODUCTIVE "
    "IMMIGRATION REFERRER FREE_TEXT",
    "housing": "NHS_NUMBER UPN LOCATION_SAFE INCIDENT_NARRATIVE VOICE_OF_CHILD CRIMINAL HEALTH_CHILD HEALTH_ADULT "
    "SEXUAL_REPRODUCTIVE REFERRER PLAN_STATUS FREE_TEXT",
    "da_charity": "NHS_NUMBER UPN VOICE_OF_CHILD CRIMINAL HEALTH_CHILD SEXUAL_REPRODUCTIVE IMMIGRATION REFERRER "
    "FREE_TEXT",
    "adult_care": "UPN LOCATION_SAFE VOICE_OF_CHILD SEXUAL_REPRODUCTIVE REFERRER PLAN_STATUS FREE_TEXT",
    # Both kinds of health at once: only what neither is given.
    "health": "UPN LOCATION_SAFE CONTACT_SAFE CRIMINAL SEXUAL_REPRODUCTIVE IMMIGRATION REFERRER FREE_TEXT",
}


def test_every_sector_of_the_matrix_is_spoken_of() -> None:
    assert set(NEVER) == set(KINDS) == {*RecipientKind, "health"}


@pytest.mark.parametrize("sector", NEVER)
def test_each_kind_of_recipient_is_never_given_what_the_notes_say(sector: str) -> None:
    assert {row for row in MATRIX if never_given(row, sector)} == set(NEVER[sector].split())


def test_every_row_has_one_answer_for_each_kind() -> None:
    assert {len(row) for row in MATRIX.values()} == {len(RecipientKind)}
    assert set("".join(MATRIX.values())) == set("AMDP")


def test_rows_are_classes_of_data_and_two_groups_of_people() -> None:
    assert set(MATRIX) - set(DataClass) == {"OTHER_CHILDREN", "ALLEGED_PERPETRATORS"}


def _rows(**changes: object) -> Iterator[str]:
    yield from rows_named(flow(release=changes.pop("release", {}), **changes), PATHS)


def test_a_class_counts_whoever_of_the_group_it_is_of() -> None:
    found = rows_named(flow(release={"subject": ["LOCATION_SAFE"], "adults": ["LOCATION_SAFE", "ROLE"]}), PATHS)

    assert found == {"LOCATION_SAFE": ["release.subject: LOCATION_SAFE", "release.adults: LOCATION_SAFE"]}


def test_a_field_counts_as_its_class() -> None:
    found = rows_named(flow(release={}, fields=["subject.safe_address.postcode", "payload.officer_notes"]), PATHS)

    assert found == {
        "LOCATION_SAFE": ["fields: subject.safe_address.postcode"],
        "FREE_TEXT": ["fields: payload.officer_notes"],
    }


def test_a_field_that_does_not_exist_counts_as_nothing() -> None:
    assert list(_rows(fields=["payload.x"])) == []


def test_other_children_count_by_any_class_and_by_their_number() -> None:
    assert list(_rows(release={"other_children": ["RELATIONSHIP"]})) == ["OTHER_CHILDREN"]
    assert list(_rows(mask={"other_children": "count"})) == ["OTHER_CHILDREN"]
    assert list(_rows(fields=["other_children[].upn"])) == ["UPN", "OTHER_CHILDREN"]


def test_how_the_suspect_is_related_to_the_child_is_not_who_he_is() -> None:
    assert list(_rows(release={"alleged_perpetrators": ["RELATIONSHIP", "ROLE"]})) == []
    assert list(_rows(release={"alleged_perpetrators": ["AFFILIATION"]})) == ["ALLEGED_PERPETRATORS"]

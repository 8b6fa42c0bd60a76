"""What an information-governance lead is told about a register folder, all at once."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from a_register import AGREEMENT, ENTRIES, FLOW, FOLDER, KEY, NOON, demo

from safebus.schemas.errors import BadRegister
from safebus.schemas.event_schemas import event_schemas
from safebus.streams.register.changes import read_files
from safebus.streams.register.cross_checks import cross_check
from safebus.streams.register.entries import Entry, consent_record_id, read_folder
from safebus.streams.register.store import Register, body_of
from safebus.streams.rules.consent import ConsentEntry, Meaning, State

FILES = read_files(FOLDER)
FAMILY = "people:\n  - {alias: ava, nhs_number: '9990079196'}\n"


def told(files: dict[str, str]) -> list[str]:
    """Everything that is wrong with a folder."""
    with pytest.raises(BadRegister) as caught:
        read_folder(files, KEY, event_schemas())
    return caught.value.problems


def read(text: str) -> list[Entry]:
    return read_folder({"x.yaml": text}, KEY, event_schemas())


def test_the_demonstration_folder_holds_together() -> None:
    entries = read_folder(FILES, KEY, event_schemas())

    assert entries == ENTRIES
    assert cross_check(entries, Register()) == []
    assert cross_check(entries, demo()) == []


def test_identifiers_of_people_do_not_leave_the_folder() -> None:
    written = "".join(body_of(entry.body) + entry.record_id for entry in ENTRIES)

    assert not [text for text in ("9990079196", "X313000026001", "Hart", "2015-03-02") if text in written]


def test_people_are_found_by_alias_whichever_file_they_stand_in() -> None:
    tie = "involvements:\n  - {person: ava, partner: x, role: r}\n"

    entries = read_folder({"a.yaml": tie, "z.yaml": FAMILY}, KEY, event_schemas())

    assert [entry.kind for entry in entries] == ["person", "involvement"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "partner:\n  - {}\n",
            "`x.yaml` line 1: unknown section `partner`; did you mean `partners`?",
        ),
        (
            "zzzz: 1\n",
            "`x.yaml` line 1: unknown section `zzzz`; known are partners, bases, event_rules, people, involvements, "
            "affiliations, subscriptions, consents, agreement",
        ),
        (
            "- 1\n",
            "`x.yaml` line 1: no sections; known are partners, bases, event_rules, people, involvements, "
            "affiliations, subscriptions, consents, or a file with one `agreement`",
        ),
        ("partners: haven\n", "`x.yaml` line 1: `partners` must be a list"),
        ("people:\npeople:\n", "`x.yaml` line 2: `people` stands twice; keep one"),
        (
            "bases:\n  - {code: A, kind: art5, title: T, source: S, territory: [england], in_force_from: null}\n",
            "`x.yaml` line 2: basis: `kind`: found `art5`; did you mean `art6`?",
        ),
        (
            "people:\n  - {alias: ava}\n",
            "`x.yaml` line 2: person `ava` has no identifier; give nhs_number, upn or local",
        ),
        (
            FAMILY + "  - {alias: ava, upn: X313000026001}\n",
            "`x.yaml` line 3: alias `ava` stands twice; keep one",
        ),
        (
            FAMILY + "  - {alias: eva, nhs_number: '9990079196'}\n",
            "`x.yaml` line 3: person stands already at `x.yaml` line 2; keep one",
        ),
        (
            "people:\n  - {alias: ava, upn: X313000026002}\n",
            "`x.yaml` line 2: person: `upn`: the check letter of this UPN does not fit (modulus 23); "
            "check the source record",
        ),
        (
            "people:\n  - {alias: ava, nhs_number: 9990079196}\n",
            "`x.yaml` line 2: person: `nhs_number`: Input should be a valid string",
        ),
        (
            FAMILY + "  - {alias: bump, local: {fordshire-mash: '7'}, unborn_of: eva}\n",
            "`x.yaml` line 3: person `bump` is `unborn_of` `eva`, who does not stand before it with an nhs_number",
        ),
        (
            FAMILY + "involvements:\n  - {person: eva, partner: x, role: r}\n",
            "`x.yaml` line 4: involvement names person `eva`, who is not in `people` (ava)",
        ),
        (
            "affiliations:\n  - nobody\n",
            "`x.yaml` line 2: affiliation names person `None`, who is not in `people` (nobody)",
        ),
        (
            FAMILY + "consents:\n  - {person: [ava], purpose: p}\n",
            "`x.yaml` line 4: consent names person `['ava']`, who is not in `people` (ava)",
        ),
        (
            "people:\n  - {alias: ava, nhs_number: '9990079196', date_of_birth: 2.3.2015}\n",
            "`x.yaml` line 2: person: `date_of_birth`: expected a date as 2026-11-22",
        ),
        (
            FAMILY + "involvements:\n  - {person: ava, partner: x, roll: r}\n",
            "`x.yaml` line 4: involvement: `role` is missing",
        ),
        (
            "subscriptions:\n  - {partner: x, event_type: police.encompas.v1}\n",
            "`x.yaml` line 2: no schema for event type `police.encompas.v1`; there are care.protection-plan.v1, "
            "health.ed-attendance.v1, housing.temporary-accommodation.v1, identity.change.v1, police.encompass.v1",
        ),
        (
            "event_rules:\n  - {event_type: housing.v1, code: N14, consent: service_agreement, source: S}\n",
            "`x.yaml` line 2: no schema for event type `housing.v1`; there are care.protection-plan.v1, "
            "health.ed-attendance.v1, housing.temporary-accommodation.v1, identity.change.v1, police.encompass.v1",
        ),
    ],
)
def test_each_problem_is_told_with_file_line_and_what_was_expected(text: str, complaint: str) -> None:
    assert told({"x.yaml": text})[0] == complaint


def test_all_problems_of_all_files_are_told_at_once() -> None:
    assert told(
        {
            "a.yaml": "people: [\n",
            "b.yaml": "peple: []\npartners: 5\n",
            "c.yaml": "involvements:\n  - {person: eva}\n  - {person: ola}\n",
        }
    ) == [
        "`a.yaml` line 2: this is not YAML: expected the node content, but found '<stream end>'",
        "`b.yaml` line 1: unknown section `peple`; did you mean `people`?",
        "`b.yaml` line 2: `partners` must be a list",
        "`c.yaml` line 2: involvement names person `eva`, who is not in `people` (nobody)",
        "`c.yaml` line 3: involvement names person `ola`, who is not in `people` (nobody)",
    ]


def test_an_empty_section_is_no_problem() -> None:
    assert read("people:\n") == []


def test_an_unborn_child_is_known_by_its_mother_and_keeps_its_id_when_it_is_born() -> None:
    unborn = FAMILY + "  - {alias: bump, unborn_of: ava}\n"
    born = FAMILY + "  - {alias: bump, unborn_of: ava, nhs_number: '9990237573'}\n"

    before, after = read(unborn)[1], read(born)[1]

    assert before.record_id == after.record_id == f"person/{KEY.token('unborn', '9990079196')}"
    assert sorted(after.body.tokens) == ["nhs", "unborn"]  # type: ignore[attr-defined]


def test_a_local_number_becomes_a_token_of_its_agency() -> None:
    (entry,) = read("people:\n  - {alias: ava, local: {fordshire-mash: '7'}}\n")

    assert entry.body.tokens == {  # type: ignore[attr-defined]
        "local:fordshire-mash": KEY.token("local:fordshire-mash", "7")
    }


def test_a_tie_said_again_with_another_end_is_the_same_tie() -> None:
    first = read(FAMILY + "involvements:\n  - {person: ava, partner: x, role: r}\n")[1]
    again = read(FAMILY + "involvements:\n  - {person: ava, partner: x, role: r, ends_on: 2026-12-31}\n")[1]

    assert first.record_id == again.record_id
    assert again.body.ends_on == date(2026, 12, 31)  # type: ignore[attr-defined]


def test_each_decision_about_consent_is_a_record_of_its_own() -> None:
    entry = ConsentEntry(
        person_id="p",
        meaning=Meaning.SERVICE_AGREEMENT,
        purpose="notice",
        state=State.GIVEN,
        decided_at=NOON,
        expressed_by="parent",
        method="in person",
    )

    same = consent_record_id(entry.model_copy(update={"method": "by letter"}))
    other = consent_record_id(entry.model_copy(update={"state": State.WITHDRAWN}))

    assert same == consent_record_id(entry) != other


# Agreements against the schemas


def agreed(**changes: Any) -> str:
    """A file with the small agreement, its flow changed."""
    return yaml.safe_dump(AGREEMENT | {"flows": [FLOW | changes]}, sort_keys=False)


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), start=1) if line.strip("- ").startswith(start))


@pytest.mark.parametrize(
    ("changes", "field", "complaint"),
    [
        (
            {"event_type": "police.v1"},
            "event_type",
            "no schema for event type `police.v1`; there are care.protection-plan.v1, health.ed-attendance.v1, "
            "housing.temporary-accommodation.v1, identity.change.v1, police.encompass.v1",
        ),
        (
            {"schema_version": 99},
            "schema_version",
            "version 99 of `police.encompass.v1` does not exist yet",
        ),
        ({"fields": ["payload.x"]}, "fields", "`payload.x` is no field of `police.encompass.v1`"),
        ({"mask": {"payload.x": "year"}}, "mask", "`payload.x` is no field of `police.encompass.v1`"),
        (
            {"mask": {"subject.date_of_birth": "decade"}},
            "mask",
            "unknown mask `decade`; known are initial, outward_code, year",
        ),
        (
            {"mask": {"subject.given_name": "outward_code"}},
            "mask",
            "mask `outward_code` is for a `postcode` only, and `subject.given_name` is none",
        ),
        (
            {"fields": ["payload.circumstance"]},
            "fields",
            "`payload.circumstance` is no field of `police.encompass.v1`; did you mean `payload.circumstances`?",
        ),
        (
            {"fields": ["payload.referrer"]},
            "fields",
            "`payload.referrer` may be released by no agreement",
        ),
        (
            {"mask": {"subject.given_name": "year"}},
            "mask",
            "mask `year` blurs a date, and `subject.given_name` is a string",
        ),
    ],
)
def test_an_agreement_speaks_of_what_there_is(changes: dict[str, Any], field: str, complaint: str) -> None:
    text = agreed(**changes)

    assert told({"x.yaml": text}) == [
        f"`x.yaml` line {line_of(text, field)}: agreement `small` flow `to-school`: {complaint}"
    ]


def test_a_person_whose_line_is_wrong_is_told_once() -> None:
    """Involvements of that person are not wrong for it."""
    text = "people:\n  - {alias: ava, nhs_number: '1'}\ninvolvements:\n  - {person: ava, partner: x, role: r}\n"

    (only,) = told({"x.yaml": text})
    assert only.startswith("`x.yaml` line 2: person: `nhs_number`: ")


def test_a_line_that_is_no_person_is_told() -> None:
    (only,) = told({"x.yaml": "people:\n  - ava\n"})
    assert only.startswith("`x.yaml` line 2: person: ")


def test_an_agreement_may_count_children_and_blur_what_it_releases() -> None:
    (entry,) = read(agreed(mask={"other_children": "count", "subject.date_of_birth": "year"}))

    assert (entry.record_id, entry.where) == ("agreement/small", "`x.yaml` line 1")


def test_an_agreement_stands_in_one_file_only() -> None:
    assert told({"a.yaml": agreed(), "b.yaml": agreed()}) == [
        "`b.yaml` line 1: agreement stands already at `a.yaml` line 1; keep one"
    ]


def test_every_problem_of_an_agreement_is_told_at_once() -> None:
    text = yaml.safe_dump(AGREEMENT | {"status": "signed", "review": "2027-01-01"}, sort_keys=False)

    assert told({"x.yaml": text}) == [
        "`x.yaml` line 4: agreement `small`: `status`: found `signed`; "
        "expected one of draft, active, suspended, terminated",
        f"`x.yaml` line {line_of(text, 'review: ')}: agreement `small`: unknown field `review`; "
        "did you mean `review_by`?",
    ]


def test_files_below_the_folder_are_read_too() -> None:
    assert sorted(Path(name).name for name in FILES) == [
        "bases.yaml",
        "encompass.yaml",
        "family.yaml",
        "health-and-care.yaml",
        "partners.yaml",
        "temporary-accommodation.yaml",
    ]

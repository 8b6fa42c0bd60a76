"""What an information-governance lead is told about a register folder, all at once."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from a_register import AGREEMENT, ENTRIES, FLOW, FOLDER, KEY, NOON, demo
from hypothesis import assume, given
from hypothesis import strategies as st

from safebus.schemas.errors import BadRegister
from safebus.schemas.event_schemas import event_schemas
from safebus.streams.register.changes import read_files
from safebus.streams.register.cross_checks import cross_check
from safebus.streams.register.entries import Entry, consent_record_id, read_folder
from safebus.streams.register.store import Register, body_of
from safebus.streams.rules.consent import Capacity, ConsentEntry, Meaning, State
from safebus.streams.rules.parties import Danger, KnownPerson, MaySpeakFor

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
            "affiliations, subscriptions, dangers, may_speak_for, consents, destinations, "
            "two_persons, people_here, agreement",
        ),
        (
            "- 1\n",
            "`x.yaml` line 1: no sections; known are partners, bases, event_rules, people, involvements, "
            "affiliations, subscriptions, dangers, may_speak_for, consents, "
            "destinations, two_persons, people_here, or a file with one `agreement`",
        ),
        ("partners: haven\n", "`x.yaml` line 1: `partners` must be a list"),
        ("people:\npeople:\n", "`x.yaml` line 2: `people` stands twice; keep one"),
        (
            "bases:\n  - {code: A, kind: art5, title: T, source: S, territory: [england], in_force_from: null}\n",
            "`x.yaml` line 2: basis: `kind`: found `art5`; did you mean `art6`?",
        ),
        (
            "people:\n  - {alias: ava}\n",
            "`x.yaml` line 2: person `ava` has no identifier; give nhs_number, upn or local; or "
            "family_name and date_of_birth, for one who is only looked for by name",
        ),
        (
            FAMILY + "  - {alias: ava, upn: X313000026001}\n",
            "`x.yaml` line 3: alias `ava` stands twice; keep one",
        ),
        (
            FAMILY + "  - {alias: eva, nhs_number: '9990079196'}\n",
            "`x.yaml` line 3: person `eva` has the same nhs number as `ava`, now or before; events about "
            "both would be set aside, so give each their own",
        ),
        (
            "people:\n  - {alias: ava, upn: X313000026002}\n",
            "`x.yaml` line 2: person: `upn`: the check letter of this UPN does not fit (modulus 23); "
            "check the source record",
        ),
        (
            "people:\n  - {alias: ava, nhs_number: 9990079196}\n",
            "`x.yaml` line 2: person: `nhs_number`: expected text, and this is read as a number, a date, or yes or no; "
            "put it in quotes",
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
        (
            "partners:\n  - {partner: auditor, name: A, sector: s, org_type: charity, call: c}\n",
            "`x.yaml` line 2: `auditor` is what a process of the bus is called; name it otherwise",
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


def test_a_consent_without_a_speaker_keeps_the_id_it_had_before_speakers_were_recorded() -> None:
    """Else every folder would write each consent a second time."""
    entry = ConsentEntry(
        person_id="p",
        meaning=Meaning.SERVICE_AGREEMENT,
        purpose="notice",
        state=State.GIVEN,
        decided_at=NOON,
        expressed_by="parent",
        method="in person",
    )

    assert consent_record_id(entry) == "consent/cef8a5af-9f67-5d1a-b3d6-91de820f0f25"
    assert consent_record_id(entry) != consent_record_id(entry.model_copy(update={"by": "m"}))
    assert consent_record_id(entry) != consent_record_id(entry.model_copy(update={"capacity": Capacity.PARENT}))


TWO = "people:\n  - {alias: ava, nhs_number: '9990079196'}\n  - {alias: maya, nhs_number: '9990395950'}\n"
AGREED = "purpose: p, meaning: service_agreement, state: given, decided_at: '2026-11-02T10:00:00Z', method: m"


@pytest.mark.parametrize("who", ["by: maya", "expressed_by: maya"])
def test_an_alias_of_who_said_it_becomes_that_person_and_is_not_kept(who: str) -> None:
    entry = read(TWO + f"consents:\n  - {{person: ava, {AGREED}, {who}}}\n")[2]

    assert isinstance(entry.body, ConsentEntry)
    assert (entry.body.by, entry.body.expressed_by) == (KEY.token("nhs", "9990395950"), "")


@pytest.mark.parametrize("word", ["parent", "''", "officer"])
def test_a_word_that_is_no_alias_stays_a_word(word: str) -> None:
    entry = read(TWO + f"consents:\n  - {{person: ava, {AGREED}, expressed_by: {word}}}\n")[2]

    assert isinstance(entry.body, ConsentEntry)
    assert (entry.body.by, entry.body.expressed_by) == (None, word.strip("'"))


def test_an_alias_that_is_a_word_for_a_capacity_is_that_word() -> None:
    people = TWO.replace("maya", "parent")
    entry = read(people + f"consents:\n  - {{person: ava, {AGREED}, expressed_by: parent}}\n")[2]

    assert isinstance(entry.body, ConsentEntry)
    assert entry.body.by is None


def test_who_may_speak_for_whom_stands_in_the_folder_too() -> None:
    row = "{person: ava, by: maya, as: parental_responsibility, source: birth certificate, ends_on: 2033-03-01}"
    entry = read(TWO + f"may_speak_for:\n  - {row}\n")[2]

    assert entry.kind == "may_speak_for"
    assert entry.body == MaySpeakFor.model_validate(
        {
            "person_id": KEY.token("nhs", "9990079196"),
            "by": KEY.token("nhs", "9990395950"),
            "as": "parental_responsibility",
            "source": "birth certificate",
            "ends_on": "2033-03-01",
        }
    )


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        (
            TWO + f"consents:\n  - {{person: ava, {AGREED}, by: mia}}\n",
            ["`x.yaml` line 5: consent: `by` names `mia`, who is not in `people` (ava, maya)"],
        ),
        (
            TWO + "may_speak_for:\n  - {person: ava, by: [], as: court_order, source: s}\n",
            ["`x.yaml` line 5: may_speak_for: `by` names `[]`, who is not in `people` (ava, maya)"],
        ),
        (
            TWO + "may_speak_for:\n  - {person: ava, by: maya, as: parental, source: s}\n",
            [
                "`x.yaml` line 5: may_speak_for: `as`: found `parental`; "
                "expected one of parental_responsibility, representative, court_order"
            ],
        ),
        (
            TWO + f"consents:\n  - {{person: ava, {AGREED}, capacity: parnt}}\n",
            ["`x.yaml` line 5: consent: `capacity`: found `parnt`; did you mean `parent`?"],
        ),
    ],
)
def test_a_slip_in_who_speaks_is_told(text: str, complaints: list[str]) -> None:
    assert told({"x.yaml": text}) == complaints


def test_a_speaker_whose_own_line_is_wrong_is_told_there_only() -> None:
    text = TWO.replace("9990395950", "1") + "may_speak_for:\n  - {person: ava, by: maya, as: court_order, source: s}\n"

    (only,) = told({"x.yaml": text})
    assert only.startswith("`x.yaml` line 3: person: `nhs_number`: ")


def test_facts_that_decide_who_is_asked_stand_with_the_person() -> None:
    (entry,) = read(FAMILY.rstrip("}\n") + ", lives_independently: true, competent_since: 2026-01-31}\n")

    assert isinstance(entry.body, KnownPerson)
    assert (entry.body.lives_independently, entry.body.competent_since) == (True, date(2026, 1, 31))


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
            {"mask": {"subject.home_address.postcode": "outwardcode"}, "release": {"subject": ["LOCATION_HOME"]}},
            "mask",
            "unknown mask `outwardcode`; did you mean `outward_code`?; known are initial, outward_code, year",
        ),
        (
            {"mask": {"subject.date_of_brith": "year"}},
            "mask",
            "`subject.date_of_brith` is no field of `police.encompass.v1`; did you mean `subject.date_of_birth`?",
        ),
        (
            {"mask": {"adults": "count"}},
            "mask",
            "found `adults: count`; only `other_children` is counted, and `count` is all that it takes",
        ),
        (
            {"mask": {"other_children": "year"}},
            "mask",
            "found `other_children: year`; only `other_children` is counted, and `count` is all that it takes",
        ),
        (
            {"mask": {"payload.police_reference": "initial"}},
            "mask",
            "mask `initial` leaves out what it cannot blur, and `payload.police_reference` may not be left out; "
            "release it as it is, or not at all",
        ),
        (
            {"mask": {"subject.home_address.postcode": "outward_code"}},
            "mask",
            "a mask releases nothing, and `subject.home_address.postcode` is not released; "
            "name LOCATION_HOME in `release.subject`, or take the mask away",
        ),
        (
            {"mask": {"adults[].date_of_birth": "year"}},
            "mask",
            "a mask releases nothing, and `adults[].date_of_birth` is not released; "
            "name ID_CORE in `release.adults`, or take the mask away",
        ),
        (
            {"mask": {"payload.officer_notes": "initial"}, "release": {"event": ["FREE_TEXT"]}},
            "mask",
            "a mask releases nothing, and `payload.officer_notes` is free text, which only `fields` releases; "
            "name it there, or take the mask away",
        ),
        (
            {"mask": {"payload.referrer": "initial"}},
            "mask",
            "a mask releases nothing, and `payload.referrer` may be released by no agreement",
        ),
        (
            {"release": {"subject": ["RISK_SCORE", "ID_CORE"]}},
            "release",
            "`subject` names RISK_SCORE, which no field of `subject` in `police.encompass.v1` is; there are "
            "AFFILIATION, CONTACT_SAFE, GP_REGISTRATION, HANDLING, ID_CORE, LINKAGE, LOCAL_ID, LOCATION_AREA, "
            "LOCATION_HOME, LOCATION_SAFE, NHS_NUMBER, RELATIONSHIP, ROLE, SCHOOL_PLACE, UPN",
        ),
        (
            {"release": {"event": ["HOUSING_FACT"]}},
            "release",
            "`event` names HOUSING_FACT, which no field of `event` in `police.encompass.v1` is; there are BASIS, "
            "CRIMINAL, ENVELOPE, FREE_TEXT, HANDLING, INCIDENT_FACT, INCIDENT_NARRATIVE, LINKAGE, LOCATION_INCIDENT, "
            "PROFESSIONAL_CONTACT, PUBLISHER, RISK_SCORE, VOICE_OF_CHILD",
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

    assert (entry.record_id, entry.where) == ("agreement/small/v1", "`x.yaml` line 1")


def test_a_mask_may_wait_for_the_condition_that_the_law_asks_for() -> None:
    """Health data named and withheld for want of an Art 9 condition (R07) may be blurred already."""
    release = {"event": ["HEALTH_CHILD"]}

    assert read(
        agreed(event_type="health.ed-attendance.v1", release=release, mask={"payload.presenting_complaint": "initial"})
    )


def test_a_year_may_be_told_of_a_date_that_is_always_there() -> None:
    mask = {"payload.start_date": "year"}

    assert read(agreed(event_type="care.protection-plan.v1", release={"event": ["PLAN_STATUS"]}, mask=mask))


@pytest.mark.parametrize(
    ("release", "complaint"),
    [
        ({"subjects": ["ID_CORE"]}, "unknown field `subjects`; did you mean `subject`?"),
        ({"adult": ["ID_CORE"]}, "unknown field `adult`; did you mean `adults`?"),
        (
            {"family": ["ID_CORE"]},
            "unknown field `family`; known are adults, alleged_perpetrators, event, other_children, subject",
        ),
        ({"subject": ["ID_COR"]}, "`flows.0.release.subject.0`: found `ID_COR`; did you mean `ID_CORE`?"),
        ({"subject": ["EVERYTHING"]}, "`flows.0.release.subject.0`: found `EVERYTHING`; expected one of ENVELOPE, "),
    ],
)
def test_a_group_or_class_that_does_not_exist_is_told_with_those_that_do(
    release: dict[str, Any], complaint: str
) -> None:
    (only,) = told({"x.yaml": agreed(release=release)})

    assert complaint in only


#: What an agreement of a flow with masks says of fields, each word of it once, and where it stands.
WORDS = ("subject", "ID_CORE", "LOCATION_HOME", "other_children", "count", "subject.date_of_birth", "outward_code")


@given(st.sampled_from(WORDS), st.data())
def test_a_typo_in_what_is_released_or_masked_is_always_named_and_never_loads(word: str, data: st.DataObject) -> None:
    """One letter more, one less, or another: nothing that it could mean instead is taken for it."""
    at = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_."))
    typo = data.draw(
        st.sampled_from(
            (word[:at] + word[at + 1 :], word[:at] + letter + word[at:], word[:at] + letter + word[at + 1 :])
        )
    )
    assume(typo != word)
    masks = {"subject.date_of_birth": "year", "subject.home_address.postcode": "outward_code"}
    right: dict[str, Any] = {
        "release": {"subject": ["ID_CORE", "LOCATION_HOME"]},
        "mask": {**masks, "other_children": "count"},
    }

    def spelt(value: Any) -> Any:
        if isinstance(value, dict):
            return {spelt(key): spelt(inner) for key, inner in value.items()}
        return [spelt(inner) for inner in value] if isinstance(value, list) else typo if value == word else value

    assert read(agreed(**right))
    assert any(f"`{typo}" in problem or f": {typo}`" in problem for problem in told({"x.yaml": agreed(**spelt(right))}))


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


def test_who_is_a_danger_to_whom_stands_in_the_folder_by_alias() -> None:
    row = "{person: maya, to: ava, source: an order of the court}"
    entry = read(TWO + f"dangers:\n  - {row}\n")[2]

    assert entry.kind == "danger"
    assert entry.body == Danger(
        person_id=KEY.token("nhs", "9990395950"), to=KEY.token("nhs", "9990079196"), source="an order of the court"
    )


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("{person: maya, to: nobody, source: s}", "danger: `to` names `nobody`, who is not in `people` (ava, maya)"),
        ("{person: nobody, to: ava, source: s}", "danger names person `nobody`, who is not in `people` (ava, maya)"),
        ("{person: maya, source: s}", "danger: `to` is missing"),
        ("{person: maya, to: ava}", "danger: `source` is missing"),
        ("{person: ava, to: ava, source: s}", "danger: nobody is a danger of this kind to themselves"),
    ],
)
def test_a_danger_that_names_nobody_or_nothing_is_told(row: str, complaint: str) -> None:
    with pytest.raises(BadRegister) as found:
        read(TWO + f"dangers:\n  - {row}\n")

    assert len(found.value.problems) == 1
    assert complaint in found.value.problems[0]


@pytest.mark.parametrize(
    ("other", "scheme"),
    [
        ('nhs_number: "9990395950"', "nhs"),
        ('nhs_number: "9990237573", upn: X313000026001', "upn"),
        ('nhs_number: "9990237573", superseded_numbers: ["9990395950"]', "nhs"),
        ('nhs_number: "9990237573", local: {haven: "7"}', "local:haven"),
    ],
)
def test_one_number_is_one_person_s_now_and_before(other: str, scheme: str) -> None:
    """Events about both would be set aside, and nobody would know why."""
    one = '{alias: maya, nhs_number: "9990395950", upn: X313000026001, local: {haven: "7"}}'
    with pytest.raises(BadRegister) as found:
        read(f"people:\n  - {one}\n  - {{alias: ben, {other}}}\n")

    [problem] = found.value.problems
    assert f"person `ben` has the same {scheme} number as `maya`, now or before" in problem


def test_what_ends_before_it_begins_is_told() -> None:
    row = "{person: maya, to: ava, source: s, starts_on: 2026-02-01, ends_on: 2026-01-01}"
    with pytest.raises(BadRegister) as found:
        read(TWO + f"dangers:\n  - {row}\n")

    assert "`ends_on` 2026-01-01 is before `starts_on` 2026-02-01" in found.value.problems[0]

"""
What should be decided and released, in the opinion of someone who has not read the rules' code?

Written from the specification in words (`docs/reference/reasons.md`, R01-R28), over plain dicts, without an index and
without a class: slow, and meant to be read beside the specification. It shares no line with `streams`; what it knows
of the data it reads from the `.avsc` files and from the tables below, which were copied by hand.

    1. whom in the register does each subject mean?   in doubt: nobody is told of this one; of all of them: set aside
    2. who is interested in which subject?
    3. does anything refuse?                          a refusal wins
    4. is there a flow without a fault?               else silence refuses
    5. does anything ask for a person?                then it is held
    6. which leaves does that flow release?
    7. is an earlier event taken back or corrected?   whoever had that, and is not told now, hears that it was wrong
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

SET_ASIDE = "set aside"

Row = dict[str, Any]
Answer = tuple[str, Any]  # ("PERMIT", the view), ("HOLD", None) or ("REFUSE", None)
Answers = dict[tuple[str, str], Answer]  # by (recipient, the subject's ref)

ABOUT = ("CHILD", "UNBORN_CHILD", "PERSON")
CARED_FOR = (*ABOUT, "ADULT_VICTIM")

# `schemas/classes.py` in another hand: this page must not change when that one does.
AGREES = ("given", "renewed")
CONSENT_AS_SUCH = ("A6-1-a", "CLDC-CONSENT")
NEVER = {"REFERRER"}
PROSE = {"FREE_TEXT", "INCIDENT_NARRATIVE", "VOICE_OF_CHILD"}
SPECIAL = {"HEALTH_CHILD", "HEALTH_ADULT", "SEXUAL_REPRODUCTIVE"}
CRIMINAL = {"CRIMINAL"}
STRIPPED = {
    "LOCATION_HOME",
    "LOCATION_AREA",
    "LOCATION_SAFE",
    "LOCATION_INCIDENT",
    "CONTACT_SAFE",
    "GP_REGISTRATION",
    "SCHOOL_PLACE",
    "AFFILIATION",
    "HOUSING_REASON",
} | PROSE

AVSC = Path(__file__).parents[2] / "schemas" / "avro"


# ---- the register, as written -------------------------------------------------------------------------------------


def read_world(texts: Iterable[str]) -> Row:
    """Every section of every file; agreements under `agreements`."""
    world: Row = {"agreements": []}
    for text in texts:
        page = yaml.safe_load(text) or {}
        if "agreement" in page:
            world["agreements"].append(page)
            continue
        for section, rows in page.items():
            world.setdefault(section, []).extend(rows)
    return world


def rows(world: Row, section: str) -> list[Row]:
    return world.get(section) or []


def partner_of(world: Row, name: str) -> Row | None:
    return next((p for p in rows(world, "partners") if p["partner"] == name), None)


def valid_on(row: Row, day: date) -> bool:
    """Both ends belong to it; an end that is not written is open."""
    starts, ends = row.get("starts_on"), row.get("ends_on")
    return (starts is None or starts <= day) and (ends is None or day <= ends)


# ---- 1. whom does each subject mean? ------------------------------------------------------------------------------


def identifiers_of_person(world: Row, person: Row) -> dict[str, str]:
    """Scheme -> value, as the register knows them."""
    known = {}
    if person.get("nhs_number"):
        known["nhs"] = person["nhs_number"]
    if person.get("upn"):
        known["upn"] = person["upn"]
    for agency, number in (person.get("local") or {}).items():
        known[f"local:{agency}"] = number
    if person.get("unborn_of"):
        mother = next(p for p in rows(world, "people") if p["alias"] == person["unborn_of"])
        known["unborn"] = mother["nhs_number"]
    return known


def identifiers_of_subject(subject: Row, publisher: str) -> dict[str, str]:
    """Scheme -> value, as the event gives them. An unborn child has no number yet: its mother's, in its own scheme."""
    given = {}
    if subject.get("nhs_number"):
        given["unborn" if subject["role"] == "UNBORN_CHILD" else "nhs"] = subject["nhs_number"]
    if subject.get("upn"):
        given["upn"] = subject["upn"]
    if subject.get("local_id"):
        given[f"local:{publisher}"] = subject["local_id"]
    return given


def _says_otherwise(subject: Row, person: Row) -> bool:
    """
    Name and birth date, each by itself, where both sides know it: one that contradicts is enough.
    """
    for name, same in (("family_name", _same_name), ("given_name", _same_first), ("date_of_birth", _same_day)):
        theirs, ours = subject.get(name), person.get(name)
        if theirs and ours and not same(theirs, ours):
            return True
    return False


def _folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())


def _same_name(one: str, other: str) -> bool:
    """Spelling is folded: accents, capitals, hyphens, apostrophes, spaces."""
    return not _folded(one) or not _folded(other) or _folded(one) == _folded(other)


def _same_first(one: str, other: str) -> bool:
    """Middle names make no other person, nor does a hyphen where the other has a space, or nothing at all."""
    return _same_name(_first(one), _first(other)) or bool({*_starts(one)} & {*_starts(other)})


def _starts(given: str) -> list[str]:
    words = [_folded(word) for word in given.replace("-", " ").split() if _folded(word)]
    return [words[0], "".join(words[:2])] if words else []


def _first(given: str) -> str:
    return given.replace("-", " ").strip().split(" ")[0]


def _same_day(one: Any, other: Any) -> bool:
    return str(one)[:10] == str(other)[:10]


def _twin_of(world: Row, subject: Row, given: dict[str, str], person: Row) -> bool:
    """Does nothing but one number tell this person from another of the same name and birth date?"""
    if len(given) > 1 or (_folded(_first(subject.get("given_name") or "")) and person.get("given_name")):
        return False
    return any(
        other["alias"] != person["alias"]
        and _folded(other.get("family_name") or "") == _folded(person.get("family_name") or "") != ""
        and other.get("date_of_birth")
        and person.get("date_of_birth")
        and _same_day(other["date_of_birth"], person["date_of_birth"])
        for other in rows(world, "people")
    )


class Who(dict[str, "Row | None"]):
    """Ref -> the person in the register, None for a stranger; `doubtful`: ref -> who it may be (R24)."""

    def __init__(self) -> None:
        super().__init__()
        self.doubtful: dict[str, list[Row]] = {}

    def protects_as(self, world: Row, subject: Row) -> list[Row]:
        """Whom it may be, and whom a subject that no number ties to anybody is like, of those who are noted."""
        found = self.may_be(subject["ref"])
        person = None if subject["ref"] in self.doubtful else self[subject["ref"]]
        confirmed = person is not None and (
            bool(_folded(subject.get("family_name") or "") and person.get("family_name"))
            or bool(subject.get("date_of_birth") and person.get("date_of_birth"))
        )
        if not confirmed and subject["role"] != "UNBORN_CHILD":
            like = [each for each in rows(world, "people") if is_noted(world, each) and _like(subject, each)]
            found = [*found, *(each for each in like if each not in found)]
        return found

    def may_be(self, ref: str) -> list[Row]:
        if ref in self.doubtful:
            return self.doubtful[ref]
        person = self[ref]
        return [person] if person is not None else []


def is_noted(world: Row, person: Row) -> bool:
    """Restricted, adopted, a danger or in danger, or somebody who may speak for another."""
    name = person["alias"]
    dangerous = any(name in (row["person"], row["to"]) for row in rows(world, "dangers"))
    speaks = any(row["by"] == name for row in rows(world, "may_speak_for"))
    return bool(person.get("restricted") or person.get("adopted")) or dangerous or speaks


def mother_of(world: Row, subject: Row) -> Row | None:
    """Of one who is not born yet: whose number it goes by."""
    if subject["role"] != "UNBORN_CHILD" or not subject.get("nhs_number"):
        return None
    found = [p for p in rows(world, "people") if identifiers_of_person(world, p).get("nhs") == subject["nhs_number"]]
    return found[0] if len(found) == 1 else None


def who_is_who(world: Row, event: Row) -> Who:
    publisher = event["publisher"]["agency"]
    found = Who()
    seen: dict[str, str] = {}
    for subject in event["subjects"]:
        given = identifiers_of_subject(subject, publisher)
        candidates = {
            person["alias"]: person
            for person in rows(world, "people")
            for scheme, value in identifiers_of_person(world, person).items()
            if given.get(scheme) == value
        }
        if len(candidates) > 1:
            found.doubtful[subject["ref"]] = [*candidates.values()]
            continue
        if not candidates:
            found[subject["ref"]] = None
        else:
            (person,) = candidates.values()
            known = identifiers_of_person(world, person)
            differs = any(scheme in known and known[scheme] != value for scheme, value in given.items())
            if differs or _says_otherwise(subject, person) or _twin_of(world, subject, given, person):
                found.doubtful[subject["ref"]] = [person]
                continue
            found[subject["ref"]] = person
        # Two with one number are one person too, whether or not the register knows it.
        names = {f"{scheme} {value}" for scheme, value in given.items()}
        if found[subject["ref"]] is not None:
            names.add(f"alias {found[subject['ref']]['alias']}")
        for name in names & seen.keys():
            for ref in (seen[name], subject["ref"]):
                found.doubtful[ref] = [person for person in [found.get(ref)] if person is not None]
        for name in names:
            seen.setdefault(name, subject["ref"])
    for ref in found.doubtful:
        found.pop(ref, None)
    return found


# ---- 2. who is interested? ----------------------------------------------------------------------------------------


def interests(world: Row, event: Row, subject: Row, person: Row | None, today: date) -> dict[str, set[str]]:
    """Recipient -> its roles towards this subject, `subscription` among them."""
    found: dict[str, set[str]] = {}
    if subject["role"] in CARED_FOR and person is not None:
        for row in rows(world, "involvements"):
            if row["person"] == person["alias"] and valid_on(row, today):
                found.setdefault(row["partner"], set()).add(row["role"])
    if subject["role"] in ABOUT:
        for row in rows(world, "subscriptions"):
            if row["event_type"] == event["event_type"] and valid_on(row, today):
                found.setdefault(row["partner"], set()).add("subscription")
    found.pop(event["publisher"]["agency"], None)
    return found


# ---- 3. refusals --------------------------------------------------------------------------------------------------


def refused(world: Row, event: Row, subject: Row, who: Who, recipient: str, today: date, before: Row) -> str | None:
    """What refuses whatever any agreement permits, if anything does."""
    for name in (recipient, event["publisher"]["agency"]):
        partner = partner_of(world, name)
        if partner is None or partner.get("suspended"):
            return f"{name} is unknown or suspended"
    if recipient in suspects_at(world, event, who, today):
        return "adversary"
    if recipient in before["out"]:
        return "adversary, as an earlier event of the episode said"
    if recipient in dangers_at(world, event, who, today):
        return "adversary, as somebody recorded"
    for agreement, flow in flows(world, event, recipient):
        bans = flow.get("effect") == "refuse" and subject["role"] in flow.get("about", ABOUT)
        if bans and flow["purpose"] == event["purpose"] and in_force(agreement, today, unless_reviewed=False):
            return f"flow {flow['flow']} refuses"
    return None


def suspects_at(world: Row, event: Row, who: Who, today: date) -> set[str]:
    """Where the suspects work or govern, for sure."""
    found = set()
    for other in event["subjects"]:
        if other["role"] == "ALLEGED_PERPETRATOR":
            found |= {name for name in other.get("works_for") or () if partner_of(world, name) is not None}
            person = who.get(other["ref"])
            found |= set() if person is None else ties_of(world, person, today)
    return found


def suspects_may_be_at(world: Row, event: Row, who: Who, today: date) -> set[str]:
    """Where they may, so that a person must look."""
    found = set()
    for other in event["subjects"]:
        if other["role"] != "ALLEGED_PERPETRATOR":
            continue
        person = who.get(other["ref"])
        named = _folded(other.get("family_name") or "") and person is not None and person.get("family_name")
        if not named:  # a number alone may be mistyped
            maybe = [
                *who.doubtful.get(other["ref"], ()),
                *(p for p in rows(world, "people") if _like(other, p, keeps_out=True)),
            ]
            for each in maybe:
                found |= ties_of(world, each, today)
        for agency in other.get("works_for") or ():
            if partner_of(world, agency) is None:
                found |= {p["partner"] for p in rows(world, "partners") if _sounds_like(world, agency, p)}
    return found


def _in_reach(world: Row, event: Row, who: Who) -> Iterator[tuple[Row, Row, bool]]:
    """(subject, whom of the register it protects or accuses, sure), of all but the suspects."""
    for subject in event["subjects"]:
        if subject["role"] != "ALLEGED_PERPETRATOR":
            sure = who.may_be(subject["ref"])
            for person in who.protects_as(world, subject):
                yield subject, person, person in sure
            mother = mother_of(world, subject)
            if mother:
                yield subject, mother, bool(sure)


def dangers_at(world: Row, event: Row, who: Who, today: date) -> set[str]:
    """Where those work or govern who are recorded as a danger to one of these, whoever else the event accuses."""
    found = set()
    for subject, person, sure in _in_reach(world, event, who):
        for row in rows(world, "dangers"):
            if row["to"] == person["alias"] and valid_on(row, today) and sure:
                found |= ties_of(world, {"alias": row["person"]}, today)
            if row["person"] == person["alias"] and valid_on(row, today):
                found |= {n for n in subject.get("works_for") or () if partner_of(world, n) is not None}
                if sure:
                    for each in [p for s, p, as_sure in _in_reach(world, event, who) if s is subject and as_sure]:
                        found |= ties_of(world, each, today)
    return found


def dangers_may_be_at(world: Row, event: Row, who: Who, today: date) -> set[str]:
    """Where they may: by an agency that is misspelt, by a likeness, or because a number alone says who they are."""
    found: set[str] = set()
    for subject, person, sure in _in_reach(world, event, who):
        for row in rows(world, "dangers"):
            if row["to"] == person["alias"] and valid_on(row, today) and not sure:
                found |= ties_of(world, {"alias": row["person"]}, today)
        if any(row["person"] == person["alias"] and valid_on(row, today) for row in rows(world, "dangers")):
            reach = [p for s, p, as_sure in _in_reach(world, event, who) if s is subject and as_sure == sure]
            if not sure:
                for each in reach:
                    found |= ties_of(world, each, today)
            named = _folded(subject.get("family_name") or "") and all(p.get("family_name") for p in reach)
            if not (sure and named):
                for other in rows(world, "people"):
                    if _like(subject, other, keeps_out=True):
                        found |= ties_of(world, other, today)
            for agency in subject.get("works_for") or ():
                if partner_of(world, agency) is None:
                    found |= {p["partner"] for p in rows(world, "partners") if _sounds_like(world, agency, p)}
    return found


def ties_of(world: Row, person: Row, today: date) -> set[str]:
    return {row["partner"] for row in rows(world, "affiliations") if tied(world, person, row["partner"], today)}


def tied(world: Row, person: Row, recipient: str, today: date) -> bool:
    """Does this person work for, or govern, the recipient?"""
    return any(
        row["person"] == person["alias"] and row["partner"] == recipient and valid_on(row, today)
        for row in rows(world, "affiliations")
    )


def asks_for_a_person(
    world: Row, event: Row, subject: Row, who: Who, recipient: Row, roles: set[str], now: datetime, before: Row
) -> bool:
    """Is there anything that the bus must not decide by itself?"""
    if not before["known"] and "subscription" not in roles:
        return True  # whom the first kept out is not known, and who watches over all is where somebody knows
    today = day_in_london(now)
    happened = datetime.fromisoformat(event["occurred_at"])
    if (happened - now).total_seconds() > 300:
        return True
    if event["event_type"] in ("police.encompass.v1", "care.protection-plan.v1") and subject["role"] == "CHILD":
        years = age_of(subject, day_in_london(happened))
        if years is not None and years >= 18:
            return True
    if (
        subject["role"] == "ADULT_VICTIM"
        and (years := age_of(subject, day_in_london(happened))) is not None
        and years < 18
    ):
        return True
    if cannot_be(event, now):
        return True
    handling = event.get("handling") or {}
    if "V" in (handling.get("confidentiality"), subject.get("confidentiality")):
        return True
    if {"NODSCLCD", "HUAPRV"} & {*(handling.get("refrain") or ()), *(handling.get("obligations") or ())}:
        return True
    maybe = suspects_may_be_at(world, event, who, today) | dangers_may_be_at(world, event, who, today)
    return recipient["partner"] in maybe | before["perhaps"]


def cannot_be(event: Row, now: datetime) -> bool:
    """Dates of the payload that contradict each other, or lie where they cannot."""
    p, today = event["payload"], day_in_london(now)
    soon = day_in_london(now + timedelta(days=183))

    def day(name: str) -> date | None:
        return date.fromisoformat(str(p[name])[:10]) if p.get(name) else None

    def at(name: str) -> datetime | None:
        return moment(p[name]).replace(microsecond=moment(p[name]).microsecond // 1000 * 1000) if p.get(name) else None

    match event["event_type"]:
        case "care.protection-plan.v1":
            begins, ends = day("start_date"), day("end_date")
            assert begins is not None
            unborn = any(s["role"] == "UNBORN_CHILD" for s in event["subjects"] if s["role"] in CARED_FOR)
            if unborn != (p["plan_type"] == "UNBORN_CHILD_PROTECTION"):
                return True
            return begins > soon or (ends is not None and ends < begins)
        case "housing.temporary-accommodation.v1":
            agreed, placed = day("agreed_on"), day("placed_on")
            assert agreed is not None and placed is not None
            return agreed > today or placed > soon
        case "health.ed-attendance.v1":
            came, left = at("arrived_at"), at("left_at")
            assert came is not None
            return came > now + timedelta(minutes=5) or (left is not None and left < came)
        case "identity.change.v1":
            died = at("died_at")
            born = [s.get("date_of_birth") for s in event["subjects"] if s["role"] in CARED_FOR]
            return died is not None and (
                died > now + timedelta(minutes=5)
                or any(day_in_london(died) < date.fromisoformat(str(b)[:10]) for b in born if b)
            )
    return False


def _like(suspect: Row, person: Row, keeps_out: bool = False) -> bool:
    """
    May the suspect be this person of the register: two of family name, first name and birth date are alike?

    The suspect's names may stand in any order; whoever is in the register was asked. Dates are alike if they differ in
    day, month or year alone, also with day and month changed over. Where two names agree and no date does, they must
    be the same names. Where there is but one, family name or date, nothing else may speak against it.
    """
    said = [*_heard_as(suspect.get("family_name")), *_heard_as(suspect.get("given_name"))]
    born, then = (_a_day(row.get("date_of_birth")) for row in (suspect, person))
    if born in ("1900-01-01", "1970-01-01", "2000-01-01"):
        born = ""  # what systems fill in
    same_name = _both(suspect, person, "family_name", _same_name)
    same_first = _both(suspect, person, "given_name", _same_first)
    family = same_name or any(
        _one_sound(a, b) or _one_letter(a, b) for a in said for b in _heard_as(person.get("family_name"))
    )
    first = same_first or any(_one_letter(a, b) for a in said for b in _heard_as(person.get("given_name")))
    begin = [*_heard_as(person.get("given_name"))]
    first = first or any(a[:3] == b[:3] for a in said for b in begin if len(a) >= 3 and len(b) >= 3)
    first = first or any(len(a) == 1 and a == b[0] for a in said for b in _heard_as(person.get("given_name"))[:1])
    dates = bool(born) and bool(then) and any(_one_slip(day, then) for day in (born, _changed_over(born)))
    against = {
        "family": not family and bool(_folded(suspect.get("family_name") or "")) and bool(person.get("family_name")),
        "first": not first and bool(_first_word(suspect)) and bool(_first_word(person)),
        "dates": not dates and bool(born) and bool(then),
    }
    if family + first + dates >= 2:
        return dates or not against["dates"] or (same_name and same_first)
    if keeps_out and same_name and not dates and [name for name, speaks in against.items() if speaks] == ["first"]:
        return not (born and then)  # the very family name, and whatever short form nobody has a list of
    return (family or dates) and not any(against.values())


def _a_day(value: Any) -> str:
    return str(value)[:10] if value else ""


def _first_word(row: Row) -> str:
    return _folded(_first(row.get("given_name") or ""))


def _both(one: Row, other: Row, name: str, same: Callable[[str, str], bool]) -> bool:
    """Both say it, and the same."""
    says = [_first_word(row) if name == "given_name" else _folded(row.get(name) or "") for row in (one, other)]
    return all(says) and same(one[name], other[name])


def _changed_over(day: str) -> str:
    year, month, of_month = day.split("-")
    return f"{year}-{of_month}-{month}" if int(of_month) <= 12 else day


def _one_slip(one: str, other: str) -> bool:
    return sum(a == b for a, b in zip(one.split("-"), other.split("-"), strict=True)) >= 2


def _heard_as(name: str | None) -> list[str]:
    plain = unicodedata.normalize("NFKD", (name or "").casefold())
    plain = "".join(c for c in plain if c not in "'\u2019" and not unicodedata.combining(c))
    words = [word for word in re.split(r"[\W_]+", plain) if word][:6]
    return [*words, "".join(words)] if len(words) > 1 else words


def _one_sound(one: str, other: str) -> bool:
    """The worlds have nobody with a short form; a plural is no other name."""
    if len(one) < 2 or len(other) < 2:
        return False
    spelt = [{word, word.removesuffix("s")} for word in (one, other)]
    return any(_soundex(a) == _soundex(b) for a in spelt[0] for b in spelt[1] if len(a) > 1 and len(b) > 1)


def _one_letter(one: str, other: str) -> bool:
    """The same name but for a letter more, less or changed, or one doubled."""
    if len(one) < 2 or len(other) < 2:
        return False
    one, other = (re.sub(r"(.)\1", r"\1", word) for word in (one, other))
    without = [
        {word} | ({word[:i] + word[i + 1 :] for i in range(len(word))} if len(word) > 3 else set())
        for word in (one, other)
    ]
    return bool(without[0] & without[1])


def _soundex(word: str) -> str:
    if not (word.isascii() and word.isalpha()):
        return word
    codes = {"b": "1", "f": "1", "p": "1", "v": "1", "d": "3", "t": "3", "l": "4", "m": "5", "n": "5", "r": "6"}
    codes |= dict.fromkeys("cgjkqsxz", "2")
    digits = [codes.get(letter, "" if letter in "hw" else "0") for letter in word]
    kept, last = [], None
    for digit in digits:
        if digit == "":
            continue  # h and w do not part two letters that sound alike
        if digit != last:
            kept.append(digit)
        last = digit
    tail = [digit for digit in (kept[1:] if digits[0] != "" else kept) if digit != "0"]
    return (word[0] + "".join(tail))[:4].ljust(4, "0")


_SAY_NOTHING = {"the", "and", "school", "primary", "college", "academy", "practice", "hospital", "council", "trust"}


def _sounds_like(world: Row, unknown: str, partner: Row) -> bool:
    theirs = _words_of(partner)
    for word in re.split(r"[^a-z0-9]+", unknown):
        shared_by = [each for each in rows(world, "partners") if word in _words_of(each)]
        if len(word) > 2 and word not in _SAY_NOTHING and word in theirs and len(shared_by) <= 3:
            return True
    close = difflib.SequenceMatcher(None, unknown, partner["partner"]).ratio() >= 0.8
    return (
        close and abs(len(unknown) - len(partner["partner"])) <= 2 and len(set(unknown) ^ set(partner["partner"])) <= 2
    )


def _words_of(partner: Row) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", f"{partner['partner']} {partner['name']}".casefold()))


def flows(world: Row, event: Row, recipient: str) -> Iterator[tuple[Row, Row]]:
    """Those that name this type, sender and recipient."""
    today = day_in_london(world["now"])
    for agreement in world["agreements"]:
        # Of several versions the highest that has begun and is more than a draft speaks, even if it says that all ends.
        rivals = [a for a in world["agreements"] if a["agreement"] == agreement["agreement"]]
        begun = [a["version"] for a in rivals if a["status"] != "draft" and a["effective_from"] <= today]
        if agreement["version"] != max(begun, default=None):
            continue
        for flow in agreement.get("flows") or ():
            if (
                flow["event_type"] == event["event_type"]
                and event["publisher"]["agency"] in flow["from"]
                and recipient in flow["to"]
            ):
                yield agreement, flow


def in_force(agreement: Row, today: date, *, unless_reviewed: bool = True) -> bool:
    """
    Signed, begun, and not past its end: that of the agreement, or the review it missed plus the days of grace.

    Args:
        unless_reviewed: A review that was missed ends it, as it does for what is permitted. What is forbidden stays so.
    """
    if agreement["status"] != "active" or today < agreement["effective_from"]:
        return False
    reviewed = agreement["review_by"] + timedelta(days=agreement.get("grace_days") or 0)
    ends = [reviewed] if unless_reviewed else []
    ends += [] if agreement.get("expires_on") is None else [agreement["expires_on"]]
    return all(today <= end for end in ends)


# ---- 4. permits ---------------------------------------------------------------------------------------------------


def basis_fault(
    world: Row, code: str, kind: str, *, day: date, territory: str, who_rests: Row, recipient: Row
) -> str | None:
    """Why nobody may rest on this entry of the catalogue, if so."""
    basis = next((b for b in rows(world, "bases") if b["code"] == code), None)
    if basis is None or basis["kind"] != kind:
        return f"{code} is no {kind}"
    if basis.get("in_force_from") is None or day < basis["in_force_from"]:
        return f"{code} is not in force yet"
    if basis.get("in_force_to") is not None and day > basis["in_force_to"]:
        return f"{code} is no longer in force"
    if territory not in basis["territory"]:
        return f"{code} is no law in {territory}"
    if basis.get("available_to") and who_rests["org_type"] not in basis["available_to"]:
        return f"{code} is not open to {who_rests['org_type']}"
    if basis.get("recipient_flag") and basis["recipient_flag"] not in (recipient.get("flags") or ()):
        return f"{code} does not reach {recipient['partner']}"
    return None


def may_say(world: Row, event: Row, who: Who, subject: Row, row: Row) -> str:
    """`yes`, `no` or `perhaps`: is what this row says for this subject theirs (R13, R14)? `officer`: nobody's."""
    day = day_in_london(row["decided_at"])
    person = who[subject["ref"]] or {}
    years = age_of(subject, day)
    grown = years >= 18 if years is not None else subject["role"] == "ADULT_VICTIM"
    accused = [(s, who) for s in event["subjects"] if s["role"] == "ALLEGED_PERPETRATOR" and s["ref"] != subject["ref"]]
    accused += world.get("accused_before", [])
    known_accused = {whose[s["ref"]]["alias"] for s, whose in accused if whose.get(s["ref"])}  # type: ignore[index]
    may_be_parents = [
        (s, whose)
        for s, whose in accused
        if s["ref"] in whose.doubtful or s.get("relationship") not in ("mother's partner", "uncle")
    ]
    recorded = {
        row["person"]
        for row in rows(world, "dangers")
        if row["to"] == row_of(person) and valid_on(row, day_in_london(world["now"]))
    }
    mother = mother_of(world, subject)
    if mother is not None:  # who endangers her endangers the child
        recorded |= {
            row["person"]
            for row in rows(world, "dangers")
            if row["to"] == mother["alias"] and valid_on(row, day_in_london(world["now"]))
        }
    known_accused |= recorded
    grants = [g for g in rows(world, "may_speak_for") if g["person"] == row["person"]]

    day = min(day, day_in_london(world["now"]))  # nobody has spoken later than today

    def parent() -> str:
        if grown:
            return "no"
        if person.get("lives_independently"):
            return "perhaps" if years is None else "no" if years >= 16 else "yes"
        return "yes"

    speaker = row.get("by")
    if speaker is not None and speaker != row["person"]:
        rights = {g["as"] for g in grants if g["by"] == speaker and valid_on(g, day)}
        if speaker in known_accused:
            return "no"
        mother = mother_of(world, subject)
        if mother is not None and mother["alias"] == speaker:
            return "yes"
        if not rights:
            return "no"
        answer = parent() if rights == {"parental_responsibility"} else "yes"
        masked = any(whose.get(s["ref"]) is None for s, whose in may_be_parents)
        masked |= any(
            whose.get(s["ref"]) is None and any(p["alias"] == speaker for p in whose.protects_as(world, s))
            for s, whose in accused
            if s["ref"] not in whose.doubtful
        )
        return "perhaps" if masked and answer == "yes" else answer
    capacity = "subject" if speaker else row.get("capacity") or row.get("expressed_by")
    if capacity in ("subject", "young_person"):
        if subject["role"] == "UNBORN_CHILD":
            return "no"
        if grown or (person.get("competent_since") is not None and person["competent_since"] <= day):
            return "yes"
        return "perhaps" if years is None else "yes" if years >= 16 else "no"
    if capacity == "parent":
        answer = parent()
        mothers_and_fathers = {g["by"] for g in grants if g["as"] == "parental_responsibility"}
        which = bool(may_be_parents) or bool(recorded) or bool(known_accused & mothers_and_fathers)
        return "perhaps" if which and answer == "yes" else answer
    return {"court": "yes", "representative": "perhaps"}.get(capacity or "", "officer")


def row_of(person: Row) -> str | None:
    return person.get("alias")


def age_of(subject: Row, day: date) -> int | None:
    """Whole years on that day, if the event tells the birth date."""
    if not subject.get("date_of_birth"):
        return None
    born = date.fromisoformat(str(subject["date_of_birth"])[:10])
    years = day.year - born.year
    return years - 1 if (day.month, day.day) < (born.month, born.day) else years


def _capacity(row: Row) -> str | None:
    return row.get("capacity") or row.get("expressed_by")


def consent_fault(
    world: Row,
    event: Row,
    subject: Row,
    meaning: str,
    flow: Row,
    who: Who,
    recipient: str,
    now: datetime,
) -> str | None:
    """Why there is no agreement of the person to rest on, if so (R10, R28)."""
    person = who[subject["ref"]]
    decisions = [
        row
        for row in rows(world, "consents")
        if person is not None
        and row["person"] == person["alias"]
        and row["meaning"] == meaning
        and row["purpose"] == flow["purpose"]
        and (not row.get("recipients") or recipient in row["recipients"])
    ]
    if not decisions:
        return "nobody was asked"

    def says(row: Row) -> str:
        over = row.get("expires_at") is not None and row["expires_at"] <= now
        return "no, it ran out" if row["state"] in AGREES and over else row["state"]

    def counts(row: Row) -> bool:
        """A yes must be theirs; a refusal or a withdrawal counts unless it is known not to be."""
        if row["state"] not in (*AGREES, "refused", "withdrawn"):
            return True
        theirs = may_say(world, event, who, subject, row)
        return theirs == "yes" if row["state"] in AGREES else theirs != "no"

    decisions = [row for row in decisions if counts(row)]
    # What a court refused only a court can permit.
    ordered = [row for row in decisions if _capacity(row) == "court" and row["state"] not in ("requested", "deferred")]
    last_order = max(ordered, key=lambda row: row["decided_at"], default=None)
    if last_order is not None and last_order["state"] not in AGREES:
        decisions = [row for row in decisions if row["state"] not in AGREES or _capacity(row) == "court"]
    # A yes of tomorrow was not said yet. Asking decides nothing.
    said = [row for row in decisions if not (row["state"] in AGREES and row["decided_at"] > now)]
    decided = [row for row in said if row["state"] not in ("requested", "deferred")]
    if not decided:
        return "nobody has decided"
    last = max(row["decided_at"] for row in decided)
    no = [says(row) for row in decided if row["decided_at"] == last and says(row) not in AGREES]
    return f"the newest decision is {no[0]}" if no else None


def fault(
    world: Row,
    event: Row,
    subject: Row,
    who: Who,
    recipient: Row,
    roles: set[str],
    agreement: Row,
    flow: Row,
    now: datetime,
) -> str | None:
    """The first thing that stands in the way of this flow, if anything does."""
    today = day_in_london(now)
    sender = partner_of(world, event["publisher"]["agency"])
    if sender is None:
        raise AssertionError("an unknown publisher was refused before")
    if flow["purpose"] != event["purpose"]:
        return "another purpose"
    if not in_force(agreement, today):
        return "not in force"
    for name in (event["publisher"]["agency"], recipient["partner"]):
        if not any(row["partner"] == name and row["signed_on"] <= today for row in agreement["parties"]):
            return f"{name} has not signed"
    if not roles & set(flow["interest"]):
        return "not by this interest"
    if subject["role"] not in flow.get("about", ABOUT):
        return "not about such a subject"
    check = basis_checker(world, event, agreement, sender, recipient)
    named = flow["basis"]
    problem = check(named["art6"], "art6") or check(named["confidentiality"], "confidentiality")
    if problem:
        return problem
    if named.get("power_or_duty"):
        problem = check(named["power_or_duty"], "power_or_duty")
        if problem:
            return problem
    elif sender["org_type"] == "public_authority":
        return "a public authority names its power or duty"
    if named.get("receiving_art6"):
        code = named["receiving_art6"].get(recipient["org_type"])
        problem = "nothing for such a recipient" if code is None else check(code, "art6", who_rests=recipient)
        if problem:
            return problem
    rule = next((r for r in rows(world, "event_rules") if r["event_type"] == event["event_type"]), {})
    if rule.get("consent") and rule["consent"] != flow.get("consent"):
        return "the type waits for another consent"
    answered = [named.get(q) for q in ("art6", "art9_or_10", "sch1", "power_or_duty", "confidentiality")]
    claims = [b["code"] for b in rows(world, "bases") if b.get("claims_consent") or b["code"] in CONSENT_AS_SUCH]
    if not flow.get("consent") and set(answered) & set(claims):
        return "the basis is consent, and nobody asks for it"
    if flow.get("consent"):
        return consent_fault(world, event, subject, flow["consent"], flow, who, recipient["partner"], now)
    return None


def basis_checker(world: Row, event: Row, agreement: Row, sender: Row, recipient: Row) -> Callable[..., str | None]:
    """Check a code on the day it happened (never a day to come), where the agreement holds."""
    day = day_in_london(min(moment(event["occurred_at"]), world["now"]))

    def check(code: str, kind: str, *, who_rests: Row = sender) -> str | None:
        return basis_fault(
            world, code, kind, day=day, territory=agreement["territory"], who_rests=who_rests, recipient=recipient
        )

    return check


# ---- 5. fields ----------------------------------------------------------------------------------------------------


def day_in_london(at: datetime) -> date:
    """
    An hour ahead of Greenwich from the last Sunday of March, 1 in the morning, to the last Sunday of October.

    Source: Summer Time Act 1972 as amended by the Summer Time Order 2002. Before 2002 it was otherwise; no case is.
    """
    at = at.astimezone(UTC)
    begins, ends = (
        max(
            datetime(at.year, month, day, 1, tzinfo=UTC)
            for day in range(25, 32)
            if date(at.year, month, day).weekday() == 6
        )
        for month in (3, 10)
    )
    return (at + timedelta(hours=1) if begins <= at < ends else at).date()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def rfc3339(text: str) -> str:
    """UTC, milliseconds cut (not rounded), and `Z`."""
    at = moment(text)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def schema_of(event_type: str) -> tuple[list[Row], list[Row]]:
    """The fields of the envelope (with `payload` as the last), and those of a person."""
    envelope = json.loads((AVSC / "envelope.avsc").read_text("utf-8"))
    payload = json.loads((AVSC / f"{event_type}.avsc").read_text("utf-8"))
    subjects = next(f for f in envelope["fields"] if f["name"] == "subjects")
    fields = [f for f in envelope["fields"] if f["name"] != "subjects"]
    return [*fields, {"name": "payload", "type": payload}], subjects["type"]["items"]["fields"]


def _bare(avro: Any) -> Any:
    """The type without `null`."""
    return next(t for t in avro if t != "null") if isinstance(avro, list) else avro


def _value(field: Row, record: Row) -> Any:
    value = record.get(field["name"])
    return field.get("default") if value is None else value


def _district(text: str) -> str | None:
    """`LS17` of `ls17 7df`; of anything that is not area, district, sector and unit, nothing."""
    typed = "".join(sign for sign in text.upper() if not sign.isspace())
    if not text.isascii() or not 5 <= len(typed) <= 7:
        return None
    district, sector, unit = typed[:-3], typed[-3], typed[-2:]
    digits = "0123456789"
    area = 2 if district[1] not in digits else 1
    fits = district[:area].isalpha() and district[area : area + 1] in tuple(digits) and len(district) <= area + 2
    return district if fits and district.isalnum() and sector in digits and unit.isalpha() else None


def _first_letter(text: str) -> str | None:
    """Of a name in letters that have capitals, without a title before it."""
    first, *rest = text.replace(".", " ").split() or [""]
    if rest and first.casefold() in {"mr", "mrs", "miss", "dr", "lady"}:  # those that the worlds use
        return None
    return first[0] if first and first[0].isalpha() and first[0].swapcase() != first[0] else None


MASKS: dict[str, Callable[[str], Any]] = {
    "year": lambda text: date.fromisoformat(text).year,
    "outward_code": _district,
    "initial": _first_letter,
}


#: In place of a mask: the agreement names the very field, so whatever was typed there goes.
AS_TYPED = "as typed"


def _is_code(field: Row, text: str) -> bool:
    """A code of the field, if it has any; several may stand there with something between them."""
    if "pattern" in field:
        return re.fullmatch(field["pattern"], text, re.ASCII) is not None
    plain = [_spelt(each) for each in field["codes"]]
    return all(_spelt(part) in plain for part in re.split(r"[,;/+&]|\band\b", text.lower()))


def _spelt(text: str) -> str:
    text = unicodedata.normalize("NFKD", text.casefold()).replace("'", "").replace("\u2019", "")
    text = "".join(sign for sign in text if not unicodedata.combining(sign))
    return " ".join("".join(sign if sign.isalnum() else " " for sign in text).split())


def _leaf(field: Row, value: Any, mask: str | None) -> Any:
    if value is None:
        return None
    if mask == AS_TYPED:
        avro = _bare(field["type"])
        return rfc3339(value) if isinstance(avro, dict) and "timestamp" in str(avro.get("logicalType")) else value
    if mask:
        return MASKS[mask](value)
    avro = _bare(field["type"])
    if isinstance(avro, dict) and avro.get("logicalType") == "timestamp-millis":
        return rfc3339(value)
    if "codes" in field or "pattern" in field:  # what is no code is prose, which stays
        if isinstance(value, list):
            return [each for each in value if _is_code(field, each)]
        return value if _is_code(field, value) else None if isinstance(field["type"], list) else ""
    return value


def picked(
    fields: list[Row], record: Row | None, at: str, may: Callable[[str, Row], bool], masks: Row, about: str
) -> Row | None:
    """
    What `may` lets through of a record.

    Returns:
        None if it lets nothing through, whatever the values are: then the record does not appear.
    """
    out: Row = {}
    for field in fields:
        path, avro, value = f"{at}{field['name']}", _bare(field["type"]), _value(field, record or {})
        if "dataClass" in field:
            if may(path, field):
                out[field["name"]] = _leaf(field, value, masks.get(path))
        elif avro["type"] == "record":
            inner = picked(avro["fields"], value, f"{path}.", may, masks, about)
            if inner is not None:
                # An address of which only empty parts may be seen still tells that one is known.
                nothing = all(leaf is None for leaf in inner.values())
                out[field["name"]] = None if nothing and isinstance(field["type"], list) else inner
        else:  # a list of records
            inside = avro["items"]["fields"]
            if picked(inside, None, f"{path}[].", may, {}, about) is not None:
                whose = field.get("personRef")
                out[field["name"]] = [
                    picked(inside, element, f"{path}[].", may, masks, about)
                    for element in value
                    if whose is None or element[whose] == about
                ]
    return out or None


def group_of(role: str) -> str:
    if role in ABOUT:
        return "other_children"
    return "alleged_perpetrators" if role == "ALLEGED_PERPETRATOR" else "adults"


def safe_is_shown(event: Row) -> set[str]:
    """The classes of fields in which somebody's safe address is also written: postcode or first line, however spelt."""

    def marks(kind: str) -> set[str]:
        found = set()
        for subject in event["subjects"]:
            address = subject.get(kind) or {}
            found |= {_folded(text or "") for text in (address.get("postcode"), *(address.get("lines") or [])[:1])}
        return {mark for mark in found if len(mark) > 4}

    scene = _folded(event["payload"].get("incident_address") or "")
    shown = {"LOCATION_HOME"} if marks("safe_address") & marks("home_address") else set()
    return shown | ({"LOCATION_INCIDENT"} if any(mark in scene for mark in marks("safe_address")) else set())


STREETS = {
    *(
        "close",
        "road",
        "rd",
        "street",
        "st",
        "lane",
        "ln",
        "avenue",
        "ave",
        "drive",
        "way",
        "court",
        "place",
        "gardens",
    ),
    *("crescent", "house", "terrace", "grove", "hill", "row", "walk", "mews", "square", "park", "view", "green"),
    *("lodge", "cottage", "villas", "rise", "yard"),
}


def without_refuges(event: Row) -> Row:
    """The event with every text empty in which a safe address of one of its persons can be read."""
    secrets: set[str] = set()
    placed = event["payload"] if event["event_type"].startswith("housing.") else {}
    put_up = {"postcode": placed.get("postcode"), "lines": [placed[n] for n in ("address_line",) if placed.get(n)]}
    for address in (*((subject.get("safe_address") or {}) for subject in event["subjects"]), put_up):
        code = _folded(address.get("postcode") or "")
        secrets |= {code} if len(code) > 4 else set()
        for n, line in enumerate(address.get("lines") or []):
            for m, part in enumerate(re.split(r"[,;/\n]", line)):
                words = re.findall(r"\w+", part)
                called = n == m == 0
                if not (called or re.search(r"\d", part) or (words and words[-1].lower() in STREETS)):
                    continue
                secrets |= {_folded(part)} if len(_folded(part)) > 5 else set()
                bare = re.sub(r"^\W*(flat|apartment|unit|room)?\W*\d+\w?\W+", "", part, flags=re.I)
                secrets |= {_folded(bare)} if bare != part and len(_folded(bare)) > 7 else set()
    if not secrets:
        return event
    envelope, person = schema_of(event["event_type"])
    keep = {"event_id", "event_type", "purpose", "agency", "ref", "subject_ref"}

    def clean(fields: list[Row], record: Row) -> Row:
        out = dict(record)
        for field in fields:
            name, avro, value = field["name"], _bare(field["type"]), record.get(field["name"])
            if value is None or name in keep or name == "safe_address" or field.get("dataClass") == "LOCATION_SAFE":
                continue
            if avro == "string" and any(secret in _folded(value) for secret in secrets):
                out[name] = None if isinstance(field["type"], list) else ""
            elif isinstance(avro, dict) and avro["type"] == "record":
                out[name] = clean(avro["fields"], value)
            elif isinstance(avro, dict) and avro["type"] == "array" and avro["items"] == "string":
                out[name] = [each for each in value if not any(secret in _folded(each) for secret in secrets)]
            elif isinstance(avro, dict) and avro["type"] == "array":
                out[name] = [clean(avro["items"]["fields"], each) for each in value]
        return out

    return clean(envelope, event) | {"subjects": [clean(person, each) for each in event["subjects"]]}


def restricted_people(world: Row, event: Row, who: Who) -> tuple[bool, bool]:
    """
    (is anyone of the household restricted, or the event; is a suspect).

    One of a household makes the message careful about everyone (R16); a suspect's own record hides what is his.
    """
    roles = {
        subject["role"]
        for subject in event["subjects"]
        if subject.get("confidentiality") in ("R", "V")
        or any(person.get("restricted") for person in who.protects_as(world, subject))
    }
    everyone = (event.get("handling") or {}).get("confidentiality") == "R"
    return everyone or bool(roles - {"ALLEGED_PERPETRATOR"}), "ALLEGED_PERPETRATOR" in roles


def view_of(world: Row, event: Row, subject: Row, who: Who, recipient: Row, agreement: Row, flow: Row) -> Row:
    """The message about one subject, as plain JSON values."""
    restricted, his = restricted_people(world, event, who)
    apart = restricted or any(p.get("adopted") for s in event["subjects"] for p in who.protects_as(world, s))
    check = basis_checker(world, event, agreement, partner_of(world, event["publisher"]["agency"]) or {}, recipient)
    named = flow["basis"]
    art9_ok = bool(named.get("art9_or_10")) and check(named["art9_or_10"], "art9_or_10") is None
    sch1_ok = bool(named.get("sch1")) and check(named["sch1"], "sch1") is None
    needs_sch1 = any(b.get("needs_sch1") for b in rows(world, "bases") if b["code"] == named.get("art9_or_10"))
    release = flow.get("release") or {}
    masks = dict.fromkeys(flow.get("fields") or (), AS_TYPED) | (flow.get("mask") or {})

    def may_in(group: str) -> Callable[[str, Row], bool]:
        def may(path: str, field: Row) -> bool:
            kind = field["dataClass"]
            if kind in NEVER or field.get("since", 1) > flow.get("schema_version", 1):
                return False
            earlier = ("superseded_nhs_number", "data_reference", "source_event_id")
            if kind in safe_is_shown(event):
                return False
            if apart and path in [f"payload.{name}" for name in earlier]:
                return False  # R25: who knows both numbers knows who the child was
            if adopted_in_doubt and group not in ("event", "subject"):
                return False  # R25: it may be the same child under the name from before
            if restricted and (kind in STRIPPED or group in ("other_children", "adults")):
                return False
            if his and group == "alleged_perpetrators" and kind in STRIPPED:
                return False
            if kind in SPECIAL and not (art9_ok and (sch1_ok or not needs_sch1)):
                return False
            if kind in CRIMINAL and not (art9_ok and sch1_ok):
                return False
            by_name = path in (flow.get("fields") or ())
            return by_name or (kind not in PROSE and kind in (release.get(group) or ()))

        return may

    envelope, person = schema_of(event["event_type"])
    seen = without_refuges(event)
    subject = next(each for each in seen["subjects"] if each["ref"] == subject["ref"])
    adopted_in_doubt = any(person.get("adopted") for found in who.doubtful.values() for person in found)
    view = picked(envelope, seen, "", may_in("event"), masks, subject["ref"]) or {}
    inner = picked(person, subject, "subject.", may_in("subject"), masks, "")
    if inner is not None:
        view["subject"] = inner
    others = [other for other in seen["subjects"] if other["ref"] != subject["ref"]]
    for group in ("other_children", "adults", "alleged_perpetrators"):
        if picked(person, None, f"{group}[].", may_in(group), {}, "") is not None:
            view[group] = [
                picked(person, other, f"{group}[].", may_in(group), masks, "")
                for other in others
                if group_of(other["role"]) == group
            ]
    if masks.get("other_children") == "count" and not restricted:
        view["other_children_count"] = sum(group_of(other["role"]) == "other_children" for other in others)
    return view


# ---- the whole opinion --------------------------------------------------------------------------------------------


NOTHING_BEFORE: Row = {"known": True, "out": set(), "perhaps": set(), "held": set(), "accused": []}


def what_came_before(world: Row, event: Row, first: Row | None, now: datetime) -> Row:
    """
    What the event that was decided first, if it was, means for this one.

    They belong together by what the second one says: the id of the first, or their publisher's common reference.
    """
    named = event.get("supersedes_event_id")
    if first is None or (opened := opinion(world, first, now)) == SET_ASIDE:
        alone = event["lifecycle"] == "NEW" and not named
        its_person = event["event_type"] == "identity.change.v1" and not named
        takes_back = event["lifecycle"] in ("CORRECT", "RETRACT")
        return NOTHING_BEFORE | {"known": alone or (its_person and not takes_back)}
    assert isinstance(opened, dict)
    today = day_in_london(now)
    world = {**world, "now": now}
    # Those it accused, each looked at as if alone: whom the event says nothing else of.
    out: set[str] = set()
    perhaps: set[str] = set()
    whom = []
    for accused in [s for s in first["subjects"] if s["role"] == "ALLEGED_PERPETRATOR"]:
        alone_in_it = {**first, "subjects": [accused]}
        who = by_number(world, alone_in_it)
        whom.append((accused, who))
        out |= suspects_at(world, alone_in_it, who, today)
        perhaps |= suspects_may_be_at(world, alone_in_it, who, today)
    return {
        "known": True,
        "out": out,
        "perhaps": perhaps - out,
        "accused": whom,
        "held": {at for at, (outcome, _) in opened.items() if outcome == "PERMIT"},
    }


def by_number(world: Row, event: Row) -> Who:
    """Whom the one subject's identifiers mean: sure, if it is one person and no name or date speaks against it."""
    [subject] = event["subjects"]
    given = identifiers_of_subject(subject, event["publisher"]["agency"])
    found = Who()
    people = [
        person
        for person in rows(world, "people")
        if any(identifiers_of_person(world, person).get(scheme) == value for scheme, value in given.items())
    ]
    if len(people) == 1 and not _says_otherwise(subject, people[0]):
        found[subject["ref"]] = people[0]
    elif people:
        found.doubtful[subject["ref"]] = people
    else:
        found[subject["ref"]] = None
    return found


def opinion(world: Row, event: Row, now: datetime, first: Row | None = None) -> Answers | str:
    """
    For each recipient considered and each subject, PERMIT with the view, HOLD or REFUSE; or that it is set aside.

    Args:
        first: What was decided before it. If it is taken back or corrected, both are about the same people.
    """
    before = what_came_before(world, event, first, now)
    found: Answers | str = {} if event["lifecycle"] == "RETRACT" else told(world, event, now, before)
    if isinstance(found, str) or event["lifecycle"] not in ("CORRECT", "RETRACT"):
        return found
    world = {**world, "now": now}
    who, today = who_is_who(world, event), day_in_london(now)
    for recipient, ref in before["held"]:
        if found.get((recipient, ref), ("REFUSE", None))[0] != "REFUSE":
            continue
        out = suspects_at(world, event, who, today) | before["out"] | dangers_at(world, event, who, today)
        perhaps = suspects_may_be_at(world, event, who, today) | dangers_may_be_at(world, event, who, today)
        perhaps |= before["perhaps"]
        finds_it = {name: event[name] for name in ("event_id", "event_type", "lifecycle", "supersedes_event_id")}
        finds_it["published_at"] = rfc3339(event["published_at"])
        outcome = "REFUSE" if recipient in out else "HOLD" if recipient in perhaps else "PERMIT"
        found[recipient, ref] = (outcome, finds_it if outcome == "PERMIT" else None)
    return found


def told(world: Row, event: Row, now: datetime, before: Row) -> Answers | str:
    """Who is told the event itself."""
    who = who_is_who(world, event)
    if all(subject["ref"] in who.doubtful for subject in event["subjects"] if subject["role"] in CARED_FOR):
        return SET_ASIDE
    world = {**world, "now": now, "accused_before": before["accused"]}
    today = day_in_london(now)
    answers: Answers = {}
    for subject in event["subjects"]:
        if subject["ref"] in who.doubtful:
            continue
        person = who[subject["ref"]]
        for name, roles in interests(world, event, subject, person, today).items():
            answers[name, subject["ref"]] = ("REFUSE", None)
            if refused(world, event, subject, who, name, today, before):
                continue
            recipient = partner_of(world, name)
            if recipient is None:
                raise AssertionError("an unknown recipient was refused before")
            # The specification does not say which of two faultless flows speaks: the first by name, as observed.
            for agreement, flow in sorted(
                flows(world, event, name), key=lambda pair: (pair[0]["agreement"], pair[1]["flow"])
            ):
                if flow.get("effect", "permit") != "permit":
                    continue
                if fault(world, event, subject, who, recipient, roles, agreement, flow, now) is None:
                    if asks_for_a_person(world, event, subject, who, recipient, roles, now, before):
                        answers[name, subject["ref"]] = ("HOLD", None)
                        break
                    view = view_of(world, event, subject, who, recipient, agreement, flow)
                    answers[name, subject["ref"]] = ("PERMIT", view)
                    break
    return answers


#: Who finds people by which number, as `docs/decisions/0020-*.md` says it.
GOES_BY = {
    "mash": {"nhs_number", "upn"},
    "school": {"upn"},
    **{kind: {"nhs_number"} for kind in ("health", "community_health", "emergency_department", "adult_care")},
}
PARENTS = "mother,father,parent,birth mother,birth father,birth parent,adoptive mother,adoptive father,adoptive parent,"
PARENTS += "guardian,special guardian"
#: Of `streams/rules/identity.py` and `alike.py`, those that worlds hold.
NO_NAMES = {"unknown", "baby", "n/k"}
NO_DATES = {"0001-01-01", "1900-01-01", "1901-01-01", "1970-01-01", "1980-01-01", "2000-01-01"}


def can_tell(view: Row, recipient: Row) -> bool:
    """Does a view, as JSON values, tell this partner which person is meant?"""
    goes_by = set(recipient["numbers"]) if "numbers" in recipient else GOES_BY.get(recipient["sector"], set())
    subject = view.get("subject") or {}
    if _is_known(subject, goes_by):
        return True
    if not _is_a_name(subject.get("given_name")) and subject.get("role") != "UNBORN_CHILD":
        return False
    return any(
        _is_known(other, goes_by)
        for other in [*view.get("adults", []), *view.get("alleged_perpetrators", [])]
        if other.get("role") == "PARENT_CARER" or (other.get("relationship") or "").lower() in PARENTS.split(",")
    )


def _is_known(person: Row, goes_by: set[str]) -> bool:
    if any(len(person.get(number) or "") > 9 for number in goes_by):
        return True
    born, home = person.get("date_of_birth"), person.get("home_address") or {}
    postcode = (home.get("postcode") or "").upper().replace(" ", "")
    clues = [
        _is_a_name(person.get("family_name")),
        isinstance(born, str) and born not in NO_DATES,
        (re.fullmatch("[0-9]{1,12}", home.get("uprn") or "") and int(home["uprn"]) > 0)
        or (re.fullmatch("[A-Z]{1,2}[0-9][A-Z0-9]?[0-9][A-Z]{2}", postcode) and not postcode.startswith("ZZ99"))
        or any(re.search("[0-9]", line) and re.search("[A-Za-z]", line) for line in home.get("lines", [])),
    ]
    return _is_a_name(person.get("given_name")) and sum(map(bool, clues)) > 1


def _is_a_name(text: str | None) -> bool:
    return text is not None and len(_folded(text)) > 1 and text.strip().lower() not in NO_NAMES

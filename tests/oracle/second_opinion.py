"""
What should be decided and released, in the opinion of someone who has not read the rules' code?

Written from the specification in words (design notes, domain notes R01-R28), over plain dicts, without an index and
without a class: slow, and meant to be read beside the specification. It shares no line with `streams`; what it knows
of the data it reads from the `.avsc` files and from the tables below, which were copied by hand from the domain notes.

    1. whom in the register does each subject mean?   in doubt: the whole event is set aside
    2. who is interested in which subject?
    3. does anything refuse?                          a refusal wins
    4. is there a flow without a fault?               else silence refuses
    5. which leaves does that flow release?
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

SET_ASIDE = "set aside"

Row = dict[str, Any]
Answer = tuple[str, Any]  # ("PERMIT", the view) or ("REFUSE", None)
Answers = dict[tuple[str, str], Answer]  # by (recipient, the subject's ref)

ABOUT = ("CHILD", "UNBORN_CHILD", "PERSON")
CARED_FOR = (*ABOUT, "ADULT_VICTIM")

# Domain notes 1.3 and `schemas/classes.py`, copied: this page must not change when that one does.
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
    for name, same in (("family_name", _same_name), ("date_of_birth", lambda a, b: str(a)[:10] == str(b)[:10])):
        theirs, ours = subject.get(name), person.get(name)
        if theirs and ours and not same(theirs, ours):
            return True
    return False


def _same_name(one: str, other: str) -> bool:
    """Spelling is folded: accents, capitals, hyphens, apostrophes, spaces."""

    def fold(text: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())

    return not fold(one) or not fold(other) or fold(one) == fold(other)


def who_is_who(world: Row, event: Row) -> dict[str, Row | None] | str:
    """Ref -> the person in the register, None for a stranger; or that nobody can be sure (R24)."""
    publisher = event["publisher"]["agency"]
    found: dict[str, Row | None] = {}
    seen: set[str] = set()
    for subject in event["subjects"]:
        given = identifiers_of_subject(subject, publisher)
        candidates = {
            person["alias"]: person
            for person in rows(world, "people")
            for scheme, value in identifiers_of_person(world, person).items()
            if given.get(scheme) == value
        }
        if len(candidates) > 1:
            return SET_ASIDE
        if not candidates:
            found[subject["ref"]] = None
        else:
            (person,) = candidates.values()
            known = identifiers_of_person(world, person)
            if any(scheme in known and known[scheme] != value for scheme, value in given.items()):
                return SET_ASIDE
            if _says_otherwise(subject, person):
                return SET_ASIDE
            found[subject["ref"]] = person
        # Two with one number are one person too, whether or not the register knows it.
        names = {f"{scheme} {value}" for scheme, value in given.items()}
        if found[subject["ref"]] is not None:
            names.add(f"alias {found[subject['ref']]['alias']}")
        if seen & names:
            return SET_ASIDE
        seen |= names
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


def refused(
    world: Row, event: Row, subject: Row, who: dict[str, Row | None], recipient: str, today: date
) -> str | None:
    """What refuses whatever any agreement permits, if anything does."""
    for name in (recipient, event["publisher"]["agency"]):
        partner = partner_of(world, name)
        if partner is None or partner.get("suspended"):
            return f"{name} is unknown or suspended"
    for other in event["subjects"]:
        if other["role"] != "ALLEGED_PERPETRATOR":
            continue
        if recipient in (other.get("works_for") or ()):
            return "adversary, as the publisher knows"
        person = who[other["ref"]]
        if person is not None and any(
            row["person"] == person["alias"] and row["partner"] == recipient and valid_on(row, today)
            for row in rows(world, "affiliations")
        ):
            return "adversary, as the register knows"
    if "V" in ((event.get("handling") or {}).get("confidentiality"), subject.get("confidentiality")):
        return "very restricted"
    for agreement, flow in flows(world, event, recipient):
        if flow.get("effect") == "refuse" and flow["purpose"] == event["purpose"] and in_force(agreement, today):
            return f"flow {flow['flow']} refuses"
    return None


def flows(world: Row, event: Row, recipient: str) -> Iterator[tuple[Row, Row]]:
    """Those that name this type, sender and recipient."""
    for agreement in world["agreements"]:
        for flow in agreement.get("flows") or ():
            if (
                flow["event_type"] == event["event_type"]
                and event["publisher"]["agency"] in flow["from"]
                and recipient in flow["to"]
            ):
                yield agreement, flow


def in_force(agreement: Row, today: date) -> bool:
    """Signed, begun, and not past its end: that of the agreement, or the review it missed plus the days of grace."""
    if agreement["status"] != "active" or today < agreement["effective_from"]:
        return False
    ends = agreement["review_by"] + timedelta(days=agreement.get("grace_days") or 0)
    if agreement.get("expires_on") is not None:
        ends = min(ends, agreement["expires_on"])
    return today <= ends


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


def consent_fault(world: Row, meaning: str, flow: Row, person: Row | None, recipient: str, now: datetime) -> str | None:
    """Why there is no agreement of the person to rest on, if so (R10, R28)."""
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
    newest = decisions[0]
    for row in decisions[1:]:
        if row["decided_at"] >= newest["decided_at"]:  # a later line wins a tie
            newest = row
    if newest["state"] not in ("given", "renewed"):
        return f"the newest decision is {newest['state']}"
    if newest["decided_at"] > now:
        return "nobody can have agreed tomorrow"
    if newest.get("expires_at") is not None and newest["expires_at"] <= now:
        return "the agreement has expired"
    return None


def fault(
    world: Row,
    event: Row,
    subject: Row,
    person: Row | None,
    recipient: Row,
    roles: set[str],
    agreement: Row,
    flow: Row,
    now: datetime,
) -> str | None:
    """The first thing that stands in the way of this flow, if anything does."""
    today = now.astimezone(UTC).date()
    sender = partner_of(world, event["publisher"]["agency"])
    if sender is None:
        raise AssertionError("an unknown publisher was refused before")
    if flow["purpose"] != event["purpose"]:
        return "another purpose"
    if not in_force(agreement, today):
        return "not in force"
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
    if flow.get("consent"):
        return consent_fault(world, flow["consent"], flow, person, recipient["partner"], now)
    return None


def basis_checker(world: Row, event: Row, agreement: Row, sender: Row, recipient: Row) -> Callable[..., str | None]:
    """Check a code on the day it happened (never a day to come), where the agreement holds."""
    day = min(moment(event["occurred_at"]), world["now"]).date()

    def check(code: str, kind: str, *, who_rests: Row = sender) -> str | None:
        return basis_fault(
            world, code, kind, day=day, territory=agreement["territory"], who_rests=who_rests, recipient=recipient
        )

    return check


# ---- 5. fields ----------------------------------------------------------------------------------------------------


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


MASKS: dict[str, Callable[[str], Any]] = {
    "year": lambda text: date.fromisoformat(text).year,
    "outward_code": lambda text: text.replace(" ", "")[:-3] if len(text.replace(" ", "")) > 4 else "",
    "initial": lambda text: text[:1],
}


def _leaf(field: Row, value: Any, mask: str | None) -> Any:
    if value is None:
        return None
    if mask:
        return MASKS[mask](value)
    avro = _bare(field["type"])
    if isinstance(avro, dict) and avro.get("logicalType") == "timestamp-millis":
        return rfc3339(value)
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
                # An address of which only empty parts may be seen still tells that one is known (domain notes 1.3).
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


def anyone_restricted(event: Row, who: dict[str, Row | None]) -> bool:
    """One restricted person makes the message careful about everyone (R16)."""
    labels = [(event.get("handling") or {}).get("confidentiality")]
    labels += [subject.get("confidentiality") for subject in event["subjects"]]
    return bool({"R", "V"} & set(labels)) or any(person and person.get("restricted") for person in who.values())


def view_of(
    world: Row, event: Row, subject: Row, who: dict[str, Row | None], recipient: Row, agreement: Row, flow: Row
) -> Row:
    """The message about one subject, as plain JSON values."""
    restricted = anyone_restricted(event, who)
    check = basis_checker(world, event, agreement, partner_of(world, event["publisher"]["agency"]) or {}, recipient)
    named = flow["basis"]
    art9_ok = bool(named.get("art9_or_10")) and check(named["art9_or_10"], "art9_or_10") is None
    sch1_ok = bool(named.get("sch1")) and check(named["sch1"], "sch1") is None
    needs_sch1 = any(b.get("needs_sch1") for b in rows(world, "bases") if b["code"] == named.get("art9_or_10"))
    release, masks = flow.get("release") or {}, flow.get("mask") or {}

    def may_in(group: str) -> Callable[[str, Row], bool]:
        def may(path: str, field: Row) -> bool:
            kind = field["dataClass"]
            if kind in NEVER or field.get("since", 1) > flow.get("schema_version", 1):
                return False
            if restricted and (kind in STRIPPED or group in ("other_children", "adults")):
                return False
            if kind in SPECIAL and not (art9_ok and (sch1_ok or not needs_sch1)):
                return False
            if kind in CRIMINAL and not (art9_ok and sch1_ok):
                return False
            by_name = path in (flow.get("fields") or ())
            return by_name or (kind not in PROSE and kind in (release.get(group) or ()))

        return may

    envelope, person = schema_of(event["event_type"])
    view = picked(envelope, event, "", may_in("event"), masks, subject["ref"]) or {}
    inner = picked(person, subject, "subject.", may_in("subject"), masks, "")
    if inner is not None:
        view["subject"] = inner
    others = [other for other in event["subjects"] if other["ref"] != subject["ref"]]
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


def opinion(world: Row, event: Row, now: datetime) -> Answers | str:
    """For each recipient considered and each subject, PERMIT with the view or REFUSE; or that it is set aside."""
    who = who_is_who(world, event)
    if isinstance(who, str):
        return who
    world = {**world, "now": now}
    today = now.astimezone(UTC).date()
    answers: Answers = {}
    for subject in event["subjects"]:
        person = who[subject["ref"]]
        for name, roles in interests(world, event, subject, person, today).items():
            answers[name, subject["ref"]] = ("REFUSE", None)
            if refused(world, event, subject, who, name, today):
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
                if fault(world, event, subject, person, recipient, roles, agreement, flow, now) is None:
                    view = view_of(world, event, subject, who, recipient, agreement, flow)
                    answers[name, subject["ref"]] = ("PERMIT", view)
                    break
    return answers

"""
Which small worlds are worth two opinions?

A world is a folder of YAML (partners, bases, people, who looks after whom, consents, agreements), one event as JSON
and a moment. Most of what is drawn lets information through, and a few things go wrong in each: a world in which
everything is refused for ten reasons tells nothing. Dates sit at edges: yesterday, today and tomorrow, just before
and after midnight. Valid by construction as far as the loader is concerned.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

Row = dict[str, Any]
Draw = st.DrawFn

ORG_TYPES = ("public_authority", "charity", "contracted_provider")
PARTNERS = ("alpha-police", "beta-hub", "gamma-school", "delta-gp", "omega-charity")
#: No agency of the register; the first is like none of them, the others are slips of one each.
MISSPELT = ("not-on-the-bus", "gama-school", "delta-pg", "beta-hubb")
INTERESTS = ("attends_school", "health_visiting", "client")
PURPOSES = ("safeguarding", "record_accuracy")
CAPACITIES = ("parent", "parent", "parent", "court", "subject", "young_person", "representative")
SPEAKS_AS = ("parental_responsibility", "parental_responsibility", "representative", "court_order")
MEANINGS = ("data_protection", "service_agreement", "treatment")
#: Some are one name, and one of them is two others.
FIRST_NAMES = ("Anne-Marie", "Annemarie", "Anne Marie", "Anne", "Eve")
STATES = ("given", "renewed", "refused", "withdrawn", "unknown", "expired", "requested", "deferred")
CLASSES = [
    "ENVELOPE",
    "LINKAGE",
    "PUBLISHER",
    "PROFESSIONAL_CONTACT",
    "BASIS",
    "HANDLING",
    "ID_CORE",
    "ROLE",
    "RELATIONSHIP",
    "NHS_NUMBER",
    "UPN",
    "LOCAL_ID",
    "LOCATION_HOME",
    "LOCATION_AREA",
    "LOCATION_SAFE",
    "LOCATION_INCIDENT",
    "CONTACT_SAFE",
    "GP_REGISTRATION",
    "SCHOOL_PLACE",
    "AFFILIATION",
    "INCIDENT_FACT",
    "PLAN_STATUS",
    "IDENTITY_FACT",
    "HOUSING_FACT",
    "HOUSING_REASON",
    "RISK_SCORE",
    "HEALTH_CHILD",
    "HEALTH_ADULT",
    "SEXUAL_REPRODUCTIVE",
    "IMMIGRATION",
    "CRIMINAL",
]
PROSE = ("FREE_TEXT", "INCIDENT_NARRATIVE", "VOICE_OF_CHILD")
PEOPLE = ("ann", "bob", "cat", "dan", "eve")  # `bump`, unborn, may join them
ROLES = ("CHILD", "UNBORN_CHILD", "PERSON", "PARENT_CARER", "ADULT_VICTIM", "ALLEGED_PERPETRATOR", "OTHER_ADULT")
CONFIDENTIALITY = ("N", "N", "N", "N", "N", "N", "L", "U", "R", "V")
TODAY = date(2026, 11, 21)
AGENCY_OF_TYPE = ["police.encompass.v1", "care.protection-plan.v1", "health.ed-attendance.v1"]
EVENT_TYPES = (*AGENCY_OF_TYPE, "housing.temporary-accommodation.v1", "identity.change.v1")


def nhs_number(serial: int) -> str:
    """A number that is never issued, with its check digit. Source: NHS Data Dictionary, modulus 11."""
    while True:
        nine = f"99900{serial:04d}"
        check = 11 - sum(int(digit) * weight for digit, weight in zip(nine, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            return nine + str(check % 11)
        serial += 5000


def upn(serial: int) -> str:
    """A pupil number with its check letter. Source: DfE, weights 2..13, modulus 23."""
    digits = f"31300002{serial:04d}"
    return "ABCDEFGHJKLMNPQRTUVWXYZ"[sum(int(d) * w for w, d in enumerate(digits, start=2)) % 23] + digits


NHS = {alias: nhs_number(n) for n, alias in enumerate((*PEOPLE, "s0", "s1", "s2", "s3", "s4"), start=100)}
UPNS = {alias: upn(n) for n, alias in enumerate((*PEOPLE, "bump", "s0", "s1", "s2", "s3", "s4"), start=100)}
BORN = {alias: date(2010 + n, 2, 28) for n, alias in enumerate((*PEOPLE, "bump"))}


@dataclass(frozen=True)
class World:
    files: dict[str, str]
    event: Row
    now: datetime
    first: Row | None = None

    def write_first(self, folder: Path) -> list[Path]:
        """What is decided before it, as files."""
        if self.first is None:
            return []
        (folder / "first.json").write_text(json.dumps(self.first), "utf-8")
        return [folder / "first.json"]

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Put it where the command would read it: (event file, register folder)."""
        register = folder / "register"
        register.mkdir(exist_ok=True)
        for old in register.iterdir():
            old.unlink()
        for name, text in self.files.items():
            (register / name).write_text(text, "utf-8")
        (folder / "event.json").write_text(json.dumps(self.event), "utf-8")
        return folder / "event.json", register


_PERCENT = st.integers(0, 99)


def rarely(draw: Draw, percent: int = 8) -> bool:
    """True now and then; shrinks to False."""
    return draw(_PERCENT) >= 100 - percent


def some(draw: Draw, pool: Any, least: int = 0, most: int | None = None) -> list[Any]:
    if not pool:
        return []
    return draw(st.lists(st.sampled_from(pool), min_size=least, max_size=most or len(pool), unique=True))


def one(draw: Draw, pool: Any) -> Any:
    return draw(st.sampled_from(pool))


def spread(draw: Draw, row: Row, today: date) -> Row:
    """Sometimes with a first and a last day, near today."""
    if rarely(draw, 20):
        row["starts_on"] = today + timedelta(days=one(draw, (-400, -1, 0, 1)))
    if rarely(draw, 20):
        starts = row.get("starts_on", today - timedelta(days=400))
        row["ends_on"] = max(starts, today + timedelta(days=one(draw, (400, 1, 0, -1))))
    return row


SECTORS = ("x", "mash", "school", "health", "adult_care", "police")


def partners(draw: Draw) -> list[Row]:
    types = ("public_authority", "public_authority", "public_authority", "contracted_provider", "charity")
    found = []
    for name, usual in zip(PARTNERS, types, strict=True):
        org_type = one(draw, ORG_TYPES) if rarely(draw) else usual
        sector = one(draw, SECTORS)
        row = {"partner": name, "name": name, "sector": sector, "org_type": org_type, "call": "the desk, 01632 960000"}
        if rarely(draw, 20):
            row["numbers"] = one(draw, ([], ["nhs_number"], ["upn", "nhs_number"]))
        if not rarely(draw, 20):
            row["flags"] = ["relevant"]
        if rarely(draw, 15):
            row["suspended"] = True
        found.append(row)
    return found


def bases(draw: Draw, happened: date, sends: str) -> list[Row]:
    """Two of each kind: one usual, one that may end, begin, be of another territory or not open to all."""
    found = []
    for kind in ("art6", "art9_or_10", "sch1", "power_or_duty", "confidentiality"):
        for name in ("one", "two"):
            row: Row = {
                "code": f"{kind}-{name}",
                "kind": kind,
                "title": "t",
                "source": "s",
                "territory": ["england"] if not rarely(draw, 5) else some(draw, ("england", "wales"), 1),
                "in_force_from": date(2018, 5, 25),
            }
            if rarely(draw, 6):
                row["in_force_from"] = one(
                    draw, (None, happened - timedelta(days=1), happened, happened + timedelta(days=1))
                )
            if rarely(draw, 6):
                row["in_force_to"] = max(
                    row["in_force_from"] or happened, happened + timedelta(days=one(draw, (1, 0, -1)))
                )
            if rarely(draw, 4):
                # The loader refuses a flow whose sender may not rest on its basis; who receives is checked later.
                row["available_to"] = sorted({sends, *some(draw, ORG_TYPES, 0, 1)})
            if rarely(draw, 7):
                row["recipient_flag"] = "relevant"
            if kind == "art9_or_10" and draw(st.booleans()):
                row["needs_sch1"] = True
            found.append(row)
    return found


def people(draw: Draw) -> list[Row]:
    found: list[Row] = []
    for alias in PEOPLE:
        row: Row = {"alias": alias, "nhs_number": NHS[alias]}
        if draw(st.booleans()):
            row["upn"] = UPNS[alias]
            if alias != "eve" and rarely(draw, 20):  # eve may be the mother, whose number the unborn child needs
                del row["nhs_number"]
        if rarely(draw, 25):
            row["local"] = {one(draw, PARTNERS): f"L-{alias}"}
        if not rarely(draw, 25):
            row["family_name"] = "Hart"
            if rarely(draw, 15):
                row["given_name"] = one(draw, FIRST_NAMES)
        if not rarely(draw, 25):
            row["date_of_birth"] = BORN[alias]
        if rarely(draw, 6):
            row["restricted"] = True
        found.append(row)
    if draw(st.booleans()):
        found.append({"alias": "bump", "unborn_of": "eve"})
        if rarely(draw):
            found[-1]["restricted"] = True
    return found


def consents(draw: Draw, aliases: list[str], now: datetime) -> list[Row]:
    found: list[Row] = []
    seen = set()
    for _ in range(draw(st.integers(0, 6))):
        row: Row = {
            "person": one(draw, aliases),
            "meaning": one(draw, MEANINGS[:2]),
            "purpose": one(draw, PURPOSES),
            "state": one(draw, ("given", "given", *STATES)),
            "decided_at": now - timedelta(seconds=one(draw, (86_400 * 3, 86_400, 86_400, 1, 0, 0, -1, -86_400))),
            "method": "asked",
        }
        if rarely(draw, 40):
            row["by"] = one(draw, aliases)
        elif draw(st.booleans()):
            row["capacity"] = one(draw, CAPACITIES)
        else:
            row["expressed_by"] = one(draw, (*CAPACITIES, "officer", ""))
        if rarely(draw, 30):
            row["recipients"] = some(draw, PARTNERS, 1)
        if rarely(draw, 30):
            row["expires_at"] = now + timedelta(seconds=one(draw, (3600, 1, 0, -1, -3600)))
        key = json.dumps(row, default=str)
        if key not in seen:
            found.append(row)
            seen.add(key)
    return found


def leaves(event_type: str) -> dict[str, tuple[str, str, str, bool]]:
    """View path -> (class, Avro type, group, may be null) of every leaf that an agreement may name."""
    folder = Path(__file__).parents[2] / "schemas" / "avro"
    envelope = json.loads((folder / "envelope.avsc").read_text("utf-8"))["fields"]
    payload = json.loads((folder / f"{event_type}.avsc").read_text("utf-8"))
    found: dict[str, tuple[str, str, str, bool]] = {}

    def walk(fields: list[Row], at: str, group: str) -> None:
        for field in fields:
            avro = field["type"]
            nullable = isinstance(avro, list)
            if isinstance(avro, list):
                avro = next(t for t in avro if t != "null")
            if "dataClass" in field:
                base = avro if isinstance(avro, str) else avro.get("logicalType", avro["type"])
                found[at + field["name"]] = (field["dataClass"], base, group, nullable)
            elif field["name"] == "subjects":
                for name, prefix in (
                    ("subject", "subject."),
                    ("other_children", "other_children[]."),
                    ("adults", "adults[]."),
                    ("alleged_perpetrators", "alleged_perpetrators[]."),
                ):
                    walk(avro["items"]["fields"], prefix, name)
            elif avro["type"] == "array":
                walk(avro["items"]["fields"], f"{at}{field['name']}[].", group)
            else:
                walk(avro["fields"], f"{at}{field['name']}.", group)

    walk([*envelope, {"name": "payload", "type": payload}], "", "event")
    return found


LEAVES = {event_type: leaves(event_type) for event_type in EVENT_TYPES}
NAMEABLE = {t: [path for path, (kind, _, _, _) in LEAVES[t].items() if kind != "REFERRER"] for t in EVENT_TYPES}
#: A year can be told of every date; a text that cannot be blurred is left out, so it must be one that may be.
MASKABLE = {
    t: [path for path, (_, base, _, nullable) in LEAVES[t].items() if base == "date" or (base == "string" and nullable)]
    for t in EVENT_TYPES
}
GROUPS = ("event", "subject", "other_children", "adults", "alleged_perpetrators")


def flow(draw: Draw, event_type: str, number: int, event_rule: Row, sender: str) -> Row:
    effect = "refuse" if rarely(draw, 6) else "permit"
    row: Row = {
        "flow": f"flow-{number}",
        "event_type": event_type,
        "from": [sender, *(name for name in some(draw, PARTNERS, most=1) if name != sender)],
        "to": some(draw, PARTNERS, 3) if effect == "permit" else [one(draw, PARTNERS)],
        "purpose": "safeguarding" if not rarely(draw) else "record_accuracy",
        "interest": some(draw, (*INTERESTS, "subscription"), 1 if rarely(draw, 20) else 3),
        "release": {
            group: some(draw, _had_by(event_type, group, CLASSES), most=14)
            + some(draw, _had_by(event_type, group, PROSE), most=1)
            for group in GROUPS
            if not rarely(draw, 25)
        },
        "objection_reason": "risk of harm",
    }
    if effect == "refuse":
        row["effect"] = "refuse"
    named: Row = {"art6": f"art6-{one(draw, ('one', 'two'))}", "confidentiality": "confidentiality-one"}
    if not rarely(draw, 5):
        named["power_or_duty"] = f"power_or_duty-{one(draw, ('one', 'two'))}"
    if not rarely(draw, 35):
        named["art9_or_10"] = f"art9_or_10-{one(draw, ('one', 'two'))}"
    if not rarely(draw, 35):
        named["sch1"] = f"sch1-{one(draw, ('one', 'two'))}"
    if rarely(draw, 10):
        named["receiving_art6"] = {kind: f"art6-{one(draw, ('one', 'two'))}" for kind in some(draw, ORG_TYPES, 1)}
    row["basis"] = named
    if event_rule.get("consent"):
        row["consent"] = event_rule["consent"]
    elif rarely(draw, 12):
        row["consent"] = one(draw, MEANINGS[:2])
    if rarely(draw, 15):
        row["about"] = some(draw, ROLES, 1)
    elif not rarely(draw, 40):
        row["about"] = ["CHILD", "UNBORN_CHILD", "PERSON", "ADULT_VICTIM"]
    row["fields"] = some(draw, NAMEABLE[event_type], most=6)
    masks: Row = {}
    for path in some(draw, [path for path in MASKABLE[event_type] if _leaves_with(row, path)], most=3):
        is_date = LEAVES[event_type][path][1] == "date"
        masks[path] = (
            "year" if is_date else one(draw, ("initial", "outward_code") if path.endswith("postcode") else ("initial",))
        )
    if rarely(draw, 35):
        masks["other_children"] = "count"
    row["mask"] = masks
    return row


def _had_by(event_type: str, group: str, kinds: Sequence[str]) -> list[str]:
    """Those of these classes that a field of the group is: the loader refuses the others."""
    had = {kind for kind, _, whose, _ in LEAVES[event_type].values() if whose == group}
    return [kind for kind in kinds if kind in had]


def _leaves_with(flow: Row, path: str) -> bool:
    """Is it released at all? The loader refuses a mask on what is not."""
    kind, _, group, _ = LEAVES[flow["event_type"]][path]
    return path in flow["fields"] or (kind not in PROSE and kind in flow["release"].get(group, ()))


def agreements(draw: Draw, event: Row, rules: list[Row], today: date) -> list[Row]:
    """
    One to three, each flow for a type of its own or for recipients of its own.

    Two permits that cover one recipient are refused by the loader, so recipients are dealt out, once per type,
    sender and purpose.
    """
    found = []
    covered: set[tuple[str, str, str]] = set()
    for number in range(draw(st.integers(1, 3))):
        row: Row = {
            "agreement": f"agreement-{number}",
            "version": 1,
            "title": "t",
            "status": "active" if not rarely(draw, 6) else one(draw, ("draft", "suspended", "terminated")),
            "territory": "england" if not rarely(draw, 5) else "wales",
            "effective_from": today - timedelta(days=100),
            "review_by": today + timedelta(days=100),
            "parties": [
                {
                    "partner": name,
                    "signed_by": "x",
                    "signed_on": date(2025, 1, 1) if not rarely(draw, 20) else one(draw, (TODAY, date(2027, 1, 1))),
                }
                for name in PARTNERS
            ],
        }
        if rarely(draw, 12):
            row["effective_from"] = today + timedelta(days=one(draw, (0, 1, -1)))
        if rarely(draw, 15):
            row["grace_days"] = one(draw, (1, 0, 5))
            row["review_by"] = max(
                row["effective_from"], today - timedelta(days=row["grace_days"] + one(draw, (0, 1, -1)))
            )
        if rarely(draw, 12):
            row["expires_on"] = max(row["effective_from"], today + timedelta(days=one(draw, (0, -1, 1))))
        row["flows"] = []
        for index in range(draw(st.integers(1, 2))):
            event_type = event["event_type"] if not rarely(draw, 10) else one(draw, EVENT_TYPES)
            rule = next(r for r in rules if r["event_type"] == event_type)
            this = flow(draw, event_type, 10 * number + index, rule, event["publisher"]["agency"])
            if this.get("effect") != "refuse":
                this["from"] = this["from"][:1]
                # The loader compares whoever sends and for whatever purpose alike.
                this["to"] = [name for name in this["to"] if (event_type, name, this["purpose"]) not in covered]
                covered |= {(event_type, name, this["purpose"]) for name in this["to"]}
            if this["to"]:
                row["flows"].append(this)
        if row["flows"]:
            found.append(row)
    return found


_TEXT = st.sampled_from(
    ("", "x", "12 Mill Lane", "LS17 7DF", "ls177df", "Élan ﷺ 👧", "ZZ99 9RF", "M1", "LS17 7DF (refuge)", "Mrs Hart")
)
_CODE = st.sampled_from(("x", "E99999999", "TEST-1", "Ünï", "Domestic abuse and rape", "rape, at Rowan House"))


def moments(draw: Draw, near: datetime) -> datetime:
    """Near a moment, near midnight, with parts of a millisecond, in several offsets."""
    midnight = datetime(near.year, near.month, near.day, tzinfo=UTC) - timedelta(hours=one(draw, (0, 1)))
    moment = timedelta(microseconds=1)
    at: datetime = one(draw, (near, midnight, midnight - moment, midnight + 999_999 * moment))
    return at - timedelta(days=one(draw, (0, 1, 30)))


def written(draw: Draw, at: datetime) -> str:
    if rarely(draw, 15):
        return (at + timedelta(hours=1)).replace(tzinfo=None).isoformat() + "+01:00"
    return at.isoformat().replace("+00:00", "Z")


_SIMPLE = {"string": _TEXT, "boolean": st.booleans(), "int": st.integers(0, 900), "long": st.integers(0, 2**40)}
CODES = {  # strings that may not be empty
    *[
        "org_scheme",
        "org_code",
        "org_name",
        "purpose",
        "art6",
        "police_reference",
        "incident_type",
        "snomed_code",
        "authority_name",
    ],
    *["office_phone", "emergency_duty_phone", "provider_ods", "concern_code", "application_reference"],
    *["placed_in_authority", "source_event_type", "source_event_id", "source_system"],
}


PLAN_CODES = {  # as CP-IS has them
    "CHILD_PROTECTION": "342191000000101",
    "LOOKED_AFTER": "764841000000100",
    "UNBORN_CHILD_PROTECTION": "818901000000100",
}


def filled(draw: Draw, fields: list[Row], given: Row, now: datetime) -> Row:
    """A record of the schema: what is given, and anything that fits for the rest; optional parts come and go."""
    out: Row = {}
    for field in fields:
        name, avro = field["name"], field["type"]
        if name in given:
            out[name] = given[name]
            continue
        if isinstance(avro, list):
            if draw(st.booleans()):
                if draw(st.booleans()):
                    out[name] = None
                continue
            avro = next(t for t in avro if t != "null")
        out[name] = something(draw, name, avro, now)
    if "plan_type" in out:
        out["snomed_code"] = PLAN_CODES[out["plan_type"]]
    return out


def something(draw: Draw, name: str, avro: Any, now: datetime) -> Any:
    if name in CODES:
        return draw(_CODE)
    if isinstance(avro, str):
        return one(draw, CONFIDENTIALITY) if avro == "Confidentiality" else draw(_SIMPLE[avro])
    if avro.get("logicalType") == "date":
        return (now.date() - timedelta(days=draw(st.integers(-3, 4000)))).isoformat()
    if avro.get("logicalType"):
        return written(draw, moments(draw, now))
    if avro["type"] == "enum":
        return one(draw, CONFIDENTIALITY) if avro["name"] == "Confidentiality" else one(draw, avro["symbols"])
    if avro["type"] == "array":
        return draw(st.lists(_TEXT, max_size=2))
    return filled(draw, avro["fields"], {}, now)


#: Their payload does not say whom it is about, so they are about one person.
ABOUT_ONE = ("care.protection-plan.v1", "health.ed-attendance.v1", "identity.change.v1")


def subjects(draw: Draw, fields: list[Row], register: list[Row], publisher: str, now: datetime) -> list[Row]:
    """People of the register and strangers, sometimes with an identifier that is not theirs."""
    known = {person["alias"]: person for person in register}
    whom = some(draw, (*PEOPLE, "s0", "s1", "bump"), 1, 4)
    found = []
    for index, alias in enumerate(whom):
        role = one(draw, ("CHILD", "CHILD", "CHILD", *ROLES))
        if index == 0:
            role = one(draw, ("CHILD", "CHILD", "UNBORN_CHILD", "PERSON"))
        if alias == "bump":
            role = "UNBORN_CHILD"
        elif role == "UNBORN_CHILD":
            role = "PERSON"
        given: Row = {"ref": f"ref-{alias}", "role": role, "nhs_number": None, "upn": None, "local_id": None}
        if alias == "bump":
            given["nhs_number"] = NHS["eve"]
            given["family_name"], given["date_of_birth"] = None, None
        else:
            # A number that the register does not hold yet is no contradiction, and does not find anyone by itself.
            if not rarely(draw, 15):
                given["nhs_number"] = NHS[alias]
            if draw(st.booleans()):
                given["upn"] = UPNS[alias]
            if rarely(draw, 25):
                given["local_id"] = f"L-{alias}"
            given["family_name"] = one(draw, ("Hart", "Hart", "Hart", "Hart", "HART ", None))
            born = BORN.get(alias, date(2012, 1, 1)).isoformat()
            given["date_of_birth"] = one(draw, (born, born, born, born, None))
        if draw(st.booleans()):
            given["given_name"] = one(draw, (*FIRST_NAMES, None))
        given["relationship"] = one(draw, ("mother's partner", "uncle", "father", None))
        if rarely(draw, 6):
            given["family_name"] = "Stone"
        if rarely(draw, 5):
            given["date_of_birth"] = "2001-01-01"
        if rarely(draw, 2):
            given["nhs_number"] = NHS[one(draw, (*PEOPLE, f"s{index + 2 if index < 3 else 4}"))]
        given["works_for"] = some(draw, (*PARTNERS, *MISSPELT), most=1) if rarely(draw, 25) else []
        given["confidentiality"] = one(draw, CONFIDENTIALITY * 3 + ("N",) * 40)
        if known.get(alias) is None and alias == "bump" and rarely(draw, 50):
            given["nhs_number"] = None
        found.append(filled(draw, fields, given, now))
    return found


def events(draw: Draw, event_type: str, publisher: str, register: list[Row], now: datetime) -> Row:
    folder = Path(__file__).parents[2] / "schemas" / "avro"
    envelope = json.loads((folder / "envelope.avsc").read_text("utf-8"))["fields"]
    payload = json.loads((folder / f"{event_type}.avsc").read_text("utf-8"))["fields"]
    person = next(f for f in envelope if f["name"] == "subjects")["type"]["items"]["fields"]
    who = next(f for f in envelope if f["name"] == "publisher")["type"]["fields"]
    there = subjects(draw, person, register, publisher, now)
    if event_type in ABOUT_ONE:
        for extra in [s for s in there if s["role"] in ("CHILD", "UNBORN_CHILD", "PERSON")][1:]:
            extra["role"] = "OTHER_ADULT"
    special: Row = {}
    if event_type == "police.encompass.v1":
        child = next(f for f in payload if f["name"] == "children")["type"]["items"]["fields"]
        children = [s["ref"] for s in there if s["role"] in ("CHILD", "UNBORN_CHILD", "PERSON")]
        refs = draw(st.lists(st.sampled_from(children), max_size=4, unique=True))
        special["children"] = [filled(draw, child, {"subject_ref": ref}, now) for ref in refs]
    if event_type == "identity.change.v1":
        special["superseded_nhs_number"] = one(draw, (None, NHS["s4"]))
    given = {
        "event_id": f"00000000-0000-4000-8000-{draw(st.integers(0, 9999)):012d}",
        "event_type": event_type,
        "occurred_at": written(draw, moments(draw, now)),
        "publisher": filled(draw, who, {"agency": publisher}, now),
        "subjects": there,
        "purpose": "safeguarding",
        "lifecycle": "NEW",
        "correlation_id": None,
        "supersedes_event_id": None,
        "handling": {
            "confidentiality": one(draw, ("N",) * 20 + CONFIDENTIALITY),
            "sensitivity": some(draw, ("a", "b")),
            "refrain": some(draw, ("NODSCLCD", "NORDSCLCD", "ORCON"), 1) if rarely(draw, 25) else [],
            "obligations": some(draw, ("HUAPRV", "PERSISTLABEL", "AUDIT"), 1) if rarely(draw, 25) else [],
        },
        "payload": filled(draw, payload, special, now),
    }
    if rarely(draw, 25):
        del given["handling"]
    event = filled(draw, [f for f in envelope if f["name"] != "handling"], given, now)
    event |= {name: given[name] for name in ("handling", "payload") if name in given}
    return event


FIRST_ID = "00000000-0000-4000-8000-999999999999"


def follow_up(draw: Draw, first: Row, other: Row, now: datetime) -> tuple[Row | None, Row]:
    """(what is decided first, what follows): another of the episode, or the same one corrected or retracted."""
    first = first | {"event_id": FIRST_ID}
    reference = one(draw, ("correlation", "id", "both"))
    refers = {
        "correlation_id": "EPISODE-1" if reference != "id" else None,
        "supersedes_event_id": FIRST_ID if reference != "correlation" else None,
    }
    first["correlation_id"] = refers["correlation_id"]
    lifecycle = one(draw, ("UPDATE", "UPDATE", "NEW", "CORRECT", "RETRACT"))
    nameless = any(not (s["nhs_number"] or s["upn"] or s["local_id"]) for s in first["subjects"])
    if lifecycle in ("UPDATE", "NEW") or nameless:  # whoever has no number is somebody else in each event
        lifecycle = "UPDATE" if lifecycle in ("CORRECT", "RETRACT") else lifecycle
        event = other | {"lifecycle": lifecycle} | refers
    else:
        event = first | {"event_id": other["event_id"], "lifecycle": lifecycle, "supersedes_event_id": FIRST_ID}
        event |= {"occurred_at": written(draw, moments(draw, now)), "purpose": one(draw, PURPOSES)}
    return (first if not rarely(draw, 20) else None), event


@st.composite
def worlds(draw: Draw) -> World:
    """A folder, an event and a moment."""
    second = one(draw, (9 * 3600, 0, 86_399, 23 * 3600 + 1800))
    day = one(draw, (TODAY, date(2026, 7, 1)))
    now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
    known, parties = people(draw), partners(draw)
    aliases = [person["alias"] for person in known]
    publisher = one(draw, PARTNERS[:3] * 2 + PARTNERS[3:]) if not rarely(draw, 3) else "stranger"
    sends = next((row["org_type"] for row in parties if row["partner"] == publisher), ORG_TYPES[0])
    event_type = one(draw, EVENT_TYPES)
    event = events(draw, event_type, publisher, known, now)
    happened = datetime.fromisoformat(event["occurred_at"]).astimezone(UTC).date()
    rules = [
        {
            "event_type": t,
            "code": f"N0{n}",
            "source": "s",
            **({"consent": "service_agreement"} if rarely(draw, 10) else {}),
        }
        for n, t in enumerate(EVENT_TYPES)
    ]
    first: Row | None = None
    if rarely(draw, 30):
        first, event = follow_up(draw, event, events(draw, event_type, publisher, known, now), now)
    sections: dict[str, list[Row]] = {
        "partners": parties,
        "bases": bases(draw, happened, sends),
        "event_rules": rules,
        "people": known,
        "involvements": [],
        "affiliations": [],
        "subscriptions": [],
        "dangers": [],
        "may_speak_for": [],
        "consents": consents(draw, aliases, now),
    }
    for person in known:
        if rarely(draw, 10):
            person["adopted"] = True
        if rarely(draw, 15):
            person["lives_independently"] = True
        if rarely(draw, 15):
            person["competent_since"] = day + timedelta(days=one(draw, (-400, -1, 0, 1)))
    for alias, to in draw(
        st.lists(st.tuples(st.sampled_from(aliases), st.sampled_from(aliases)), max_size=2, unique=True)
    ):
        if alias != to and rarely(draw, 50):
            row = {"person": alias, "to": to, "source": "s"}
            sections["dangers"].append(spread(draw, row, day))
    for alias, by, speaks_as in draw(
        st.lists(st.tuples(st.sampled_from(aliases), st.sampled_from(aliases), st.sampled_from(SPEAKS_AS)), max_size=5)
    ):
        row = {"person": alias, "by": by, "as": speaks_as, "source": "s"}
        if row not in sections["may_speak_for"]:
            sections["may_speak_for"].append(row)
    here = [subject["ref"].removeprefix("ref-") for subject in event["subjects"]]
    likely = [alias for alias in here if alias in aliases] or aliases
    for alias, name, role in draw(
        st.lists(
            st.tuples(st.sampled_from(likely), st.sampled_from(PARTNERS), st.sampled_from(INTERESTS)),
            min_size=1,
            max_size=6,
            unique=True,
        )
    ):
        sections["involvements"].append(spread(draw, {"person": alias, "partner": name, "role": role}, day))
    for alias, name in draw(
        st.lists(st.tuples(st.sampled_from(likely), st.sampled_from(PARTNERS)), max_size=2, unique=True)
    ):
        sections["affiliations"].append(
            spread(draw, {"person": alias, "partner": name, "relation": "works there"}, day)
        )
    for name in some(draw, PARTNERS, 1):
        what = event_type if not rarely(draw, 10) else one(draw, EVENT_TYPES)
        sections["subscriptions"].append(spread(draw, {"partner": name, "event_type": what}, day))
    pages = agreements(draw, event, rules, day)
    agency = event["publisher"]["agency"]
    if agency == "stranger":
        for page in pages:
            for f in page["flows"]:
                f["from"] = [name for name in f["from"] if name != "stranger"] or [PARTNERS[0]]
    # The loader takes no consent for a purpose that no flow has.
    asked_for = {f["purpose"] for page in pages for f in page["flows"]}
    sections["consents"] = [row for row in sections["consents"] if row["purpose"] in asked_for]
    files = {"register.yaml": dump(sections)}
    files |= {f"agreement-{n}.yaml": dump(page) for n, page in enumerate(pages)}
    return World(files, event, now, first)


def dump(value: Any) -> str:
    return yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)

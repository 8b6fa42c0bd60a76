"""
Which register and which events are measured?

One police force tells six partners of one child each time: four may know (one of them because consent was given), one
waits for a consent that was withdrawn, one has signed nothing. That never changes. What grows around it are agreements
of other parties, partners and consents of other people, so that a cost that grows with them shows.
Everything follows from `Size` and the numbers given: the same world every time. Nobody in it exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from safebus.deploy.local.up import DEMO_REGISTER
from safebus.producers import samples
from safebus.producers.samples import Family
from safebus.schemas import codec
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import Event
from safebus.schemas.keys import PersonKey
from safebus.streams.register.changes import read_files
from safebus.streams.register.entries import Entry, consent_record_id, read_folder
from safebus.streams.rules.agreements import Agreement
from safebus.streams.rules.consent import ConsentEntry, Meaning, State
from safebus.streams.rules.parties import Involvement, KnownPerson, Partner

POLICE = "bench-police"
PERMITTED = ("bench-school", "bench-hub", "bench-health", "bench-haven")
REFUSED = ("bench-housing", "bench-leisure")
ROLES = {
    "bench-school": "attends_school",
    "bench-hub": "social_work",
    "bench-health": "health_visiting",
    "bench-haven": "client",
    "bench-housing": "tenant",
    "bench-leisure": "member",
}
SEED = 7
_AHEAD = 400  # days; the agreements are in force whenever this is run


@dataclass(frozen=True)
class Size:
    """How much stands in the register around what is measured."""

    agreements: int = 10
    partners: int = 10
    consents: int = 1_000


def families(count: int) -> list[Family]:
    """So many families with one child each."""
    # About a third of all families have one child.
    return list(islice((f for f in samples.families(SEED, count * 6 + 20) if len(f.children) == 1), count))


def events(among: list[Family], count: int, *, before: datetime) -> list[Event]:
    """So many events, spread over the families, each under an id of its own; the newest a day before `before`."""
    each = -(-count // len(among))
    since = before - timedelta(days=each + 1)
    per_family = [samples.incidents(SEED, f, each, agency=POLICE, since=since) for f in among]
    return [found for round_ in zip(*per_family, strict=True) for found in round_][:count]


def entries(size: Size, among: list[Family], *, key: PersonKey, today: date) -> list[Entry]:
    """The register's entries. Those of the families come first and are the same whatever the size."""
    own = [
        *_law(key),
        *_partners((POLICE, *PERMITTED, *REFUSED)),
        _entry("agreement", f"agreement/{_OWN}", Agreement.model_validate(_agreement(today))),
        *_people(among, key, today),
    ]
    fixed = len((POLICE, *PERMITTED, *REFUSED))
    others = [f"other-{i}" for i in range(max(2, size.partners - fixed))]
    return [*own, *_partners(others), *_agreements(size.agreements - 1, others, today), *_consents(size, key, today)]


_OWN = "bench-encompass"


def _entry(kind: str, record_id: str, body: Any) -> Entry:
    return Entry(record_id, kind, body, "bench")


def _law(key: PersonKey) -> list[Entry]:
    """The demonstration's catalogue of bases."""
    files = read_files(DEMO_REGISTER)
    return read_folder({"bases.yaml": files["bases.yaml"]}, key, event_schemas())


def _partners(names: Any) -> Iterator[Entry]:
    for name in names:
        body = Partner(
            partner=name,
            name=f"{name} of nowhere",
            sector="none",
            org_type="public_authority",
            flags=("s11_body", "cda115_authority"),
            call="the desk, 01632 960199",
        )
        yield _entry("partner", f"partner/{name}", body)


def _flow(to: str, *, consent: str | None = None, **release: list[str]) -> dict[str, Any]:
    basis = {"art6": "A6-1-e", "art9_or_10": "A9-2-g", "sch1": "DPA18-S1-P2-18"}
    found: dict[str, Any] = {
        "flow": f"to-{to}",
        "event_type": "police.encompass.v1",
        "from": [POLICE],
        "to": [to],
        "purpose": "safeguarding",
        "interest": [ROLES[to]],
        "basis": basis | {"power_or_duty": "CDA98-115", "confidentiality": "CLDC-OPI"},
        "release": release,
    }
    return found | ({"consent": consent} if consent else {"objection_reason": "risk of significant harm to a child"})


def _agreement(today: date) -> dict[str, Any]:
    school, hub, health, haven = PERMITTED
    fact, core = ["ENVELOPE", "INCIDENT_FACT"], ["ID_CORE"]
    flows = [
        _flow(school, event=fact, subject=[*core, "UPN"], alleged_perpetrators=["RELATIONSHIP"]),
        _flow(
            hub,
            event=[*fact, "PUBLISHER", "RISK_SCORE", "LOCATION_INCIDENT"],
            subject=[*core, "NHS_NUMBER", "UPN", "LOCATION_HOME"],
            other_children=[*core, "RELATIONSHIP"],
            adults=[*core, "ROLE", "RELATIONSHIP", "CONTACT_SAFE"],
            alleged_perpetrators=[*core, "RELATIONSHIP"],
        )
        | {"fields": ["payload.circumstances"]},
        _flow(health, event=fact, subject=[*core, "NHS_NUMBER"], adults=["RELATIONSHIP"])
        | {"mask": {"other_children": "count"}},
        _flow(haven, consent="service_agreement", event=[*fact, "RISK_SCORE"], subject=core),
        _flow(REFUSED[0], consent="service_agreement", event=fact, subject=core),
    ]
    return _body(_OWN, [POLICE, *PERMITTED, REFUSED[0]], flows, today)


def _body(name: str, parties: list[str], flows: list[dict[str, Any]], today: date) -> dict[str, Any]:
    signed = today - timedelta(days=_AHEAD)
    return {
        "agreement": name,
        "version": 1,
        "title": "An agreement of parties that do not exist",
        "status": "active",
        "effective_from": signed,
        "review_by": today + timedelta(days=_AHEAD),
        "parties": [{"partner": p, "signed_by": "a role", "signed_on": signed} for p in parties],
        "flows": flows,
    }


def _agreements(count: int, others: list[str], today: date) -> Iterator[Entry]:
    """Agreements of the others: each between two of them, in turn, for the same type of event."""
    template = _flow(PERMITTED[0], event=["ENVELOPE"], subject=["ID_CORE"])
    for i in range(count):
        sender, to = others[i % len(others)], others[(i + 1) % len(others)]
        flow = template | {"from": [sender], "to": [to]}
        body = Agreement.model_validate(_body(f"other-{i}", [sender, to], [flow], today))
        yield _entry("agreement", f"agreement/other-{i}", body)


def _people(among: list[Family], key: PersonKey, today: date) -> Iterator[Entry]:
    for family in among:
        for person in (*family.children, family.mother, family.suspect):
            assert person.nhs_number is not None  # samples gives everyone one
            token = key.token("nhs", person.nhs_number)
            yield _entry("person", f"person/{token}", KnownPerson(person_id=token, tokens={"nhs": token}))
        number = family.children[0].nhs_number
        assert number is not None
        child = key.token("nhs", number)
        for partner in (*PERMITTED, *REFUSED):
            tie = Involvement(person_id=child, partner=partner, role=ROLES[partner])
            yield _entry("involvement", f"involvement/{partner}/{child}", tie)
        for partner, state in ((PERMITTED[3], State.GIVEN), (REFUSED[0], State.WITHDRAWN)):
            yield _consent(child, partner, state, today)


def _consents(size: Size, key: PersonKey, today: date) -> Iterator[Entry]:
    """What other people said: one of four, each to one partner."""
    for i in range(size.consents):
        yield _consent(key.token("other", str(i // 4)), PERMITTED[i % 4], State.GIVEN, today)


def _consent(person: str, partner: str, state: State, today: date) -> Entry:
    body = ConsentEntry(
        person_id=person,
        meaning=Meaning.SERVICE_AGREEMENT,
        purpose="safeguarding",
        state=state,
        decided_at=datetime.fromisoformat(f"{today - timedelta(days=30)}T12:00:00+00:00"),
        recipients=(partner,),
        expressed_by="parent",
        method="bench",
    )
    return _entry("consent", consent_record_id(body), body)


def values(found: list[Event]) -> list[bytes]:
    """Events as they stand on the topic."""
    return [codec.encode(event) for event in found]

"""
One case for every reason that the rules can give.

`CASES`: code -> the reasons of a real decision, or of a real look before handing over, in which it must stand.
"""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from a_register import KEY, NOON, agreement, change, change_flow, demo, put, share

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import Accused, Earlier, Holder, Notification, Reason
from safebus.schemas.events import Address, Confidentiality, Event, Handling, Lifecycle
from safebus.streams.register.store import Register, body_of
from safebus.streams.rules import asked_again, told_apart
from safebus.streams.rules.consent import State

AVA = KEY.token("nhs", "9990079196")
INCIDENT, MOVE = story.incident(), story.moved_to_temporary_accommodation(1)
GARY, MAYA = KEY.token("nhs", "9990475148"), KEY.token("nhs", "9990395950")
MOVE_OF_A_SUSPECT = MOVE.model_copy(update={"subjects": (*MOVE.subjects, INCIDENT.subjects[-1])})
ENCOMPASS, HOUSING = "fordshire-encompass", "fordshire-temporary-accommodation"
BASIS = {"art6": "A6-1-e", "power_or_duty": "POLICE-CL", "confidentiality": "CLDC-OPI"}


def decided(
    register: Register,
    recipient: str = "ash-primary",
    *,
    event: Any = INCIDENT,
    now: datetime = NOON,
    earlier: Earlier | None = None,
) -> Any:
    """The reasons of the answer for one recipient about Ava."""
    answers = share(event, register, now=now, earlier=earlier).record.answers
    return next(a.reasons for a in answers if (a.recipient, a.subject_token) == (recipient, AVA))


def decided_of(token: str, recipient: str, *, event: Any) -> Any:
    """The reasons of the answer for one recipient about somebody else."""
    answers = share(event, put(demo(), f"person/{token}", "person", _no_date(token))).record.answers
    return next(a.reasons for a in answers if (a.recipient, a.subject_token) == (recipient, token))


def _no_date(token: str) -> Any:
    known = demo().persons[token].model_dump(mode="json")
    return known | {"confirm": {name: t for name, t in known["confirm"].items() if name != "date_of_birth"}}


def _unclear_to_the_school() -> Sequence[Reason]:
    """Of Ava the police know a first name, and a number that no school has."""
    ava, *others = INCIDENT.subjects
    known = {"family_name": None, "date_of_birth": None, "upn": None}
    event = INCIDENT.model_copy(update={"subjects": (ava.model_copy(update=known), *others)})
    found = (a for a in share(event, demo()).record.answers if (a.recipient, a.subject_token) == ("ash-primary", AVA))
    return [reason for answer in found if (reason := told_apart.unclear(answer)) is not None]


def _young_victim() -> Event:
    """Maya is 16."""
    *others, maya, gary = INCIDENT.subjects
    return INCIDENT.model_copy(
        update={"subjects": (*others, maya.model_copy(update={"date_of_birth": date(2010, 6, 1)}), gary)}
    )


def sent(event: Any = INCIDENT, recipient: str = "ash-primary", register: Register | None = None) -> Notification:
    """A notification about Ava that was decided under the demonstration's register."""
    outputs = share(event, register or demo()).outputs
    return next(
        o.notification for o in outputs if (o.notification.recipient, o.notification.subject_token) == (recipient, AVA)
    )


def looked_at(
    register: Register, notification: Notification | None = None, *, now: datetime = NOON
) -> Sequence[Reason]:
    """Why it may no longer be handed over."""
    found = asked_again.still_permitted(notification or sent(), register, now)
    return [] if found is None else [found]


def unknown_suspect() -> Any:
    """The same night, and nobody knows more of the suspect than a name."""
    known = INCIDENT.subjects[-1]
    return INCIDENT.model_copy(
        update={"subjects": (*INCIDENT.subjects[:-1], known.model_copy(update={"nhs_number": None}))}
    )


def to_schools(**changes: Any) -> Register:
    return change_flow(demo(), ENCOMPASS, "to-schools", **changes)


def encompass(**changes: Any) -> Register:
    return change(demo(), f"agreement/{ENCOMPASS}", lambda body: body.update(changes))


def consent(state: State, **changes: Any) -> Register:
    """The register in which this is the one decision about telling others of the move."""
    register = demo()
    for record_id in [r for r, (kind, _) in register.entries().items() if kind == "consent"]:
        put(register, record_id, "consent", None)
    body = {
        "person_id": AVA,
        "meaning": "service_agreement",
        "purpose": "temporary_accommodation_notice",
        "state": state,
        "decided_at": NOON.isoformat(),
        "expressed_by": "parent",
        "method": "by telephone",
    }
    return put(register, "consent/x", "consent", body | changes)


def prohibition(**changes: Any) -> Register:
    """The register with an agreement that forbids police to tell Ash Primary."""
    body = agreement().model_dump(mode="json", by_alias=True)
    body["flows"][0]["effect"] = "refuse"
    return put(demo(), "agreement/small", "agreement", body | changes)


def partner(name: str, **changes: Any) -> Register:
    return change(demo(), f"partner/{name}", lambda body: body.update(changes))


def restricted() -> Register:
    return change(demo(), f"person/{AVA}", lambda body: body.update(restricted=True))


def _objection() -> Register:
    return consent(State.REFUSED, purpose="safeguarding")


def _suspect_takes_back() -> Register:
    """Ava's mother agreed, and her partner, the suspect, takes it back."""
    register = consent(State.GIVEN)
    body = json.loads(body_of(register.entries()["consent/x"][1]))
    return put(register, "consent/y", "consent", body | {"state": "withdrawn", "by": GARY, "capacity": "parent"})


_V = Handling(confidentiality=Confidentiality.V)


def _labelled(**labels: tuple[str, ...]) -> Any:
    return INCIDENT.model_copy(update={"handling": Handling(**labels)})


def suspect(**changes: Any) -> Any:
    """The same night, and this is what is said of the suspect."""
    said = INCIDENT.subjects[-1].model_copy(update=changes)
    return INCIDENT.model_copy(update={"subjects": (*INCIDENT.subjects[:-1], said)})


_GOVERNS_ASH = {"person_id": KEY.token("nhs", "9990475148"), "partner": "ash-primary", "relation": "caretaker"}


def _signed_late(partner: str) -> list[dict[str, Any]]:
    """The parties of the incident's agreement, of whom this one signs on the day after."""
    parties = demo().agreements[ENCOMPASS].model_dump(mode="json")["parties"]
    return [row | ({"signed_on": "2026-11-21"} if row["partner"] == partner else {}) for row in parties]


def _of_unknown_age() -> Register:
    """The register without Ava's date of birth, which would contradict any other."""
    return change(demo(), f"person/{AVA}", lambda body: body["confirm"].pop("date_of_birth"))


def _grown_up() -> Event:
    ava, *others = INCIDENT.subjects
    return INCIDENT.model_copy(
        update={"subjects": (ava.model_copy(update={"date_of_birth": date(2000, 1, 1)}), *others)}
    )


_DANGER = {"person_id": GARY, "to": AVA, "source": "an order of the court"}
_HELD_IT = Holder(
    recipient="ash-primary",
    subject_token=AVA,
    notification_id="n-1",
    agreement_id=ENCOMPASS,
    agreement_version=3,
    flow="to-schools",
    purpose="safeguarding",
)
_RETRACTED = INCIDENT.model_copy(
    update={
        "lifecycle": Lifecycle.RETRACT,
        "event_id": "36ed9b87-fb06-564d-bd52-06c0eb337c41",
        "supersedes_event_id": INCIDENT.event_id,
    }
)


def _moved_to_a_refuge() -> Event:
    """Somebody typed where the mother is into the kind of incident."""
    said = INCIDENT.payload.model_copy(update={"incident_type": "moved to Rowan House, Hidden Close"})
    return INCIDENT.model_copy(update={"payload": said})


def _accused_at_ash(agency: str = "ash-primary") -> Earlier:
    """An earlier event accused somebody who works at this agency."""
    return Earlier(accused=(Accused(named_in="e-1", works_for=(agency,)),))


def _refuge_as_home(**changes: Any) -> Event:
    """Somebody typed the refuge where Ava's home belongs."""
    refuge = INCIDENT.subjects[3].safe_address
    assert refuge is not None
    home = {"lines": refuge.lines, "postcode": "zz999rf"} | changes
    ava, *others = INCIDENT.subjects
    return INCIDENT.model_copy(update={"subjects": (ava.model_copy(update={"home_address": Address(**home)}), *others)})


def _agreed_next_year() -> Event:
    return MOVE.model_copy(update={"payload": MOVE.payload.model_copy(update={"agreed_on": date(2027, 1, 1)})})


def _warned_of_gary() -> Register:
    """Gary is a danger to Ava, and now he governs her school; nobody names him."""
    return put(put(demo(), "danger/1", "danger", _DANGER), "affiliation/x", "affiliation", _GOVERNS_ASH)


CASES: dict[str, Callable[[], Sequence[Reason]]] = {
    "PERMITTED": lambda: decided(demo()),
    "AGREEMENT_REVIEW_OVERDUE": lambda: decided(encompass(review_by="2026-11-10")),
    "RESTRICTED_PERSON": lambda: decided(restricted()),
    "SAFE_ADDRESS_SHOWN": lambda: decided(demo(), event=_refuge_as_home()),
    "SUSPECT_NOT_MATCHED": lambda: decided(demo(), event=unknown_suspect()),
    "OBJECTION_RECORDED": lambda: decided(_objection()),
    "UNKNOWN_PARTNER": lambda: decided(put(demo(), "partner/fordshire-police", "partner", None)),
    "PARTNER_SUSPENDED": lambda: decided(partner("fordshire-police", suspended=True)),
    "ADVERSARY": lambda: decided(put(demo(), "affiliation/x", "affiliation", _GOVERNS_ASH)),
    "ADVERSARY_BEFORE": lambda: decided(demo(), earlier=_accused_at_ash()),
    "ADVERSARY_PERHAPS_BEFORE": lambda: decided(demo(), earlier=_accused_at_ash("ash-primry")),
    "ADVERSARY_STANDING": lambda: decided(
        _warned_of_gary(), event=INCIDENT.model_copy(update={"subjects": INCIDENT.subjects[:-1]})
    ),
    "COMES_TOO_LATE": lambda: decided(demo(), earlier=Earlier(retracted=True)),
    "EPISODE_UNKNOWN": lambda: decided(demo(), earlier=Earlier(known=False)),
    "CLAIM_UNKNOWN": lambda: decided(
        demo(),
        event=INCIDENT.model_copy(
            update={"claimed_basis": INCIDENT.claimed_basis.model_copy(update={"gateway": "DAA21-94A"})}
        ),
    ),
    "NOT_A_CODE": lambda: decided(demo(), event=_moved_to_a_refuge()),
    "TAKES_BACK": lambda: decided(demo(), event=_RETRACTED, earlier=Earlier(holders=(_HELD_IT,))),
    "VERY_RESTRICTED": lambda: decided(demo(), event=INCIDENT.model_copy(update={"handling": _V})),
    "NOT_AUTHORISED": lambda: decided(demo(), event=_labelled(refrain=("NODSCLCD",))),
    "APPROVAL_ASKED": lambda: decided(demo(), event=_labelled(obligations=("HUAPRV",))),
    "ADVERSARY_POSSIBLE": lambda: decided(
        put(demo(), "affiliation/x", "affiliation", _GOVERNS_ASH),
        event=suspect(nhs_number=None),
    ),
    "ADVERSARY_UNCLEAR": lambda: decided(demo(), event=suspect(works_for=("ash-primry",))),
    "PROHIBITED": lambda: decided(prohibition()),
    "NO_AGREEMENT": lambda: decided(demo(), "meadow-practice"),
    "PURPOSE_NOT_COVERED": lambda: decided(to_schools(purpose="research")),
    "AGREEMENT_DRAFT": lambda: decided(encompass(status="draft")),
    "AGREEMENT_SUSPENDED": lambda: decided(encompass(status="suspended")),
    "AGREEMENT_TERMINATED": lambda: decided(encompass(status="terminated")),
    "AGREEMENT_NOT_YET": lambda: decided(encompass(effective_from="2026-11-21")),
    "PARTY_NOT_SIGNED": lambda: decided(encompass(parties=_signed_late("ash-primary"))),
    "AGREEMENT_EXPIRED": lambda: decided(encompass(review_by="2026-10-20")),
    "AGREEMENT_ENDED": lambda: looked_at(put(demo(), f"agreement/{ENCOMPASS}", "agreement", None)),
    "AGREEMENT_NARROWED": lambda: looked_at(to_schools(fields=[])),
    "RESTRICTED_SINCE": lambda: looked_at(restricted()),
    "NOT_IN_CARE": lambda: decided(to_schools(interest=["attends_nursery"])),
    "SUBJECT_NOT_COVERED": lambda: decided(to_schools(about=["UNBORN_CHILD"])),
    "BASIS_UNKNOWN": lambda: decided(to_schools(basis=BASIS | {"art6": "A6-1-z"})),
    "BASIS_NOT_IN_FORCE": lambda: decided(to_schools(basis=BASIS | {"power_or_duty": "CA04-16LA"})),
    "BASIS_NOT_AVAILABLE": lambda: decided(to_schools(basis=BASIS | {"art6": "A6-1-ea"})),
    "GATEWAY_RECIPIENT": lambda: decided(to_schools(basis=BASIS | {"power_or_duty": "CDA98-115"})),
    "NO_POWER_OR_DUTY": lambda: decided(to_schools(basis={"art6": "A6-1-e", "confidentiality": "CLDC-OPI"})),
    "WHO_IS_UNCLEAR": lambda: _unclear_to_the_school(),
    "NOT_YET_HAPPENED": lambda: decided(
        demo(), event=INCIDENT.model_copy(update={"occurred_at": NOON + timedelta(hours=1)})
    ),
    "NOT_A_CHILD": lambda: decided(_of_unknown_age(), event=_grown_up()),
    "NOT_AN_ADULT": lambda: decided_of(MAYA, "haven", event=_young_victim()),
    "NOT_PLAUSIBLE": lambda: decided(demo(), event=_agreed_next_year()),
    "NO_NOT_THEIRS": lambda: decided(_suspect_takes_back(), event=MOVE_OF_A_SUSPECT),
    "CONSENT_NOT_THEIRS": lambda: decided(consent(State.GIVEN, capacity="subject"), event=MOVE),
    "REFUSAL_UNSURE": lambda: decided(consent(State.REFUSED, expressed_by="officer"), event=MOVE),
    "CONSENT_UNSURE": lambda: decided(consent(State.GIVEN, capacity="representative"), event=MOVE),
    "BASIS_CLAIMS_CONSENT": lambda: decided(to_schools(basis=BASIS | {"art6": "A6-1-a"})),
    "CONSENT_NOT_ASKED_FOR": lambda: decided(
        change_flow(demo(), HOUSING, "to-school-and-health", consent=None, objection_reason="none"), event=MOVE
    ),
    **{
        f"CONSENT_{state.upper()}": lambda state=state: decided(consent(state), event=MOVE)  # type: ignore[misc]
        for state in State
        if state not in (State.GIVEN, State.RENEWED)
    },
    "CONSENT_EXPIRED": lambda: decided(
        consent(State.RENEWED, expires_at=NOON.isoformat()), event=MOVE, now=NOON + timedelta(seconds=1)
    ),
}

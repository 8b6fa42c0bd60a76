"""The whole decision, composed, and whether what was decided may still be handed over."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from a_reason import (
    AVA,
    BASIS,
    ENCOMPASS,
    GARY,
    HOUSING,
    INCIDENT,
    MOVE,
    consent,
    encompass,
    looked_at,
    partner,
    prohibition,
    restricted,
    sent,
    to_schools,
)
from a_register import AGREEMENT, FLOW, KEY, NOON, ORIGIN, change, change_flow, demo, put, share

from safebus.deploy.local.demo import story
from safebus.schemas import codec, gate
from safebus.schemas.bus_records import DecisionRecord, Notification, Reason
from safebus.schemas.events import Confidentiality, Handling, IdentityEvent, PersonRole
from safebus.streams.register.store import Register
from safebus.streams.rules import asked_again, sharing
from safebus.streams.rules.adversary import accused
from safebus.streams.rules.consent import State


def test_the_record_says_what_was_decided_on_what_and_when() -> None:
    received = codec.decode(codec.encode(story.incident()))
    record = share(story.incident(), demo()).record

    assert record.model_dump(exclude={"answers"}) == {
        "event_id": story.incident().event_id,
        "event_type": "police.encompass.v1",
        "lifecycle": "NEW",
        "source": "fordshire-police",
        "purpose": "safeguarding",
        "origin": ORIGIN.model_dump(),
        "input_digest": KEY.digest(received.value),
        "rules_digest": "rules-1",
        "register_offset": demo().offset,
        "decided_at": NOON,
        "earlier": None,
        "episode": {
            "tokens": (KEY.token("episode", "fordshire-police|test4711"),),
            "accused": (accused(INCIDENT.subjects[-1], INCIDENT, KEY).model_dump(),),
            "whole": True,
            "retracted": False,
            "adds_to": None,
        },
        "worklist": (
            {
                "who": "subjects.1 (CHILD)",
                "code": "ADVERSARY",
                "about": "beech-primary",
                "recipient": "beech-primary",
                "by": None,
            },
        ),
    }


def test_the_record_and_its_outputs_point_at_each_other() -> None:
    found = share(story.incident(), demo())
    permits = [answer for answer in found.record.answers if answer.notification_id]

    assert [(a.notification_id, a.decision_id, a.output_digest) for a in permits] == [
        (o.notification.notification_id, o.notification.decision_id, KEY.digest(o.value)) for o in found.outputs
    ]
    assert codec.decode_record(codec.encode_record(found.record), DecisionRecord) == found.record
    assert [codec.decode_record(o.value, Notification) for o in found.outputs] == [
        o.notification for o in found.outputs
    ]


def test_the_notification_says_under_which_agreement_and_how_to_read_it() -> None:
    notification = sent()

    assert notification.model_dump(exclude={"notification_id", "decision_id", "view", "view_schema"}) == {
        "event_id": story.incident().event_id,
        "event_type": "police.encompass.v1",
        "lifecycle": "NEW",
        "recipient": "ash-primary",
        "publisher": "fordshire-police",
        "purpose": "safeguarding",
        "urgency": "PRIORITY",
        "subject_token": AVA,
        "agreement_id": ENCOMPASS,
        "agreement_version": 3,
        "flow": "to-schools",
        "consent_meaning": None,
        "labels": (),
        "restricted": False,
        "takes_back": None,
        "bare": False,
        "role": "CHILD",
        "whom_to_ask": None,
        "decided_at": NOON,
    }


def test_the_time_is_cut_to_what_the_record_keeps_whatever_the_zone() -> None:
    late = datetime(2026, 11, 20, 14, 0, 0, 123999, tzinfo=timezone(timedelta(hours=2)))

    assert share(story.incident(), demo(), now=late).record.decided_at == NOON + timedelta(milliseconds=123)


def test_a_doubtful_identity_is_set_aside_before_anyone_is_considered() -> None:
    event = story.attendance().model_copy(update={"subjects": (story.AVA.model_copy(update={"upn": story.BEN.upn}),)})
    received = codec.decode(codec.encode(event))

    assert sharing.share(received, demo(), origin=ORIGIN, now=NOON, key=KEY, rules_digest="r") == sharing.SetAside(
        "IDENTITY_AMBIGUOUS", "identifiers of a subject (nhs, upn) point to 2 people"
    )


def test_a_child_of_whom_nobody_is_told_is_on_the_worklist() -> None:
    """Someone must look: a notice that reaches nobody protects nobody."""
    unknown = story.AVA.model_copy(update={"nhs_number": "9990554331", "upn": None, "given_name": "Zoe"})

    assert [
        (seen.who, seen.code)
        for seen in share(MOVE.model_copy(update={"subjects": (unknown,)}), demo()).record.worklist
    ] == [("subjects.0 (CHILD)", "NO_RECIPIENT")]
    assert share(MOVE, demo()).record.worklist == ()


def test_no_label_tells_that_somebody_is_restricted() -> None:
    """Whoever may not have it would learn from the label that there is something to hide."""
    notification = sent(register=restricted())

    assert (notification.restricted, notification.labels) == (True, ())


def test_how_confidential_it_is_travels_where_the_agreement_releases_it() -> None:
    told = INCIDENT.model_copy(update={"handling": Handling(confidentiality=Confidentiality.M, refrain=("ORCON",))})
    register = to_schools(fields=["handling.confidentiality"])

    assert sent(told).labels == ("ORCON",)
    assert sent(told, register=register).labels == ("confidentiality:M", "ORCON")


@pytest.mark.parametrize("how", [{}, {"adopted": True}, {"restricted": True}], ids=str)
def test_an_earlier_number_never_stands_beside_the_present_one_where_they_must_be_kept_apart(how: Any) -> None:
    """However plainly the agreement names it: by class, or by the very field."""
    of_records = {"event_type": "identity.change.v1", "about": ["PERSON"], "fields": ["payload.superseded_nhs_number"]}
    both = {"release": {"event": ["NHS_NUMBER"], "subject": ["NHS_NUMBER"]}}
    register = change(demo(), f"person/{AVA}", lambda body: body.update(how))
    put(register, "agreement/small", "agreement", AGREEMENT | {"flows": [FLOW | of_records | both]})
    ava = INCIDENT.subjects[0].model_copy(update={"role": PersonRole.PERSON})
    told = IdentityEvent.model_validate(
        INCIDENT.model_dump(exclude={"event_type", "payload", "subjects"})
        | {
            "subjects": (ava,),
            "payload": {
                "change": "NUMBER_CHANGED",
                "source_event_type": "nhs-number-change-2",
                "source_event_id": "TEST-3",
                "source_system": "PDS",
                "superseded_nhs_number": "9990554331",
            },
        }
    )
    [output] = share(told, register).outputs
    view = asked_again.read_view(output.notification, register)

    assert view is not None
    assert view["subject"] == {"nhs_number": "9990079196"}
    assert view.get("payload") == (None if how else {"data_reference": None, "superseded_nhs_number": "9990554331"})


# Before it is handed over


def test_what_was_permitted_may_be_handed_over_while_nothing_changes() -> None:
    assert looked_at(demo()) == []


@pytest.mark.parametrize(
    ("danger", "tie", "stops"),
    [
        ({}, {}, True),
        ({"ends_on": "2026-01-01"}, {}, False),
        ({}, {"ends_on": "2026-01-01"}, False),
        ({}, {"partner": "beech-primary"}, False),
    ],
    ids=str,
)
def test_a_danger_that_is_recorded_before_it_goes_stops_it(danger: Any, tie: Any, stops: bool) -> None:
    register = put(demo(), "danger/1", "danger", {"person_id": GARY, "to": AVA, "source": "an order"} | danger)
    governs = {"person_id": GARY, "partner": "ash-primary", "relation": "governor"}
    put(register, "affiliation/x", "affiliation", governs | tie)

    assert [reason.code for reason in looked_at(register)] == (["ADVERSARY_STANDING"] if stops else [])


def no_longer_at_school() -> Register:
    """Ava left the school between the decision and the delivery."""
    register = demo()
    for record_id in [r for r, (_, b) in register.entries().items() if getattr(b, "role", "") == "attends_school"]:
        put(register, record_id, "involvement", None)
    return register


def no_longer_watching() -> Register:
    """The hub ended its subscription."""
    return put(demo(), "subscription/fordshire-mash/police.encompass.v1", "subscription", None)


def test_a_hub_that_no_longer_watches_is_handed_nothing_more() -> None:
    about_the_hub = sent(recipient="fordshire-mash")

    assert looked_at(demo(), about_the_hub) == []
    assert looked_at(no_longer_watching(), about_the_hub) == reason("NOT_IN_CARE", "R01", f"{ENCOMPASS} v3")


def reason(code: str, rule: str, about: str) -> list[Reason]:
    return [Reason(code=code, rule=rule, about=about)]


@pytest.mark.parametrize(
    ("register", "why"),
    [
        (lambda: partner("ash-primary", suspended=True), reason("PARTNER_SUSPENDED", "R01", "ash-primary")),
        (
            lambda: put(demo(), "partner/ash-primary", "partner", None),
            reason("PARTNER_SUSPENDED", "R01", "ash-primary"),
        ),
        (lambda: partner("fordshire-police", suspended=True), reason("PARTNER_SUSPENDED", "R01", "fordshire-police")),
        (lambda: put(demo(), f"agreement/{ENCOMPASS}", "agreement", None), reason("AGREEMENT_ENDED", "R01", ENCOMPASS)),
        (lambda: encompass(status="suspended"), reason("AGREEMENT_ENDED", "R01", ENCOMPASS)),
        (lambda: to_schools(flow="to-other-schools"), reason("AGREEMENT_ENDED", "R01", ENCOMPASS)),
        (lambda: to_schools(to=["beech-primary"]), reason("AGREEMENT_ENDED", "R01", ENCOMPASS)),
        (lambda: to_schools(purpose="research"), reason("AGREEMENT_ENDED", "R01", ENCOMPASS)),
        (lambda: encompass(review_by="2026-10-20"), reason("AGREEMENT_EXPIRED", "R02", ENCOMPASS)),
        (lambda: prohibition(), reason("PROHIBITED", "R28", "ash-primary")),
        (lambda: to_schools(effect="refuse"), reason("PROHIBITED", "R28", "ash-primary")),
        (no_longer_at_school, reason("NOT_IN_CARE", "R01", f"{ENCOMPASS} v3")),
        (restricted, reason("RESTRICTED_SINCE", "R16", "decided before the record was restricted")),
        (lambda: to_schools(fields=[]), reason("AGREEMENT_NARROWED", "R21", ENCOMPASS)),
        (lambda: to_schools(mask={"subject.date_of_birth": "year"}), reason("AGREEMENT_NARROWED", "R21", ENCOMPASS)),
        (
            lambda: to_schools(consent="service_agreement"),
            reason("CONSENT_UNKNOWN", "R12", "safeguarding"),
        ),
    ],
)
def test_what_may_no_longer_go_is_stopped_with_the_reason(register: Any, why: list[Reason]) -> None:
    assert looked_at(register()) == why


@pytest.mark.parametrize(
    "register",
    [
        lambda: to_schools(fields=["payload.children[].words", "payload.circumstances"]),
        lambda: to_schools(objection_reason="the same duty, in other words"),
        lambda: encompass(review_by="2026-11-10"),
        lambda: encompass(review_by="2026-10-21"),
        lambda: prohibition(status="draft"),
        lambda: prohibition(status="terminated"),
        lambda: prohibition(effective_from="2027-01-01"),
        lambda: prohibition(expires_on="2026-11-19"),
        lambda: change_flow(demo(), ENCOMPASS, "to-mash", fields=[]),
        lambda: partner("haven", suspended=True),
    ],
)
def test_what_may_still_go_is_not_stopped(register: Any) -> None:
    """A wider agreement, days of grace, a prohibition that is not in force, what concerns others."""
    assert looked_at(register()) == []


def test_an_agreement_that_blurs_less_than_it_did_is_a_wider_one() -> None:
    blurred = to_schools(mask={"subject.date_of_birth": "year"})
    notification = sent(register=blurred)

    clear = change_flow(blurred, ENCOMPASS, "to-schools", mask={})

    assert looked_at(clear, notification) == []


def test_an_agreement_that_lost_its_art_9_condition_no_longer_carries_health_data() -> None:
    """The same fields are named, and the basis does not hold them any more."""
    notification = sent(story.attendance(), "fordshire-mash")
    basis = {"art6": "A6-1-e", "power_or_duty": "CA04-10", "confidentiality": "CLDC-OPI"}

    without = change_flow(demo(), "fordshire-health-and-care", "attendance-to-mash", basis=basis)
    renewed = change_flow(demo(), "fordshire-health-and-care", "attendance-to-mash", objection_reason="renewed")

    assert looked_at(without, notification) == reason("AGREEMENT_NARROWED", "R21", "fordshire-health-and-care")
    assert looked_at(renewed, notification) == []


def test_a_notification_without_health_data_survives_the_loss_of_that_condition() -> None:
    without = to_schools(basis=BASIS)

    assert looked_at(without) == []


def test_a_flow_that_became_a_prohibition_for_later_carries_nothing_now() -> None:
    register = to_schools(effect="refuse", basis=None)
    change(register, f"agreement/{ENCOMPASS}", lambda body: body.update(effective_from="2027-01-01"))

    assert looked_at(register) == reason("AGREEMENT_ENDED", "R01", ENCOMPASS)


def test_who_has_not_signed_the_version_that_governs_now_is_handed_nothing() -> None:
    parties = demo().agreements[ENCOMPASS].model_dump(mode="json")["parties"]
    late = [row | ({"signed_on": "2026-11-21"} if row["partner"] == "ash-primary" else {}) for row in parties]

    assert looked_at(encompass(parties=late)) == reason("PARTY_NOT_SIGNED", "R01", f"ash-primary ({ENCOMPASS} v3)")


def test_a_restricted_notification_stays_fit_for_a_restricted_person() -> None:
    assert looked_at(restricted(), sent(register=restricted())) == []


@pytest.mark.parametrize("state", [s for s in State if s not in (State.GIVEN, State.RENEWED)])
def test_consent_that_no_longer_holds_stops_what_stood_on_it(state: State) -> None:
    notification = sent(MOVE)

    assert looked_at(consent(state), notification) == reason(
        f"CONSENT_{state.upper()}", "R12", "temporary_accommodation_notice"
    )


def test_consent_that_holds_lets_it_go() -> None:
    assert looked_at(consent(State.RENEWED), sent(MOVE)) == []


def test_an_agreement_that_stops_asking_does_not_undo_the_wish_it_was_decided_under() -> None:
    register = change_flow(
        consent(State.WITHDRAWN), HOUSING, "to-school-and-health", consent=None, objection_reason="none"
    )

    assert looked_at(register, sent(MOVE)) == reason("CONSENT_WITHDRAWN", "R12", "temporary_accommodation_notice")


# Reading it later


def test_a_view_is_read_under_the_version_it_was_made_under() -> None:
    notification = sent()
    later = to_schools(fields=[])

    assert gate.read(notification.view, asked_again.view_schema(notification, later))["payload"]["children"] == [
        {"present": True, "spoken_to": True, "words": "I took Cora upstairs."}
    ]


@pytest.mark.parametrize(
    "made",
    [
        sent,
        lambda: sent(story.attendance(), "fordshire-mash"),
        lambda: sent(story.attendance(), "fordshire-0-19"),
        lambda: sent(register=restricted()),
    ],
    ids=["ordinary", "special", "special withheld", "restricted"],
)
def test_every_view_can_be_read_from_the_register_alone(made: Callable[[], Notification]) -> None:
    notification = made()

    parsed = asked_again.view_schema(notification, demo())

    assert gate.write(gate.read(notification.view, parsed), parsed) == notification.view


@pytest.mark.parametrize(
    ("register", "changes"),
    [
        (Register(), {}),
        (demo(), {"flow": "no-such-flow"}),
        (demo(), {"agreement_version": 2}),
        (demo(), {"view_schema": "0" * 16}),
    ],
)
def test_a_view_nobody_can_place_is_not_guessed_at(register: Register, changes: dict[str, Any]) -> None:
    notification = sent().model_copy(update=changes)

    assert asked_again.view_schema(notification, register) is None


def test_what_nobody_can_place_is_not_handed_over_under_a_new_agreement() -> None:
    notification = sent().model_copy(update={"agreement_version": 2})

    assert looked_at(demo(), notification) == reason("AGREEMENT_NARROWED", "R21", ENCOMPASS)


def test_the_fields_in_which_prose_stands_are_named_and_no_others() -> None:
    prose = INCIDENT.payload.model_copy(update={"incident_type": "moved to Rowan House"})
    told = INCIDENT.model_copy(update={"payload": prose})
    reasons = next(a.reasons for a in share(told, demo()).record.answers if a.recipient == "ash-primary")

    assert [(r.code, r.about) for r in reasons if r.code == "NOT_A_CODE"] == [("NOT_A_CODE", "payload.incident_type")]

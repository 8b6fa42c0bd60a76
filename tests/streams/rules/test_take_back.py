"""What takes back goes to exactly those who had the original, whatever has changed since, and says what to delete."""

from datetime import timedelta
from typing import Any

import pytest
from a_reason import AVA, ENCOMPASS, GARY
from a_register import NOON, change, demo, put, share
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import Accused, Answer, Earlier, Notification
from safebus.schemas.events import Event, Lifecycle
from safebus.streams.register.store import Register
from safebus.streams.rules import asked_again, episode
from safebus.streams.rules.release import ENVELOPE
from safebus.streams.rules.sharing import Shared
from safebus.streams.rules.take_back import FINDS_IT

FIRST = story.incident()
LATER_ID = "36ed9b87-fb06-564d-bd52-06c0eb337c42"


def original(register: Register | None = None) -> Earlier:
    """What is on record once the incident was decided."""
    record = share(FIRST, register or demo()).record
    return Earlier(holders=episode.holders_of(record))


def accusing(agency: str) -> Earlier:
    """The same, and somebody who works at this agency was accused in it."""
    return original().model_copy(update={"accused": (Accused(named_in=FIRST.event_id, works_for=(agency,)),)})


def retraction(**changes: Any) -> Event:
    told = {"event_id": LATER_ID, "lifecycle": Lifecycle.RETRACT, "supersedes_event_id": FIRST.event_id}
    return FIRST.model_copy(update=told | changes)


def correction(**changes: Any) -> Event:
    return retraction(lifecycle=Lifecycle.CORRECT, **changes)


def at(answers: Any, outcome: str = "PERMIT") -> set[tuple[str, str]]:
    """(recipient, subject token) of every answer with this outcome."""
    return {(answer.recipient, answer.subject_token) for answer in answers if answer.outcome == outcome}


def held(earlier: Earlier) -> set[tuple[str, str]]:
    return {(holder.recipient, holder.subject_token) for holder in earlier.holders}


def end_all(register: Register, *kinds: str) -> Register:
    for record_id, (kind, _) in list(register.entries().items()):
        if kind in kinds:
            put(register, record_id, kind, None)
    return register


def test_it_goes_to_whoever_had_the_original_and_to_nobody_else() -> None:
    earlier = original()

    assert at(share(retraction(), demo(), earlier=earlier).record.answers) == held(earlier) != set()


@pytest.mark.parametrize(
    "ended",
    [("agreement",), ("involvement",), ("subscription",), ("consent",), ("agreement", "involvement", "subscription")],
    ids=str,
)
def test_what_has_ended_since_does_not_keep_it_from_them(ended: tuple[str, ...]) -> None:
    earlier = original()
    found = share(retraction(), end_all(demo(), *ended), earlier=earlier)

    assert at(found.record.answers) == held(earlier)
    for output in found.outputs:
        assert asked_again.still_permitted(output.notification, end_all(demo(), *ended), NOON) is None


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=st.data(), after=st.data(), lifecycle=st.sampled_from((Lifecycle.RETRACT, Lifecycle.CORRECT)))
def test_it_reaches_exactly_the_receivers_whatever_happened_before_and_since(
    before: st.DataObject, after: st.DataObject, lifecycle: Lifecycle
) -> None:
    """Entries are ended at random before the original was decided, and others before it is taken back."""
    register = demo()
    ended = sorted(
        rid for rid, (kind, _) in register.entries().items() if kind in ("agreement", "involvement", "consent")
    )

    def end_some(data: st.DataObject) -> None:
        for record_id in data.draw(st.sets(st.sampled_from(ended), max_size=4)):
            put(register, record_id, record_id.split("/", 1)[0], None)

    end_some(before)
    earlier = original(register)
    end_some(after)
    found = share(retraction(lifecycle=lifecycle), register, earlier=earlier)

    told = at(found.record.answers)
    assert held(earlier) <= told
    if lifecycle is Lifecycle.RETRACT:
        assert told == held(earlier)
    for output in found.outputs:
        if output.notification.bare:
            view = asked_again.read_view(output.notification, register)
            assert view is not None
            assert view.keys() == set(FINDS_IT)


def test_it_holds_ids_and_nothing_of_what_was_said() -> None:
    found = share(retraction(), demo(), earlier=original())

    assert {o.notification.takes_back for o in found.outputs} == {h.notification_id for h in original().holders}
    for output in found.outputs:
        assert asked_again.read_view(output.notification, demo()) == {
            "event_id": LATER_ID,
            "event_type": FIRST.event_type,
            "lifecycle": "RETRACT",
            "supersedes_event_id": FIRST.event_id,
            "published_at": FIRST.published_at,
        }
        assert output.notification.consent_meaning is None
    police = demo().partners["fordshire-police"]
    assert {answer.call for answer in found.record.answers} == {police.call} != {None}


def test_the_record_lists_what_is_released_and_what_is_not() -> None:
    answer = share(retraction(), demo(), earlier=original()).record.answers[0]

    assert {field.path for field in answer.released} == {*FINDS_IT, *ENVELOPE}
    assert {"subject.*", "payload.*"} <= {field.path for field in answer.withheld}
    assert {field.rule for field in answer.withheld} == {"R23"}


def test_what_only_took_another_back_is_nothing_to_take_back() -> None:
    record = share(retraction(), demo(), earlier=original()).record

    assert at(record.answers)
    assert episode.holders_of(record) == ()


# Who must not hear of it all the same


@pytest.mark.parametrize("agency", ["ash-primary", "ash-primry"])
def test_where_the_suspect_may_be_nobody_hears_of_it_and_a_person_tells_them(agency: str) -> None:
    found = share(retraction(), demo(), earlier=accusing(agency))

    [ash] = [answer for answer in found.record.answers if answer.recipient == "ash-primary"]
    assert ash.outcome == ("REFUSE" if agency == "ash-primary" else "HOLD")
    assert [(seen.who, seen.recipient) for seen in found.record.worklist] == [("subjects.0 (CHILD)", "ash-primary")]
    assert at(found.record.answers) == held(original()) - {("ash-primary", AVA)}


def test_a_suspended_publisher_takes_nothing_back_by_itself() -> None:
    register = change(demo(), "partner/fordshire-police", lambda body: body.update(suspended=True))
    found = share(retraction(), register, earlier=original())

    assert at(found.record.answers, "REFUSE") == held(original())
    assert {answer.reasons[0].code for answer in found.record.answers} == {"PARTNER_SUSPENDED"}
    assert len(found.record.worklist) == len(found.record.answers)


def test_someone_who_is_not_in_it_any_more_is_named_as_one_of_the_original() -> None:
    payload = FIRST.payload.model_copy(update={"children": ()})
    found = share(retraction(subjects=(FIRST.subjects[1],), payload=payload), demo(), earlier=accusing("ash-primary"))

    assert {seen.who for seen in found.record.worklist} == {"someone of the original"}


def test_what_nobody_knows_of_is_looked_for_by_a_person() -> None:
    found = share(retraction(), demo(), earlier=Earlier(known=False)).record

    assert found.answers == ()
    assert [(seen.who, seen.code, seen.about) for seen in found.worklist] == [
        (f"subjects.{i} (CHILD)", "ORIGINAL_UNKNOWN", FIRST.event_id) for i in range(3)
    ]


def test_of_one_that_the_bus_told_nobody_a_person_may_have_told_somebody() -> None:
    found = share(retraction(), demo(), earlier=Earlier()).record

    assert found.answers == ()
    assert {seen.code for seen in found.worklist} == {"NOBODY_HAD_IT"}


# Corrections


def answer_of(found: Shared, recipient: str) -> Answer:
    return next(a for a in found.record.answers if (a.recipient, a.subject_token) == (recipient, AVA))


def test_who_may_have_the_correction_gets_it_and_it_says_what_it_corrects() -> None:
    found = share(correction(), demo(), earlier=original())
    had = {(h.recipient, h.subject_token): h.notification_id for h in original().holders}

    assert at(found.record.answers) == held(original())
    assert {answer.bare for answer in found.record.answers} == {False}
    for output in found.outputs:
        n = output.notification
        assert n.takes_back == had[n.recipient, n.subject_token]
        view = asked_again.read_view(n, demo())
        assert view is not None and "subject" in view


def test_who_may_not_have_it_any_more_hears_that_it_was_wrong() -> None:
    register = change(
        demo(), f"agreement/{ENCOMPASS}", lambda body: body.update(review_by="2026-01-01", version=body["version"] + 1)
    )
    ash = answer_of(share(correction(), register, earlier=original()), "ash-primary")

    assert (ash.outcome, ash.view_fields, ash.bare) == ("PERMIT", FINDS_IT, True)
    assert [reason.code for reason in ash.reasons] == ["TAKES_BACK", "AGREEMENT_EXPIRED"]


def test_a_correction_that_waits_for_a_person_is_not_half_told() -> None:
    grown = FIRST.occurred_at + timedelta(days=400)
    held_back = share(correction(occurred_at=grown), demo(), earlier=original())

    assert answer_of(held_back, "ash-primary").outcome == "HOLD"
    assert not any(answer.bare for answer in held_back.record.answers)


@pytest.mark.parametrize(
    ("record_id", "kind", "body"),
    [
        ("partner/fordshire-police", "partner", {"suspended": True}),
        ("danger/1", "danger", {"person_id": GARY, "to": AVA, "source": "an order"}),
    ],
)
def test_what_is_found_out_before_it_goes_stops_it(record_id: str, kind: str, body: Any) -> None:
    """As it would have refused it when it was decided."""
    told = next(o for o in share(retraction(), demo(), earlier=original()).outputs if ash_about_ava(o.notification))
    register = demo()
    if kind == "partner":
        change(register, record_id, lambda entry: entry.update(body))
    else:
        put(register, record_id, kind, body)
        put(register, "affiliation/x", "affiliation", {"person_id": GARY, "partner": "ash-primary", "relation": "r"})

    assert asked_again.still_permitted(told.notification, demo(), NOON) is None
    assert asked_again.still_permitted(told.notification, register, NOON) is not None


def ash_about_ava(notification: Notification) -> bool:
    return (notification.recipient, notification.subject_token) == ("ash-primary", AVA)


def test_a_correction_that_names_the_suspect_of_a_school_does_not_tell_that_school_anything() -> None:
    governs_ash = {"person_id": GARY, "partner": "ash-primary", "relation": "caretaker"}
    register = put(demo(), "affiliation/x", "affiliation", governs_ash)
    found = share(correction(), register, earlier=original())

    assert answer_of(found, "ash-primary").outcome == "REFUSE"
    assert "ash-primary" in {seen.recipient for seen in found.record.worklist}


def test_a_correction_of_something_unknown_says_that_whoever_had_it_must_be_found() -> None:
    found = share(correction(), demo(), earlier=Earlier(known=False)).record

    assert {seen.code for seen in found.worklist} >= {"ORIGINAL_UNKNOWN", "EPISODE_UNKNOWN"}
    assert {a.recipient for a in found.answers if a.outcome == "PERMIT"} == {"fordshire-mash"}

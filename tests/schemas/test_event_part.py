"""Nothing that Python prints of an event by itself holds a value, and none is what its class does not allow."""

from __future__ import annotations

import logging
import pickle
import pprint
import traceback
import uuid
import warnings
from datetime import datetime
from typing import Any

import pytest
from rich.pretty import pretty_repr
from unchecked import unchecked

from safebus.deploy.local.demo import story
from safebus.schemas import codec
from safebus.schemas.errors import BadInput
from safebus.schemas.events import Address, Event, OperationEncompass, Person, PersonRole

CANARY = "Canary"


def planted() -> OperationEncompass:
    """A word of our own in every text that may hold one."""
    event = story.incident()
    people = tuple(
        person.with_(given_name=CANARY, family_name=CANARY, home_address=Address(lines=(CANARY,), postcode=CANARY))
        for person in event.subjects
    )
    told = event.payload.with_(circumstances=CANARY, officer_notes=CANARY, incident_address=CANARY)
    return event.with_(subjects=people, payload=told, correlation_id=CANARY)


@pytest.mark.parametrize("show", [repr, str, pprint.pformat, pretty_repr, "{}".format, lambda part: f"{part!r:>90}"])
def test_whatever_prints_it_shows_no_value(show: Any) -> None:
    event = planted()
    parts = [event, event.subjects, event.subjects[0], event.payload, [event.payload.children], {"x": event.handling}]

    shown = [show(part) for part in parts]

    assert CANARY not in str(shown)
    assert event.event_id in shown[0]


def test_a_log_at_debug_and_a_traceback_show_none(caplog: pytest.LogCaptureFixture) -> None:
    event = planted()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("theirs").debug("about to publish %s %r", event, event.subjects)
    try:
        event.with_(purpose=CANARY)
    except BadInput as exc:
        said = "".join(traceback.format_exception(exc)) + repr(exc.__context__) + repr(exc.args)

    assert CANARY not in caplog.text
    assert CANARY not in said.replace("purpose=CANARY", "")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"occurred_at": datetime(2026, 1, 5, 21, 0)}, "`occurred_at`: the time has no zone"),  # noqa: DTZ001
        ({"urgncy": "URGENT"}, "`urgncy`: there is no such field; did you mean `urgency`?"),
        ({"subjects": ()}, "`event`: no subject has role CHILD"),
        ({"subjects": ("Ava",)}, "`subjects.0`: Input should be a valid dictionary or instance of Person"),
    ],
    ids=str,
)
def test_what_is_changed_is_checked(changes: dict[str, Any], says: str) -> None:
    for change in (story.incident().with_, lambda **them: story.incident().model_copy(update=them)):
        with pytest.raises(BadInput) as refused:
            change(**changes)
        assert str(refused.value).startswith(f"this is no `OperationEncompass`: {says}")


def test_what_is_not_changed_stays() -> None:
    event = story.incident()
    other = event.with_(event_id=str(uuid.uuid4()))

    assert other != event
    assert other.with_(event_id=event.event_id) == event == event.model_copy() == event.model_copy(deep=True)
    assert codec.decode(codec.encode(other)).event == other


def test_a_deep_copy_is_one_whatever_it_changes() -> None:
    event = story.incident()
    copies = [event.model_copy(update=update, deep=True) for update in (None, {"purpose": "safeguarding"})]

    assert [copy.payload == event.payload for copy in copies] == [True, True]
    assert [copy.payload is event.payload for copy in copies] == [False, False]


def test_a_part_that_is_wrong_is_named_as_it_is_made() -> None:
    with pytest.raises(BadInput, match=r"^this is no `Person`: `nhs_number`: the check digit") as refused:
        Person(ref="x", role=PersonRole.CHILD, nhs_number="9990079195")

    assert (refused.value.__cause__, refused.value.__context__) == (None, None)


def test_however_it_is_read_it_says_the_same() -> None:
    for read, given in (
        (Address.model_validate, {"lines": CANARY}),
        (Address.model_validate_json, '{"lines": "Canary"}'),
        (Address.model_validate_strings, {"lines": CANARY}),
    ):
        with pytest.raises(BadInput, match=r"^`lines`: Input should be a valid (tuple|array)$"):
            read(given)


def wrong() -> list[Event]:
    event = story.incident()
    ava, *others = event.subjects
    return [
        unchecked(event, {"occurred_at": datetime(2026, 1, 5, 21, 0)}),  # noqa: DTZ001
        unchecked(event, {"urgncy": "URGENT"}),
        unchecked(event, {"urgency": CANARY}),
        unchecked(event, {"subjects": [ava, *others]}),
        unchecked(event, {"subjects": (unchecked(ava, {"nhs_number": "9990079195"}), *others)}),
        unchecked(event, {"subjects": (unchecked(ava, {"home": CANARY}), *others)}),
        unchecked(event, {"subjects": (unchecked(ava, {"given_name": object()}), *others)}),
        unchecked(event, {"payload": None}),
        unchecked(event, {"payload": story.attendance().payload}),
        OperationEncompass.model_construct(event_id=event.event_id),
        OperationEncompass.model_construct(),
    ]


@pytest.mark.parametrize("number", range(len(wrong())))
def test_what_was_made_past_the_checks_is_found(number: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pydantic's would show the value
        with pytest.raises(BadInput) as refused:
            wrong()[number].check()
        assert CANARY not in f"{refused.value}{refused.value.__context__}{wrong()[number]!r}"


def test_what_was_made_past_the_checks_warns_of_no_value() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for odd in (
            unchecked(story.incident(), {"urgency": CANARY}),
            OperationEncompass.model_construct(event_id=CANARY),
        ):
            odd.model_dump()
            odd.model_dump_json()
            assert CANARY not in repr(odd)


@pytest.mark.parametrize("event", [event for event, _ in story.first_chapter()], ids=lambda e: e.event_type)
def test_what_is_right_passes(event: Event) -> None:
    event.check()
    pickle.loads(pickle.dumps(event)).check()

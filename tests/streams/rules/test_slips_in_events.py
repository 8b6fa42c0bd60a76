"""
A slip of the hand in any text of an event never tells anyone more, and whoever is not told for it stands on record.

Sixty slips a run; `SLIPS=5000 pytest tests/streams/rules/test_slips_in_events.py` tries more.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from a_register import demo
from a_slip import decided, more_than, not_accounted_for, slipped, slips, suspects_as_the_police_know_them, told_by
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from safebus.deploy.local.demo import story
from safebus.schemas.errors import SafebusError

EVENTS = [event for event, _ in story.first_chapter()] + list(suspects_as_the_police_know_them())

Path = tuple[str | int, ...]


def texts_of(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """(where, text) of every text that holds something."""
    if isinstance(value, str) and value:
        yield path, str(value)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts_of(inner, (*path, name))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from texts_of(inner, (*path, i))


def with_text(value: Any, path: Path, text: str) -> Any:
    """The same values with another text at this place."""
    if not path:
        return text
    if isinstance(value, Mapping):
        return {name: with_text(inner, path[1:], text) if name == path[0] else inner for name, inner in value.items()}
    return tuple(with_text(inner, path[1:], text) if i == path[0] else inner for i, inner in enumerate(value))


@slips()
@given(st.data())
def test_a_slip_in_an_event_tells_nobody_more_and_whoever_is_not_told_stands_on_record(data: st.DataObject) -> None:
    event, register = data.draw(st.sampled_from(EVENTS), "event"), demo()
    plain = event.model_dump()
    path, text = data.draw(st.sampled_from(list(texts_of(plain))), "where")
    typed = data.draw(slipped(text), "typed")
    before = told_by(decided(event, register))

    try:
        found = decided(type(event).model_validate(with_text(plain, path, typed)), register)
    except (ValidationError, SafebusError) as refused:  # at the publisher's, who is told where
        assert any(str(step) in str(refused) for step in path), str(refused)
        return

    after = told_by(found)
    assert not more_than(after, before), f"{path}: {text!r} -> {typed!r}"
    assert not not_accounted_for(set(before) - set(after), found), f"{path}: {text!r} -> {typed!r}"

"""
A slip of the hand in any text of a register folder never tells anyone more.

It is named with file and line where it makes no sense, and where it looks like a slip; see
`tests/streams/rules/test_slips_in_events.py` for more of them.
"""

from typing import Any

import pytest
import yaml
from a_register import FOLDER, KEY, NOON
from a_slip import decided, more_than, slipped, slips, suspects_as_the_police_know_them, told_by
from hypothesis import given
from hypothesis import strategies as st

from safebus.deploy.local.demo import story
from safebus.schemas.errors import BadRegister
from safebus.schemas.event_schemas import event_schemas
from safebus.streams.register.changes import likely_slips, read_files
from safebus.streams.register.cross_checks import cross_check
from safebus.streams.register.entries import Entry, read_folder
from safebus.streams.register.store import Register
from safebus.streams.register.write import register_of

FILES = read_files(FOLDER)
EVENTS = [event for event, _ in story.first_chapter()] + list(suspects_as_the_police_know_them())


def places() -> list[tuple[str, int, int]]:
    """(file, begin, end) of every word that is a text, keys as well; a date or a number is none."""
    found = []
    for name, text in FILES.items():
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.ScalarToken):
                plain: Any = yaml.safe_load(token.value) if token.plain else token.value
                if isinstance(plain, str):
                    quotes = 0 if token.plain else 1
                    found.append((name, token.start_mark.index + quotes, token.end_mark.index - quotes))
    return found


PLACES = places()


def loaded(files: dict[str, str]) -> list[Entry]:
    """As `safebus register load` reads them."""
    entries = read_folder(files, KEY, event_schemas())
    if problems := cross_check(entries, Register()):
        raise BadRegister(problems)
    return entries


@slips(share=10)
@given(st.data())
def test_a_slip_in_a_register_tells_nobody_more_and_is_named_where_somebody_is_not_told(data: st.DataObject) -> None:
    name, begin, end = data.draw(st.sampled_from(PLACES), "where")
    text = FILES[name]
    typed = data.draw(slipped(text[begin:end]), "typed")
    what = f"{name}: {text[begin:end]!r} -> {typed!r}"

    try:
        entries = loaded({**FILES, name: text[:begin] + typed + text[end:]})
    except BadRegister as refused:
        assert name in str(refused) or typed.strip() in str(refused), what  # or where it was meant from
        return

    before, after = register_of(loaded(FILES), at=NOON), register_of(entries, at=NOON)
    named = likely_slips(entries, Register(), today=NOON.date())
    for event in EVENTS:
        told, now_told = told_by(decided(event, before)), told_by(decided(event, after))
        assert not more_than(now_told, told), what
        assert now_told == told or named or _on_record(event, after), what


def _on_record(event: Any, register: Register) -> bool:
    found = decided(event, register)
    return not hasattr(found, "record") or bool(found.record.worklist)


def test_a_slip_in_the_catalogue_is_told_from_one_in_an_agreement() -> None:
    """The agreement is right, and another code is more like what it names than the one that was mistyped."""
    files = {**FILES, "bases.yaml": FILES["bases.yaml"].replace("code: A6-1-e\n", "code: 6A-1-e\n", 1)}
    assert files != FILES

    with pytest.raises(BadRegister, match=r"nothing names `6A-1-e`.*, which the catalogue has"):
        loaded(files)

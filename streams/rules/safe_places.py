"""
Where else in an event is somebody's safe address written, or the place where they were put up?

A refuge that is typed in a name, in a child's words, as a school or a reference would go wherever those go. So every
text in which one of the event's safe addresses stands is empty before a view is built, whoever named the field. An
address is known by its postcode, the name of the house, and each street, with its number and without, however spelt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count, islice
from typing import Any, Final

from safebus.schemas.classes import DataClass
from safebus.schemas.event_schemas import EventSchema
from safebus.streams.rules.identity import fold

#: What no publisher can put words in: ids, and names that must be those of the register for anything to go out.
_NEEDED: Final = frozenset({"event_id", "event_type", "publisher.agency", "purpose"})
#: What persons go by inside one event. One that shows an address is called otherwise, so that the event holds together.
_REFERS: Final = ("ref", "subject_ref")

#: Shorter ones stand in too many other words.
_SHORTEST: Final = {"postcode": 5, "part": 6, "street": 8}
_STREET: Final = re.compile(
    r"\b(close|road|rd|street|st|lane|ln|avenue|ave|drive|way|court|place|gardens|crescent|house|terrace|grove|hill|row|"
    r"walk|mews|square|park|view|green|lodge|cottage|villas|rise|yard)\W*$",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"^\W*(?:(?:flat|apartment|unit|room)\W*)?\d+\w?\W+", re.IGNORECASE)
#: Of one event: real ones have a handful, and each is looked for in every text.
_MOST_MARKS: Final = 64


def cleared(event: Mapping[str, Any], schema: EventSchema) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """
    The same event without the texts that show a safe address.

    Args:
        event: Plain values, under `schema`.

    Returns:
        The event, and the paths that were cleared, sorted; the very event, where there is nothing to clear.
    """
    marks = frozenset(islice(_all_marks(event, schema), _MOST_MARKS))
    if not marks:
        return event, ()
    found: set[str] = set()
    visible = _cleared(event, "", _texts(schema), lambda text: _shows(text, marks), found)
    others = [person["ref"] for person in event["subjects"] if _shows(person["ref"], marks)]
    if others:
        found.add("subjects[].ref")
        visible = _called(visible, _other_names(event, others))
    return visible, tuple(sorted(found))


def _other_names(event: Mapping[str, Any], refs: Iterable[str]) -> Mapping[str, str]:
    """Ref -> another, which nobody of the event has."""
    there = {person["ref"] for person in event["subjects"]}
    free = (name for number in count(1) if (name := f"p{number}") not in there)
    return dict(zip(refs, free, strict=False))


def _called(value: Any, others: Mapping[str, str]) -> Any:
    """The same with other refs."""
    if isinstance(value, Mapping):
        return {
            name: others.get(inner, inner) if name in _REFERS else _called(inner, others)
            for name, inner in value.items()
        }
    return [_called(each, others) for each in value] if isinstance(value, list) else value


def _all_marks(event: Mapping[str, Any], schema: EventSchema) -> Iterator[str]:
    """Of each person's safe address, and of where the event itself says that somebody was placed."""
    for person in event["subjects"]:
        yield from _marks(person.get("safe_address"))
    safe = [leaf.path.split(".") for leaf in schema.leaves if leaf.data_class is DataClass.LOCATION_SAFE]
    placed = {name: event["payload"][name] for top, name, *deeper in safe if top == "payload" and not deeper}
    lines = [line for name, line in placed.items() if name != "postcode" and line]
    yield from _marks({"postcode": placed.get("postcode"), "lines": lines})


def _marks(address: Mapping[str, Any] | None) -> Iterator[str]:
    """What an address is known by, folded."""
    if address is None:
        return
    postcode = fold(address["postcode"])
    if len(postcode) >= _SHORTEST["postcode"]:
        yield postcode
    for number, line in enumerate(address["lines"]):
        for i, part in enumerate(re.split(r"[,;/\n]", line)):
            # A town alone is no address; the first of all is what the house is called.
            if (number, i) == (0, 0) or any(c.isdigit() for c in part) or _STREET.search(part):
                if len(whole := fold(part)) >= _SHORTEST["part"]:
                    yield whole
                street = _NUMBER.sub("", part)
                if street != part and len(folded := fold(street)) >= _SHORTEST["street"]:
                    yield folded


def _shows(text: str, marks: frozenset[str]) -> bool:
    folded = "".join(filter(str.isalnum, text.casefold())) if text.isascii() else fold(text)
    return any(mark in folded for mark in marks)


def _texts(schema: EventSchema) -> Mapping[str, bool]:
    """Path of each text that may be cleared -> whether it may be null."""
    return {
        leaf.path: leaf.nullable
        for leaf in schema.leaves
        if leaf.kind in ("string", "strings")
        and leaf.data_class is not DataClass.LOCATION_SAFE
        and leaf.path not in _NEEDED
        and leaf.path.rpartition(".")[2] not in _REFERS
    }


def _cleared(value: Any, path: str, texts: Mapping[str, bool], shows: Callable[[str], bool], found: set[str]) -> Any:
    if isinstance(value, str):
        if path not in texts or not shows(value):
            return value
        found.add(path)
        return None if texts[path] else ""
    if isinstance(value, Mapping):
        inside = f"{path}." if path else ""
        return {name: _cleared(inner, f"{inside}{name}", texts, shows, found) for name, inner in value.items()}
    if isinstance(value, list):
        if path not in texts:
            return [_cleared(each, f"{path}[]", texts, shows, found) for each in value]
        kept = [each for each in value if not shows(each)]
        if len(kept) < len(value):
            found.add(path)
        return kept
    return value

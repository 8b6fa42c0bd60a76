"""
Where else in an event is somebody's safe address written, or the place where they were put up?

A refuge that is typed in a name, in a child's words, as a school or a reference would go wherever those go. So every
text in which one of the event's safe addresses stands is empty before a view is built, whoever named the field. An
address is known by its postcode, the name of the house, and each street, with its number and without, however spelt.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import count, islice
from typing import Any, Final, NamedTuple

from safebus.schemas.classes import DataClass
from safebus.schemas.event_schemas import EventSchema
from safebus.schemas.names import fold

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
    shortest = min(map(len, marks))
    found: set[str] = set()
    visible = _cleared(event, _branches(schema), marks, shortest, found)
    others = [person["ref"] for person in event["subjects"] if _shows(person["ref"], marks, shortest)]
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


def _shows(text: str, marks: frozenset[str], shortest: int) -> bool:
    if not text.isascii():
        folded = fold(text)
    elif len(text) < shortest:
        return False
    else:
        folded = text.lower().translate(_ONLY_SPELLING)
    for mark in marks:  # noqa: SIM110  # some sixty texts of an event come here: a generator takes three times as long
        if mark in folded:
            return True
    return False


#: What of ASCII `fold` leaves out.
_ONLY_SPELLING: Final = {code: None for code in range(128) if not chr(code).isalnum()}


class _Branch(NamedTuple):
    """
    A field in which a text stands, or that holds such fields.

    Attributes:
        path: From the event; an element of a list as `[]`.
        nullable: The text itself may be null.
        inside: Nothing for a text, or a list of texts.
    """

    name: str
    path: str
    nullable: bool
    inside: tuple[_Branch, ...]


@lru_cache(maxsize=256)
def _branches(schema: EventSchema) -> tuple[_Branch, ...]:
    """Every text of an event that may be cleared."""
    texts = {
        leaf.path: leaf.nullable
        for leaf in schema.leaves
        if leaf.kind in ("string", "strings")
        and leaf.data_class is not DataClass.LOCATION_SAFE
        and leaf.path not in _NEEDED
        and leaf.path.rpartition(".")[2] not in _REFERS
    }
    return _below("", texts)


def _below(path: str, texts: Mapping[str, bool]) -> tuple[_Branch, ...]:
    start = f"{path}." if path else ""
    names = dict.fromkeys(text[len(start) :].split(".")[0] for text in texts if text.startswith(start))
    below = ((name, start + name) for name in names)
    return tuple(
        _Branch(name.removesuffix("[]"), inner, texts.get(inner, False), _below(inner, texts)) for name, inner in below
    )


def _cleared(
    value: Mapping[str, Any], branches: tuple[_Branch, ...], marks: frozenset[str], shortest: int, found: set[str]
) -> Mapping[str, Any]:
    """The same without them; the very same where there is none."""
    others: dict[str, Any] = {}
    for name, path, nullable, inside in branches:
        inner = value[name]
        if not inner:
            continue
        if type(inner) is str:
            if _shows(inner, marks, shortest):
                found.add(path)
                others[name] = None if nullable else ""
        elif type(inner) is not list:
            other = _cleared(inner, inside, marks, shortest, found)
            if other is not inner:
                others[name] = other
        elif inside:
            kept = [_cleared(each, inside, marks, shortest, found) for each in inner]
            if any(map(operator.is_not, kept, inner)):
                others[name] = kept
        else:
            kept = [each for each in inner if not _shows(each, marks, shortest)]
            if len(kept) < len(inner):
                found.add(path)
                others[name] = kept
    return {**value, **others} if others else value

"""
Which types of message does an importer know, and what does it say of one that it does not?

The list is data: `event_types.yaml`, with a version. What is not in it is named, so that whoever reads the quarantine
knows what has been added at the source; what may be a person's (a name, a number) is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from safebus.producers.importers.outcome import ImportReason
from safebus.schemas.errors import Refused

#: A type as services write them; five digits on end are no version.
_A_TYPE = re.compile(r"(?!.*[0-9]{5})[a-z][a-z0-9]*([._:/-][a-z0-9]+){0,15}", re.IGNORECASE | re.ASCII)
_VERSIONED = re.compile(r"(.+)-[0-9]{1,4}")


def checked_type(feed: str, event_type: str) -> Mapping[str, str]:
    """
    What becomes of messages of this type.

    Args:
        feed: `mns` or `nems`.

    Raises:
        Refused: UNSUPPORTED_EVENT_TYPE: it is not in the list, or there is no notification for it.
    """
    known = known_types()[feed]
    if known.get(event_type):
        return known[event_type]
    read = ", ".join(name for name, becomes in known.items() if becomes)
    if event_type in known:
        raise Refused(
            ImportReason.UNSUPPORTED_EVENT_TYPE,
            f"found `{event_type}`, for which there is no notification; expected one of {read}",
        )
    named = f"`{event_type}`" if len(event_type) <= 100 and _A_TYPE.fullmatch(event_type) else "that it names"
    raise Refused(
        ImportReason.UNSUPPORTED_EVENT_TYPE,
        f"type {named} is not known to this importer{_other_version(event_type, known)}; "
        f"known: {', '.join(known)} (list of {list_version()})",
    )


def _other_version(event_type: str, known: Mapping[str, object]) -> str:
    versioned = _VERSIONED.fullmatch(event_type)
    others = [name for name in known if versioned and name.rpartition("-")[0] == versioned[1]]
    return f", which knows {' and '.join(f'`{name}`' for name in others)}: another version" if others else ""


def list_version() -> str:
    """The version of the list."""
    return str(_document()["version"])


@cache
def known_types() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Feed -> type -> what becomes of it; empty: nothing does."""
    return {feed: types for feed, types in _document().items() if feed != "version"}


@cache
def _document() -> dict[str, Any]:
    text = resources.files("safebus.producers.importers").joinpath("event_types.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found

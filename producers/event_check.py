"""
May this event be published?

What the bus would put in quarantine is refused here, while the person who can mend it is still looking. Whatever an
application hands over is looked at, also what it made past the checks of its class.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from safebus.schemas import codec, gate
from safebus.schemas.errors import BadInput, Refused
from safebus.schemas.events import EVENT_CLASSES, Event
from safebus.schemas.kafka.their_logs import Unshown


def checked_case(case: str) -> str:
    """
    A reference of a case in its one spelling: whatever space is in it and however its accents are composed, one case
    stays one case.

    Raises:
        BadInput: It is empty, or no text.
    """
    if not isinstance(case, str):
        raise BadInput(f"`case` is of type `{type(case).__name__}`, expected text: your own reference of the case")
    plain = " ".join(unicodedata.normalize("NFC", case).split())
    if not plain:
        raise BadInput("`case` is empty; give your own reference of the case, it never leaves this process")
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise BadInput(
            "`case` holds what is no text (half a character, or bytes that are not UTF-8); type it again"
        ) from None
    return plain


def checked(event: Event) -> bytes:
    """
    The bytes of an event, if the bus takes them.

    Raises:
        BadInput: It would be refused; says what to mend.
    """
    if not isinstance(event, Event):
        raise BadInput(f"found `{type(event).__name__}`, expected an event such as `OperationEncompass`")
    if type(event) not in EVENT_CLASSES.values():
        raise BadInput(f"`{type(event).__name__}` is no type of this bus; what you added to one would be dropped")
    event.check()
    value = Unshown(codec.encode(event))
    try:
        received = codec.decode(value)
    except Refused as exc:
        limits = gate.DEFAULT_LIMITS
        raise BadInput(
            f"the bus would refuse this event: {exc.detail} ({exc.reason}; at most {limits.value_bytes} bytes, "
            f"{limits.items} items in a list, {limits.string_chars} characters in a text)"
        ) from None
    if found := next(_what_acts(received.record, ""), None):
        raise BadInput(f"{found}, which is no text and acts on whatever shows it; remove it")
    return value


#: Control characters but for tab and what ends a line or page, and what turns the direction of the text that follows: a
#: terminal obeys the first, a reader is deceived by the second. The bus lets them in and shows them escaped, because an
#: alert that does not come is worse; here somebody can still mend it.
#: Source: Unicode, Cc; Unicode Standard Annex 9, explicit directional embeddings, overrides and isolates.
_ACTS: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _what_acts(value: object, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if not value.isprintable() and (found := _ACTS.search(value)):
            yield f"`{path}` has the character U+{ord(found.group()):04X}"
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _what_acts(each, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _what_acts(each, f"{path}.{number}")

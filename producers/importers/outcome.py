"""
What became of one message that an importer was given?

Either it is an event, or it is set aside with a reason a person can act on. Neither is an error: importers return
both and raise for nothing that a message may hold. What stands in `detail` and `left_out` is made of our own words,
field names and counts, so it may be logged and shown: no value of the message is ever in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from safebus.schemas.errors import BadInput, Refused
from safebus.schemas.event_part import what_is_wrong
from safebus.schemas.events import IdentityEvent


class ImportReason(StrEnum):
    """Why a message is not imported. Stable: dashboards and operators' notes match on them."""

    # It cannot be read.
    NOT_JSON = "NOT_JSON"
    NOT_XML = "NOT_XML"
    HOSTILE_XML = "HOSTILE_XML"
    TOO_LARGE = "TOO_LARGE"
    TOO_DEEP = "TOO_DEEP"
    NOT_A_SIGNAL = "NOT_A_SIGNAL"
    NOT_A_MESSAGE = "NOT_A_MESSAGE"
    # It can be read, and we have no notification for what it says.
    UNSUPPORTED_EVENT_TYPE = "UNSUPPORTED_EVENT_TYPE"
    UNKNOWN_LABEL = "UNKNOWN_LABEL"
    UNKNOWN_MODIFIER = "UNKNOWN_MODIFIER"
    NOT_A_LIVE_BIRTH = "NOT_A_LIVE_BIRTH"
    # The source that it points at has no such record.
    NOT_AT_SOURCE = "NOT_AT_SOURCE"
    # Something in it is missing or wrong.
    MISSING_FIELD = "MISSING_FIELD"
    BAD_IDENTIFIER = "BAD_IDENTIFIER"
    BAD_TIME = "BAD_TIME"
    BAD_VALUE = "BAD_VALUE"
    # It says two things, and choosing one would be a guess.
    IDENTITY_CONFLICT = "IDENTITY_CONFLICT"
    UNVERIFIED_IDENTITY = "UNVERIFIED_IDENTITY"
    CONTRADICTION = "CONTRADICTION"
    AMBIGUOUS = "AMBIGUOUS"


@dataclass(frozen=True)
class Imported:
    """
    An event that the bus's own gate lets in.

    Attributes:
        left_out: What the message says of a person and the event does not repeat, each with the reason.
    """

    event: IdentityEvent
    left_out: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line for an operator, without any value about a person."""
        said = f"imported: {self.event.payload.change} ({self.event.lifecycle})"
        return f"{said}; left out: {'; '.join(self.left_out)}" if self.left_out else said


@dataclass(frozen=True)
class NotImported:
    """A message for quarantine. `detail` says what was found and what was expected, without any value of it."""

    reason: ImportReason
    detail: str

    def describe(self) -> str:
        """One line for an operator, without any value about a person."""
        return f"not imported: {self.reason}: {self.detail}"


@dataclass(frozen=True)
class NotNow:
    """A message about which the source could not be asked. Nothing became of it: it is imported again later."""

    detail: str

    def describe(self) -> str:
        """One line for an operator, without any value about a person."""
        return f"not now: {self.detail}"


Outcome = Imported | NotImported


def answer(read: Callable[[], Imported]) -> Outcome:
    """
    Turn a refusal met deep inside a message into the answer for the whole of it.

    Inside, readers raise `Refused` with a `ImportReason`, so that each can return the plain value it read.
    """
    try:
        return read()
    except Refused as exc:
        return NotImported(ImportReason(exc.reason), exc.detail)
    except ValidationError as exc:  # of a message
        return NotImported(ImportReason.BAD_VALUE, what_is_wrong(exc))
    except BadInput as exc:  # of the event that it would become
        return NotImported(ImportReason.BAD_VALUE, str(exc))

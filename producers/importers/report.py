"""
What would become of these files? A table for people, in Markdown.

`docs/importers.md` holds this table for the published examples, and a test holds the two equal. It names fields and
reasons; no value about a person is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from safebus.producers.importers.mns import import_signal
from safebus.producers.importers.nems import import_message
from safebus.producers.importers.outcome import Imported, Outcome
from safebus.schemas.events import IdentityEvent, Person

_AGENCY = "nhs-england"
_AFTER_THEM_ALL = datetime(2026, 1, 1, tzinfo=UTC)  # fixed, so that the table depends on the files alone


def table(files: Mapping[str, bytes]) -> str:
    """
    One line for each file, sorted by name.

    Args:
        files: Name -> content. A name starts with the feed: `mns/`, `nems/`.
    """
    lines = ["| file | outcome | as what, or why not |", "|---|---|---|"]
    lines += [f"| `{name}` | {' | '.join(_cells(name, data))} |" for name, data in sorted(files.items())]
    return "\n".join(lines) + "\n"


def _cells(name: str, data: bytes) -> tuple[str, str]:
    if name.endswith(("LICENSE", ".schema.json")):
        return (
            "not an input",
            "the licence of the files beside it" if "LICENSE" in name else "what signals must conform to",
        )
    outcome = import_file(name, data)
    if isinstance(outcome, Imported):
        left_out = f"; left out: {'; '.join(outcome.left_out)}" if outcome.left_out else ""
        return (
            "imported",
            f"`{outcome.event.payload.change}`, {outcome.event.lifecycle}: {_said(outcome.event)}{left_out}",
        )
    return f"quarantined: `{outcome.reason}`", outcome.detail


def import_file(name: str, data: bytes) -> Outcome:
    """Through the importer of the feed that its name starts with."""
    importer = import_signal if name.startswith("mns/") else import_message
    return importer(data, agency=_AGENCY, received_at=_AFTER_THEM_ALL)


def _said(event: IdentityEvent) -> str:
    """Which fields the event fills, by name."""
    people = [f"{person.role} with {', '.join(_filled(person))}" for person in event.subjects]
    payload = [
        name for name in ("data_reference", "record_version", "died_at", "new_address") if getattr(event.payload, name)
    ]
    return "; ".join([*people, *([f"payload with {', '.join(payload)}"] if payload else [])])


def _filled(person: Person) -> list[str]:
    about = ("nhs_number", "given_name", "family_name", "date_of_birth", "home_address", "registered_gp")
    return [name for name in about if getattr(person, name)]

"""
What would loading a register folder change?

Everything is checked against the register as it stands, and against itself, before anything is written; leaving a line
out of a folder ends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from safebus.schemas.classes import PROSE
from safebus.schemas.errors import BadInput, BadRegister
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.keys import PersonKey
from safebus.schemas.plain_text import text_of
from safebus.streams.register.cross_checks import cross_check
from safebus.streams.register.entries import Entry, read_folder
from safebus.streams.register.governance import TOKEN_KEY
from safebus.streams.register.store import Register
from safebus.streams.rules.agreements import Agreement, Group
from safebus.streams.rules.consent import ConsentEntry
from safebus.streams.rules.parties import Involvement
from safebus.streams.rules.routing import SUBSCRIPTION


@dataclass(frozen=True)
class Change:
    """One entry to write: `added`, `changed` or `same`."""

    entry: Entry
    what: str


def read_files(folder: Path) -> dict[str, str]:
    """
    Name -> text of every YAML file below a folder.

    Raises:
        BadInput: There is no such folder, no YAML file in it, one that cannot be read, or one that would not be read: a
            withdrawal in it would not be heard.
    """
    if not folder.is_dir():
        raise BadInput(f"`{folder}` does not exist; give a folder of YAML files")
    found, odd = _sorted_out(folder)
    if odd:
        names = ", ".join(f"`{p.relative_to(folder)}`" for p in odd)
        raise BadInput(
            f"{names}: a register folder is read from files named *.yaml or *.yml, "
            "and no link to a folder is followed; rename it, or take it out"
        )
    if not found:
        raise BadInput(f"`{folder}` holds no *.yaml file; a register folder has partners, bases and agreements")
    problems, files = [], {}
    for path in found:
        try:
            files[str(path.relative_to(folder))] = text_of(path)
        except BadInput as exc:
            problems.append(str(exc))
    if problems:
        raise BadRegister(problems)
    return files


def not_read(folder: Path) -> list[str]:
    """Names of files below a folder that are no YAML, such as a README, and of YAML that is hidden."""
    found, _ = _sorted_out(folder)
    others = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    others -= {path.relative_to(folder) for path in found}
    return sorted(str(path) for path in others if not _is_hidden(path) or path.suffix.casefold() in _SUFFIXES)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _sorted_out(folder: Path) -> tuple[list[Path], list[Path]]:
    """(Files that are read, what looks as if it were meant to be and is not read.)"""
    found, odd = [], []
    for path in sorted(folder.rglob("*")):
        if _is_hidden(path.relative_to(folder)):  # of an editor, or of what keeps versions
            continue
        if path.is_dir():
            odd += [path] if path.is_symlink() else []
        elif path.suffix.casefold() in _SUFFIXES:
            found.append(path)
        elif _SUFFIXES & {suffix.casefold().rstrip("~") for suffix in path.suffixes}:
            odd.append(path)
    return found, odd


_SUFFIXES = frozenset({".yaml", ".yml"})


def changes_of(folder: Path, register: Register, key: PersonKey, *, now: datetime | None = None) -> list[Change]:
    """
    What loading a folder would change.

    Args:
        now: When it is loaded; None: whoever asks loads nothing.

    Raises:
        BadRegister: Everything that does not fit, with file and line.
    """
    entries = read_folder(
        read_files(folder), key, event_schemas(), tied=register.tied(), real_people=register.real_people
    )
    problems = cross_check(entries, register)
    if now is not None:
        problems += _decided_later(entries, now)
    if problems:
        raise BadRegister(problems)
    return [Change(entry, _what(entry, register)) for entry in entries]


def _decided_later(entries: Iterable[Entry], now: datetime) -> list[str]:
    """What nobody can have said yet. On record it would beat every word that is really said until that day."""
    return [
        f"{entry.where}: `decided_at` {entry.body.decided_at.isoformat()} lies in the future; give when it was said"
        for entry in entries
        if isinstance(entry.body, ConsentEntry) and entry.body.decided_at > now
    ]


def _what(entry: Entry, register: Register) -> str:
    before = register.entry(entry.record_id)
    if isinstance(entry.body, Agreement) and entry.body in register.standing(entry.body.agreement).values():
        return "same"  # also under its old id
    if before is None:
        return "added"
    return "same" if before == entry.body else "changed"


#: What is written one by one and stands in no folder.
_BY_COMMAND = frozenset({"consent", "deliveries", TOKEN_KEY})


def left_out(folder: Path, register: Register, key: PersonKey) -> list[str]:
    """
    Records that stand in the register and not in this folder: leaving a line out ends nothing.

    What comes one by one and is in no folder, such as people's consents, is left out.
    """
    entries = read_folder(read_files(folder), key, event_schemas())
    named = {entry.record_id for entry in entries}
    for entry in entries:
        if isinstance(entry.body, Agreement):  # also under its old id
            versions = register.standing(entry.body.agreement).items()
            named |= {record_id for record_id, each in versions if each.version == entry.body.version}
    return sorted(rid for rid, (kind, _) in register.entries().items() if rid not in named and kind not in _BY_COMMAND)


#: Nobody registers what begins later, days.
_FAR_AHEAD = 400


def likely_slips(entries: Iterable[Entry], register: Register, *, today: date) -> list[str]:
    """
    What is allowed and looks like a slip: a word that nothing else uses makes a flow silently carry nothing.

    Returns:
        One line each, with file and line of the entry.
    """
    new = list(entries)
    ties = [e.body for e in new] + [body for _, body in register.entries().values()]
    roles = {b.role for b in ties if isinstance(b, Involvement)}
    flows = [f for b in ties if isinstance(b, Agreement) for f in b.flows]
    asked = {role for f in flows for role in f.interest}
    consents = {f.purpose for f in flows if f.consent is not None}
    found = []
    for entry in new:
        body = entry.body
        if isinstance(body, Agreement):
            if today > body.last_day():
                found.append(f"{entry.where}: agreement `{body.agreement}` has expired already; everything is refused")
            for flow in body.flows:
                lost = sorted(set(flow.interest) - roles - {SUBSCRIPTION})
                if lost:
                    roles_lost = ", ".join(f"`{r}`" for r in lost)
                    found.append(f"{entry.where}: flow `{flow.flow}`: nobody has anyone in care as {roles_lost}")
                found += [
                    f"{entry.where}: flow `{flow.flow}`: `release.{group}` names {prose}, which only `fields` releases"
                    for group in Group
                    for prose in sorted(flow.release.of(group) & PROSE)
                ]
        begins = getattr(body, "starts_on", None)
        if begins is not None and begins > today + timedelta(days=_FAR_AHEAD):
            found.append(f"{entry.where}: {entry.kind} begins on {begins}: is the year right?")
        if isinstance(body, Agreement) and body.review_by > today + timedelta(days=5 * _FAR_AHEAD):
            found.append(f"{entry.where}: agreement `{body.agreement}` is reviewed by {body.review_by}: is that right?")
        if isinstance(body, Involvement) and body.role not in asked:
            found.append(f"{entry.where}: no agreement is for those in the role `{body.role}`")
        if isinstance(body, ConsentEntry) and body.purpose not in consents:
            found.append(f"{entry.where}: no flow waits for consent to `{body.purpose}`")
    return found

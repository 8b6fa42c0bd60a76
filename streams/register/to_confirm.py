"""
What of a folder must somebody confirm by name before it counts?

What gives a recipient what its kind is never given, and what lets something hold again that has ended.

Whoever agrees to give a school a safe address may mean it, and most likely it is a slip. So what an agreement gives to
a kind of recipient that the matrix (`streams.rules.matrix`) never gives it has a name, and is loaded only with that
name said. What the register holds already was confirmed, or stood there before anybody asked, and is not asked again.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel

from safebus.schemas.errors import BadInput
from safebus.schemas.event_schemas import EventSchemas
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register
from safebus.streams.rules.agreements import Agreement, Flow, Status
from safebus.streams.rules.matrix import KINDS, never_given, rows_named
from safebus.streams.rules.parties import Involvement, MaySpeakFor, Partner, Subscription
from safebus.streams.rules.release import view_paths


@dataclass(frozen=True)
class ToConfirm:
    """
    One thing to be confirmed.

    Attributes:
        name: Such as `fordshire-encompass v3 to-schools: LOCATION_SAFE to ash-primary (school)`.
        says: Why, in words, with file and line.
        record_id: The entry that brings it; the confirmation is kept with it.
    """

    name: str
    says: str
    record_id: str


def to_confirm(entries: Iterable[Entry], register: Register, schemas: EventSchemas) -> list[ToConfirm]:
    """What these entries would bring into the register that must be confirmed, in the order of the folder."""
    new = {entry.record_id: entry for entry in entries}
    before = {record_id: body for record_id, (_, body) in register.entries().items()}
    after = before | {record_id: entry.body for record_id, entry in new.items()}
    had = {name for name, *_ in _questions(before, schemas)}
    found = []
    for name, why, agreement, partner in _questions(after, schemas):
        if name not in had:
            # Where the agreement stands as it was, its recipient has become something else.
            brings = agreement if before.get(agreement) != after[agreement] else partner
            found.append(ToConfirm(name, f"{new[brings].where}: {why}", brings))
    found += [one for entry in new.values() if (one := _again(entry, before.get(entry.record_id))) is not None]
    return found


def _again(entry: Entry, before: BaseModel | None) -> ToConfirm | None:
    """What ended by its date and would hold again or longer: an old folder does not know that it ended."""
    # A danger or an affiliation that holds longer keeps out.
    if not isinstance(before, _GIVES) or not isinstance(entry.body, _GIVES):
        return None
    ended, until = before.ends_on, entry.body.ends_on
    if ended is None or (until is not None and until <= ended):
        return None
    says = f"{entry.where}: this {entry.kind.replace('_', ' ')} ends on {ended}; here it {_lasts(until)}"
    return ToConfirm(f"{entry.record_id} again", f"{says}; if it is meant, confirm it by name", entry.record_id)


_GIVES = (Involvement, MaySpeakFor, Subscription)


def _lasts(until: date | None) -> str:
    return "does not end" if until is None else f"lasts until {until}"


def confirmed(asked: list[ToConfirm], names: Iterable[str]) -> dict[str, list[str]]:
    """
    What was confirmed: record id -> names.

    Raises:
        BadInput: A name is none of those that are asked for.
    """
    by_name = {one.name: one for one in asked}
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if name not in by_name:
            close = difflib.get_close_matches(name, by_name, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"there is {', '.join(by_name) or 'nothing'}"
            raise BadInput(f"nothing named `{name}` is to be confirmed; {hint}")
        found.setdefault(by_name[name].record_id, []).append(name)
    return found


def _questions(bodies: Mapping[str, BaseModel], schemas: EventSchemas) -> Iterator[tuple[str, str, str, str]]:
    """(name, why, record id of the agreement, record id of the recipient)."""
    partners = {body.partner: (record_id, body) for record_id, body in bodies.items() if isinstance(body, Partner)}
    for record_id, body in bodies.items():
        # What has been terminated gives nothing.
        if not isinstance(body, Agreement) or body.status is Status.TERMINATED:
            continue
        for flow in body.flows:
            for to in flow.to if flow.effect == "permit" else ():
                if to in partners:
                    partner_id, partner = partners[to]
                    for what, why in _of(flow, partner, schemas):
                        yield f"{body.agreement} v{body.version} {flow.flow}: {what}", why, record_id, partner_id


def _of(flow: Flow, partner: Partner, schemas: EventSchemas) -> Iterator[tuple[str, str]]:
    to = f"{partner.partner} ({partner.sector})"
    if partner.sector not in KINDS:
        close = difflib.get_close_matches(partner.sector, KINDS, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(KINDS)}"
        yield f"no matrix for {to}", f"nobody has said what a `{partner.sector}` is never given; {hint}"
        return
    schema = schemas.current.get(flow.event_type)
    for row, named in rows_named(flow, view_paths(schema) if schema else {}).items():
        if never_given(row, partner.sector):
            yield (
                f"{row} to {to}",
                f"flow `{flow.flow}` gives {partner.partner} {row} ({'; '.join(named)}), "
                f"which a recipient of sector `{partner.sector}` is never given; if it is meant, confirm it by name",
            )

"""
Are two recordings the same, and if not, where do they differ?

Every line must be there in both, byte for byte. One thing is allowed: a decision record, or an answer in it, may have
got fields at its end. Then everything that was there before must be as it was, value by value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .recording import KINDS, Line, Recording


@dataclass
class Row:
    """
    How lines of one kind compare.

    Attributes:
        widened: Not the same bytes, and the same in all fields of before.
        problems: What differs, one sentence each, without anything about a person.
    """

    kind: str
    compared: int = 0
    identical: int = 0
    widened: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def different(self) -> int:
        """How many lines differ, or are there only once."""
        return len(self.problems)


@dataclass
class Comparison:
    """
    Two recordings side by side.

    Attributes:
        recounted: What did not happen equally often.
        added: Field -> in how many records or answers it is new.
    """

    rows: dict[str, Row] = field(default_factory=lambda: {kind: Row(kind) for kind in KINDS})
    recounted: list[str] = field(default_factory=list)
    added: Counter[str] = field(default_factory=Counter)

    @property
    def differences(self) -> list[str]:
        """All of them, by kind."""
        return [problem for row in self.rows.values() for problem in row.problems] + self.recounted


def compare(before: Recording, after: Recording) -> Comparison:
    """Lay two recordings side by side."""
    found = Comparison()
    old, new = _by_name(before), _by_name(after)
    for kind, name in {**old, **new}:
        row = found.rows[kind]
        row.compared += 1
        was, now = old.get((kind, name)), new.get((kind, name))
        problem, added = _one(was, now)
        if problem is not None:
            row.problems.append(f"{kind} {name}: {problem}")
        elif was is not None and now is not None and was.value == now.value:
            row.identical += 1
        else:
            row.widened += 1
            found.added.update(added)
    for what in sorted({*before.counts, *after.counts}):
        if before.counts[what] != after.counts[what]:
            found.recounted.append(f"{what}: {before.counts[what]} before, {after.counts[what]} after")
    return found


def _by_name(recording: Recording) -> dict[tuple[str, str], Line]:
    found = {(line.kind, line.name): line for line in recording.lines}
    assert len(found) == len(recording.lines), "two lines of one name would hide each other"
    return found


def _one(was: Line | None, now: Line | None) -> tuple[str | None, list[str]]:
    """(what is wrong, fields that were added)."""
    if was is None or now is None:
        return f"only {'after' if was is None else 'before'}", []
    if was.value == now.value:
        return None, []
    if was.plain is None or now.plain is None:
        at = next((i for i, (a, b) in enumerate(zip(was.value, now.value, strict=False)) if a != b), None)
        where = f"from byte {at}" if at is not None else "one goes on where the other ends"
        return f"{len(was.value)} bytes before, {len(now.value)} after, they differ {where}", []
    wrong = [*_wrong_in_record(was.plain, now.plain)]
    if wrong:
        return ", ".join(wrong[:3]), []
    added = [*_added(was.plain, now.plain)]
    return (None, added) if added else ("the same fields in other bytes", [])


def _wrong_in_record(was: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    yield from _wrong("", {**was, "answers": None}, {**now, "answers": None})
    if len(was["answers"]) != len(now["answers"]):
        yield f"{len(was['answers'])} answers before, {len(now['answers'])} after"
        return
    for number, (a, b) in enumerate(zip(was["answers"], now["answers"], strict=True)):
        yield from _wrong(f"answers[{number}].", a, b)


def _wrong(where: str, was: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    if [*now][: len(was)] != [*was]:
        yield f"{where or 'record: '}fields left out, or others put between them"
    yield from (f"`{where}{name}` differs" for name in was if name in now and _exact(was[name]) != _exact(now[name]))


def _exact(value: Any) -> str:
    # As text: in Python 1, 1.0 and True are equal, and dicts of another order.
    return repr(value)


def _added(was: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    yield from (name for name in now if name not in was)
    for a, b in zip(was["answers"], now["answers"], strict=True):
        yield from (f"answers[].{name}" for name in b if name not in a)

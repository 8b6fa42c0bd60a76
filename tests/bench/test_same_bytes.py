"""What `same_bytes` says of two trees is so: it finds one byte, and lets through what it says it lets through."""

from __future__ import annotations

import json
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.same_bytes import recording
from tests.bench.same_bytes.compare import compare
from tests.bench.same_bytes.record import record
from tests.bench.same_bytes.recording import KINDS, Recording
from tests.bench.same_bytes.spellings import NEW, OLD

ROOT = Path(__file__).parents[2]
ANSWER = {"recipient": "ash-primary", "outcome": "PERMIT", "reasons": [{"code": "PERMITTED"}], "output_digest": None}
RECORD: dict[str, Any] = {"event_id": "e", "register_offset": 7, "answers": [ANSWER, {**ANSWER, "recipient": "haven"}]}


def one_of_each() -> Recording:
    """A line of each kind, and a second receipt."""
    made = Recording()
    for kind in KINDS:
        made.add(kind, "1", kind.encode(), plain=deepcopy(RECORD) if kind == "decision" else None)
    made.add("receipt", "2", b"a receipt")
    return made


def decided(plain: dict[str, Any]) -> Recording:
    """One decision record; its bytes follow from its fields."""
    made = Recording()
    made.add("decision", "1", json.dumps(plain).encode(), plain=plain)
    return made


def changed(**fields: Any) -> dict[str, Any]:
    """The record with these fields at its end, or in place of its own."""
    return {**deepcopy(RECORD), **fields}


def test_the_same_is_the_same() -> None:
    found = compare(one_of_each(), one_of_each())

    assert (found.differences, found.added) == ([], Counter())
    assert [(row.compared, row.identical, row.widened, row.different) for row in found.rows.values()] == [
        (2, 2, 0, 0) if kind == "receipt" else (1, 1, 0, 0) for kind in KINDS
    ]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "decision"])
def test_one_byte_is_found(kind: str) -> None:
    before, after = one_of_each(), one_of_each()
    place = KINDS.index(kind)
    line = after.lines[place]
    after.lines[place] = replace(line, value=line.value[:-1] + bytes([line.value[-1] ^ 1]))

    found = compare(before, after)

    size = len(kind)
    assert found.differences == [
        f"{kind} 1: {size} bytes before, {size} after, they differ from byte {size - 1}",
    ]
    assert (found.rows[kind].different, found.rows[kind].compared) == (1, 2 if kind == "receipt" else 1)


def test_one_byte_of_a_decision_record_is_found_where_its_fields_are_the_same() -> None:
    before, after = one_of_each(), one_of_each()
    place = KINDS.index("decision")
    after.lines[place] = replace(after.lines[place], value=b"decisioN")

    assert compare(before, after).differences == ["decision 1: the same fields in other bytes"]


def test_bytes_at_the_end_are_found() -> None:
    before, after = Recording(), Recording()
    before.add("file", "1", b"abc")
    after.add("file", "1", b"abcd")

    assert compare(before, after).differences == [
        "file 1: 3 bytes before, 4 after, they differ one goes on where the other ends"
    ]


def test_what_is_missing_or_too_much_is_found() -> None:
    before, after = one_of_each(), one_of_each()
    before.lines.pop()
    after.lines.pop(0)

    assert compare(before, after).differences == [
        "register record 1: only before",
        "receipt 2: only after",
    ]


def test_what_happened_another_number_of_times_is_found() -> None:
    before, after = one_of_each(), one_of_each()
    after.counts["events"] += 1

    assert compare(before, after).differences == ["events: 0 before, 1 after"]


def test_fields_at_the_end_of_a_record_and_of_its_answers_are_allowed_and_named() -> None:
    answers = [{**answer, "view": "x"} for answer in RECORD["answers"]]

    found = compare(decided(RECORD), decided(changed(answers=answers, redo=None)))

    # `answers` stood at the end before, so the record's own new field comes after it.
    assert found.differences == []
    assert found.added == {"redo": 1, "answers[].view": 2}
    assert (found.rows["decision"].identical, found.rows["decision"].widened) == (0, 1)


@pytest.mark.parametrize(
    ("plain", "problem"),
    [
        (changed(register_offset=8, redo=None), "`register_offset` differs"),
        (changed(register_offset=7.0), "`register_offset` differs"),
        ({"redo": None, **RECORD}, "record: fields left out, or others put between them"),
        ({k: v for k, v in RECORD.items() if k != "event_id"}, "record: fields left out, or others put between them"),
        (changed(answers=[ANSWER], redo=None), "2 answers before, 1 after"),
        (changed(answers=[{**ANSWER, "outcome": "REFUSE"}, RECORD["answers"][1]]), "`answers[0].outcome` differs"),
        (
            # Only a record and its answers may grow, nothing within them.
            changed(answers=[{**ANSWER, "reasons": [{"code": "PERMITTED", "more": 1}]}, RECORD["answers"][1]]),
            "`answers[0].reasons` differs",
        ),
        (
            changed(answers=[{"view": "x", **ANSWER}, RECORD["answers"][1]]),
            "answers[0].fields left out, or others put between them",
        ),
    ],
)
def test_nothing_else_about_a_decision_record_may_change(plain: dict[str, Any], problem: str) -> None:
    found = compare(decided(RECORD), decided(plain))

    assert found.differences == [f"decision 1: {problem}"]
    assert (found.added, found.rows["decision"].different) == ({}, 1)


def test_two_lines_of_one_name_cannot_hide_each_other() -> None:
    twice = one_of_each()
    twice.add("receipt", "2", b"another")

    with pytest.raises(AssertionError, match="hide each other"):
        compare(twice, one_of_each())


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = one_of_each()
    written.counts["events"] = 3
    written.write(tmp_path / "recording.json")

    assert recording.read(tmp_path / "recording.json") == written


def test_every_thing_is_spelled_in_both_ways() -> None:
    assert [*OLD] == [*NEW]


def test_the_story_is_the_same_each_time_and_another_for_another_seed(tmp_path: Path) -> None:
    """Told three times by this tree: whatever is random or hangs on which delivery is faster would show."""
    (tmp_path / "worlds.json").write_text("[]", "utf-8")

    first, again, other = (record(ROOT, tmp_path / "worlds.json", events=80, seed=seed) for seed in (5, 5, 6))

    same, others = compare(first, again), compare(first, other)
    assert same.differences == []
    assert {kind for kind, row in same.rows.items() if not row.identical} <= {"refused folder", "refused by gate"}
    assert others.rows["event"].identical == 0
    assert first.counts["receipt: HANDED_OVER"] > 20 and first.counts["answer: REFUSE"] > 20, first.counts

"""
A case in `tests/data/cases/decisions`, as sentences: the folder put together, the event decided, who has what.

A case is `event.json`, `case.md` (question, now, right, why) and, where its register differs, files in `changed/` that
replace or join those of `base/`.
"""

import json
import re
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from safebus.consumers.audit.policy_try import policy_try
from safebus.schemas.bus_records import Reason
from safebus.schemas.errors import BadRegister
from safebus.schemas.keys import PersonKey
from safebus.streams.rules.reasons import say

CASES = Path(__file__).parents[1] / "data" / "cases" / "decisions"
KEY = PersonKey(b"a key for examples, 32 bytes long")
#: The incident of the base family, as the police first told it: no case changes this copy.
FIRST_TOLD = CASES / "110-two-versions-of-one" / "event.json"

_NUMBERS = {
    "Ava": "9990079196",
    "Ben": "9990237573",
    "Cora": "9990316767",
    "Maya": "9990395950",
    "Gary": "9990475148",
    "Tia": "9990554331",
    "Tom": "9990633525",
}
_NAMES = {KEY.token("nhs", number): name for name, number in _NUMBERS.items()}

Whole = dict[str, Any]


# Given


def case_names() -> list[str]:
    """Every case in the folder."""
    return sorted(path.name for path in CASES.iterdir() if path.name != "base")


def register_of(case: str, into: Path) -> Path:
    """The register folder of a case: `base`, and what the case changes in it."""
    folder = into / "register"
    shutil.copytree(CASES / "base", folder)
    changed = CASES / case / "changed"
    if changed.is_dir():
        shutil.copytree(changed, folder, dirs_exist_ok=True)
    return folder


def event_of(case: str, into: Path, **changes: Any) -> Path:
    """The event of a case, with some fields of its envelope or payload told otherwise."""
    event = json.loads((CASES / case / "event.json").read_text("utf-8"))
    payload = changes.pop("payload", {})
    event.update(changes)
    event["payload"].update(payload)
    path = into / "event.json"
    path.write_text(json.dumps(event), "utf-8")
    return path


def when(case: str) -> datetime:
    """The time at which the case is decided."""
    found = re.search(r"^now: (\S+)$", (CASES / case / "case.md").read_text("utf-8"), re.MULTILINE)
    assert found is not None, f"`{case}/case.md` says no `now`"
    return datetime.fromisoformat(found[1])


# When


def decide(
    case: str,
    into: Path,
    *,
    event: Path | None = None,
    now: datetime | None = None,
    family: Callable[[str], str] | None = None,
    **more: Any,
) -> Whole:
    """
    What the bus decides, as `safebus policy try` gives it.

    Args:
        family: Says `family.yaml` otherwise, such as without its slip.
        more: What came before, where that counts.
    """
    folder = register_of(case, into)
    if family is not None:
        file = folder / "family.yaml"
        other = family(file.read_text("utf-8"))
        assert other != file.read_text("utf-8"), "a test that changes nothing shows nothing"
        file.write_text(other, "utf-8")
    return policy_try(
        event or CASES / case / "event.json",
        folder,
        now=now or when(case),
        key=KEY,
        rules_digest="rules-1",
        **more,
    )


def problem_at_load(case: str, into: Path) -> str:
    """The one thing that is wrong with the register folder of a case."""
    with pytest.raises(BadRegister) as found:
        decide(case, into)
    assert len(found.value.problems) == 1, "one slip is one line, and nothing else is blamed"
    return found.value.problems[0]


# Then


def answers(found: Whole) -> dict[tuple[str, str], str]:
    """
    (recipient, person) -> `told`, or `refused:` or `held:` with the sentences that a person reads.

    A number that the register does not know stands as `someone new`.
    """
    assert "quarantine" not in found, f"the whole event was set aside: {found['quarantine']}"
    listed = {}
    for answer in found["answers"]:
        at = (answer["recipient"], _NAMES.get(answer["subject_token"], "someone new"))
        assert at not in listed, "one answer for each recipient and person"
        listed[at] = _in_words(answer)
    return listed


def _in_words(answer: Whole) -> str:
    told = answer["outcome"] == "PERMIT"
    assert told == (answer["view"] is not None), "who is told has a view, and nobody else"
    if told:
        return "told"
    why = "; ".join(say(Reason(**reason)) for reason in answer["reasons"])
    return f"{ {'REFUSE': 'refused', 'HOLD': 'held'}[answer['outcome']] }: {why}"


def told(found: Whole) -> set[tuple[str, str]]:
    """(recipient, person) of every message that goes."""
    return {at for at, answer in answers(found).items() if answer == "told"}


def views(found: Whole) -> dict[tuple[str, str], Whole]:
    """(recipient, person) -> what is delivered, field by field."""
    assert "quarantine" not in found, f"the whole event was set aside: {found['quarantine']}"
    return {
        (a["recipient"], _NAMES.get(a["subject_token"], "someone new")): a["view"]
        for a in found["answers"]
        if a["view"] is not None
    }


def versions(found: Whole) -> set[tuple[str, int]]:
    """(agreement, version) of everything that goes."""
    return {(a["agreement_id"], a["agreement_version"]) for a in found["answers"] if a["outcome"] == "PERMIT"}


def for_a_person(found: Whole) -> list[str]:
    """Whom a person must look at, by place and role in the event, never by name or number."""
    return sorted({entry["who"] for entry in found["worklist"]})


def doubts(found: Whole) -> list[tuple[str, str, str]]:
    """(who, code, what is doubtful) of every person of whom nobody may act before someone has looked."""
    return [
        (entry["who"], entry["code"], entry["about"])
        for entry in found["worklist"]
        if entry["code"].startswith("IDENTITY_")
    ]

"""
Do two people who read the same specification decide alike?

The first opinion is the whole system's, asked through `safebus policy try`'s function. The second is
`second_opinion.py`, whose author has not seen the first. They must agree on every answer and every byte of every view.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import second_opinion
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from worlds import World, worlds

from safebus.consumers.audit.policy_try import policy_try
from safebus.deploy.local.demo import story
from safebus.schemas.errors import BadInput
from safebus.schemas.keys import PersonKey

KEY = PersonKey(b"k" * 32)
DIGEST = "0" * 16
DEMO = Path(story.__file__).parent / "register"


def by_recipient_and_subject(record: dict[str, Any], world: dict[str, Any], told: dict[str, Any]) -> dict[Any, Any]:
    """The first opinion's answers under the second's names: subject tokens become the event's refs again."""
    who = second_opinion.who_is_who(world, told)
    tokens = {}
    sure = [subject for subject in told["subjects"] if subject["ref"] not in who.doubtful]
    for subject in sure:
        known = who[subject["ref"]]
        numbers = second_opinion.identifiers_of_subject(subject, told["publisher"]["agency"])
        if known is not None:
            numbers = second_opinion.identifiers_of_person(world, known)
        tokens |= {KEY.token(scheme, value): subject["ref"] for scheme, value in numbers.items()}
    nameless = [s["ref"] for s in sure if s["ref"] not in tokens.values()]
    # Nobody but subscribers hears of someone without any number, so those with the right role all appear, in order.
    nameless = [s["ref"] for s in told["subjects"] if s["ref"] in nameless and s["role"] in second_opinion.ABOUT]
    for token in dict.fromkeys(a["subject_token"] for a in record["answers"]):
        if token not in tokens:
            tokens[token] = nameless.pop(0)
    found = {
        (a["recipient"], tokens[a["subject_token"]]): (a["outcome"], a.get("view"), _unclear(a))
        for a in record["answers"]
    }
    assert len(found) == len(record["answers"]), "two answers for one recipient and subject"
    return found


def _unclear(answer: dict[str, Any]) -> bool | None:
    """None: nobody is shown, so nobody is asked for."""
    return None if answer["outcome"] != "PERMIT" or answer["bare"] else answer["unclear"]


def as_bytes(answers: dict[Any, Any]) -> dict[Any, Any]:
    return {
        key: (outcome, json.dumps(view, ensure_ascii=False), unclear)
        for key, (outcome, view, unclear) in sorted(answers.items())
    }


def with_who_is_clear(answers: dict[Any, Any], world: dict[str, Any]) -> dict[Any, Any]:
    """The second opinion's answers, and whether each says who is meant."""
    return {
        key: (outcome, view, _cannot_tell(view, second_opinion.partner_of(world, key[0])))
        for key, (outcome, view) in answers.items()
    }


def _cannot_tell(view: dict[str, Any] | None, recipient: dict[str, Any] | None) -> bool | None:
    if view is None:
        return None
    assert recipient is not None
    only_ids = {"event_id", "event_type", "lifecycle", "supersedes_event_id", "published_at"}
    return None if set(view) == only_ids else not second_opinion.can_tell(view, recipient)


def both(
    files: dict[str, str], told: dict[str, Any], now: datetime, first: dict[str, Any] | None = None
) -> tuple[Any, Any]:
    """(what the first says, what the second says), in the same words."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        written = World(files, told, now, first)
        record = policy_try(*written.write(at), now=now, key=KEY, rules_digest=DIGEST, after=written.write_first(at))
    world = second_opinion.read_world(files.values())
    mine = second_opinion.opinion(world, told, now, first)
    if "quarantine" in record:
        return second_opinion.SET_ASIDE, mine if isinstance(mine, str) else as_bytes(with_who_is_clear(mine, world))
    if isinstance(mine, str):
        return record["answers"], mine
    return as_bytes(by_recipient_and_subject(record, world, told)), as_bytes(with_who_is_clear(mine, world))


def _world(world: World) -> dict[str, Any]:
    return second_opinion.read_world(world.files.values())


def test_two_opinions_agree_on_every_answer_and_every_byte() -> None:
    """
    On 800 random worlds. Should it fail: add `Phase.shrink` and wait some minutes for a small example.

    Few worlds may be refused by the loader, and many must let something through: else nothing was compared.
    """
    seen: Counter[str] = Counter()

    # A fixed seed: a red run of this file alone is the same run tomorrow.
    @seed(20261121)
    @settings(
        max_examples=800,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds())
    def agree(world: World) -> None:
        try:
            first, second = both(world.files, world.event, world.now, world.first)
        except BadInput:
            seen["refused by the loader"] += 1
            assume(False)
            return
        seen["worlds"] += 1
        seen["follow-ups"] += world.first is not None
        seen["taken back"] += world.event["lifecycle"] in ("CORRECT", "RETRACT") and bool(second)
        if second == second_opinion.SET_ASIDE:
            seen["set aside"] += 1
        else:
            seen["of some, nobody is told"] += bool(second_opinion.who_is_who(_world(world), world.event).doubtful)
            seen.update(outcome for outcome, _, _ in second.values())
            seen.update({True: "unclear", False: "clear", None: "shows nobody"}[each] for _, _, each in second.values())
        assert first == second

    agree()

    # The seed does not fix the worlds: Hypothesis also draws constants of whatever modules are loaded. So there are so
    # many that each floor is a third or less of what any of six runs had (three seeds, in two orders of the tests).
    assert seen["worlds"] >= 600, seen
    assert seen["refused by the loader"] <= 40, seen
    assert seen["PERMIT"] >= 100 and seen["REFUSE"] >= 100 and seen["set aside"] >= 5, seen
    assert seen["HOLD"] >= 20 and seen["of some, nobody is told"] >= 10, seen
    assert seen["unclear"] >= 40 and seen["clear"] >= 10, seen
    assert seen["follow-ups"] >= 50 and seen["taken back"] >= 10, seen
    print(dict(seen))


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("hour", [0, 9, 23])
def test_they_agree_on_the_demonstration(number: int, hour: int) -> None:
    told = json.loads(story.first_chapter()[number][0].model_dump_json())
    files = {path.name: path.read_text("utf-8") for path in sorted(DEMO.rglob("*.yaml"))}

    first, second = both(files, told, datetime(2026, 11, 21, hour, tzinfo=UTC))

    assert first == second
    assert isinstance(second, dict) and any(outcome == "PERMIT" for outcome, *_ in second.values())


# ---- where the first opinion was not what the specification, or safety, asks: the smallest examples, kept ------------


def asked(told: dict[str, Any], folder: Path, files: dict[str, str] | None = None) -> dict[str, Any]:
    files = files or {path.name: path.read_text("utf-8") for path in sorted(DEMO.rglob("*.yaml"))}
    now = datetime(2026, 11, 21, 9, tzinfo=UTC)
    return policy_try(*World(files, told, now).write(folder), now=now, key=KEY, rules_digest=DIGEST)


def attendance() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(story.attendance().model_dump_json())
    return told


def an_incident() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(story.incident().model_dump_json())
    return told


def test_unborn_twins_are_two_notifications(tmp_path: Path) -> None:
    """An unborn child goes by its mother's number, so twins share one: each still gets its own message (R17)."""
    told = an_incident()
    told["subjects"] += [
        {"ref": ref, "role": "UNBORN_CHILD", "nhs_number": story.MAYA.nhs_number} for ref in ("one", "two")
    ]

    ids = [answer["notification_id"] for answer in asked(told, tmp_path)["answers"] if answer["outcome"] == "PERMIT"]

    assert len(set(ids)) == len(ids)


def test_two_strangers_with_one_number_are_set_aside(tmp_path: Path) -> None:
    """Two children cannot have one NHS number: one of them is somebody else (R24)."""
    told = an_incident()
    told["payload"]["children"] = []
    told["subjects"] = [{"ref": ref, "role": "CHILD", "nhs_number": "9990001006"} for ref in ("one", "two")]

    assert "quarantine" in asked(told, tmp_path)


@pytest.mark.parametrize(
    "says", [{"family_name": "Stone", "date_of_birth": None}, {"family_name": None, "date_of_birth": "2001-01-01"}]
)
def test_one_contradicting_detail_is_enough_to_set_it_aside(says: dict[str, Any], tmp_path: Path) -> None:
    """A wrong NHS number with a right check digit would send one child's injuries to another child's hub (R24)."""
    told = attendance()
    told["subjects"][0] |= {"upn": None, **says}

    assert "quarantine" in asked(told, tmp_path)


def test_the_outward_code_of_what_is_no_postcode_is_nothing(tmp_path: Path) -> None:
    """An agreement that blurs an address as if it were a postcode would give away all but its last three letters."""
    files = {path.name: path.read_text("utf-8") for path in sorted(DEMO.rglob("*.yaml"))}
    flow = "interest: [subscription]\n"
    mask = flow + "    mask: {payload.incident_address: outward_code}\n"
    files["encompass.yaml"] = files["encompass.yaml"].replace(flow, mask)
    told: dict[str, Any] = json.loads(story.incident().model_dump_json())

    try:
        answers = asked(told, tmp_path, files)["answers"]
    except BadInput:  # the loader may as well refuse such a mask
        return

    assert "12MillLane" not in json.dumps(answers)

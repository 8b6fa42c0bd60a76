"""In random worlds, a change of the bus's secret between an event and what follows it changes no answer."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from a_token import OF_THE_FIRST
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from worlds import World, worlds

from safebus.consumers.audit.policy_try import _Before
from safebus.schemas import codec, tokens
from safebus.schemas.bus_records import DecisionRecord, Origin
from safebus.schemas.errors import BadInput
from safebus.schemas.events import Event, from_json
from safebus.schemas.keys import PersonKey
from safebus.streams.register.changes import changes_of
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register
from safebus.streams.register.write import register_of, switching_record
from safebus.streams.rules import episode, sharing
from safebus.streams.rules.sharing import SetAside, Shared

KEY = PersonKey(b"k" * 32, (b"l" * 32, b"m" * 32))


def decide(entries: list[Entry], events: list[Event], now: datetime, *, switches: bool) -> list[Shared | SetAside]:
    """Each under the secret that follows that of the one before; the register itself ends at the same offset."""
    register = register_of(entries, at=now)
    decided: list[DecisionRecord] = []
    outcomes: list[Shared | SetAside] = []
    for number, event in enumerate(events):
        if switches:
            register.apply(register.offset + 1, switching_record(register, KEY, at=now, by="x", reason="x"))
        else:
            register.offset += 1
        before = _Before(event.publisher.agency, [tokens.plain(record, KEY) for record in decided])
        outcome = sharing.share(
            codec.decode(codec.encode(event)),
            register,
            origin=Origin(topic=f"in.{event.publisher.agency}", partition=0, offset=number),
            now=now,
            key=KEY,
            rules_digest="r",
            earlier=episode.earlier(event, KEY, before),
        )
        decided += [outcome.record] if isinstance(outcome, Shared) else []
        outcomes.append(outcome)
    return outcomes


def as_known(outcome: Shared | SetAside) -> Any:
    """Without what proves bytes in which a token stands."""
    if isinstance(outcome, SetAside):
        return outcome
    found = tokens.plain(outcome.record, KEY).model_dump() | {"input_digest": ""}
    for answer in found["answers"]:
        answer["output_digest"] = answer["output_digest"] is not None
    return found, [tokens.plain(output.notification, KEY) for output in outcome.outputs]


def test_no_answer_differs_and_nothing_looks_as_the_first_secret_makes_it() -> None:
    seen: Counter[str] = Counter()

    @seed(20261127)
    @settings(
        max_examples=400,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds())
    def same(world: World) -> None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                event_file, register = world.write(Path(folder))
                events = [from_json(f.read_text("utf-8")) for f in (*world.write_first(Path(folder)), event_file)]
                entries = [change.entry for change in changes_of(register, Register(), KEY)]
            except BadInput:
                assume(False)
                return
        without = decide(entries, events, world.now, switches=False)
        found = decide(entries, events, world.now, switches=True)
        assert [as_known(each) for each in found] == [as_known(each) for each in without]
        for outcome in found:
            if isinstance(outcome, Shared):
                seen.update(answer.outcome for answer in outcome.record.answers)
                seen["episodes"] += bool(outcome.record.earlier and outcome.record.earlier.tokens)
                text = outcome.record.model_dump_json()
                assert not [m[1] for m in OF_THE_FIRST.finditer(text) if "-" not in m[1]]

    same()

    assert seen["PERMIT"] >= 50 and seen["REFUSE"] >= 50 and seen["HOLD"] >= 10 and seen["episodes"] >= 20, seen

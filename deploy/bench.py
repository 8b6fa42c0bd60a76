"""
How long does the pure part take?

Events of the demonstration against its register, decoded, decided, redacted and encoded, by this process alone.
Timed claims live here, not in tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from deploy import registrar
from deploy.demo import story
from deploy.up import DEMO_REGISTER
from schemas import codec
from schemas.bus_records import Origin
from schemas.identifiers import PersonKey
from streams.rules import sharing
from streams.rules.register import Register


def bench_rules(events: int, *, advance: Callable[[int], None], now: datetime) -> list[dict[str, Any]]:
    """Microseconds of processor time per event, for decoding alone and for the whole decision."""
    key = PersonKey(b"bench" * 8)
    register = registrar.register_of((c.entry for c in registrar.plan(DEMO_REGISTER, Register(), key)), at=now)
    value = codec.encode(story.incident())
    origin = Origin(topic="in.fordshire-police", partition=0, offset=0)
    rows = []
    begin = time.process_time()
    for _ in range(events):
        codec.decode(value)
    rows.append(_row("gate and decode", events, time.process_time() - begin))
    begin = time.process_time()
    for _ in range(events):
        outcome = sharing.share(codec.decode(value), register, origin=origin, now=now, key=key, rules_digest="bench")
        assert isinstance(outcome, sharing.Shared)  # the story's people are known
        codec.encode_record(outcome.record)
        advance(1)
    rows.append(_row("gate, decide (11 answers), redact (7 views), encode", events, time.process_time() - begin))
    return rows


def _row(part: str, events: int, seconds: float) -> dict[str, Any]:
    return {
        "part": part,
        "events": events,
        "us_per_event": round(seconds / events * 1e6, 1),
        "events_per_s": round(events / seconds),
    }

"""`safebus audit report` of a running bus: one document that says what was looked at and that nothing is wrong."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest
from a_bus import Bus, utc_now
from test_commands import incident, safebus

from safebus.deploy.local.demo import story

pytestmark = pytest.mark.flow


async def test_a_running_bus_has_nothing_against_it_and_an_empty_hour_is_no_success(bus: Bus) -> None:
    since = utc_now()
    event = incident()
    await bus.publish(event)
    await bus.settled(event)
    span = ("--from", since.isoformat(), "--to", (utc_now() + timedelta(seconds=1)).isoformat())
    done = safebus(bus, "audit", "report", *span)
    facts = safebus(bus, "audit", "report", *span, "-o", "json")
    long_ago = ("--from", "2020-01-01T00:00Z", "--to", "2020-01-02T00:00Z")
    empty = safebus(bus, "audit", "report", *long_ago)
    backwards = safebus(bus, "audit", "report", "--from", "2020-01-02T00:00Z", "--to", "2020-01-01T00:00Z")
    body, _, signed = done.stdout.partition("## Signed")
    said = json.loads(facts.stdout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert hashlib.sha256(body.encode()).hexdigest() in signed
    assert "1 published events add up" in body
    assert "- 1 of 1 decisions are identical, byte for byte, when made again" in body
    assert (facts.returncode, said["sound"], said["verify"]["identical"]) == (0, True, 1)
    assert {"in.fordshire-police", "decisions", "operations"} <= {each["topic"] for each in said["coverage"]}
    assert (empty.returncode, "nothing was published in that span" in empty.stderr) == (3, True)
    assert backwards.returncode == 2
    assert story.REFUGE not in done.stdout + facts.stdout
    assert "Hart" not in done.stdout + facts.stdout

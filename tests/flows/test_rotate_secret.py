"""A partner's secret is followed by another while notifications flow: nothing is refused, and nothing is restarted."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import CompletedProcess

import asyncpg
import pytest
from a_bus import Bus
from test_commands import incident, safebus

from safebus.consumers.adapters.signing_secrets import mark
from safebus.consumers.audit import operations
from safebus.deploy.local.demo.demonstrate import RECIPIENTS
from safebus.deploy.local.demo.partners import DATABASE
from safebus.schemas import topics
from safebus.schemas.kafka.reader import read_topic

pytestmark = pytest.mark.flow

MASH = "fordshire-mash"
DEADLINE_S = 90


def rotate(bus: Bus, *words: str, partner: str = MASH) -> CompletedProcess[str]:
    file = str(bus.partners.folder / "destinations.yaml")
    return safebus(bus, "partners", "rotate-secret", partner, "--destinations", file, *words)


def acted(bus: Bus, *words: str) -> CompletedProcess[str]:
    return rotate(bus, *words, "--execute", "--reason", "tried in a test")


def log(bus: Bus) -> str:
    [file] = [path for path in bus.processes.logs() if path.stem == "deliver"]
    return file.read_text("utf-8")


def said(bus: Bus, event: str, partner: str) -> int:
    lines = [json.loads(line) for line in log(bus).splitlines() if f'"{event}"' in line]
    return len([line for line in lines if line["partner"] == partner])


@asynccontextmanager
async def says(bus: Bus, event: str, partner: str) -> AsyncIterator[None]:
    """What is done in here leads to this line of the log."""
    before = said(bus, event, partner)
    yield
    async with asyncio.timeout(DEADLINE_S):
        while said(bus, event, partner) == before:
            bus.processes.check()
            await asyncio.sleep(0.05)


async def delivered(bus: Bus, partner: str = MASH) -> None:
    """A new event reaches the partner, signed so that it takes it."""
    event = incident()
    await bus.publish(event)
    await bus.settled(event)
    assert event.event_id in {found["event_id"] for found in await bus.partners.received(partner)}


async def test_a_webhook_gets_another_secret_while_notifications_flow(bus: Bus, tmp_path: Path) -> None:
    bus.partners.destinations(RECIPIENTS)
    file, to = bus.partners.folder / f"{MASH}.secrets", tmp_path / "for-the-mash"
    old, turned_away = bus.partners.secrets[MASH], bus.partners.unsigned
    await delivered(bus)
    began = said(bus, "courier.started", MASH)
    dry = rotate(bus, "--to", str(to))
    untouched = (file.read_text("utf-8"), to.exists())
    try:
        async with says(bus, "secret.changed", MASH):
            begun = acted(bus, "--to", str(to))
        new, mode = to.read_text("utf-8").strip(), stat.S_IMODE(to.stat().st_mode)
        both = file.read_text("utf-8").split()
        changing = safebus(bus, "partners", "show", MASH, "-o", "json")
        again = acted(bus, "--to", str(tmp_path / "another"))
        await delivered(bus)
        refused_before = bus.partners.unsigned
        too_early = acted(bus, "--finish")
        still_both = file.read_text("utf-8").split()
        bus.partners.secrets[MASH] = new
        await delivered(bus)
        async with says(bus, "secret.changed", MASH):
            finished = acted(bus, "--finish")
        await delivered(bus)
        changed = safebus(bus, "partners", "show", MASH, "-o", "json")
    finally:
        bus.partners.secrets[MASH] = old
        async with says(bus, "secret.changed", MASH):
            file.write_text(old, "utf-8")
        bus.partners.accepted[MASH] = [(i, b) for i, b in bus.partners.accepted[MASH] if "test" not in b["data"]]
    await delivered(bus)

    assert (dry.returncode, untouched) == (0, (old, False)), dry.stderr
    assert (begun.returncode, mode, both) == (0, 0o600, [new, old]), begun.stderr
    assert (again.returncode, "is changing already" in again.stderr) == (1, True)
    assert (too_early.returncode, still_both, refused_before) == (3, [new, old], turned_away), too_early.stderr
    assert "NOT_LET_IN, answer 401" in too_early.stderr
    assert finished.returncode == 0, finished.stderr
    # Whoever leaves the group and comes back delivers nothing for as long: up to ten seconds were seen.
    assert said(bus, "courier.started", MASH) == began
    assert bus.partners.unsigned == turned_away + 1  # the test that came too early, and nothing else ever
    [row], [row_after] = json.loads(changing.stdout), json.loads(changed.stdout)
    assert row["secret"].startswith("two sign since ") and mark(new) in row["secret"]
    assert row_after["secret"].startswith("changed on ") and mark(old) in row_after["secret"]
    on_record = [
        (e.operation.what, e.operation.about)
        for e in await operations.entries(bus.connection, trusted=[])
        if e.operation.what.startswith("partners rotate-secret") and e.operation.about[0] == MASH
    ]
    assert on_record == [
        ("partners rotate-secret", (MASH, mark(new))),
        ("partners rotate-secret --finish", (MASH, mark(old))),
        ("partners rotate-secret --finish", (MASH, mark(old))),
    ]
    shown = "".join(d.stdout + d.stderr for d in (dry, begun, changing, again, too_early, finished, changed)) + log(bus)
    shown += "".join([str(m.value) async for m in read_topic(bus.connection, topics.OPERATIONS)])
    assert [secret for secret in (old, new) if secret.removeprefix("whsec_") in shown] == []


async def test_a_secret_that_cannot_sign_changes_nothing_and_is_said(bus: Bus) -> None:
    """Somebody edits the file by hand, and has not finished."""
    bus.partners.destinations(RECIPIENTS)
    file = bus.partners.folder / f"{MASH}.secrets"
    old = file.read_text("utf-8")
    try:
        async with says(bus, "secret.not_taken", MASH):
            file.write_text("whsec_half", "utf-8")
        await delivered(bus)
    finally:
        file.write_text(old, "utf-8")
    assert "whsec_half" not in log(bus)


async def test_a_database_gets_another_account_while_notifications_flow(bus: Bus) -> None:
    """The command says how; the file of the DSN is followed as secrets are."""
    bus.partners.destinations(RECIPIENTS)
    file, old = bus.partners.folder / f"{DATABASE}.dsn", bus.partners.dsn
    done = rotate(bus, partner=DATABASE)
    partner = await asyncpg.connect(bus.partners.owner_dsn)
    try:
        await partner.execute("CREATE ROLE safebus2 LOGIN PASSWORD 'made-up' IN ROLE safebus")
        async with says(bus, "secret.changed", DATABASE):
            file.write_text(old.split("://")[0] + "://safebus2:made-up@" + old.split("@", 1)[1], "utf-8")
        await partner.execute("ALTER ROLE safebus NOLOGIN")
        await partner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'safebus'")
        await delivered(bus, DATABASE)
    finally:
        await partner.execute("ALTER ROLE safebus LOGIN")
        async with says(bus, "secret.changed", DATABASE):
            file.write_text(old, "utf-8")
        await partner.execute("DROP ROLE safebus2")
        await partner.close()

    assert done.returncode == 1
    assert "another account" in done.stderr and "made-up" not in log(bus)


def test_a_folder_has_no_secret_and_it_is_said_what_is_done_instead(bus: Bus) -> None:
    bus.partners.destinations(RECIPIENTS)
    done = rotate(bus, partner="ash-primary")

    assert (done.returncode, "there is no secret" in done.stderr) == (1, True), done.stderr

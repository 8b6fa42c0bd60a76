"""Whatever a command shows, changes or sends is on record first: who, what, how much, why. No record, no sight."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from a_bus import Bus, utc_now
from test_commands import incident, notification_id, safebus

from safebus.consumers.audit import operations
from safebus.deploy.cli import app
from safebus.deploy.local.demo.demonstrate import RECIPIENTS
from safebus.deploy.service import key_backup
from safebus.deploy.service.operations import system_user
from safebus.schemas import topics
from safebus.schemas.bus_records import Stage
from safebus.schemas.kafka import admin
from safebus.schemas.kafka.offsets import Offsets
from safebus.schemas.kafka.partitions import Partition
from safebus.streams.register.entries import Entry
from safebus.streams.register.governance import TwoPersons
from safebus.streams.rules.parties import Partner

pytestmark = pytest.mark.flow

REAL = Path(__file__).parents[1] / "data" / "real" / "mns" / "cloudevent-pds-death-2.json"

#: What shows or changes something and is on no bus's record.
NOT_OF_A_BUS = {
    "schemas release": "files of a checkout, which git keeps",
}

#: What takes a broker that asks for rights, or a topic that takes nothing: `test_rights_taken_away`. What there is no
#: way back from, on a bus that others use: `test_rotation`.
ELSEWHERE = {"rights apply", "deliveries again", "keys rotate", "keys switch"}

#: What has neither option and is done as it is typed.
WITH_REASON = {("quarantine", "open"), ("keys", "backup"), ("keys", "restore"), ("keys", "drill")}

SCHOOL: dict[str, Any] = {"name": "x", "sector": "school", "org_type": "public_authority", "call": "x"}


def commands_that_act() -> set[str]:
    """Every command with an option that only whoever shows or changes something needs."""
    root: Any = typer.main.get_command(app)
    found = set()
    for name, command in root.commands.items():
        inner = getattr(command, "commands", {"": command})
        for sub, one in inner.items():
            options = {option for each in one.params for option in each.opts}
            if options & {"--execute", "--show-released", "--show-original"} or (name, sub) in WITH_REASON:
                found.add(f"{name} {sub}".strip())
    return found


async def acts(bus: Bus, folder: Path) -> dict[str, tuple[list[str], str]]:
    """Each of them as it is typed, about something that is there, and what is typed when it asks."""
    event, more = incident(), incident()
    parked = await notification_id(bus, event, "ash-primary")
    in_the_way = bus.partners.drop_folder("ash-primary") / f"{parked}.json"
    in_the_way.write_text("{}", "utf-8")
    await bus.publish(event)
    junk = b"not an event " + uuid.uuid4().bytes * int(uuid.uuid4().int % 50 + 2)
    await bus.send_raw("in.fordshire-police", junk)
    seen = await bus.until(
        lambda s: (
            any(r.stage is Stage.PARKED and r.notification_id == parked for r in s.receipts)
            and any(q.size == len(junk) for q in s.quarantined.values())
        ),
        "it to be parked, and the other set aside",
    )
    in_the_way.unlink()
    since = utc_now().isoformat()
    another = incident()
    second = await notification_id(bus, another, "ash-primary")
    in_the_way = bus.partners.drop_folder("ash-primary") / f"{second}.json"
    in_the_way.write_text("{}", "utf-8")
    await bus.publish(another)
    await bus.until(
        lambda s: any(r.stage is Stage.PARKED and r.notification_id == second for r in s.receipts),
        "another to be parked",
    )
    in_the_way.unlink()
    quarantined = next(q.quarantine_id for q in seen.quarantined.values() if q.size == len(junk))
    destinations = bus.partners.destinations(RECIPIENTS)
    await bus.register_destination("ash-primary", destinations)
    (folder / "event.json").write_text(more.model_dump_json(), "utf-8")
    new = f"new-{uuid.uuid4().hex[:8]}"
    suspended = f"old-{uuid.uuid4().hex[:8]}"
    rows = [SCHOOL | {"partner": new}, SCHOOL | {"partner": suspended, "suspended": True}]
    (folder / "register").mkdir()
    (folder / "register" / "p.yaml").write_text(json.dumps({"partners": rows}), "utf-8")
    (folder / "topics").mkdir()
    (folder / "topics" / "p.yaml").write_text(json.dumps({"partners": rows[:1]}), "utf-8")
    backup = key_backup.make(bus.settings.home, number=3, needed=2, now=utc_now())
    key_backup.write_new(folder / "bus.keys", backup.data)
    pack = [str(folder / "bus.keys")]
    pack += [word for file in key_backup.write_shares(folder / "shares", backup) for word in ("--share", str(file))]
    consent = ["consent", "record", "--state", "requested", "--purpose", "safeguarding", "--capacity", "parent"]
    execute = ["--execute"]
    return {
        "explain": (["explain", event.event_id, "-o", "json", "--show-released"], ""),
        "parked show": (["parked", "show", "ash-primary", parked, "--show-released"], ""),
        "quarantine show": (["quarantine", "show", quarantined, "--show-original"], ""),
        "quarantine assign": (["quarantine", "assign", quarantined, *execute], ""),
        "quarantine close": (["quarantine", "close", quarantined, *execute], ""),
        "parked assign": (["parked", "assign", "ash-primary", parked, "--to", "op-anna", *execute], ""),
        "parked close": (["parked", "close", "ash-primary", parked, *execute], ""),
        "quarantine open": (["quarantine", "open", quarantined, "--to", str(folder / "original")], ""),
        "keys backup": (
            ["keys", "backup", "--to", str(folder / "new.keys"), "--shares-to", str(folder / "new-shares")],
            "",
        ),
        "keys restore": (["keys", "restore", *pack], ""),
        "keys drill": (["keys", "drill", *pack], ""),
        "deliveries redrive": (
            ["deliveries", "redrive", "ash-primary", "--from", since, "--destinations", str(destinations), *execute],
            "",
        ),
        "partners pause": (["partners", "pause", "haven", *execute], ""),
        "partners resume": (["partners", "resume", "haven", *execute], ""),
        "partners test": (["partners", "test", "ash-primary", "--destinations", str(destinations), *execute], ""),
        "partners rotate-secret": (
            [
                "partners",
                "rotate-secret",
                "haven",
                "--destinations",
                str(destinations),
                "--to",
                str(folder / "new-1"),
                *execute,
            ],
            "",
        ),
        "publish": (["publish", str(folder / "event.json"), "--case", "c", *execute], ""),
        "import": (["import", "mns", str(REAL), *execute], ""),
        "topics apply": (["topics", "apply", "--register", str(folder / "topics"), *execute], ""),
        "register load": (["register", "load", str(folder / "register"), *execute], ""),
        "register lift": (["register", "lift", f"partner/{suspended}", *execute], ""),
        "register end": (["register", "end", f"partner/{new}", *execute], ""),
        "register revive": (["register", "revive", f"partner/{new}", *execute], ""),
        "consent record": ([*consent, "--method", "test", *execute], "9990316767\n"),
        "parked redrive": (
            ["parked", "redrive", "ash-primary", parked, "--destinations", str(destinations), *execute],
            "",
        ),
    }


async def ends(bus: Bus) -> Mapping[Partition, int]:
    """Where every topic of this bus ends."""
    async with Offsets(bus.connection) as asked:
        there = await asked.there()
        found = [Partition(name, number) for name, numbers in there.items() for number in numbers]
        return await asked.ends_of(p for p in found if not p.topic.startswith("decisions"))


async def end_new_partners(bus: Bus) -> None:
    """Other tests look at what there should be on this bus."""
    for record_id in (await bus.register_now()).entries():
        if record_id.startswith(("partner/new-", "partner/old-", "subscription/new-", "destination/")):
            await bus.register_end(record_id)


@contextmanager
def nothing_fits_into(bus: Bus, topic: str) -> Iterator[None]:
    """A broker that takes nothing on this topic."""
    client = {"bootstrap.servers": bus.connection.bootstrap}
    admin.change_settings(client, {topic: {"max.message.bytes": "1"}})
    try:
        yield
    finally:
        admin.change_settings(client, {topic: {"max.message.bytes": "1048576"}})


async def test_every_act_is_on_record_and_without_a_record_there_is_none(bus: Bus, tmp_path: Path) -> None:
    words = await acts(bus, tmp_path)
    assert set(words) | set(NOT_OF_A_BUS) | ELSEWHERE == commands_that_act()
    await bus.until(lambda s: True, "anything")
    if bus.broker.name == "kafka":
        before = await ends(bus)
        # Those that need what another of them did are refused for that, and change nothing either.
        with nothing_fits_into(bus, topics.OPERATIONS):
            refused = {
                name: safebus(bus, *typed, "--reason", "nobody may know", given=given)
                for name, (typed, given) in words.items()
            }
        for name, done in refused.items():
            later = name in ("register lift", "register end", "register revive")
            assert done.returncode == (1 if later else 4), (name, done.stderr)
            assert later or "nothing was done, because it could not be put on record" in done.stderr, name
            assert "Hart" not in done.stdout + done.stderr and "9990079196" not in done.stdout + done.stderr
        assert await ends(bus) == before
        assert not [*tmp_path.glob("original"), *tmp_path.glob("new*")]

    done = {
        name: safebus(bus, *typed, "--reason", f"because of {name}", given=given)
        for name, (typed, given) in words.items()
        if not (bus.broker.name == "embedded" and name == "topics apply")  # it makes no topics once it runs
    }

    await end_new_partners(bus)
    assert {name: d.returncode for name, d in done.items()} == dict.fromkeys(done, 0), [
        (name, d.stderr) for name, d in done.items() if d.returncode
    ]
    on_record = await operations.entries(bus.connection, trusted=[])
    mine = {e.operation.what: e for e in on_record if e.operation.reason == f"because of {e.operation.what}"}
    assert list(mine) == list(done)
    assert {e.who for e in mine.values()} == {system_user()}
    assert not [e for e in on_record if e.operation.reason == "nobody may know"]
    listed = json.loads(safebus(bus, "operations", "list", "--what", "explain", "-o", "json").stdout)
    row = next(r for r in listed if r["reason"] == "because of explain")
    assert (row["about"], row["number"] > 3, row["proven"]) == (words["explain"][0][1], True, "no")


async def test_what_one_person_may_not_change_waits_for_another(bus: Bus, tmp_path: Path) -> None:
    await bus.register(Entry("two_persons", "two_persons", TwoPersons(kinds=("partner",)), "test"))
    try:
        name = f"new-{uuid.uuid4().hex[:8]}"
        row: dict[str, Any] = SCHOOL | {"partner": name}
        (tmp_path / "p.yaml").write_text(json.dumps({"partners": [row]}), "utf-8")
        load = ["register", "load", str(tmp_path), "--execute", "--reason", "they join"]
        first = safebus(bus, *load)
        assert first.returncode == 3, first.stderr
        asked = first.stderr.split("--second ")[1].strip()
        same_person = safebus(bus, *load, "--second", asked)
        nobody = safebus(bus, *load, "--second", "an operation of mine")
        (tmp_path / "p.yaml").write_text(json.dumps({"partners": [row | {"name": "y"}]}), "utf-8")
        other_content = safebus(bus, *load, "--second", asked, sudo_user="ben")
        (tmp_path / "p.yaml").write_text(json.dumps({"partners": [row]}), "utf-8")
        unwritten = (await bus.register_now()).partner(name)
        second = safebus(bus, *load, "--second", asked, sudo_user="ben")
        again = safebus(bus, "register", "end", f"partner/{name}", "--execute", "--reason", "a breach")
        ended = safebus(
            bus, "register", "end", f"partner/{name}", "--execute", "--reason", "a breach",
            "--second", again.stderr.split("--second ")[1].strip(), sudo_user="ben",
        )  # fmt: skip
        back_alone = safebus(bus, *load, "--second", asked, sudo_user="ben")
        await bus.register(Entry(f"partner/{name}", "partner", Partner.model_validate(row), "test"))
        lifted_alone = safebus(bus, "register", "end", "two_persons", "--execute", "--reason", "easier")
        (tmp_path / "p.yaml").write_text(
            json.dumps({"subscriptions": [{"partner": name, "event_type": "police.encompass.v1"}]}), "utf-8"
        )
        needless = safebus(bus, *load, "--second", asked, sudo_user="ben")
        one_is_enough = safebus(bus, *load)

        assert (first.returncode, "partner need two persons" in first.stderr) == (3, True), first.stderr
        assert (same_person.returncode, "the second must be somebody else" in same_person.stderr) == (1, True)
        assert (nobody.returncode, "nobody asked for `register load` under" in nobody.stderr) == (1, True)
        assert (other_content.returncode, "is not what" in other_content.stderr) == (1, True)
        assert unwritten is None
        assert second.returncode == 0, second.stderr
        assert (await bus.register_now()).partner(name) is not None
        assert (ended.returncode, back_alone.returncode) == (0, 1), (ended.stderr, back_alone.stderr)
        assert (lifted_alone.returncode, "two_persons need two persons" in lifted_alone.stderr) == (3, True)
        assert (needless.returncode, "nothing of that kind" in needless.stderr) == (1, True)
        assert one_is_enough.returncode == 0, one_is_enough.stderr
        listed = json.loads(safebus(bus, "operations", "list", "--about", f"partner/{name}", "-o", "json").stdout)
        assert [(row["what"], row["who"]) for row in listed if row["what"].startswith("register load")] == [
            ("register load", system_user()),
            ("register load (as the second)", f"{system_user()} (by sudo from ben)"),
        ]
    finally:
        await bus.register_end("two_persons")
        await end_new_partners(bus)

"""The command as an operator types it, against a running bus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from a_bus import Bus, utc_now

from safebus.consumers.audit.replay.verify import verify
from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.demo import story
from safebus.deploy.local.demo.demonstrate import RECIPIENTS
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service import key_files
from safebus.deploy.service.rules_digest import rules_digest
from safebus.schemas import codec
from safebus.schemas.bus_records import Origin, Stage
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.kafka import admin
from safebus.streams.register.entries import Entry
from safebus.streams.register.follow import RegisterReader
from safebus.streams.rules import sharing

pytestmark = pytest.mark.flow

REAL = Path(__file__).parents[1] / "data" / "real" / "mns" / "cloudevent-pds-death-2.json"


def safebus(bus: Bus, *words: str, given: str = "", sudo_user: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    env = {**os.environ, "SAFEBUS_HOME": str(bus.settings.home), "SAFEBUS_BROKER": bus.connection.bootstrap}
    env |= {"SUDO_USER": sudo_user} if sudo_user else {}
    return subprocess.run(
        [sys.executable, "-m", "safebus.deploy.cli", *words],
        env=env,
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
    )


def incident() -> Any:
    return story.incident().model_copy(update={"event_id": str(uuid.uuid4())})


async def test_explain_says_who_why_which_fields_and_each_attempt(bus: Bus) -> None:
    event = incident()
    await bus.publish(event)
    await bus.settled(event)
    as_json = safebus(bus, "explain", event.event_id, "-o", "json")
    as_text = safebus(bus, "explain", event.event_id)

    [record] = json.loads(as_json.stdout)
    by_partner = {a["recipient"]: a for a in record["answers"]}
    school, beech = by_partner["ash-primary"], by_partner["beech-primary"]
    assert beech["in_words"] == [
        "the alleged perpetrator works for or governs beech-primary "
        "[ADVERSARY: nothing goes to where the alleged perpetrator works or governs (safebus, absolute)]"
    ]
    assert (school["agreement_id"], school["agreement_version"]) == ("fordshire-encompass", 3)
    assert {"path": "subject.upn", "rule": "AGREEMENT"} in school["released"]
    assert {"path": "subject.nhs_number", "rule": "NOT_NAMED"} in school["withheld"]
    assert {"path": "payload.officer_notes", "rule": "PROSE"} in school["withheld"]
    assert [(d["stage"], d["transport"], d["attempt"]) for d in school["deliveries"]] == [("HANDED_OVER", "folder", 1)]
    assert "Domestic Abuse Act 2021 s.49A" in as_text.stdout
    assert "01632 960101" in as_text.stdout
    values = ["Hart", "9990079196", "under the table", story.REFUGE]
    assert [v for v in values if v in as_json.stdout + as_text.stdout] == []


async def test_the_released_values_are_shown_only_with_a_reason(bus: Bus) -> None:
    event = incident()
    await bus.publish(event)
    await bus.settled(event)
    words = ["explain", event.event_id, "-o", "json", "--show-released"]
    unreasoned = safebus(bus, *words)
    shown = safebus(bus, *words, "--reason", "test of a subject access request")

    views = {a["recipient"]: a["view"] for a in json.loads(shown.stdout)[0]["answers"]}
    assert (unreasoned.returncode, unreasoned.stdout) == (2, "")
    assert views["ash-primary"]["subject"]["given_name"] == "Ava"
    assert views["beech-primary"] is None
    assert story.REFUGE not in shown.stdout


async def test_explain_of_an_event_nobody_decided_says_where_to_look(bus: Bus) -> None:
    done = safebus(bus, "explain", str(uuid.uuid4()))

    assert done.returncode == 1
    assert "safebus quarantine list" in done.stderr


async def test_replay_verify_makes_every_decision_again(bus: Bus) -> None:
    event = incident()
    await bus.publish(event)
    await bus.settled(event)
    done = safebus(bus, "replay", "verify", "-o", "json")

    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert found["differences"] == []
    assert found["identical"] == found["decisions"] > 0
    assert found["outputs_identical"] == found["outputs"] > 0


async def test_replay_verify_sees_what_does_not_follow_from_the_register(bus: Bus) -> None:
    """The check can fail: without one agreement in the log, what it permitted cannot be made again."""
    event = incident()
    await bus.publish(event)
    await bus.settled(event)
    reader = RegisterReader(bus.connection, key=bus.settings.person_key())
    await reader.start()
    log = [(o, r) for o, r in reader.log if r.record_id != "agreement/fordshire-encompass/v3"]
    without = SimpleNamespace(log=log, taken_in=reader.taken_in, catch_up=reader.catch_up)
    now = utc_now()
    found = await verify(
        bus.connection,
        since=now.replace(year=now.year - 1),
        until=now.replace(year=now.year + 1),
        register=without,
        key=bus.settings.person_key(),
        schemas=event_schemas(),
        rules_digest=rules_digest(),
        progress=lambda _n: None,
    )
    await reader.stop()

    mine = [d.what for d in found.differences if d.event_id == event.event_id]
    assert any("answer for `ash-primary`: " in what and "outcome" in what for what in mine)
    assert found.identical < found.decisions


async def test_a_consent_is_asked_for_and_never_an_argument(bus: Bus) -> None:
    words = ["consent", "record", "--state", "requested", "--purpose", "safeguarding"]
    words += ["--capacity", "parent", "--method", "test"]
    dry = safebus(bus, *words, given="9990316767\n")
    done = safebus(bus, *words, "--execute", "--reason", "test", given="9990316767\n")
    impossible = safebus(bus, *[*words[:3], "withdrawn", *words[4:]], given="9990237573\n")
    not_theirs = safebus(
        bus, *[*words[:3], "given", *words[4:]], "--by-scheme", "nhs", given="9990316767\n9990475148\n"
    )
    nobody = safebus(bus, *words, "--by-scheme", "nhs", given="9990316767\n9990633525\n")
    unreasoned = safebus(bus, *words, "--execute", given="9990316767\n")

    assert (dry.returncode, "dry run" in dry.stderr) == (0, True)
    assert (done.returncode, "register offset" in done.stderr) == (0, True)
    assert impossible.returncode == 1
    assert "a consent that is `unknown` cannot become `withdrawn`" in impossible.stderr
    assert (not_theirs.returncode, "`given` is not theirs to say" in not_theirs.stderr) == (1, True)
    assert (nobody.returncode, "who said it is not in the register" in nobody.stderr) == (2, True)
    assert (unreasoned.returncode, "--reason" in unreasoned.stderr) == (2, True)
    assert "9990475148" not in not_theirs.stdout + not_theirs.stderr
    assert "9990316767" not in done.stdout + done.stderr + dry.stderr


async def test_publishing_is_a_dry_run_until_it_is_meant(bus: Bus, tmp_path: Path) -> None:
    event = incident()
    file = tmp_path / "event.json"
    file.write_text(event.model_dump_json(), "utf-8")
    dry = safebus(bus, "publish", str(file), "--case", "c")
    done = safebus(bus, "publish", str(file), "--case", "c", "--execute", "--reason", "test")
    await bus.settled(event)
    file.write_text(event.model_dump_json().replace("9990079196", "9990079197"), "utf-8")
    wrong = safebus(bus, "publish", str(file), "--case", "c", "--execute", "--reason", "test")

    assert (dry.returncode, dry.stdout) == (0, "")
    assert (done.returncode, done.stdout.split()[:2]) == (0, [event.event_id, "in.fordshire-police"])
    assert wrong.returncode == 1
    assert "`subjects.0.nhs_number`: the check digit of this NHS number does not fit" in wrong.stderr
    assert "9990079197" not in wrong.stderr


async def test_a_dry_run_says_all_that_the_execution_would_refuse(bus: Bus, tmp_path: Path) -> None:
    event = incident()
    stranger, large = tmp_path / "stranger.json", tmp_path / "large.json"
    stranger.write_text(event.model_dump_json().replace("fordshire-police", "fordshire-polise"), "utf-8")
    body = json.loads(event.model_dump_json())
    body["payload"]["circumstances"] = "x" * 20_001
    large.write_text(json.dumps(body), "utf-8")
    for file, said in (
        (stranger, "`fordshire-polise` does not publish on this bus: it has no topic `in.fordshire-polise`"),
        (stranger, "did you mean `fordshire-police`?"),
        (
            large,
            "the bus would refuse this event: `payload.circumstances` has 20001 characters, expected at most 20000",
        ),
    ):
        dry = safebus(bus, "publish", str(file), "--case", "c")
        meant = safebus(bus, "publish", str(file), "--case", "c", "--execute", "--reason", "test")
        assert (dry.returncode, meant.returncode) == (1, 1)
        assert said in " ".join(dry.stderr.split()) and said in " ".join(meant.stderr.split())


async def test_a_dry_run_of_an_import_says_it_too(bus: Bus) -> None:
    """The topic, and the agency's own key. Nothing of it is on record: nothing was done."""
    home = bus.settings.home
    for agency, said in (
        ("nhs-englund", "`nhs-englund` does not publish on this bus: it has no topic `in.nhs-englund`"),
        ("nhs-england", "`safebus keys init --agency nhs-england` makes it once"),
    ):
        secret = home / "keys" / key_files.case_file(agency)
        hidden = secret.rename(secret.with_suffix(".away")) if secret.exists() else None
        try:
            dry = safebus(bus, "import", "mns", str(REAL), "--agency", agency)
            meant = safebus(bus, "import", "mns", str(REAL), "--agency", agency, "--execute", "--reason", "test")
        finally:
            if hidden is not None:
                hidden.rename(secret)
        assert (dry.returncode, meant.returncode) == (1, 1), (dry.stderr, meant.stderr)
        assert said in " ".join(dry.stderr.split()) and said in " ".join(meant.stderr.split())
    listed = json.loads(safebus(bus, "operations", "list", "-o", "json").stdout)
    assert [each for each in listed if each["what"] == "import" and each["reason"] == "test"] == []


async def test_the_state_of_the_bus_can_be_seen(bus: Bus) -> None:
    plan = safebus(bus, "topics", "plan", "-o", "json")
    topics = json.loads(plan.stdout)
    doctor = safebus(bus, "doctor")
    register = safebus(bus, "register", "show", "-o", "csv")
    one = json.loads(safebus(bus, "register", "show", "agreement/fordshire-encompass/v3").stdout)
    unknown = safebus(bus, "register", "show", "agreement/none")
    parked = safebus(bus, "parked", "list", "ash-primary", "-o", "json")

    assert {t["state"] for t in topics} == {"same"}
    in_memory = bus.broker.name == "embedded"
    assert {t["kept_days"] for t in topics if t["topic"] == "out.ash-primary"} == {"until it ends" if in_memory else 7}
    assert in_memory == ("kept until the embedded broker ends: in memory alone" in plan.stderr)
    assert {"in.fordshire-police", "out.ash-primary", "register", "decisions"} <= {t["topic"] for t in topics}
    assert (doctor.returncode, "MISSING" in doctor.stdout) == (0, False), doctor.stdout
    assert '"agreement","agreement/fordshire-encompass' in register.stdout
    assert one["version"] == 3
    assert (unknown.returncode, "safebus register show" in unknown.stderr) == (2, True)
    assert (parked.returncode, json.loads(parked.stdout)) == (0, [])


async def test_the_register_is_shown_as_it_stood_and_who_changed_it(bus: Bus) -> None:
    """Also what stood for a moment only: whoever adds an involvement, uses it and ends it leaves no entry behind."""
    haven = (await bus.register_now()).partners["haven"]
    before = utc_now()
    await bus.register(Entry("partner/haven", "partner", haven.model_copy(update={"suspended": True}), "test"))
    during = utc_now()
    await bus.register(Entry("partner/haven", "partner", haven, "test"))
    one = ("register", "history", "partner/haven", "-o", "json")
    every = json.loads(safebus(bus, *one).stdout)
    of_today = json.loads(safebus(bus, *one, "--from", before.isoformat()).stdout)
    shown = {
        at: json.loads(safebus(bus, "register", "show", "partner/haven", "--at", at).stdout)["suspended"]
        for at in (before.isoformat(), during.isoformat(), str(of_today[0]["offset"]), str(of_today[1]["offset"]))
    }
    table = safebus(bus, "register", "history", "partner/haven")
    never = safebus(bus, "register", "history", "partner/nobody")
    beyond = safebus(bus, "register", "show", "--at", "1000000")

    assert [(step["what"], step["fields"], step["reason"]) for step in of_today] == [
        ("changed", ["suspended"], "test"),
        ("changed", ["suspended"], "test"),
    ]
    assert [(step["before"]["suspended"], step["after"]["suspended"]) for step in of_today] == [
        (False, True),
        (True, False),
    ]
    assert every[0]["what"] == "added" and every[-2:] == of_today
    assert [*shown.values()] == [False, True, True, False]
    assert (table.returncode, "suspended" in table.stdout) == (0, True)
    assert (never.returncode, "the register never had `partner/nobody`" in never.stderr) == (2, True)
    assert (beyond.returncode, "--at 1000000: the register ends at offset" in " ".join(beyond.stderr.split())) == (
        2,
        True,
    )


async def notification_id(bus: Bus, event: Any, partner: str) -> str:
    """The id that this partner's notification of an event will have; it follows from the event alone."""
    outcome = sharing.share(
        codec.decode(codec.encode(event)),
        await bus.register_now(),
        origin=Origin(topic=f"in.{event.publisher.agency}", partition=0, offset=0),
        now=utc_now(),
        key=bus.settings.person_key(),
        rules_digest="test",
    )
    assert isinstance(outcome, sharing.Shared)
    [found] = [o.notification.notification_id for o in outcome.outputs if o.notification.recipient == partner]
    return found


async def test_what_is_parked_stays_so_until_it_is_taken_and_each_try_is_on_record(bus: Bus, tmp_path: Path) -> None:
    """Refused, then busy, then taken: `parked list`, `explain` and `reconcile` tell the same."""
    since, event = utc_now(), incident()
    parked = await notification_id(bus, event, "ash-primary")
    in_the_way = bus.partners.drop_folder("ash-primary") / f"{parked}.json"
    in_the_way.write_text("{}", "utf-8")
    try:
        await bus.publish(event)
        await bus.until(
            lambda s: any(r.stage is Stage.PARKED and r.notification_id == parked for r in s.receipts),
            "it to be parked",
        )
        redrive = ["parked", "redrive", "ash-primary", parked, "--reason", "they mended it"]
        file = bus.partners.destinations(RECIPIENTS)
        there = ["--destinations", str(file)]
        (tmp_path / "secrets").write_text(bus.partners.secrets["haven"], "utf-8")
        nobody = {
            "transport": "webhook",
            "url": "http://127.0.0.1:1/",
            "secrets_file": "secrets",
            "allow_private": True,
        }
        (tmp_path / "down.yaml").write_text(json.dumps({"ash-primary": nobody}), "utf-8")
        span = ["--from", since.isoformat(), "--to", utc_now().isoformat()]
        restored = ["deliveries", "again", "ash-primary", *span, "--restored", *there]
        too_soon = [
            safebus(bus, *each)
            for each in ([*redrive, *there], ["deliveries", "redrive", "ash-primary", *there], restored)
        ]
        unregistered = safebus(bus, *redrive, *there, "--execute")
        await bus.register_destination("ash-primary", file)
        dry = safebus(bus, *redrive, *there)
        refused = safebus(bus, *redrive, *there, "--execute")
        elsewhere = safebus(bus, *redrive, "--destinations", str(tmp_path / "down.yaml"), "--execute")
        not_delivered = safebus(bus, "deliver", "--destinations", str(tmp_path / "down.yaml"))
        await bus.register_destination("ash-primary", tmp_path / "down.yaml")
        busy = safebus(bus, *redrive, "--destinations", str(tmp_path / "down.yaml"), "--execute")
        await bus.register_destination("ash-primary", file)
        listed = json.loads(safebus(bus, "parked", "list", "ash-primary", "-o", "json").stdout)
        reconciled = json.loads(safebus(bus, "reconcile", "--from", since.isoformat(), "-o", "json").stdout)
    finally:
        in_the_way.unlink()
    taken = safebus(bus, *redrive, *there, "--execute")
    again = safebus(bus, *redrive, *there, "--execute")
    await bus.register_end("destination/ash-primary")
    await bus.settled(event)
    left = json.loads(safebus(bus, "parked", "list", "ash-primary", "-o", "json").stdout)
    [record] = json.loads(safebus(bus, "explain", event.event_id, "-o", "json").stdout)

    codes = [done.returncode for done in (dry, refused, busy, taken, again)]
    assert codes == [0, 3, 3, 0, 1], [done.stderr for done in (dry, refused, busy, taken, again)]
    # A dry run promises nothing that the execution would refuse.
    assert [(done.returncode, "would be" in done.stderr) for done in too_soon] == [(1, False)] * 3
    assert all("no destination is registered for `ash-primary`" in done.stderr for done in too_soon)
    assert [done.stderr.count("\n") for done in (refused, taken)] == [1, 1], (refused.stderr, taken.stderr)
    assert [done.stdout for done in (dry, refused, busy, taken)] == [""] * 4
    assert "the partner answered other_content; it stays parked" in refused.stderr
    assert "it stays parked" in busy.stderr
    assert "handed over, answer written" in taken.stderr
    # A file of one's own does not bring a child's data to oneself.
    assert [done.returncode for done in (unregistered, elsewhere, not_delivered)] == [1, 1, 1]
    assert "no destination is registered for `ash-primary`" in unregistered.stderr
    assert f"{{partner: ash-primary, transport: folder, place: '{in_the_way.parent}'}}" in unregistered.stderr
    for done in (elsewhere, not_delivered):
        assert f"to webhook `http://127.0.0.1:1/`, and the register has folder `{in_the_way.parent}`" in done.stderr
    assert [(row["notification_id"], row["reason"], row["came_of_it"]) for row in listed] == [
        (parked, "other_content", "partner_busy")
    ]
    assert left == []
    assert (reconciled["partners"]["ash-primary"]["parked"], reconciled["findings"]) == (1, [])
    [school] = [a for a in record["answers"] if a["recipient"] == "ash-primary"]
    assert [(d["stage"], d["transport"], d["attempt"], d["reason"]) for d in school["deliveries"]] == [
        ("PARKED", "folder", 1, "other_content"),
        ("PARKED", "folder", 2, "other_content; redriven: they mended it"),
        ("PARKED", "webhook", 3, "partner_busy; redriven: they mended it"),
        ("HANDED_OVER", "folder", 4, "redriven: they mended it"),
    ]


async def test_an_operator_opens_an_original_with_a_reason_into_a_file_of_their_own(bus: Bus, tmp_path: Path) -> None:
    original = b"not an event " + uuid.uuid4().bytes
    await bus.send_raw("in.fordshire-police", original)
    seen = await bus.until(lambda s: any(q.size == len(original) for q in s.quarantined.values()), "it in quarantine")
    entry = max((q for q in seen.quarantined.values() if q.size == len(original)), key=lambda q: q.at)
    file = tmp_path / "original"
    words = ["quarantine", "open", entry.quarantine_id, "--to", str(file)]
    unreasoned = safebus(bus, *words)
    done = safebus(bus, *words, "--reason", "test")
    again = safebus(bus, *words, "--reason", "test")
    listed = json.loads(safebus(bus, "quarantine", "list", "-o", "json").stdout)

    assert (unreasoned.returncode, done.returncode, again.returncode) == (2, 0, 1)
    assert file.read_bytes() == original
    assert file.stat().st_mode & 0o777 == 0o600
    assert entry.quarantine_id in {row["quarantine_id"] for row in listed}


async def test_loading_the_same_register_again_changes_nothing_and_a_mistake_is_named_by_line(
    bus: Bus, tmp_path: Path
) -> None:
    same = safebus(bus, "register", "load", "deploy/local/demo/register", "-o", "json")
    (tmp_path / "a.yaml").write_text("partners:\n  - partner: new-school\n    nmae: New School\n", "utf-8")
    wrong = safebus(bus, "register", "load", str(tmp_path))

    assert (same.returncode, json.loads(same.stdout)) == (0, [])
    assert wrong.returncode == 1
    assert "`a.yaml` line 3: partner: unknown field `nmae`; did you mean `name`?" in wrong.stderr


async def test_what_a_school_is_never_given_is_loaded_only_when_it_is_confirmed_by_name(
    bus: Bus, tmp_path: Path
) -> None:
    """A draft of the charity, so that nothing of it is ever sent here."""
    name = "haven-letters v1 to-school: LOCATION_SAFE to ash-primary (school)"
    parties = [
        {"partner": partner, "signed_by": "Head", "signed_on": "2026-01-01"} for partner in ("haven", "ash-primary")
    ]
    row = {
        "flow": "to-school",
        "event_type": "police.encompass.v1",
        "from": ["haven"],
        "to": ["ash-primary"],
        "purpose": "apart",
        "interest": ["attends_school"],
        "basis": {"art6": "A6-1-ea", "confidentiality": "CLDC-OPI"},
        "objection_reason": "test",
        "release": {"subject": ["LOCATION_SAFE"]},
    }
    head = {"agreement": "haven-letters", "version": 1, "title": "Letters", "status": "draft", "parties": parties}
    days = {"effective_from": "2026-01-01", "review_by": "2027-01-01"}
    (tmp_path / "letters.yaml").write_text(json.dumps(head | days | {"flows": [row]}), "utf-8")
    load = ("register", "load", str(tmp_path))
    now = ("--execute", "--reason", "signed")

    dry = safebus(bus, *load)
    refused = safebus(bus, *load, *now)
    misspelt = safebus(bus, *load, *now, "--confirm", name.replace("ash", "ahs"))
    unwritten = safebus(bus, "register", "show", "agreement/haven-letters/v1")
    done = safebus(bus, *load, *now, "--confirm", name)
    again = safebus(bus, *load, *now)
    reader = RegisterReader(bus.connection, key=bus.settings.person_key())
    await reader.start()
    reasons = [record.reason for _, record in reader.log if record.record_id == "agreement/haven-letters/v1"]
    await reader.stop()

    assert (dry.returncode, f"to be confirmed: {name}" in dry.stderr) == (0, True)
    assert (refused.returncode, f'--confirm "{name}"' in refused.stderr) == (2, True)
    assert (misspelt.returncode, f"did you mean `{name}`?" in misspelt.stderr) == (1, True)
    assert unwritten.returncode == 2
    assert (done.returncode, f"  confirmed: {name}" in f"  {done.stderr}") == (0, True)
    assert (again.returncode, "to be confirmed" in again.stderr) == (0, False)
    assert reasons == [f"signed; confirmed: {name}"]


def test_a_broker_that_is_not_there_is_exit_code_4(tmp_path: Path) -> None:
    env = {**os.environ, "SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": "127.0.0.1:1"}
    words = [sys.executable, "-m", "safebus.deploy.cli", "register", "show"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60)

    assert done.returncode == 4
    assert "no broker answers at `127.0.0.1:1`" in done.stderr


@pytest.mark.parametrize("command", ["worker", "deliver --destinations places", "replay verify", "reconcile"])
def test_whoever_has_another_key_is_never_ready(bus: Bus, tmp_path: Path, command: str) -> None:
    """Every child would be a stranger to it, and every danger unknown."""
    (tmp_path / "places").write_text('{"haven": {"transport": "folder", "folder": "inbox"}}', "utf-8")
    (tmp_path / "inbox").mkdir()
    env = {**os.environ, "SAFEBUS_HOME": str(tmp_path / "home"), "SAFEBUS_BROKER": bus.connection.bootstrap}

    def run() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "safebus.deploy.cli", *command.split()]
        return subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    without = run()
    key_files.init(tmp_path / "home")
    other = run()

    assert (without.returncode, other.returncode) == (1, 1)
    assert "`safebus keys init` makes those of a new bus, once" in without.stderr
    assert "register offset 0 is not understood: it was written with another key than ours" in " ".join(
        other.stderr.split()
    )
    assert not [*(tmp_path / "inbox").iterdir()]


async def test_a_register_is_not_loaded_with_another_key(bus: Bus, tmp_path: Path) -> None:
    before = (await bus.register_now()).offset
    key_files.init(tmp_path)
    env = {**os.environ, "SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": bus.connection.bootstrap}
    words = ["register", "load", str(DEMO_REGISTER), "--execute", "--reason", "a new machine"]

    done = subprocess.run(
        [sys.executable, "-m", "safebus.deploy.cli", *words], env=env, capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 1 and "another key than ours" in " ".join(done.stderr.split())
    assert (await bus.register_now()).offset == before


def test_a_process_gets_what_its_role_works_with(bus: Bus, tmp_path: Path) -> None:
    done = safebus(bus, "keys", "export", "adapter", "--to", str(tmp_path))
    wrong = safebus(bus, "keys", "export", "adaptor", "--to", str(tmp_path))
    shown = json.loads(safebus(bus, "keys", "show", "-o", "json").stdout)

    assert done.returncode == 0 and [path.name for path in key_files.held(tmp_path)] == ["digest.key"]
    assert wrong.returncode == 1 and "did you mean `adapter`?" in wrong.stderr
    [person] = [row for row in shown if row["file"] == "person.key"]
    assert person == {
        "file": "person.key",
        "fingerprint": bus.settings.person_key().fingerprint,
        "roles": "worker, registrar, auditor",
    }
    again = safebus(bus, "keys", "init")
    assert again.returncode == 0 and "nothing made" in again.stderr


def test_topics_that_drifted_are_named_and_mended(tmp_path: Path, kafka_broker: Broker) -> None:
    """A register that is compacted, decisions that are kept for an hour, records that a publisher dates."""
    client = {"bootstrap.servers": kafka_broker.bootstrap}
    (tmp_path / "register").mkdir()
    name = f"drift-{uuid.uuid4().hex[:8]}"
    partner = {"partner": name, "name": "x", "sector": "x", "org_type": "charity", "call": "x"}
    (tmp_path / "register" / "one.yaml").write_text(json.dumps({"partners": [partner]}), "utf-8")
    env = {**os.environ, "SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": kafka_broker.bootstrap}

    def topics(*words: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "safebus.deploy.cli",
            "topics",
            *words,
            "--register",
            str(tmp_path / "register"),
        ]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)

    missing = topics("plan")
    made = topics("apply", "--execute", "--reason", "new")
    admin.change_settings(
        client,
        {f"in.{name}": {"message.timestamp.type": "CreateTime"}, f"parked.{name}": {"retention.ms": "3600000"}},
    )
    planned = topics("plan", "-o", "json")
    mended = topics("apply", "--execute", "--reason", "as they should be")
    after = topics("plan", "-o", "json")
    shown, settled = ({t["topic"]: t["state"] for t in json.loads(done.stdout)} for done in (planned, after))

    assert (missing.returncode, made.returncode) == (3, 0), made.stderr
    assert shown[f"in.{name}"] == "message.timestamp.type is CreateTime, not LogAppendTime"
    assert shown[f"parked.{name}"] == "retention.ms is 3600000, not -1"
    assert planned.returncode == 3 and "a publisher's clock dates its records" in planned.stderr
    assert (mended.returncode, after.returncode) == (0, 0), mended.stderr
    assert {settled[t] for t in (f"in.{name}", f"out.{name}", f"parked.{name}", f"receipts.{name}")} == {"same"}


def test_the_embedded_broker_says_that_it_makes_no_topics(embedded_broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "register").mkdir()
    partner = {"partner": "newcomer", "name": "x", "sector": "x", "org_type": "charity", "call": "x"}
    (tmp_path / "register" / "one.yaml").write_text(json.dumps({"partners": [partner]}), "utf-8")
    env = {**os.environ, "SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": embedded_broker.bootstrap}
    words = ["topics", "apply", "--register", str(tmp_path / "register")]

    dry, done = (
        subprocess.run(
            [sys.executable, "-m", "safebus.deploy.cli", *words, *more],
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        for more in ([], ["--execute", "--reason", "joins"])
    )

    assert (dry.returncode, done.returncode, "would be created" in dry.stderr) == (3, 1, False)
    assert "the embedded broker makes no topics once it runs" in dry.stderr
    assert "the embedded broker makes no topics once it runs" in done.stderr and "in.newcomer" in done.stderr

"""The command without a bus: help, dry runs, policy, schemas."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from safebus.deploy.local.demo import story
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service import key_files
from safebus.schemas import codec

COMMANDS = (
    "demo up doctor worker deliver keys topics rights register consent publish import explain index reconcile policy "
    "replay deliveries parked quarantine operations schemas bench"
)


def safebus(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SAFEBUS_HOME": str(tmp_path / "home")}
    env.pop("SAFEBUS_BROKER", None)
    return subprocess.run(
        [sys.executable, "-m", "safebus.deploy.cli", *words], env=env, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_has_help(tmp_path: Path, command: str) -> None:
    done = safebus(tmp_path, command, "--help")

    assert (done.returncode, "Usage" in done.stdout) == (0, True)


def test_help_loads_nothing_of_the_bus() -> None:
    """It answers within 0.3 s because of this; a clock would say so on a quiet machine only."""
    code = "import safebus.deploy.cli, sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    heavy = (
        "aiohttp",
        "aiokafka",
        "confluent_kafka",
        "cryptography",
        "fastavro",
        "faust",
        "pydantic",
        "structlog",
        "yaml",
    )
    ours = ("safebus.schemas", "safebus.streams", "safebus.consumers", "safebus.producers", "safebus.deploy.local")
    assert [name for name in done.stdout.split() if name.startswith((*heavy, *ours))] == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_others_on_the_machine_see_which_command_runs_and_not_why(tmp_path: Path) -> None:
    """A reason or a case reference in `ps` tells of a child to whoever has an account there."""
    home = tmp_path / "home"
    key_files.init(home)
    words = ["consent", "record", "--state", "given", "--purpose", "CANARY-1", "--capacity", "parent", "--method", "m"]
    words += ["--execute", "--reason", "-"]
    child = subprocess.Popen(
        [sys.executable, "-m", "safebus.deploy.cli", *words, "--by", "CANARY-2"],
        env={**os.environ, "SAFEBUS_HOME": str(home)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert child.stderr is not None
        asked = child.stderr.read(len("reason:"))  # it is there, and waits for what was not typed as an argument
        shown = Path(f"/proc/{child.pid}/cmdline").read_text().replace("\0", " ").strip()
    finally:
        child.kill()
        child.communicate()

    assert (asked, shown) == (b"reason:", "safebus consent")


def test_a_file_of_destinations_without_a_partner_is_said(tmp_path: Path) -> None:
    """A delivery process that delivers to nobody would look well."""
    (tmp_path / "d.yaml").write_text("{}", "utf-8")

    done = safebus(tmp_path, "deliver", "--destinations", str(tmp_path / "d.yaml"))

    assert (done.returncode, "names no partner" in done.stderr) == (2, True)


def test_it_says_which_version_it_is(tmp_path: Path) -> None:
    done = safebus(tmp_path, "--version")

    assert (done.returncode, done.stdout) == (0, f"safebus {version('safebus')}\n")


def test_an_unknown_command_is_exit_code_2(tmp_path: Path) -> None:
    assert safebus(tmp_path, "exlain").returncode == 2


def test_policy_try_shows_what_each_would_get(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(story.incident().model_dump_json(), "utf-8")
    done = safebus(tmp_path, "policy", "try", str(file), "--register", str(DEMO_REGISTER), "--now", "2026-11-22T12:00")

    answers = {a["recipient"]: a for a in json.loads(done.stdout)["answers"]}
    assert done.returncode == 0, done.stderr
    assert answers["beech-primary"]["view"] is None
    assert answers["ash-primary"]["view"]["subject"]["given_name"] == "Ava"
    assert story.REFUGE not in done.stdout


def test_policy_try_says_what_a_folder_gives_that_its_recipient_is_never_given(tmp_path: Path) -> None:
    folder = tmp_path / "register"
    shutil.copytree(DEMO_REGISTER, folder)
    agreement = folder / "agreements" / "encompass.yaml"
    text = agreement.read_text("utf-8")
    agreement.write_text(text.replace("subject: [ID_CORE, UPN]", "subject: [ID_CORE, LOCATION_SAFE]", 1), "utf-8")
    file = tmp_path / "event.json"
    file.write_text(story.incident().model_dump_json(), "utf-8")
    words = ("policy", "try", str(file), "--now", "2026-11-22T12:00", "--register")

    as_json = safebus(tmp_path, *words, str(folder))
    as_table = safebus(tmp_path, *words, str(folder), "-o", "table")
    as_it_is = safebus(tmp_path, *words, str(DEMO_REGISTER))

    names = [f"fordshire-encompass v3 to-schools: LOCATION_SAFE to {to}-primary (school)" for to in ("ash", "beech")]
    assert [warning["name"] for warning in json.loads(as_json.stdout)["warnings"]] == names
    assert json.loads(as_it_is.stdout)["warnings"] == []
    assert [name for name in names if f"to be confirmed at load: {name}: `agreements/" in as_table.stderr] == names


def of_whom_little_is_known(**changes: None) -> str:
    """The incident, and nothing is known of Ava but her first name and what `changes` leaves."""
    ava, *others = story.incident().subjects
    left_out = {"family_name": None, "date_of_birth": None, "upn": None} | changes
    others = [person for person in others if person.role in ("CHILD", "ALLEGED_PERPETRATOR")]
    subjects = (ava.model_copy(update=left_out), *others)
    return story.incident().model_copy(update={"subjects": subjects}).model_dump_json()


def test_policy_try_says_who_could_not_tell_who_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(of_whom_little_is_known())
    words = ("policy", "try", str(file), "--register", str(DEMO_REGISTER), "--now", "2026-11-22T12:00")

    table, as_json = safebus(tmp_path, *words, "-o", "table"), safebus(tmp_path, *words)

    said = "ash-primary cannot tell who is meant by subjects.0 (CHILD), and is told to ask Fordshire Police public"
    assert (table.stderr.count("cannot tell who is meant"), table.stderr.count(said)) == (1, 1)
    unclear = [a["recipient"] for a in json.loads(as_json.stdout)["answers"] if a["unclear"]]
    assert unclear == ["ash-primary"]


def test_publish_warns_of_whom_nobody_will_be_able_to_tell_who_it_is(tmp_path: Path) -> None:
    """And publishes it, when it is told to: the warning is all that keeps it."""
    file = tmp_path / "event.json"
    file.write_text(of_whom_little_is_known(nhs_number=None, home_address=None))
    clear = tmp_path / "clear.json"
    clear.write_text(story.incident().model_dump_json())

    done = safebus(tmp_path, "publish", str(file), str(clear), "--case", "-c")

    said = f"warning: {story.incident().event_id}: nobody will be able to tell who is meant by subjects.0 (CHILD); give"
    assert (done.returncode, done.stderr.count("warning: "), done.stderr.count(said)) == (0, 1, 1)
    assert "2 events fit their schemas" in done.stderr


def test_policy_try_before_the_duty_was_in_force_refuses(tmp_path: Path) -> None:
    """R09: s.49A came into force on 7 November 2025; an incident of the day before rests on nothing."""
    file = tmp_path / "event.json"
    file.write_text(story.incident().model_dump_json().replace("2026-11-19T21:40", "2025-11-06T21:40"), "utf-8")
    done = safebus(tmp_path, "policy", "try", str(file), "--register", str(DEMO_REGISTER), "--now", "2026-11-22T12:00")

    school = next(a for a in json.loads(done.stdout)["answers"] if a["recipient"] == "ash-primary")
    assert [(r["code"], r["about"]) for r in school["reasons"]] == [("BASIS_NOT_IN_FORCE", "DAA21-49A")]


def test_an_event_that_does_not_fit_says_where(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text('{"event_type": "police.encompass.v2"}', "utf-8")
    done = safebus(tmp_path, "policy", "try", str(file), "--register", str(DEMO_REGISTER))

    assert done.returncode == 1
    assert "expected one of police.encompass.v1" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_schema_that_a_partner_takes_is_whole(tmp_path: Path) -> None:
    import avro.schema

    done = safebus(tmp_path, "schemas", "show", "police.encompass.v1")

    assert avro.schema.parse(done.stdout).fullname == "safebus.PoliceEncompassV1"


def test_schemas_says_what_a_value_of_each_type_begins_with(tmp_path: Path) -> None:
    event = story.incident()
    begins = codec.encode(event)[:10].hex()

    alone, listed = safebus(tmp_path, "schemas"), safebus(tmp_path, "schemas", "list", "-o", "json")
    shown = safebus(tmp_path, "schemas", "show", event.event_type)

    assert begins in alone.stdout
    assert [row["begins"] for row in json.loads(listed.stdout) if row["event_type"] == event.event_type] == [begins]
    assert f"a value of it begins with {begins}" in shown.stderr


def test_schemas_check_passes_here(tmp_path: Path) -> None:
    assert safebus(tmp_path, "schemas", "check").returncode == 0


def test_import_is_a_dry_run_that_tells_each_file(tmp_path: Path) -> None:
    files = sorted(str(f) for f in (DEMO_REGISTER.parent / "real" / "mns").glob("*-2.json"))
    done = safebus(tmp_path, "import", "mns", *files)

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(files)
    assert "dry run" in done.stderr


def test_import_names_the_files_that_it_cannot_read_and_takes_the_others(tmp_path: Path) -> None:
    good = DEMO_REGISTER.parent / "real" / "mns" / "pds-record-change-2.json"
    done = safebus(tmp_path, "import", "mns", "missing.json", str(tmp_path), str(good))
    alone = safebus(tmp_path, "import", "mns", "missing.json")

    assert (done.returncode, alone.returncode) == (3, 1)
    assert done.stdout.splitlines()[0] == "missing.json  NOT READ  there is no such file; look at the path"
    assert "it is a folder" in done.stdout.splitlines()[1]
    assert "RECORD_CHANGED" in done.stdout.splitlines()[2]
    assert "a bug" not in done.stderr + alone.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nems", "x.xml", "--pds", "https://pds.example.com", "--pds-token", "t"], "--pds is for mns"),
        (["mns", "x.json", "--pds", "https://pds.example.com"], "go together"),
        (["mns", "x.json", "--pds-token", "t"], "go together"),
        (["mns", "x.json", "--pds", "https://pds.example.com", "--pds-token", "none"], "cannot be read: No such file"),
        (["mns", "x.json", "--pds", "http://pds.example.com", "--pds-token", "token"], "begin with `https://`"),
        (["mns", "x.json", "--pds", "https://pds.example.com", "--pds-token", "bad"], "holds no access token"),
        (["fax", "x.json"], "expected mns or nems"),
    ],
)
def test_import_says_what_is_wrong_with_its_options(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "token").write_text("eyJ.a.b\n")
    (tmp_path / "bad").write_bytes(b"two words\xe9")
    done = safebus(tmp_path, "import", *(str(tmp_path / w) if w in ("token", "bad") else w for w in words))

    assert said in done.stderr
    assert "a bug" not in done.stderr


def test_import_looks_nothing_up_before_it_is_on_record(tmp_path: Path) -> None:
    """A dry run asks nobody about anybody: nothing answers at this address, and it does not notice."""
    (tmp_path / "token").write_text("eyJ.a.b")
    file = DEMO_REGISTER.parent / "real" / "mns" / "pds-death-notification-2.json"
    url = ["--pds", "http://127.0.0.1:9/FHIR/R4", "--pds-token", str(tmp_path / "token")]
    done = safebus(tmp_path, "import", "mns", str(file), *url)

    assert (done.returncode, "RECORD_CHANGED" in done.stdout) == (0, True)
    assert "nothing was looked up" in done.stderr


@pytest.mark.parametrize(
    ("now", "code", "said"),
    [
        ("2026-06-22T12:00", 0, "`2026-06-22T12:00` has no zone: read as London time, 2026-06-22 11:00 UTC"),
        ("2026-06-22T12:00Z", 0, ""),
        ("2026-10-25T01:30", 2, "is twice when clocks go back in London"),
        ("2026-03-29T01:30", 2, "is left out when clocks go forward in London"),
        ("noon", 2, "is no time; expected ISO 8601"),
    ],
)
def test_a_time_without_a_zone_is_read_as_london_and_said(tmp_path: Path, now: str, code: int, said: str) -> None:
    file = tmp_path / "event.json"
    file.write_text(story.incident().model_dump_json(), "utf-8")
    done = safebus(tmp_path, "policy", "try", str(file), "--register", str(DEMO_REGISTER), "--now", now)

    assert (done.returncode in ((0, 3) if code == 0 else (code,)), said in done.stderr) == (True, True)
    assert ("zone" in done.stderr) == ("has no zone" in said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["explain", "3b241101-e2bb-4255-8caf-4136c566a962", "-o", "json", "--show-released"],
            "--show-released needs --reason",
        ),
        (["parked", "show", "ash", "n", "--show-released"], "--show-released needs --reason"),
        (["quarantine", "show", "q", "--show-original"], "--show-original needs --reason"),
        (["quarantine", "open", "q", "--to", "x"], "this needs --reason"),
        (["partners", "pause", "ash", "--execute"], "--execute needs --reason"),
    ],
    ids=["explain", "parked", "quarantine", "open", "pause"],
)
def test_what_needs_a_reason_is_named_as_it_was_typed(tmp_path: Path, words: list[str], said: str) -> None:
    done = safebus(tmp_path, *words)

    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert ("--execute" in done.stderr) == ("--execute" in words)

"""What the README shows for a first event works as it is pasted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from a_bus import Bus
from a_page import README, ROOT

from safebus.deploy.local.demo import story
from safebus.deploy.local.up import DEMO_REGISTER

pytestmark = pytest.mark.flow


def started(bus: Bus, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SAFEBUS_HOME": str(bus.settings.home), "SAFEBUS_BROKER": bus.connection.bootstrap}
    return subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True, timeout=120)


async def test_the_first_event_is_published_decided_and_handed_over(bus: Bus) -> None:
    done = started(bus, str(ROOT / "docs" / "examples" / "first_event.py"))
    assert done.returncode == 0, done.stderr
    [event_id] = re.findall(r"^now: .venv/bin/safebus explain (\S+)$", done.stdout, re.MULTILINE)
    await bus.until(lambda seen: seen.settled({event_id}), "the first event to be decided and delivered")
    explained = started(bus, "-m", "safebus.deploy.cli", "explain", event_id)

    assert re.search(rf"^Accepted\(event_id='{event_id}', topic='in.fordshire-police', ", done.stdout)
    assert explained.returncode == 0, explained.stderr
    assert "Ash Primary School" in explained.stdout
    assert "reaches nobody" not in explained.stdout


async def test_each_command_of_the_readme_does_what_it_says(bus: Bus, tmp_path: Path) -> None:
    """In its order, on this bus instead of the one that `up` starts."""
    first, event = (story.incident().model_copy(update={"event_id": str(uuid.uuid4())}) for _ in range(2))
    file, folder = tmp_path / "EVENT.json", tmp_path / "FOLDER"
    file.write_text(event.model_dump_json(), "utf-8")
    shutil.copytree(DEMO_REGISTER, folder)
    await bus.publish(first)
    await bus.settled(first)
    means = {
        "EVENT.json": str(file),
        "EVENT_ID": first.event_id,
        "FOLDER": str(folder),
        "RECORD": "subscription/county-hospital/care.protection-plan.v1",
    }
    shown = [words for words in README.commands if words not in (["up"], ["demo"])]
    done = {
        " ".join(words): started(bus, "-m", "safebus.deploy.cli", *(means.get(word, word) for word in words))
        for words in shown
    }

    assert {words: ran.stderr for words, ran in done.items() if ran.returncode != 0} == {}
    assert {words.split(" --case")[0].split(" FOLDER")[0] for words in done} >= {
        "explain EVENT_ID",
        "publish EVENT.json",
        "register load",
        "register end RECORD",
    }
    assert "dry run: 1 events fit their schemas" in done["publish EVENT.json --case MY-1"].stderr
    assert done["publish EVENT.json --case MY-1 --execute --reason trying"].stdout.startswith(event.event_id)
    assert "dry run: 0 of " in done["register load FOLDER"].stderr
    assert "would end" in done["register end RECORD"].stderr
    assert "covered by" in done["policy try EVENT.json --register FOLDER -o table"].stdout

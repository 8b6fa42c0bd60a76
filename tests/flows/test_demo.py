"""The demonstration as a person starts it: it ends by itself, in order, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.flow


@pytest.mark.parametrize("broker", ["embedded", "kafka"])
def test_the_demonstration_tells_its_story_and_leaves_nothing(tmp_path: Path, broker: str) -> None:
    mark = f"SAFEBUS_TEST_MARK={tmp_path}"
    env = {**os.environ, "SAFEBUS_TEST_MARK": str(tmp_path), "TMPDIR": str(tmp_path)}
    words = [sys.executable, "-m", "safebus.deploy.cli", "demo", "--broker", broker]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=200)

    assert done.returncode == 0, done.stderr
    assert "10 of 10 identical, byte for byte; notifications: 26 of 26" in done.stdout
    assert "the alleged perpetrator works for or governs beech-primary" in " ".join(done.stdout.split())
    assert "ended after" in done.stdout
    assert [p.pid for p in psutil.process_iter() if mark in environment_of(p)] == []
    assert list(tmp_path.iterdir()) == []


def environment_of(process: psutil.Process) -> list[str]:
    try:
        return [f"{name}={value}" for name, value in process.environ().items()]
    except psutil.Error:  # it ended meanwhile, or is not ours
        return []

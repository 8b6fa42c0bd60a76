"""What may stand in a log line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from safebus.deploy.service.logs import HIDDEN, only_loggable

CARELESS = """
import logging, structlog
from safebus.deploy.service import logs
logs.set_up("info")
structlog.get_logger().info("event.decided", event_id="e", name="Ava Hart", payload={"x": "Ava Hart"})
logging.getLogger("some.library").warning("could not parse %s", "Ava Hart")
try:
    raise ValueError("Ava Hart")
except ValueError:
    structlog.get_logger().exception("event.failed")
    logging.getLogger("another").exception("Ava Hart")
"""


def test_only_known_keys_keep_their_value() -> None:
    line = only_loggable(None, "info", {"event": "x.done", "partner": "ash-primary", "given_name": "Ava"})

    assert line == {"event": "x.done", "partner": "ash-primary", "given_name": HIDDEN}


def test_a_careless_line_a_library_and_a_traceback_say_nothing_about_anyone() -> None:
    done = subprocess.run([sys.executable, "-c", CARELESS], capture_output=True, text=True, timeout=60, check=True)

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert "Ava" not in done.stderr + done.stdout
    assert [line["event"] for line in lines] == ["event.decided", "library.said", "event.failed", "library.said"]
    assert lines[1]["source"].startswith("some.library:")


def test_a_log_on_a_full_disk_loses_lines_and_stops_nobody(tmp_path: Path) -> None:
    """A delivery process whose log could not be written ended, and with it every partner's alerts."""
    code = (
        "import logging, resource, structlog\n"
        "from safebus.deploy.service import logs\n"
        "logs.set_up('info')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "for _ in range(500): structlog.get_logger().error('event.failed')\n"
        "logging.getLogger('library').warning('x')\n"
        "print('went on', flush=True)"
    )
    with (tmp_path / "log").open("w") as log:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=log, text=True, timeout=60)

    assert done.stdout == "went on\n"

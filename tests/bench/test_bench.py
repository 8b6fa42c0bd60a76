"""What `safebus bench` says is what was measured."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from safebus.schemas.bus_records import Outcome
from safebus.schemas.errors import SafebusError
from safebus.schemas.keys import PersonKey
from tests.bench import connections, keep, world
from tests.bench.commands import ran
from tests.bench.meter import Meter, used
from tests.bench.rows import Row, compared
from tests.bench.slices import STEPS, Pure

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SIZES = [world.Size(), world.Size(agreements=300, partners=40, consents=4_000)]


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
def test_four_may_know_and_two_may_not_whatever_stands_around_them(size: world.Size) -> None:
    """Otherwise a larger register would be compared with other work."""
    pure = Pure(size, families=5, now=NOON)

    found = {record.event_id: {a.recipient: a.outcome for a in record.answers} for record in pure.records}
    expected = dict.fromkeys(world.PERMITTED, Outcome.PERMIT) | dict.fromkeys(world.REFUSED, Outcome.REFUSE)
    assert list(found.values()) == [expected] * 5


def test_one_waits_for_a_consent_that_was_withdrawn_and_one_has_signed_nothing() -> None:
    [record] = Pure(world.Size(), families=1, now=NOON).records

    reasons = {a.recipient: [r.code for r in a.reasons] for a in record.answers if a.outcome is Outcome.REFUSE}
    assert reasons == {"bench-housing": ["CONSENT_WITHDRAWN"], "bench-leisure": ["NO_AGREEMENT"]}


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
def test_the_register_is_as_large_as_it_is_said_to_be(size: world.Size) -> None:
    entries = world.entries(size, [], key=PersonKey(b"k" * 32), today=NOON.date())

    ids: dict[str, set[str]] = {}
    for entry in entries:
        ids.setdefault(entry.kind, set()).add(entry.record_id)
    assert {kind: len(ids[kind]) for kind in ("agreement", "partner", "consent")} == {
        "agreement": size.agreements,
        "partner": size.partners,
        "consent": size.consents,
    }


def test_events_have_ids_of_their_own_and_lie_in_the_past() -> None:
    found = world.events(world.families(4), 10, before=NOON)

    assert len({event.event_id for event in found}) == 10
    assert max(event.published_at for event in found) < NOON


def test_what_both_met_in_a_round_cancels_out() -> None:
    """In the second round everything took ten times as long: the ratio is the same."""
    row = compared("p", "ours", "s", [2.0, 20.0, 2.0], beside="plain", beside_rounds=[1.0, 10.0, 1.0], at_most=2.5)

    assert (row.ratio, row.low, row.high, row.met, row.value, row.beside_value) == (2.0, 2.0, 2.0, True, 2.0, 1.0)


@pytest.mark.parametrize(("ratio", "met"), [(0.79, False), (0.8, True)])
def test_a_target_is_kept_or_missed(ratio: float, met: bool) -> None:
    row = compared("p", "ours", "events/s", [ratio], beside="plain", beside_rounds=[1.0], at_least=0.8)

    assert (row.target, row.met) == ("at least 0.8", met)


def test_processor_time_is_that_of_the_process_and_of_that_span_alone() -> None:
    """A child works for 0.4 s, says so, and rests; what it did before and after is left out."""
    code = """
import sys, time
while time.process_time() < float(sys.argv[1]): pass
print(time.time(), time.process_time(), flush=True)
sys.stdin.read()
"""
    begin = datetime.now(UTC).timestamp()
    with subprocess.Popen(
        [sys.executable, "-c", code, "0.4"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        with Meter(child.pid) as meter:
            end, said = map(float, child.stdout.readline().split())
            while len(meter.noted) < 2 or meter.noted[-1][0] < end:
                pass
        total = used(child.pid)
        child.communicate("")

    assert abs(total - said) <= 0.05
    assert meter.between(begin, end) <= total
    assert meter.between(end, end + 1) <= 0.05


def test_a_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(SafebusError, match="ended with exit code 3:\nno such thing"):
        ran([sys.executable, "-c", "import sys; sys.stderr.write('no such thing'); sys.exit(3)"], {})


def test_memory_and_processor_time_of_a_command_are_its_own() -> None:
    """And not those of whoever starts it: this process holds four times as much."""
    ballast = b"x" * 320_000_000
    done = ran([sys.executable, "-c", "x = b'y' * 80_000_000; print(len(x))"], {})

    assert len(ballast) == 320_000_000
    assert (done.stdout, 80 < done.peak_mb < 200) == ("80000000\n", True)
    assert 0 < done.processor_s <= done.took_s + 0.05


def _kept(part: str, value: float) -> dict[str, Any]:
    machine = {"processor": "a <fast> one", "cores": 2, "memory_gb": 8, "python": "3.11", "load_1_5_15_min": [1, 1, 1]}
    row = Row(part, f"{part} & more", value, "us", "plain", 50, value / 50, 1.0, 3.0, "at most 1.1", value <= 55)
    return keep.result(part, [row], machine=machine, load_after=1.0, at="2026-11-20", amount="quick")


def test_a_part_measured_again_replaces_only_itself(tmp_path: Path) -> None:
    keep.write(tmp_path, [_kept("pure", 11), _kept("flat", 22)], order=["pure", "flat"])
    keep.write(tmp_path, [_kept("flat", 33)], order=["pure", "flat"])

    kept = {f.stem: json.loads(f.read_text())["rows"][0]["value"] for f in tmp_path.glob("*.json")}
    assert kept == {"pure": 11, "flat": 33}
    assert _texts(tmp_path / "bench.svg") >= {"pure", "pure & more", "11 us", "flat", "33 us", "× 0.66"}


def test_bars_of_one_unit_in_one_part_have_one_scale(tmp_path: Path) -> None:
    """`pure` has 100 beside 50 and 25 beside 50; `flat` has a scale of its own."""
    pure = _kept("pure", 100)
    pure["rows"] += _kept("pure", 25)["rows"]
    keep.write(tmp_path, [pure, _kept("flat", 10)], order=["pure", "flat"])

    bars = [
        (r.get("class"), int(r.get("width", "0")))
        for r in ElementTree.parse(tmp_path / "bench.svg").iter("{http://www.w3.org/2000/svg}rect")
        if r.get("class")
    ]
    assert bars == [("ours", 360), ("beside", 180), ("ours", 90), ("beside", 180), ("ours", 72), ("beside", 360)]


def _texts(file: Path) -> set[str | None]:
    return {t.text for t in ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text")}


def test_quick_measures_the_rules_without_a_broker(tmp_path: Path) -> None:
    """What the figures are is not asked here: a busy machine would fail it."""
    argv = [
        sys.executable,
        "-m",
        "safebus.deploy.cli",
        "bench",
        "--quick",
        "--out",
        str(tmp_path / "kept"),
        "-o",
        "json",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)

    assert done.returncode in (0, 3), done.stderr
    parts = json.loads(done.stdout)
    assert {p["part"]: [row["what"] for row in p["rows"]] for p in parts} == {
        "pure": list(STEPS),
        "flat": ["300 agreements", "60 partners", "3000 consents"],
    }
    assert all(row["value"] > 0 for p in parts for row in p["rows"])
    assert sorted(f.name for f in (tmp_path / "kept").iterdir()) == ["bench.svg", "flat.json", "pure.json"]


def test_a_connection_for_each_post_is_measured_beside_a_kept_one(tmp_path: Path) -> None:
    """By http and by https; what the figures are is not asked here."""
    found = connections.in_turns(tmp_path / "posts", 10, 2, lambda _: None)

    assert {what.rpartition(", ")[2] for what, _ in found} == {"http", "https"}
    assert {unit for _, unit in found} == {"POSTs/s", "us of processor"}
    assert all(len(rounds) == 2 and min(rounds) > 0 for both in found.values() for rounds in both)


def test_a_part_that_does_not_exist_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "safebus.deploy.cli", "bench", "worke"], capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (
        2,
        "no part is called worke; there are pure, flat, worker, sizes, deliver, replay, explain, soak\n",
    )

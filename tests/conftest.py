"""
The brokers that the tests run on, each started once for all of them.

A test that needs a broker in a state of its own (killed, restarted) opens one; the others share these
and name their topics with `fresh`.
"""

import ctypes
import sys
from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import cimpl
from hypothesis import HealthCheck, is_hypothesis_test
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadFileScheduling

from safebus.deploy.local.brokers import Broker, open_broker
from safebus.schemas.kafka import batches
from tests.installed.a_wheel import python as python
from tests.installed.a_wheel import wheel as wheel

batches.install()

# A machine that does other work is slow, and being slow is no fault of what is tested.
hypothesis_settings.register_profile("safebus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("safebus")

_numbers = count(1)
TESTS = Path(__file__).parent


#: Folders whose tests share something that takes long to start, the longest first. They stay in one process.
TOGETHER = ("faults", "flows", "hostile", "audit", "bench", "applications", "installed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Several processes may run the tests (`make test` takes one for each core): whole folders or files go to each.

    What takes longest begins first, so that no process is left with it at the end. What is for `make soak` is
    deselected, not skipped: the last line of a run says how many.
    """
    long = [item for item in items if item.get_closest_marker("soak")]
    if long and "soak" not in (config.option.markexpr or ""):
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    items.sort(key=lambda item: _turn(item.path.relative_to(TESTS).parts[0]))


def _turn(folder: str) -> int:
    return TOGETHER.index(folder) if folder in TOGETHER else len(TOGETHER)


#: What of `make check` needs Kafka: in one process, so that it is started once.
ON_A_BROKER = ("schemas/kafka", "streams/register/test_follow.py")


class ByFile(LoadFileScheduling):
    """`--dist loadfile`: a whole file to each process, but what stays together is as one file."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.split("::", 1)[0]).relative_to(TESTS.name)
        if any(path.is_relative_to(part) for part in ON_A_BROKER):
            return "on a broker"
        return path.parts[0] if path.parts[0] in TOGETHER else str(path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    # `--dist loadgroup` and its marks would do it, but group nothing: pytest-xdist 3.8 writes them where pytest 9.2
    # does not look (pytest-xdist #1386).
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """
    Random examples do not count for coverage: a line that only chance reaches is not covered, and tracing doubles their
    time. The mark `no_cover` would say so too, but does nothing in the processes of pytest-xdist (pytest-cov 7.1).
    """
    if not is_hypothesis_test(getattr(item, "obj", None)):
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)


@pytest.fixture(scope="session")
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with open_broker("embedded", data_dir=tmp_path_factory.mktemp("embedded")) as broker:
        _begin_groups_at_once(broker)
        yield broker


def _begin_groups_at_once(broker: Broker) -> None:
    """
    A group begins with its first member, as on the Kafka that we start; librdkafka's cluster waits 3 s for more.

    Its setting is in C only (rdkafka_mock.h), and takes the handle that stands first in a Producer.
    """
    lib = ctypes.CDLL(cimpl.__file__)
    lib.rd_kafka_handle_mock_cluster.restype = ctypes.c_void_p
    owner = broker._cluster._owner  # type: ignore[attr-defined]
    handle = ctypes.c_void_p.from_address(id(owner) + object.__basicsize__)
    cluster = ctypes.c_void_p(lib.rd_kafka_handle_mock_cluster(handle))
    lib.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, ctypes.c_int32(0))


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with open_broker("kafka", data_dir=tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session", params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each of the two in turn; started only when a test asks for it."""
    found: Broker = request.getfixturevalue(f"{request.param}_broker")
    return found


@pytest.fixture
def fresh() -> str:
    """A name that no other test uses, for topics and groups."""
    return f"test-{next(_numbers)}"


@pytest.fixture
def empty_path(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine on which nothing is installed."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}

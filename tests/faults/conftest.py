"""One bus for the tests with faults, each with processes of its own; the long runs are left out, and counted so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from a_ground import Ground, open_ground
from a_world import Story


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: many events and many kills; run by `make soak`, else deselected")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselected, not skipped: the last line of a run says how many."""
    if "soak" in (config.option.markexpr or ""):
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def _ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with open_ground(tmp_path_factory.mktemp("faults") / "ground") as ground:
        yield ground


@pytest.fixture
def story(request: pytest.FixtureRequest) -> Story:
    return Story(request.node.nodeid)


@pytest.fixture
def ground(_ground: Ground, story: Story) -> Iterator[Ground]:
    """The bus without worker and adapters: a test starts its own."""
    _ground.begin()
    try:
        yield _ground
    finally:
        _ground.clear(story)

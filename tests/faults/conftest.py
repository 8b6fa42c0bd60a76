"""One bus for the tests with faults, each with processes of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from a_ground import Ground, open_ground
from a_world import Story


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

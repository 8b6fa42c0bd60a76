"""One whole bus for each broker; the tests use events of their own on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from a_bus import Bus, open_bus


@pytest.fixture(scope="session", params=["embedded", "kafka"])
def bus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    folder = tmp_path_factory.mktemp(f"bus-{request.param}")
    with open_bus(request.param, folder) as running:
        yield running

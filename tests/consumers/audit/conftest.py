"""A broker for whoever writes decisions by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from safebus.deploy.local.brokers import Broker, open_broker


@pytest.fixture(scope="module", params=["embedded", "kafka"])
def own_broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Not the one that all share: a worker there would stop at decisions that no worker wrote."""
    with open_broker(request.param, data_dir=tmp_path_factory.mktemp(request.param)) as broker:
        yield broker

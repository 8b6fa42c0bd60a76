"""The published examples, and the two importers as the tests call them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from safebus.producers.importers.mns import import_signal
from safebus.producers.importers.nems import import_message
from safebus.producers.importers.outcome import Outcome

RECEIVED = datetime(2026, 11, 9, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of the published examples."""
    return Path(__file__).parents[2] / "data" / "real"


@pytest.fixture(scope="session")
def signal() -> Callable[[bytes], Outcome]:
    """Import a signal of MNS."""
    return lambda data: import_signal(data, agency="nhs-england", received_at=RECEIVED)


@pytest.fixture(scope="session")
def message() -> Callable[[bytes], Outcome]:
    """Import a message of NEMS."""
    return lambda data: import_message(data, agency="nhs-england", received_at=RECEIVED)

"""Among thousands of hostile records, every good one arrives, every hostile one is accounted for, and nobody waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from a_corpus import POLICE
from a_flooded_bus import FloodedBus, by_reason, open_flooded_bus, report, unlike_expected

from safebus.schemas.gate import GateReason

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FloodedBus]:
    with open_flooded_bus(tmp_path_factory.mktemp("flooded")) as running:
        yield running


def test_a_flood_loses_nothing_and_hides_nothing(bus: FloodedBus) -> None:
    """
    2 000 hostile records of every kind, 1 000 of a transaction that was undone and 1 000 of one that is left open among
    280 good ones, through one agency's topic, on Apache Kafka.
    """
    sent = bus.publish(1, hostile=2000, good=200)
    with bus.transactions(1, sent, 1000):
        bus.publish_compressed(1, sent)
        bus.publish_damaged(sent)

        became = bus.watch(sent, patience_s=120)
        counted = bus.count(sent.began)

    print(report(sent, became))  # shown when it fails, and with -s
    assert unlike_expected(sent, became) == []
    assert became.delivered == sent.good
    assert became.decided.keys() == sent.good | sent.neighbours.keys()
    of_our_own = {GateReason.NOT_CANONICAL}  # said of the bus's own records; an agency's events come in any encoding
    assert by_reason(became).keys() == set(GateReason) - of_our_own | {"WRONG_SOURCE", "ID_REUSED"}
    late = [became.decided[event] - at for event, at in sent.neighbours.items()]
    assert max(late) < timedelta(seconds=60)
    assert counted.findings == [] and counted.agencies[POLICE].waiting == 0
    assert counted.agencies[POLICE].set_aside.total() == len(sent.hostile)
    # Without a limit, one of these batches alone made 300 MB of 300 kB, and all of them more than there is.
    assert became.most_memory() < 200 * 2**20

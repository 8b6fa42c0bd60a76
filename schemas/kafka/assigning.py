"""
Which process of a group gets which partitions?

Partition n of every topic goes to the same one (range assignment). While some members know of a topic that others do
not know of yet, as when an agency has just joined, only those who know most get anything: dealt out topic by topic, the
new one would bring the same partition number to two of them.

And the leader of a group deals out only what it sees: after a restart of the broker its metadata can be empty for a
moment, and it would give nobody anything, until the metadata is next renewed minutes later. Records would wait, and
every process would look well.

Source: aiokafka 0.14, coordinator/assignors/range.py ("No partition metadata for topic"); seen on Apache Kafka 4.3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError


class SeeingAssignor(RangePartitionAssignor):  # type: ignore[misc]  # aiokafka ships no types
    """Range assignment by a leader that sees every topic, or none at all."""

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> Any:
        """
        Raises:
            KafkaError: A topic's partitions are not known; whoever leads the group stops, and is started again.
        """
        # Of several sets that are as large, the same one whoever leads.
        wanted = max((sorted(set(m.subscription)) for m in members.values()), key=lambda names: (len(names), names))
        unseen = [topic for topic in wanted if not cluster.partitions_for_topic(topic)]
        if unseen:
            raise KafkaError(f"the group's leader sees no partitions of `{'`, `'.join(unseen)}` yet")
        knowing = {name: m for name, m in members.items() if set(m.subscription) == set(wanted)}
        nothing = {name: ConsumerProtocolMemberAssignment(cls.version, [], b"") for name in members}
        return nothing | super().assign(cluster, knowing)

"""
Which process of a group gets which partitions?

Partition n of every topic goes to the same one (range assignment). And the leader of a group deals out only what it
sees: after a restart of the broker its metadata can be empty for a moment, and it would give nobody anything, until
the metadata is next renewed minutes later. Records would wait, and every process would look well.

Source: aiokafka 0.14, coordinator/assignors/range.py ("No partition metadata for topic"); seen on Apache Kafka 4.3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError


class SeeingAssignor(RangePartitionAssignor):  # type: ignore[misc]  # aiokafka ships no types
    """Range assignment by a leader that sees every topic, or none at all."""

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> Any:
        """
        Raises:
            KafkaError: A topic's partitions are not known; whoever leads the group stops, and is started again.
        """
        wanted = {topic for member in members.values() for topic in member.subscription}
        unseen = sorted(topic for topic in wanted if not cluster.partitions_for_topic(topic))
        if unseen:
            raise KafkaError(f"the group's leader sees no partitions of `{'`, `'.join(unseen)}` yet")
        return super().assign(cluster, members)

"""A group deals out all of its partitions or none."""

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaError, NoError
from aiokafka.protocol.metadata import MetadataResponse_v1

from schemas.assigning import SeeingAssignor

TOPICS = ["in.ash", "in.beech"]


def cluster(*topics: str) -> ClusterMetadata:
    """What a client knows of topics with four partitions each."""
    found = ClusterMetadata()
    partitions = [(NoError.errno, p, 1, [1], [1]) for p in range(4)]
    found.update_metadata(
        MetadataResponse_v1(
            brokers=[(1, "127.0.0.1", 9092, None)],
            controller_id=1,
            topics=[(NoError.errno, topic, False, partitions) for topic in topics],
        )
    )
    return found


def members(*names: str) -> dict[str, ConsumerProtocolMemberMetadata]:
    return {name: SeeingAssignor.metadata(TOPICS) for name in names}


def test_partition_n_of_every_topic_goes_to_the_same_process() -> None:
    """It writes partition n of `decisions`."""
    dealt = SeeingAssignor.assign(cluster(*TOPICS), members("a", "b"))

    assert {name: found.assignment for name, found in dealt.items()} == {
        "a": [("in.ash", [0, 1]), ("in.beech", [0, 1])],
        "b": [("in.ash", [2, 3]), ("in.beech", [2, 3])],
    }


def test_a_leader_that_does_not_see_a_topic_deals_out_nothing() -> None:
    """Once it gave everybody nothing after the broker came back, and all sat idle and looked well."""
    with pytest.raises(KafkaError, match=r"sees no partitions of `in\.beech` yet"):
        SeeingAssignor.assign(cluster("in.ash"), members("a"))

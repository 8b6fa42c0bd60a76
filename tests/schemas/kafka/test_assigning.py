"""A group deals out all of its partitions or none."""

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaError, NoError
from aiokafka.protocol.metadata import MetadataResponse_v1

from safebus.schemas.kafka.assigning import SeeingAssignor

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


def test_while_only_some_know_of_a_new_topic_they_have_everything() -> None:
    """Dealt out topic by topic, `b` would have partitions 2 and 3 of the old one and `a` those of the new one."""
    all_of_them = members("a") | {"b": SeeingAssignor.metadata(["in.ash"])}

    dealt = SeeingAssignor.assign(cluster(*TOPICS), all_of_them)

    assert {name: found.assignment for name, found in dealt.items()} == {
        "a": [("in.ash", [0, 1, 2, 3]), ("in.beech", [0, 1, 2, 3])],
        "b": [],
    }


def test_of_two_that_know_of_different_topics_one_has_what_it_knows() -> None:
    """Each looks again within seconds, and then both know of both."""
    each_its_own = {"a": SeeingAssignor.metadata(["in.ash"]), "b": SeeingAssignor.metadata(["in.beech"])}

    dealt = SeeingAssignor.assign(cluster(*TOPICS), each_its_own)

    assert {name: found.assignment for name, found in dealt.items()} == {"a": [], "b": [("in.beech", [0, 1, 2, 3])]}


def test_a_leader_that_does_not_see_a_topic_deals_out_nothing() -> None:
    """Once it gave everybody nothing after the broker came back, and all sat idle and looked well."""
    with pytest.raises(KafkaError, match=r"sees no partitions of `in\.beech` yet"):
        SeeingAssignor.assign(cluster("in.ash"), members("a"))

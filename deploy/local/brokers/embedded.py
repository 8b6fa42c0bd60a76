"""
How do we have a broker without Java, Docker or a download?

librdkafka carries a small cluster for its own tests; a producer made with `test.mock.num.brokers`
brings it up inside this process, as a real TCP endpoint on loopback. Other processes may connect, so
a whole bus can run on it, but this process owns it: when we end, the broker and its records end.

What it cannot do, and `kafka` can:
    - keep records: memory only
    - any other number of partitions than 4; a topic asked with 1 (`register`) also gets 4, and all
      who write it name partition 0
    - topic settings, compaction, retention, ACLs, TLS, a port of our choice
    - `CreateTopics`: it never answers. So a topic is made by asking for its metadata, and clients
      must be told not to declare topics (Faust: `topic_allow_declare=False`)
"""

from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaException, Producer

from safebus.deploy.local.brokers.interface import NO_CONFIGS, BrokerUnavailable, Configs, WrongPartitions

PARTITIONS: Final = 4  # of every topic; librdkafka has no setting for it
ANSWER_WITHIN_S: Final = 10.0


class EmbeddedBroker:
    """The cluster that librdkafka carries for tests, owned by this process."""

    def __init__(self, *, port: int = 0) -> None:
        if port:
            raise BrokerUnavailable(
                f"port `{port}` was asked of the embedded broker, which cannot choose; "
                "leave it 0, or use broker `kafka`"
            )
        self.name = "embedded"
        self.bootstrap = ""
        self._owner: Producer | None = None

    def start(self) -> None:
        if self._owner is not None:
            return
        # log_level 0: it would write "CONFWARN" and "disconnected" lines to our stderr.
        owner = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "log_level": 0})
        try:
            brokers = owner.list_topics(timeout=ANSWER_WITHIN_S).brokers
        except KafkaException as error:
            raise BrokerUnavailable(
                f"the embedded broker did not answer within {ANSWER_WITHIN_S:.0f} s; try again, or use broker `kafka`"
            ) from error
        self._owner = owner
        self.bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())

    def stop(self) -> None:
        # The cluster lives as long as librdkafka's handle, and nobody else holds it.
        self._owner = None
        self.bootstrap = ""

    def create_topics(self, topics: Mapping[str, int], *, configs: Configs = NO_CONFIGS) -> None:
        """
        Name each topic once, which makes it; `configs` has no effect here.

        A topic asked with one partition is allowed, though it gets four: those who use it name partition 0.
        """
        if self._owner is None:
            raise BrokerUnavailable("the embedded broker is not running; call `start()` first")
        for topic, partitions in topics.items():
            if partitions not in (1, PARTITIONS):
                raise WrongPartitions(
                    f"topic `{topic}` is asked with {partitions} partitions, the embedded broker has {PARTITIONS} "
                    f"for every topic; ask for {PARTITIONS} (or 1), or use broker `kafka`"
                )
        for topic in topics:
            try:
                found = self._owner.list_topics(topic, timeout=ANSWER_WITHIN_S).topics[topic]
            except KafkaException as error:
                raise BrokerUnavailable(
                    f"the embedded broker did not make topic `{topic}` within {ANSWER_WITHIN_S:.0f} s; start it again"
                ) from error
            if found.error is not None or len(found.partitions) != PARTITIONS:
                # Only another version of librdkafka could bring us here.
                raise WrongPartitions(
                    f"topic `{topic}` has {len(found.partitions)} partitions, expected {PARTITIONS}; "
                    "use the version of `confluent-kafka` that is pinned"
                )

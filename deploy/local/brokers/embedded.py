"""
How do we have a broker without Java, Docker or a download?

librdkafka carries a small cluster for its own tests (`schemas.kafka.in_memory`): a real TCP endpoint on
loopback inside this process. Other processes may connect, so a whole bus can run on it, but this process
owns it: when we end, the broker and its records end.

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

from safebus.deploy.local.brokers.broker import NO_CONFIGS, BrokerUnavailable, Configs
from safebus.schemas.errors import NotReachable, WrongPartitions
from safebus.schemas.kafka.in_memory import InMemoryCluster

PARTITIONS: Final = 4  # of every topic; librdkafka has no setting for it


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
        self._cluster: InMemoryCluster | None = None

    def start(self) -> None:
        if self._cluster is not None:
            return
        try:
            self._cluster = InMemoryCluster()
        except NotReachable as exc:
            raise BrokerUnavailable(str(exc)) from exc
        self.bootstrap = self._cluster.bootstrap

    def check(self) -> None:
        """It is in this process: while that runs, it does."""

    def stop(self) -> None:
        # The cluster lives as long as it is held, and nobody else holds it.
        self._cluster = None
        self.bootstrap = ""

    def create_topics(self, topics: Mapping[str, int], *, configs: Configs = NO_CONFIGS) -> None:
        """
        Name each topic once, which makes it; `configs` has no effect here.

        A topic asked with one partition is allowed, though it gets four: those who use it name partition 0.
        """
        if self._cluster is None:
            raise BrokerUnavailable("the embedded broker is not running; call `start()` first")
        for topic, partitions in topics.items():
            if partitions not in (1, PARTITIONS):
                raise WrongPartitions(
                    f"topic `{topic}` is asked with {partitions} partitions, the embedded broker has {PARTITIONS} "
                    f"for every topic; ask for {PARTITIONS} (or 1), or use broker `kafka`"
                )
        for topic in topics:
            try:
                found = self._cluster.name_topic(topic)
            except NotReachable as exc:
                raise BrokerUnavailable(str(exc)) from exc
            if found != PARTITIONS:
                # Only another version of librdkafka could bring us here.
                raise WrongPartitions(
                    f"topic `{topic}` has {found} partitions, expected {PARTITIONS}; "
                    "use the version of `confluent-kafka` that is pinned"
                )

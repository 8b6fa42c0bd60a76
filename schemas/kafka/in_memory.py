"""
How is the cluster started that librdkafka carries for its own tests?

A producer made with `test.mock.num.brokers` brings it up inside this process, as a real TCP endpoint on loopback. It
lives as long as that producer.
"""

from __future__ import annotations

from confluent_kafka import KafkaException, Producer

from safebus.schemas.errors import NotReachable


class InMemoryCluster:
    """
    One broker in this process, from here until `self` is gone.

    Args:
        patience_s: How long it may take to answer, seconds.

    Attributes:
        bootstrap: Where it listens.

    Raises:
        NotReachable: It did not answer.
    """

    def __init__(self, *, patience_s: float = 10.0) -> None:
        self._patience_s = patience_s
        # log_level 0: it would write "CONFWARN" and "disconnected" lines to our stderr.
        self._owner = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "log_level": 0})
        try:
            brokers = self._owner.list_topics(timeout=patience_s).brokers
        except KafkaException as error:
            raise NotReachable(
                f"the embedded broker did not answer within {patience_s:.0f} s; try again, or use broker `kafka`"
            ) from error
        self.bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())

    def name_topic(self, topic: str) -> int:
        """
        Name a topic, which makes it; there is no other way.

        Returns:
            How many partitions it has.

        Raises:
            NotReachable: It was not made.
        """
        try:
            found = self._owner.list_topics(topic, timeout=self._patience_s).topics[topic]
        except KafkaException as error:
            raise NotReachable(
                f"the embedded broker did not make topic `{topic}` within {self._patience_s:.0f} s; start it again"
            ) from error
        return len(found.partitions)

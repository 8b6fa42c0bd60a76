"""How is a broker started by its name, given its topics, and always stopped?"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safebus.deploy.local.brokers.broker import NAMES, Broker, UnknownBroker
from safebus.schemas.topics import Topic


@contextmanager
def open_broker(name: str, *, data_dir: Path, port: int = 0) -> Iterator[Broker]:
    """
    Start the broker of this name, and stop it whatever happens.

    Args:
        data_dir: Where it keeps its records and its log; made if missing. `embedded` keeps nothing.
        port: 0 takes a free one. `embedded` cannot choose, so any other number is an error there.
    """
    broker = _broker(name, data_dir=data_dir, port=port)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def _broker(name: str, *, data_dir: Path, port: int) -> Broker:
    # Imported here: `--help` must not wait for librdkafka, and and Kafka's modules are not needed for the embedded one.
    if name == "embedded":
        from safebus.deploy.local.brokers.embedded import EmbeddedBroker

        return EmbeddedBroker(port=port)
    if name == "kafka":
        from safebus.deploy.local.brokers.kafka import KafkaBroker

        return KafkaBroker(data_dir, port=port)
    raise UnknownBroker(f"broker `{name}` is not known; name one of `{'`, `'.join(NAMES)}`")


def make_topics(broker: Broker, table: Iterable[Topic]) -> None:
    """Make those of these topics that are missing, with their settings."""
    topics = list(table)
    broker.create_topics({t.name: t.partitions for t in topics}, configs={t.name: t.config() for t in topics})

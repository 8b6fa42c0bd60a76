"""How is a broker started by its name, and always stopped?"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.brokers.port import NAMES, Broker, UnknownBroker


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
        from deploy.brokers.embedded import EmbeddedBroker

        return EmbeddedBroker(port=port)
    if name == "kafka":
        from deploy.brokers.kafka import KafkaBroker

        return KafkaBroker(data_dir, port=port)
    raise UnknownBroker(f"broker `{name}` is not known; name one of `{'`, `'.join(NAMES)}`")

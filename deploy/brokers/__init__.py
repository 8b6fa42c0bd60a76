"""
Which broker carries the bus when nobody gives us one?

Two, behind one small interface (`port.Broker`): `embedded`, in this process and in memory, and
`kafka`, a real Apache Kafka on loopback. Start either with `open_broker`.
"""

from deploy.brokers.opening import open_broker
from deploy.brokers.port import (
    Broker,
    BrokerError,
    BrokerUnavailable,
    FetchFailed,
    MissingTool,
    UnknownBroker,
    WrongPartitions,
)

__all__ = [
    "Broker",
    "BrokerError",
    "BrokerUnavailable",
    "FetchFailed",
    "MissingTool",
    "UnknownBroker",
    "WrongPartitions",
    "open_broker",
]

"""
Which broker carries the bus when nobody gives us one?

Two, behind one small interface (`broker.Broker`): `embedded`, in this process and in memory, and
`kafka`, a real Apache Kafka on loopback. Start either with `open_broker`.
"""

from safebus.deploy.local.brokers.broker import (
    Broker,
    BrokerError,
    BrokerUnavailable,
    FetchFailed,
    MissingTool,
    OtherJars,
    UnknownBroker,
)
from safebus.deploy.local.brokers.opening import make_topics, open_broker
from safebus.schemas.errors import WrongPartitions

__all__ = [
    "Broker",
    "BrokerError",
    "BrokerUnavailable",
    "FetchFailed",
    "MissingTool",
    "OtherJars",
    "UnknownBroker",
    "WrongPartitions",
    "make_topics",
    "open_broker",
]

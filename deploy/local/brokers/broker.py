"""
What do we ask of a broker that we start ourselves?

That it starts, says where it listens, holds the topics we name, and stops. Everything else (produce,
consume, groups) is asked of it over TCP, as of any Kafka, so nothing of it stands here.

    BrokerError
    ├── UnknownBroker        no broker has this name
    ├── BrokerUnavailable    it did not start, or does not answer
    ├── MissingTool          a program that we need is not on this machine
    ├── FetchFailed          the program that fetches Kafka's jars ran, and failed
    └── OtherJars            what it fetched, or what was there, is not what was chosen

A topic that exists (or can only exist) with another number of partitions is `schemas.errors.WrongPartitions`.
"""

from collections.abc import Mapping
from typing import Protocol

from safebus.schemas.errors import NotReachable, SafebusError

Configs = Mapping[str, Mapping[str, str]]  # topic -> setting -> value, as Kafka names them

NO_CONFIGS: Configs = {}
NAMES = ("embedded", "kafka")


class BrokerError(SafebusError):
    """Something that we could not do with a broker."""


class UnknownBroker(BrokerError):
    """No broker has this name."""


class BrokerUnavailable(BrokerError, NotReachable):
    """The broker did not start, or does not answer."""


class MissingTool(BrokerError):
    """A program that we need is not on this machine."""


class FetchFailed(BrokerError):
    """The jars of Kafka could not be fetched."""


class OtherJars(BrokerError):
    """Jars of Kafka are not those whose sums are on file; none of them was run."""


class Broker(Protocol):
    """A broker that belongs to us: we start it, and nobody else needs it after we stop it."""

    name: str
    bootstrap: str  # "127.0.0.1:PORT"; "" until the broker knows its port

    def start(self) -> None:
        """
        Start, and return when clients can connect.

        Raises:
            BrokerUnavailable: It did not answer in time, or died; the message holds what it said last.
            MissingTool: A program it needs is not on this machine.
        """
        ...

    def check(self) -> None:
        """
        What was started still runs.

        Raises:
            BrokerUnavailable: It has ended by itself, or somebody ended it; shows what it said last.
        """
        ...

    def stop(self) -> None:
        """Stop and leave no process behind; harmless when it does not run."""
        ...

    def create_topics(self, topics: Mapping[str, int], *, configs: Configs = NO_CONFIGS) -> None:
        """
        Make sure that these topics exist.

        Args:
            topics: Name -> number of partitions. A topic that is there already stays as it is.
            configs: Settings for topics that have to be made; those of existing topics are not changed.

        Raises:
            WrongPartitions: A topic has another number; then none of `topics` was made.
            BrokerUnavailable: The broker did not answer in time, or refused.
        """
        ...

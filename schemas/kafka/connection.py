"""
How do we reach the broker?

Worker, publisher and adapters are siblings that never import each other; `schemas.kafka` is what they share of Kafka.
Whoever makes a consumer takes its settings from here, so what every consumer relies on is looked at here too.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from safebus.schemas.errors import BadInput, BrokenPromise, NotAllowed, NotReachable
from safebus.schemas.kafka import batches, diagnosis

#: An address of version 6 stands in brackets (RFC 3986, 3.2.2).
_BROKER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s/:,\[\]@]+):([0-9]{1,5})")


@dataclass(frozen=True)
class Connection:
    """
    How to reach the broker.

    Attributes:
        bootstrap: `host:port`, several with commas.
        tls: None: plaintext, for loopback only.

    Raises:
        BadInput: `bootstrap` names no broker.
    """

    bootstrap: str
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        for one in self.bootstrap.split(",") if isinstance(self.bootstrap, str) else [""]:
            found = _BROKER.fullmatch(one.strip())
            if found is None or not 0 < int(found[1]) < 65_536:
                raise BadInput(
                    f"`{self.bootstrap}` names no broker, expected `host:port`, several with commas, such as "
                    "`bus1.example.com:9093,bus2.example.com:9093`"
                )

    def settings(self) -> dict[str, Any]:
        """As aiokafka's producer and admin client take it."""
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": "SSL" if self.tls else "PLAINTEXT",
            "ssl_context": self.tls,
        }

    def consumer_settings(self) -> dict[str, Any]:
        """
        As aiokafka's consumer takes it.

        Raises:
            BrokenPromise: One record could stop a consumer of this process for ever.
        """
        if not batches.installed():
            raise BrokenPromise(
                "this process would read Kafka without `safebus.schemas.kafka.batches`, and one odd record would stop "
                "it for ever; call `batches.install()` where the process begins"
            )
        return self.settings()

    async def unreachable(self) -> NotReachable:
        """What to say when nobody answers, or when TLS keeps us and the broker apart: that is looked at now."""
        why = await asyncio.to_thread(diagnosis.why_not, self.bootstrap, self.tls)
        if why is not None:
            return NotReachable(f"the broker at `{self.bootstrap}` and we do not get together: {why}")
        return NotReachable(f"no broker answers at `{self.bootstrap}`; is it up? `safebus doctor` looks")


def is_about_a_right(exc: BaseException | None) -> bool:
    """Did the broker answer, and say that we may not? Also where aiokafka keeps of an error only how it prints."""
    while exc is not None:
        if isinstance(exc, NotAllowed | TopicAuthorizationFailedError | GroupAuthorizationFailedError):
            return True
        if isinstance(exc, KafkaError) and "AuthorizationFailed" in str(exc):
            return True
        exc = exc.__cause__
    return False


def may_not_read(topic: str, exc: BaseException) -> NotAllowed:
    """What to say when it did."""
    group = isinstance(exc, GroupAuthorizationFailedError) or "GroupAuthorizationFailed" in str(exc)
    what = f"the group that reads `{topic}`" if group else f"`{topic}`"
    return NotAllowed(f"this certificate may not read {what}; ask the operator for READ on it")

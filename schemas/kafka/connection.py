"""
How do we reach the broker?

Worker, publisher and adapters are siblings that never import each other; `schemas.kafka` is what they share of Kafka.
Whoever makes a consumer takes its `Connection` from here, so what every consumer needs is set up here too.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka import batches

batches.install()


@dataclass(frozen=True)
class Connection:
    """
    How to reach the broker.

    Attributes:
        bootstrap: `host:port`, several with commas.
        tls: None: plaintext, for loopback only.
    """

    bootstrap: str
    tls: ssl.SSLContext | None = None

    def settings(self) -> dict[str, Any]:
        """As aiokafka takes it."""
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": "SSL" if self.tls else "PLAINTEXT",
            "ssl_context": self.tls,
        }

    def unreachable(self) -> NotReachable:
        """What to say when nobody answers."""
        return NotReachable(f"no broker answers at `{self.bootstrap}`; is it up? `safebus doctor` looks")

"""Apache Kafka that lets in by certificate and asks for rights, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from a_certificate import Authority

from safebus.deploy.local.brokers.kafka import KafkaBroker
from safebus.deploy.service.settings import Settings, load
from safebus.schemas.kafka import acls
from safebus.schemas.kafka.allowed import Right
from safebus.schemas.kafka.connection import Connection

_BY_NAME = r"RULE:^CN=([A-Za-z0-9._-]+).*$/$1/,DEFAULT"


@dataclass
class SecuredBroker:
    """The broker, and how each principal reaches it."""

    broker: KafkaBroker
    authority: Authority
    folder: Path

    def settings(self, name: str, *, home: Path | None = None) -> Settings:
        """As a process of this name has them."""
        pem = self.authority.folder / f"{name}.pem"
        if not pem.exists():
            self.authority.issue(name)
        return load(
            {
                "SAFEBUS_HOME": str(home or self.folder / "home"),
                "SAFEBUS_BROKER": self.broker.bootstrap,
                "SAFEBUS_TLS_CA": str(self.authority.pem),
                "SAFEBUS_TLS_CERT": str(pem),
            }
        )

    def connection(self, name: str) -> Connection:
        """The same, for what speaks to the broker itself."""
        return self.settings(name).connection()

    @property
    def admin(self) -> Settings:
        """Who may do everything."""
        return self.settings("sb-admin")

    def give(self, *rights: Right) -> None:
        """Give rights."""
        acls.change(self.admin.admin_client(), give=rights, take=())

    def take(self, *rights: Right) -> None:
        """Take rights away."""
        acls.change(self.admin.admin_client(), give=(), take=rights)


@contextmanager
def open_secured(folder: Path) -> Iterator[SecuredBroker]:
    """Start it with a CA of its own, and end it."""
    authority = Authority(folder / "certificates")
    mine = authority.issue("broker-1")
    admin = authority.issue("sb-admin")
    broker = KafkaBroker(
        folder / "kafka",
        settings={
            "listener.security.protocol.map": "CLIENT:SSL,CONTROLLER:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(mine),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(authority.pem),
            "ssl.client.auth": "required",
            "ssl.enabled.protocols": "TLSv1.3",
            "ssl.principal.mapping.rules": _BY_NAME,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:broker-1;User:sb-admin",
        },
        client={
            "security.protocol": "ssl",
            "ssl.ca.location": str(authority.pem),
            "ssl.certificate.location": str(admin),
            "ssl.key.location": str(admin),
        },
    )
    broker.start()
    try:
        yield SecuredBroker(broker, authority, folder)
    finally:
        broker.stop()

"""
Where is everything, and who are we? The only reader of the environment.

    SAFEBUS_HOME            folder with keys, broker address, register folder; default `.safebus` here
    SAFEBUS_BROKER          host:port; default: what `safebus up` wrote into the home
    SAFEBUS_TLS_CA, SAFEBUS_TLS_CERT   PEM files for mTLS; both or neither
    SAFEBUS_LOG             info (default), warning, error
    SAFEBUS_HEALTH_PORT     where worker and deliver answer for their health, on 127.0.0.1; 0: a free port; default: off
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safebus.deploy.service import key_files
from safebus.deploy.service.terminal import clock
from safebus.schemas import strict_json
from safebus.schemas.errors import BadInput
from safebus.schemas.keys import DigestKey, PersonKey
from safebus.schemas.plain_text import bytes_of

if TYPE_CHECKING:
    import ssl

    from cryptography.x509 import Certificate

    from safebus.schemas.kafka.connection import Connection
    from safebus.schemas.signing import Signer

BROKER_FILE = "broker.json"


@dataclass(frozen=True)
class Settings:
    """What a process of the bus needs to know of its surroundings."""

    home: Path
    broker: str | None
    tls_ca: Path | None
    tls_cert: Path | None
    log_level: str
    health_port: int | None = None

    def bootstrap(self) -> str:
        """
        The broker's address.

        Raises:
            BadInput: Nobody said where it is.
        """
        if self.broker:
            return self.broker
        found = self.home / BROKER_FILE
        if found.exists():
            try:
                return str(strict_json.parse(bytes_of(found))["bootstrap"])
            except (BadInput, KeyError, TypeError):
                raise BadInput(
                    f"`{found}` is not what `safebus up` writes there; run `safebus up` anew, or set SAFEBUS_BROKER"
                ) from None
        raise BadInput(
            f"no broker: SAFEBUS_BROKER is not set and `{found}` does not exist, as it does while `safebus up` runs; "
            "run `safebus up` or set it. Was it running? Its last line and its broker's log say why it ended"
        )

    def tls(self) -> ssl.SSLContext | None:
        """
        The context for mTLS; None when the broker is plaintext on loopback.

        Raises:
            BadInput: A file cannot be used, only one of the two is named, or a plaintext broker is not on this machine.
        """
        if self.tls_ca and self.tls_cert:
            from safebus.deploy.service import certificates

            return certificates.context(self.tls_ca, self.tls_cert, now=clock())
        if self.tls_ca or self.tls_cert:
            raise BadInput("SAFEBUS_TLS_CA and SAFEBUS_TLS_CERT go together; one of them is missing")
        for address in self.bootstrap().split(","):
            if address.rsplit(":", 1)[0] not in ("127.0.0.1", "localhost", "[::1]"):
                raise BadInput(
                    f"broker `{address}` is not on this machine and TLS is not set up; set SAFEBUS_TLS_CA and _CERT"
                )
        return None

    def connection(self) -> Connection:
        """
        How to reach the broker.

        Raises:
            BadInput: Nobody said where it is, or what was said does not go together.
        """
        # A Kafka client is loaded only by what speaks to a broker: `policy try` and `import` without --execute do not.
        from safebus.schemas.kafka.connection import Connection

        return Connection(self.bootstrap(), self.tls())

    def admin_client(self) -> dict[str, str]:
        """How librdkafka's admin client reaches the broker, as it names things; errors as `connection`."""
        self.tls()  # says what is missing, and that a broker elsewhere needs it
        found = {"bootstrap.servers": self.bootstrap()}
        if self.tls_ca is None or self.tls_cert is None:
            return found
        cert = str(self.tls_cert)  # the key stands in it, too
        ssl_files = {"ssl.ca.location": str(self.tls_ca), "ssl.certificate.location": cert, "ssl.key.location": cert}
        return found | {"security.protocol": "ssl"} | ssl_files

    def signer(self) -> Signer | None:
        """
        What signs for whoever runs this: their certificate; None: the broker is plaintext on loopback.

        Raises:
            BadInput: As `signing.signer`.
        """
        from safebus.schemas import signing

        return signing.signer(self.tls_cert) if self.tls_cert else None

    def issuers(self) -> list[Certificate]:
        """Who issues the certificates of this bus; errors as `signing.issuers`."""
        from safebus.schemas import signing

        return signing.issuers(self.tls_ca) if self.tls_ca else []

    def person_key(self) -> PersonKey:
        """The key that makes tokens; errors as `key_files.person_key`."""
        return key_files.person_key(self.home)

    def digest_key(self) -> DigestKey:
        """The key of those who only compare bytes; errors as `key_files.digest_key`."""
        return key_files.digest_key(self.home)

    def key_if_any(self) -> PersonKey | DigestKey | None:
        """Whichever key of those is here, for who only reads the register; errors as `key_files.digest_key`."""
        names = {path.name for path in key_files.held(self.home)}
        if key_files.PERSON in names:
            return self.person_key()
        return self.digest_key() if key_files.DIGEST in names else None

    def case_secret(self, agency: str) -> bytes:
        """An agency's own secret for case keys; errors as `key_files.read`."""
        return key_files.read(self.home, key_files.case_file(agency))

    def seal_public(self) -> bytes:
        """The public key that quarantine is sealed to; errors as `key_files.read`."""
        return key_files.seal_public(self.home)

    def seal_private(self) -> bytes:
        """The operators' private key; errors as `key_files.seal_private`. It is brought only to open something."""
        return key_files.seal_private(self.home)

    def seal_privates(self) -> tuple[bytes, ...]:
        """All that there were, the newest first; errors as `key_files.seal_privates`."""
        return key_files.seal_privates(self.home)


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings."""
    env = os.environ if environment is None else environment

    def path(name: str) -> Path | None:
        return Path(env[name]) if env.get(name) else None

    return Settings(
        home=Path(env.get("SAFEBUS_HOME") or ".safebus"),
        broker=env.get("SAFEBUS_BROKER") or None,
        tls_ca=path("SAFEBUS_TLS_CA"),
        tls_cert=path("SAFEBUS_TLS_CERT"),
        log_level=env.get("SAFEBUS_LOG") or "info",
        health_port=_port(env.get("SAFEBUS_HEALTH_PORT") or ""),
    )


def _port(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and int(text) <= 65_535):
        raise BadInput(f"SAFEBUS_HEALTH_PORT is `{text}`; expected a port from 1 to 65535, or 0 for a free one")
    return int(text)

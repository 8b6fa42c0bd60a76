"""
Where is everything, and who are we? The only reader of the environment.

    SAFEBUS_HOME            folder with keys, broker address, register folder; default `.safebus` here
    SAFEBUS_BROKER          host:port; default: what `safebus up` wrote into the home
    SAFEBUS_TLS_CA, SAFEBUS_TLS_CERT   PEM files for mTLS; both or neither
    SAFEBUS_LOG             info (default), warning, error
    SAFEBUS_HEALTH_PORT     where worker and deliver answer for their health, on 127.0.0.1; 0: a free port; default: off
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safebus.schemas import sealing
from safebus.schemas.errors import BadInput
from safebus.schemas.identifiers import PersonKey

if TYPE_CHECKING:
    from safebus.schemas.kafka.connection import Connection

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
            return str(json.loads(found.read_text("utf-8"))["bootstrap"])
        raise BadInput(f"no broker: SAFEBUS_BROKER is not set and `{found}` does not exist; run `safebus up` or set it")

    def tls(self) -> ssl.SSLContext | None:
        """
        The context for mTLS; None when the broker is plaintext on loopback.

        Raises:
            BadInput: Only one of the two files is named, or a plaintext broker is not on this machine.
        """
        if self.tls_ca and self.tls_cert:
            context = ssl.create_default_context(cafile=str(self.tls_ca))
            context.load_cert_chain(str(self.tls_cert))
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            return context
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

    def person_key(self) -> PersonKey:
        """The key that makes tokens, kept in the home; made there once."""
        return PersonKey(self._secret("person.key"))

    def case_secret(self, agency: str) -> bytes:
        """An agency's own secret for case keys."""
        return self._secret(f"case-{agency}.key")

    def seal_public(self) -> bytes:
        """The public key that quarantine is sealed to."""
        self._seal_pair()
        return (self.home / "keys" / "seal.pub").read_bytes()

    def seal_private(self) -> bytes:
        """The operators' private key. In service it is kept elsewhere and brought only to open something."""
        self._seal_pair()
        return (self.home / "keys" / "seal.key").read_bytes()

    def _seal_pair(self) -> None:
        if not (self.home / "keys" / "seal.pub").exists():
            private, public = sealing.new_key()
            self._write("seal.key", private)
            self._write("seal.pub", public)

    def _secret(self, name: str) -> bytes:
        path = self.home / "keys" / name
        if not path.exists():
            self._write(name, secrets.token_bytes(32))
        return path.read_bytes()

    def _write(self, name: str, data: bytes) -> None:
        folder = self.home / "keys"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Exclusive: two processes that start at once must not each believe in a key of their own.
        try:
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return
        with os.fdopen(handle, "wb") as file:
            file.write(data)


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

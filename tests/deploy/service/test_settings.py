"""Where everything is, and what is refused before it can do harm."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from safebus.deploy.service import settings
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.connection import Connection


def test_without_a_broker_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="run `safebus up` or set it"):
        settings.load({"SAFEBUS_HOME": str(tmp_path)}).bootstrap()


def test_the_broker_that_up_started_is_found(tmp_path: Path) -> None:
    (tmp_path / "broker.json").write_text(json.dumps({"name": "embedded", "bootstrap": "127.0.0.1:7"}), "utf-8")

    assert settings.load({"SAFEBUS_HOME": str(tmp_path)}).bootstrap() == "127.0.0.1:7"


def test_a_broker_elsewhere_is_never_spoken_to_in_clear_text(tmp_path: Path) -> None:
    found = settings.load({"SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": "kafka.example.com:9092"})

    with pytest.raises(BadInput, match="not on this machine and TLS is not set up"):
        found.tls()


def test_half_of_a_tls_setting_is_an_error(tmp_path: Path) -> None:
    found = settings.load({"SAFEBUS_BROKER": "127.0.0.1:1", "SAFEBUS_TLS_CA": str(tmp_path / "ca.pem")})

    with pytest.raises(BadInput, match="go together"):
        found.tls()


def test_a_connection_is_refused_where_its_parts_are(tmp_path: Path) -> None:
    here = settings.load({"SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": "127.0.0.1:7"})
    elsewhere = settings.load({"SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": "kafka.example.com:9092"})

    assert here.connection() == Connection("127.0.0.1:7", None)
    with pytest.raises(BadInput, match="not on this machine and TLS is not set up"):
        elsewhere.connection()


def test_the_admin_client_speaks_tls_with_the_same_files(tmp_path: Path) -> None:
    """librdkafka reads them by itself, and takes no broker elsewhere in clear text."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=9999))
    pem = made.sign(key, SHA256()).public_bytes(Encoding.PEM)
    (tmp_path / "ca.pem").write_bytes(pem)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "cert.pem").write_bytes(pem + secret)
    (tmp_path / "broken.pem").write_bytes(pem)
    far = {"SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": "kafka.example.com:9093"}
    files = {"SAFEBUS_TLS_CA": str(tmp_path / "ca.pem"), "SAFEBUS_TLS_CERT": str(tmp_path / "cert.pem")}
    client = settings.load(far | files).admin_client()

    assert client["security.protocol"] == "ssl"
    AdminClient({**client, "bootstrap.servers": "127.0.0.1:1"})  # it takes the files
    with pytest.raises(KafkaException):
        AdminClient({**client, "bootstrap.servers": "127.0.0.1:1", "ssl.key.location": str(tmp_path / "broken.pem")})
    with pytest.raises(BadInput, match="not on this machine and TLS is not set up"):
        settings.load(far).admin_client()

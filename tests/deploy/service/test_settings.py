"""Where everything is, and what is refused before it can do harm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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

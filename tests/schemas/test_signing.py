"""A record is somebody's own only when a certificate that we trust signed exactly these bytes."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from a_certificate import DAY, Authority
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas.errors import BadInput
from safebus.schemas.signing import is_issued_by, issuers, signer, who_signed

DATA = b"anna opened quarantine"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ],
    ids=["P-256", "P-384", "Ed25519", "RSA"],
)
def test_whoever_signed_is_known_by_name(authority: Authority, key: Any) -> None:
    anna = signer(authority.issue("op-anna", key=key))

    named = who_signed(DATA, anna.sign(DATA), anna.certificate, trusted=issuers(authority.pem), at=datetime.now(UTC))

    assert (anna.name, named) == ("op-anna", "op-anna")
    assert repr(anna) == "Signer(op-anna)"


def test_other_bytes_another_key_and_another_ca_prove_nobody(authority: Authority, tmp_path: Path) -> None:
    anna, ben = signer(authority.issue("op-anna")), signer(authority.issue("op-ben"))
    elsewhere = Authority(tmp_path / "other")
    stranger = signer(elsewhere.issue("op-anna"))
    trusted, now = issuers(authority.pem), datetime.now(UTC)

    assert who_signed(DATA + b".", anna.sign(DATA), anna.certificate, trusted=trusted, at=now) is None
    assert who_signed(DATA, ben.sign(DATA), anna.certificate, trusted=trusted, at=now) is None
    assert who_signed(DATA, stranger.sign(DATA), stranger.certificate, trusted=trusted, at=now) is None
    assert who_signed(DATA, anna.sign(DATA), anna.certificate, trusted=[], at=now) is None
    both = [*issuers(elsewhere.pem), *trusted]  # while one CA takes over from another
    assert who_signed(DATA, anna.sign(DATA), anna.certificate, trusted=both, at=now) == "op-anna"


@pytest.mark.parametrize("away", [-2 * DAY, 11 * DAY])
def test_a_certificate_proves_only_what_was_written_while_it_was_valid(authority: Authority, away: timedelta) -> None:
    anna = signer(authority.issue("op-anna", days=10))
    trusted, now = issuers(authority.pem), datetime.now(UTC)

    assert who_signed(DATA, anna.sign(DATA), anna.certificate, trusted=trusted, at=now) == "op-anna"
    assert who_signed(DATA, anna.sign(DATA), anna.certificate, trusted=trusted, at=now + away) is None


@given(signature=st.binary(max_size=80), certificate=st.binary(max_size=300))
def test_junk_proves_nobody(signature: bytes, certificate: bytes) -> None:
    assert who_signed(DATA, signature, certificate, trusted=[], at=datetime.now(UTC)) is None


def test_junk_beside_a_true_certificate_proves_nobody(authority: Authority) -> None:
    anna = signer(authority.issue("op-anna"))

    for junk in (b"", b"\x00", anna.sign(DATA)[:-1], anna.certificate):
        assert who_signed(DATA, junk, anna.certificate, trusted=issuers(authority.pem), at=datetime.now(UTC)) is None


def test_a_certificate_that_a_parser_chokes_on_proves_nobody(authority: Authority) -> None:
    """Whoever may write one record could otherwise end every command that reads them."""
    anna = signer(authority.issue("op-anna"))
    version = anna.certificate.index(b"\xa0\x03\x02\x01") + 4
    strange = [anna.certificate[:version] + b"\x09" + anna.certificate[version + 1 :]]
    strange += [anna.certificate[:at] + b"\xff" + anna.certificate[at + 1 :] for at in range(len(anna.certificate))]

    for each in strange:
        named = who_signed(DATA, anna.sign(DATA), each, trusted=issuers(authority.pem), at=datetime.now(UTC))
        assert named is None or each == anna.certificate
        is_issued_by(each, issuers(authority.pem))


def test_a_damaged_file_says_so(authority: Authority, tmp_path: Path) -> None:
    whole = authority.issue("op-anna").read_bytes()
    for at in range(300, len(whole) - 40, 3):
        damaged = tmp_path / "damaged.pem"
        damaged.write_bytes(whole[:at] + b"zZ" + whole[at + 2 :])
        for read in (signer, issuers):
            with contextlib.suppress(BadInput):
                read(damaged)


def test_a_key_that_signs_nothing_proves_nobody(authority: Authority, tmp_path: Path) -> None:
    """X25519 agrees on secrets and signs nothing; also as a certificate it proves nobody."""
    pem = tmp_path / "agreeing.pem"
    key = x25519.X25519PrivateKey.generate()
    certificate = authority.issue("op-anna").read_bytes().split(b"-----BEGIN CERT")[1]
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + b"-----BEGIN CERT" + certificate
    )

    with pytest.raises(BadInput, match="expected EC, Ed25519 or RSA"):
        signer(pem)
    bare = signer(authority.issue("op-ben"))
    agreeing = authority.certify("op-ben", key.public_key())
    assert who_signed(DATA, bare.sign(DATA), agreeing, trusted=issuers(authority.pem), at=datetime.now(UTC)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "has no certificate with its key"), ("-----BEGIN CERTIFICATE-----\nx", "has no certificate with its key")],
)
def test_what_is_no_certificate_with_its_key_is_said(tmp_path: Path, text: str, said: str) -> None:
    pem = tmp_path / "mine.pem"
    pem.write_text(text)

    with pytest.raises(BadInput, match=said):
        signer(pem)
    with pytest.raises(BadInput, match="has no certificate; expected PEM"):
        issuers(pem)
    for read in (signer, issuers):
        with pytest.raises(BadInput, match="cannot be read: No such file"):
            read(tmp_path / "none.pem")


def test_a_certificate_that_names_nobody_has_no_name(authority: Authority) -> None:
    assert signer(authority.issue("")).name == ""

"""
Who wrote a record, proven by the certificate that the broker let in?

Kafka keeps no word of who wrote a record, so whoever may write a topic may write there in another's name. What must be
somebody's own carries a signature made with the key of their certificate: nothing else has to be handed out.

Source: RFC 8446, section 4.2.3 (the same kinds of key as TLS 1.3 takes), RFC 5280, section 4.1.2.5 (validity).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from safebus.schemas.errors import BadInput

_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)


@dataclass(frozen=True)
class Signer:
    """
    A certificate with its key.

    Attributes:
        name: Its common name, by which the broker knows who writes.
        certificate: DER.
        begins, ends: From when until when it is valid, UTC.
    """

    name: str
    certificate: bytes
    begins: datetime
    ends: datetime
    _key: EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey

    def __repr__(self) -> str:
        return f"Signer({self.name})"

    def sign(self, data: bytes) -> bytes:
        """A signature of these bytes."""
        if isinstance(self._key, EllipticCurvePrivateKey):
            return self._key.sign(data, ECDSA(hashes.SHA256()))
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(data)
        return self._key.sign(data, _PSS, hashes.SHA256())


def signer(pem: Path) -> Signer:
    """
    What a PEM file with a certificate and its key can sign.

    Raises:
        BadInput: It cannot be read, or has no certificate, or no key of a kind that TLS 1.3 takes.
    """
    try:
        text = pem.read_bytes()
        leaf = x509.load_pem_x509_certificates(text)[0]
        key = serialization.load_pem_private_key(text, None)
        name, begins, ends = common_name(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc
    except OSError as exc:
        raise BadInput(f"`{pem}` cannot be read: {exc.strerror}") from None
    except Exception as exc:  # a damaged file raises more than is documented
        raise BadInput(
            f"`{pem}` has no certificate with its key ({type(exc).__name__}); expected both as PEM, the key without a "
            "password"
        ) from None
    if not isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey):
        raise BadInput(f"the key in `{pem}` is of a kind that signs nothing here; expected EC, Ed25519 or RSA")
    return Signer(name, leaf.public_bytes(Encoding.DER), begins, ends, key)


def validity(pem: Path) -> tuple[datetime, datetime]:
    """
    From when until when the certificate in a PEM file is valid, UTC.

    Raises:
        BadInput: As `signer`.
    """
    found = signer(pem)
    return found.begins, found.ends


def issuers(pem: Path) -> list[x509.Certificate]:
    """
    The certificates that others are trusted by.

    Raises:
        BadInput: The file cannot be read, or has none.
    """
    try:
        return x509.load_pem_x509_certificates(pem.read_bytes())
    except OSError as exc:
        raise BadInput(f"`{pem}` cannot be read: {exc.strerror}") from None
    except Exception:  # a damaged file raises more than is documented
        raise BadInput(f"`{pem}` has no certificate; expected PEM") from None


def who_signed(
    data: bytes, signature: bytes, certificate: bytes, *, trusted: Iterable[x509.Certificate], at: datetime
) -> str | None:
    """
    The common name in a certificate that signed these bytes.

    Args:
        at: When the broker took it; the certificate must have been valid then.

    Returns:
        None: nobody whom we trust signed them.
    """
    try:
        leaf = x509.load_der_x509_certificate(certificate)
        if not is_issued_by(certificate, trusted):
            return None
        if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc:
            return None
        _verify(leaf, signature, data)
        return common_name(leaf)
    except Exception:  # whatever a parser makes of bytes that anybody may have written: they prove nobody
        return None


def _issued(leaf: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(by)
    except Exception:  # of bytes that anybody may have written: then it did not
        return False
    return True


def _verify(leaf: x509.Certificate, signature: bytes, data: bytes) -> None:
    match leaf.public_key():
        case EllipticCurvePublicKey() as key:
            key.verify(signature, data, ECDSA(hashes.SHA256()))
        case Ed25519PublicKey() as key:
            key.verify(signature, data)
        case RSAPublicKey() as key:
            key.verify(signature, data, _PSS, hashes.SHA256())
        case _:
            raise InvalidSignature


def is_issued_by(certificate: bytes, trusted: Iterable[x509.Certificate]) -> bool:
    """Did one of these issue this certificate (DER)?"""
    try:
        leaf = x509.load_der_x509_certificate(certificate)
    except Exception:  # the same
        return False
    return any(_issued(leaf, by) for by in trusted)


def common_name(certificate: x509.Certificate) -> str:
    """Whose certificate it is, as the broker's `ssl.principal.mapping.rules` see it; empty: it names nobody."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""

"""
How is an original kept that nobody on the bus may read?

What goes to quarantine is sealed to the operators' public key: the worker can write it and cannot read it back.

Source: RFC 9180 (HPKE), base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from safebus.schemas.errors import BadInput

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def new_key() -> tuple[bytes, bytes]:
    """A new pair: (private, public), 32 bytes each."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def public_of(private: bytes) -> bytes:
    """The public half of a pair."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def seal(data: bytes, *, public_key: bytes, context: str) -> bytes:
    """
    Seal bytes so that only the holder of the private key can open them.

    Args:
        context: Bound into the seal: it opens only when the same context is given. Names an origin, never a person.
    """
    return _SUITE.encrypt(data, X25519PublicKey.from_public_bytes(public_key), info=context.encode())


def unseal(sealed: bytes, *, private_key: bytes, context: str) -> bytes:
    """
    Open what was sealed.

    Raises:
        BadInput: The key or the context is not the one it was sealed with, or the bytes were changed.
    """
    try:
        return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private_key), info=context.encode())
    except (InvalidTag, ValueError) as exc:
        raise BadInput("this seal does not open: another key, another origin, or changed bytes") from exc

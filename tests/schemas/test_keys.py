"""Each use of the one secret has a key of its own, and no key says anything of another."""

import hashlib
import hmac
import re

import pytest

from safebus.schemas.errors import BadIdentifier
from safebus.schemas.keys import DigestKey, PersonKey

SECRET = b"CANARY-SECRET-of-the-bus-32-bytes!"
KEY = PersonKey(SECRET)


def expand(use: str) -> bytes:
    """HKDF-Expand of one block. Source: RFC 5869, section 2.3."""
    return hmac.digest(SECRET, f"safebus {use}".encode() + b"\x01", "sha256")


def test_a_person_key_shows_nothing_of_its_secret() -> None:
    shown = f"{KEY} {KEY!r} {KEY!s} {[KEY]} {{'key': {KEY}}}"

    assert shown.replace("PersonKey(▮)", "") == "   [] {'key': }"
    assert f"{KEY.digests} {KEY.digests!r}" == "DigestKey(▮) DigestKey(▮)"


@pytest.mark.parametrize("secret", [b"", b"short", b"x" * 31])
def test_a_person_key_that_could_be_guessed_is_refused_and_not_repeated(secret: bytes) -> None:
    with pytest.raises(BadIdentifier, match=rf"^the person key has {len(secret)} bytes; at least 32 are needed$"):
        PersonKey(secret)


def test_a_token_is_a_cut_hmac_of_scheme_and_value() -> None:
    """Source: RFC 2104, section 5 (cutting)."""
    expected = hmac.new(expand("token"), b"nhs\x1f9990079196", hashlib.sha256).hexdigest()[:32]

    assert KEY.token("nhs", "9990079196") == expected


def test_a_token_needs_the_secret_and_is_of_one_scheme() -> None:
    tokens = {
        KEY.token("nhs", "9990079196"),
        KEY.token("upn", "9990079196"),
        KEY.token("nhs", "9990237573"),
        PersonKey(b"another secret of 32 bytes or so").token("nhs", "9990079196"),
    }

    assert len(tokens) == 4


def test_a_digest_proves_sameness_only_to_who_has_the_secret() -> None:
    data = b"9990079196"

    assert KEY.digest(data) == KEY.digest(data) != KEY.digest(data + b" ")
    assert KEY.digest(data) != PersonKey(b"another secret of 32 bytes or so").digest(data)
    assert KEY.digest(data) != hashlib.sha256(data).hexdigest()
    assert not KEY.digest(data).startswith(KEY.token("digest", data.decode())[:31] + "x")


def test_a_likeness_is_another_than_a_token_and_hangs_on_the_key_and_the_kind() -> None:
    one, other = PersonKey(b"k" * 32), PersonKey(b"l" * 32)
    found = {one.likeness("given", "ava"), one.likeness("family", "ava"), other.likeness("given", "ava")}

    assert len(found | {one.token("given", "ava")}) == 4
    assert one.likeness("given", "ava") == one.likeness("given", "ava")
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in found)
    assert PersonKey(b"k" * 100).likeness("given", "ava")


def test_whoever_holds_the_digest_key_proves_the_same_bytes_and_makes_no_token() -> None:
    held = DigestKey(KEY.digests.secret)

    assert held.digest(b"bytes") == KEY.digest(b"bytes") == hmac.digest(expand("digest"), b"bytes", "sha256").hex()
    # All it could do is to take its secret for another: then nobody is found.
    assert PersonKey(held.secret).token("nhs", "9990079196") != KEY.token("nhs", "9990079196")
    assert not {name for name in dir(held) if name in ("token", "likeness", "id")}


def test_a_digest_key_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(BadIdentifier, match=r"^the digest key has 5 bytes; at least 32 are needed$"):
        DigestKey(b"short")


def test_an_id_is_that_of_its_parts_and_key_and_a_uuid_of_version_8() -> None:
    other = PersonKey(b"another secret of 32 bytes or so")
    ids = {KEY.id("a", "bc"), KEY.id("ab", "c"), KEY.id("abc"), KEY.id("abc", ""), other.id("a", "bc")}

    assert len(ids) == 5 and KEY.id("a", "bc") in ids
    assert all(
        re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", each) for each in ids
    )


def test_what_was_made_with_a_key_stays_recognisable() -> None:
    """Tokens of the register and ids on the topics of years ago: how they are made may never change."""
    key = PersonKey(b"k" * 32)

    assert key.token("nhs", "9990079196") == "f01c5ee458a5282d3475ef9e13cc5f2c"
    assert key.likeness("given", "ava") == "dbc2a389363f5f5651112d83353a6725"
    assert key.id("notification", "x") == "55a5e09e-4946-89c6-953a-6351c6c390b5"
    assert key.digest(b"x")[:32] == "705588adbf09f55e1f02f35d6720c3d5"


def test_a_fingerprint_says_which_key_it_is() -> None:
    other = PersonKey(b"another secret of 32 bytes or so")
    found = {KEY.fingerprint, KEY.digests.fingerprint, other.fingerprint, other.digests.fingerprint}

    assert len(found) == 4 and all(re.fullmatch("[0-9a-f]{16}", each) for each in found)
    assert DigestKey(KEY.digests.secret).fingerprint == KEY.digests.fingerprint

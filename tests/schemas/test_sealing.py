"""A seal opens for the right key, in the right place, untouched; and otherwise says only that it does not open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas.errors import BadInput
from safebus.schemas.sealing import new_key, public_of, seal, unseal

PRIVATE, PUBLIC = new_key()
ORIGIN = "in.htest-police/2/9041"
ORIGINAL = b"CANARY-ORIGINAL"
SEALED = seal(ORIGINAL, public_key=PUBLIC, context=ORIGIN)


@given(data=st.binary(max_size=2000), context=st.text(max_size=50))
def test_what_is_sealed_opens_with_its_key_and_origin(data: bytes, context: str) -> None:
    sealed = seal(data, public_key=PUBLIC, context=context)

    assert unseal(sealed, private_key=PRIVATE, context=context) == data


def test_the_public_half_follows_from_the_private_one() -> None:
    assert public_of(PRIVATE) == PUBLIC


def test_two_keys_differ_and_have_32_bytes() -> None:
    first, second = new_key(), new_key()

    assert {len(part) for part in (*first, *second)} == {32}
    assert len({*first, *second}) == 4


def test_a_seal_does_not_show_what_is_in_it_and_never_looks_the_same_twice() -> None:
    again = seal(ORIGINAL, public_key=PUBLIC, context=ORIGIN)

    assert ORIGINAL not in SEALED
    assert again != SEALED


@pytest.mark.parametrize(
    ("sealed", "key", "context"),
    [
        pytest.param(SEALED, new_key()[0], ORIGIN, id="another key"),
        pytest.param(SEALED, PUBLIC, ORIGIN, id="the public key, which the worker has"),
        pytest.param(SEALED, PRIVATE, "in.htest-police/2/9042", id="another origin"),
        pytest.param(SEALED, PRIVATE[:-1], ORIGIN, id="a key that was cut"),
        pytest.param(SEALED + b"\0", PRIVATE, ORIGIN, id="a byte more"),
        pytest.param(b"\0" * 32 + SEALED[32:], PRIVATE, ORIGIN, id="a point of low order"),
    ],
)
def test_a_seal_that_does_not_fit_does_not_open(sealed: bytes, key: bytes, context: str) -> None:
    with pytest.raises(BadInput, match=r"^this seal does not open: another key, another origin, or changed bytes$"):
        unseal(sealed, private_key=key, context=context)


@given(place=st.integers(0, len(SEALED) - 1), flip=st.integers(1, 255))
def test_a_changed_byte_anywhere_keeps_it_shut(place: int, flip: int) -> None:
    changed = bytearray(SEALED)
    changed[place] ^= flip

    # Bit 255 of an X25519 point is masked off, so flipping it alone names the same point (RFC 7748, section 5);
    # but HPKE binds the bytes as they were sent, so even then it does not open (RFC 9180, 4.1, kem_context).
    with pytest.raises(BadInput, match="does not open"):
        unseal(bytes(changed), private_key=PRIVATE, context=ORIGIN)


@given(length=st.integers(0, len(SEALED) - 1))
def test_a_seal_that_was_cut_stays_shut(length: int) -> None:
    with pytest.raises(BadInput, match="does not open"):
        unseal(SEALED[:length], private_key=PRIVATE, context=ORIGIN)

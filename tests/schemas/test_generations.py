"""The bus's secret is followed by another, and nobody is taken for somebody else."""

import re

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas.dress import generation_of
from safebus.schemas.errors import BadIdentifier, SecretNotHeld
from safebus.schemas.keys import DigestKey, PersonKey

FIRST, SECOND, THIRD = b"k" * 32, b"l" * 32, b"m" * 32
KEY = PersonKey(FIRST, (SECOND, THIRD))
ADAPTER = KEY.digests
TOKENS = st.binary(min_size=16, max_size=16).map(bytes.hex)


@given(st.lists(TOKENS, unique=True, max_size=20), st.sampled_from([1, 2, 3]))
def test_two_tokens_are_one_under_a_later_secret_exactly_where_they_were(tokens: list[str], generation: int) -> None:
    written = [KEY.of(generation).dressed(token) for token in tokens]

    assert len({*written}) == len(tokens)
    assert [KEY.plain(each) for each in written] == tokens == [ADAPTER.of(3).plain(each) for each in written]
    assert {generation_of(each) for each in written} <= {generation}


def test_a_person_has_one_token_for_ever_and_it_is_written_otherwise_under_each_secret() -> None:
    token = KEY.token("nhs", "9990079196")
    written = {KEY.of(generation).dressed(token) for generation in (1, 2, 3)}

    assert {KEY.of(generation).token("nhs", "9990079196") for generation in (1, 2, 3)} == {token}
    assert {KEY.of(generation).likeness("given", "ava") for generation in (1, 2, 3)} == {KEY.likeness("given", "ava")}
    assert len(written) == 3 and token in written
    assert sum(re.fullmatch(r"[23]\.[0-9a-f]{32}", each) is not None for each in written) == 2


def test_a_dress_is_one_block_of_aes_under_a_key_of_its_own() -> None:
    """Source: FIPS 197; RFC 5869, section 2.3."""
    token = KEY.token("nhs", "9990079196")
    digest_key = HKDFExpand(SHA256(), 32, b"safebus digest").derive(SECOND)
    dress_key = HKDFExpand(SHA256(), 32, b"safebus dress").derive(digest_key)
    block = Cipher(algorithms.AES256(dress_key), modes.ECB()).encryptor().update(bytes.fromhex(token))

    assert KEY.of(2).dressed(token) == f"2.{block.hex()}" == DigestKey(b"x" * 32, (digest_key,), 2).dressed(token)


def test_what_was_written_under_a_later_secret_stays_readable() -> None:
    assert KEY.of(2).dressed("f01c5ee458a5282d3475ef9e13cc5f2c") == "2.38908d9eb56a0bd648c9bae793e04284"
    assert KEY.of(2).digest(b"x")[:12] == "2.a13cb0dcd5"


def test_an_id_made_of_tokens_keeps_its_form() -> None:
    made = KEY.id("involvement")
    written = KEY.of(2).dressed(made)

    assert re.fullmatch(r"2\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", written)
    assert KEY.plain(written) == made and made not in written


def test_whoever_has_only_the_first_secret_reads_nothing_that_was_written_since() -> None:
    thief, token = PersonKey(FIRST), KEY.token("nhs", "9990079196")
    written = KEY.of(2).dressed(token)

    assert thief.token("nhs", "9990079196") == token not in written
    assert not thief.digests.knows(written) and ADAPTER.knows(written)
    with pytest.raises(BadIdentifier, match="generation 2 of the bus's secret is not here, only those up to 1"):
        thief.plain(written)
    with pytest.raises(SecretNotHeld):
        thief.of(2)


@pytest.mark.parametrize("text", ["", "x", "f" * 31, "F" * 32, "f" * 33, "2." + "f" * 32, "f" * 8 + "-" * 24])
def test_what_is_no_token_is_not_dressed(text: str) -> None:
    """Dressed twice it would be nobody's."""
    with pytest.raises(BadIdentifier, match=r"^what stands for a person has 32 hex digits, or is a UUID"):
        KEY.of(2).dressed(text)


@pytest.mark.parametrize(
    ("written", "generation"),
    [("2.aa", 2), ("999.aa", 999), ("1.aa", 1), ("0.aa", 1), ("02.aa", 1), ("aa", 1), ("2.", 1), ("1000.aa", 1)],
)
def test_a_token_says_its_generation(written: str, generation: int) -> None:
    assert generation_of(written) == generation


def test_what_somebody_else_wrote_in_the_place_of_a_token_is_known_before_it_is_read() -> None:
    token = KEY.token("nhs", "9990079196")
    good = [KEY.of(generation).dressed(token) for generation in (1, 2, 3)]

    assert all(map(ADAPTER.reads, [*good, "t", ""]))
    assert not any(map(ADAPTER.reads, ["2.x", "3.zz", "4." + token, "999." + token]))
    assert [PersonKey(FIRST).digests.reads(each) for each in good] == [True, False, False]


def test_a_digest_is_that_of_the_bytes_under_the_secret_it_was_made_with() -> None:
    made = [KEY.of(generation).digest(b"bytes") for generation in (1, 2, 3)]

    assert made[0] == PersonKey(FIRST).digest(b"bytes")
    assert tuple(made) == ADAPTER.digests_of(b"bytes") and len({*made}) == 3
    for key in (KEY, KEY.of(3)):
        assert all(key.agrees(each, b"bytes") and not key.agrees(each, b"other") for each in made)
    assert not KEY.agrees(None, b"bytes") and not KEY.agrees("7." + "0" * 64, b"bytes")
    assert ADAPTER.under(made[1]).digest(b"bytes") == made[1]


def test_ids_are_those_of_the_secret_that_is_in_use() -> None:
    ids = {PersonKey(FIRST).id("x"), KEY.id("x"), KEY.of(2).id("x"), KEY.of(3).id("x")}

    assert len(ids) == 3 and PersonKey(SECOND).id("x") in ids


def test_fingerprints_say_which_secrets_are_held() -> None:
    assert KEY.fingerprints == {PersonKey(each).fingerprint: n for n, each in enumerate((FIRST, SECOND, THIRD), 1)}
    assert ADAPTER.fingerprints == {
        PersonKey(each).digests.fingerprint: n for n, each in enumerate((FIRST, SECOND, THIRD), 1)
    }
    assert (KEY.of(2).fingerprint, ADAPTER.of(2).fingerprint) == (
        PersonKey(SECOND).fingerprint,
        PersonKey(SECOND).digests.fingerprint,
    )


def test_a_key_of_one_generation_is_the_same_wherever_it_is_asked_for() -> None:
    assert KEY.of(1) is KEY and KEY.of(2) is KEY.of(2) and ADAPTER.of(2) is ADAPTER.of(2)
    assert KEY.of(2) == PersonKey(FIRST, (SECOND, THIRD), 2) != KEY
    assert KEY.of(2).digests == ADAPTER.of(2) and KEY.newest == ADAPTER.newest == 3


@pytest.mark.parametrize("generation", [0, -1, 4])
def test_there_is_no_generation_that_is_not_held(generation: int) -> None:
    with pytest.raises(BadIdentifier, match="`safebus keys export`, where the bus's keys are, gives each process"):
        KEY.of(generation)


def test_a_later_secret_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(BadIdentifier, match=r"^the person key has 5 bytes; at least 32 are needed$"):
        PersonKey(FIRST, (b"short",))

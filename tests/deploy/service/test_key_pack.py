"""What happens to a backup of keys on its way is known, and only its own secret opens it."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.deploy.service import key_pack
from safebus.schemas.errors import BadInput

SECRET, OTHER = b"s" * 32, b"o" * 32
KEYS = {"person.key": b"p" * 32, "case-a-school.key": b"c" * 32}
SHARES = key_pack.Shares(begin="duckling enlarge", needed=3, number=5)
MADE = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
DATA = key_pack.seal(KEYS, secret=SECRET, shares=SHARES, made=MADE)

DAMAGED = r"^`f` is (damaged or not whole|no backup of keys, or its beginning is damaged)"


def with_checksum(above: bytes) -> bytes:
    """As somebody writes it who changes the file on purpose."""
    return above + f"sha256:{hashlib.sha256(above).hexdigest()}\n".encode()


def test_what_was_sealed_is_opened_and_the_file_says_which_keys_it_holds(tmp_path: Path) -> None:
    (tmp_path / "bus.keys").write_bytes(DATA)
    pack = key_pack.read(tmp_path / "bus.keys")

    assert pack.open(SECRET) == KEYS
    assert (pack.header.made, pack.header.keys, pack.header.shares) == (MADE, key_pack.fingerprints(KEYS), SHARES)
    assert pack.header.about[0] == "backup duckling enlarge" and len(pack.header.about) == 3


def test_no_key_stands_in_the_file() -> None:
    sealed = base64.b64decode(DATA.split(b"\n")[2])

    for secret in KEYS.values():
        for form in (secret, secret.hex().encode(), base64.b64encode(secret)[:-4]):
            assert form not in DATA and form not in sealed


def test_the_same_keys_are_sealed_in_other_bytes_each_time() -> None:
    assert key_pack.seal(KEYS, secret=SECRET, shares=SHARES, made=MADE) != DATA


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_any_byte_that_changed_is_known_without_a_share(at: int, by: int) -> None:
    changed = bytearray(DATA)
    changed[at] ^= by

    with pytest.raises(BadInput, match=DAMAGED):
        key_pack.parse(bytes(changed), named="f")


@given(st.integers(0, len(DATA) - 2))
def test_what_is_cut_short_is_known_without_a_share(length: int) -> None:
    with pytest.raises(BadInput, match=DAMAGED):
        key_pack.parse(DATA[:length], named="f")


@given(st.integers(0, len(DATA) - 74), st.integers(1, 255))
def test_what_somebody_changed_and_summed_up_anew_does_not_open(at: int, by: int) -> None:
    """Neither the keys, nor what the file says of itself: which keys, when, how many shares."""
    above = bytearray(DATA[: DATA.index(b"sha256:")])
    above[at] ^= by

    with pytest.raises(BadInput):
        key_pack.parse(with_checksum(bytes(above)), named="f").open(SECRET)


@pytest.mark.parametrize("said", [b'"needed":3', b'"2026-11-27T09:30:00Z"', b'"case-a-school.key"'])
def test_what_it_says_of_itself_cannot_be_changed(said: bytes) -> None:
    other = {b'"needed":3': b'"needed":1', b'"case-a-school.key"': b'"case-b-school.key"'}
    above = DATA[: DATA.index(b"sha256:")].replace(said, other.get(said, b'"2025-11-27T09:30:00Z"'))

    with pytest.raises(BadInput, match="`f` does not open with these shares: somebody changed it"):
        key_pack.parse(with_checksum(above), named="f").open(SECRET)


def test_no_byte_says_more_than_it_needs_to() -> None:
    """Two files that are written differently are never the same backup."""
    lines = DATA[: DATA.index(b"sha256:")].split(b"\n")
    packed = lines[2].rstrip(b"=")
    for sign in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
        if sign != packed[-1]:
            lines[2] = (packed[:-1] + bytes([sign])).ljust(len(lines[2]), b"=")
            with pytest.raises(BadInput):
                key_pack.parse(with_checksum(b"\n".join(lines)), named="f").open(SECRET)


def test_the_secret_of_another_backup_does_not_open_it() -> None:
    with pytest.raises(BadInput, match="somebody changed it, or they are of another backup"):
        key_pack.parse(DATA, named="f").open(OTHER)


def test_a_name_that_leads_elsewhere_is_not_taken() -> None:
    data = key_pack.seal({"../person.key": b"p" * 32}, secret=SECRET, shares=SHARES, made=MADE)

    with pytest.raises(BadInput, match=r"names a file that is no key, `\.\./person\.key`"):
        key_pack.parse(data, named="f")


def test_another_version_is_said() -> None:
    above = DATA[: DATA.index(b"sha256:")].replace(b"backup 1", b"backup 2")

    with pytest.raises(BadInput, match="of another version, `safebus keys backup 2`; this safebus reads"):
        key_pack.parse(with_checksum(above), named="f")


@pytest.mark.parametrize("name", ["a-folder", "nothing"])
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "a-folder").mkdir()

    with pytest.raises(BadInput, match="cannot be read: "):
        key_pack.read(tmp_path / name)


def test_something_else_is_no_backup() -> None:
    with pytest.raises(BadInput, match="is no backup of keys"):
        key_pack.parse(b"person.key\n", named="f")

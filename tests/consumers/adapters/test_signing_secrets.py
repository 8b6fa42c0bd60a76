"""A file of secrets: what may stand in it, and how one is followed by another."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from safebus.consumers.adapters import signing_secrets
from safebus.schemas.errors import BadInput

OLD, NEW = "whsec_" + "b2xk" * 8, "whsec_" + "bmV3" * 8


def written(tmp_path: Path, text: str = OLD, mode: int = 0o640) -> Path:
    file = tmp_path / "secrets"
    file.write_text(text, "utf-8")
    file.chmod(mode)
    return file


def test_a_new_one_can_sign_and_is_made_of_chance_alone() -> None:
    one, other = signing_secrets.new(lambda n: b"1" * n), signing_secrets.new(os.urandom)

    assert one == "whsec_MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="
    assert other != signing_secrets.new(os.urandom)
    signing_secrets.check(other)
    Webhook(other)


def test_its_mark_is_the_one_a_partner_works_out_by_itself() -> None:
    """`printf %s whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk | sha256sum | cut -c1-12`"""
    assert signing_secrets.mark(OLD) == "728537f38465"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no secret"),
        (" \n", "has no secret"),
        (f"{OLD}\nwhsec_half", "secret 2 is not"),
        ("secret", "secret 1"),
    ],
)
def test_what_cannot_sign_is_said_and_not_shown(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as raised:
        signing_secrets.read(written(tmp_path, text))

    assert "half" not in str(raised.value)


def test_a_file_is_replaced_whole_and_whoever_could_read_it_still_can(tmp_path: Path) -> None:
    file = written(tmp_path)
    opened = file.open()
    with signing_secrets.replacing(file, [OLD], [NEW, OLD]) as (draft, put):
        tried, before = signing_secrets.read(draft), file.read_text("utf-8")
        put()

    assert (tried, before) == ((NEW, OLD), OLD)
    assert signing_secrets.read(file) == (NEW, OLD)
    assert opened.read() == OLD  # who reads meanwhile has all of the one
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [*tmp_path.iterdir()] == [file]


def test_what_is_not_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    file = written(tmp_path)
    with signing_secrets.replacing(file, [OLD], [NEW]):
        pass

    assert (file.read_text("utf-8"), [*tmp_path.iterdir()]) == (OLD, [file])


def test_what_somebody_else_changed_meanwhile_stays_theirs(tmp_path: Path) -> None:
    file = written(tmp_path)
    with signing_secrets.replacing(file, [OLD], [NEW, OLD]) as (_, put):
        file.write_text("theirs", "utf-8")
        with pytest.raises(BadInput, match="has changed since it was read"):
            put()

    assert (file.read_text("utf-8"), [*tmp_path.iterdir()]) == ("theirs", [file])


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    file, link = written(tmp_path / "real"), tmp_path / "link"
    link.symlink_to(file)
    with signing_secrets.replacing(link, [OLD], [NEW]) as (_, put):
        put()

    assert link.is_symlink() and signing_secrets.read(file) == (NEW,)


def test_a_file_that_cannot_be_replaced_is_said_before_anything_is_done(tmp_path: Path) -> None:
    """As where its folder is gone."""
    with (
        pytest.raises(BadInput, match="cannot be replaced: No such file"),
        signing_secrets.replacing(tmp_path / "gone" / "secrets", [OLD], [NEW]),
    ):
        raise AssertionError("there is no draft")

"""A secret that follows another is made where the bus's keys are, and each role gets its own of all that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebus.deploy.service import key_files, key_names, key_rotation, settings
from safebus.schemas import sealing
from safebus.schemas.errors import BadInput
from safebus.schemas.keys import PersonKey


def at(home: Path) -> settings.Settings:
    return settings.load({"SAFEBUS_HOME": str(home)})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    key_files.init(tmp_path / "bus", agencies=["a-school"])
    return tmp_path / "bus"


def test_the_secret_that_follows_stands_beside_the_one_in_use(home: Path) -> None:
    before = at(home).person_key()
    announced = key_rotation.following(home, "person", in_use=1)
    made = key_rotation.rotate(home, "person", in_use=1)
    after = at(home).person_key()

    assert made == announced == ["person.2.key"]
    assert (after.secret, after.newest, after.generation) == (before.secret, 2, 1)
    assert after.digests == at(home).digest_key() and len(after.later[0]) == 32
    assert key_rotation.rotate(home, "person", in_use=2) == ["person.3.key"]
    assert at(home).person_key().later[0] == after.later[0]


def test_none_is_made_before_the_last_one_is_in_use(home: Path) -> None:
    """Two that are pending would be two that nobody has everywhere."""
    key_rotation.rotate(home, "person", in_use=1)

    with pytest.raises(BadInput, match=r"^`person.2.key` was made before and is not in use yet: carry it to every"):
        key_rotation.rotate(home, "person", in_use=1)
    assert at(home).person_key().newest == 2


def test_quarantine_is_sealed_to_the_new_pair_and_what_was_sealed_before_still_opens(home: Path) -> None:
    old = sealing.seal(b"before", public_key=at(home).seal_public(), context="x")
    assert key_rotation.rotate(home, "seal", in_use=1) == ["seal.2.key", "seal.2.pub"]
    new = sealing.seal(b"after", public_key=at(home).seal_public(), context="x")
    newest, oldest = at(home).seal_privates()

    assert sealing.unseal(new, private_key=newest, context="x") == b"after"
    assert sealing.unseal(old, private_key=oldest, context="x") == b"before"
    assert at(home).seal_private() == newest
    with pytest.raises(BadInput):
        sealing.unseal(new, private_key=oldest, context="x")


def test_where_the_keys_of_the_bus_are_not_nothing_is_made(home: Path, tmp_path: Path) -> None:
    key_files.export(home, "worker", tmp_path / "worker")

    for what in key_rotation.ROTATED:
        with pytest.raises(BadInput, match=r"^there is no `.*seal\.key`"):
            key_rotation.rotate(tmp_path / "worker", what, in_use=1)
    assert not [*(tmp_path / "worker" / "keys").glob("*.2.*")]


_GOES = {
    "worker": ["person.key", "person.2.key", "seal.2.pub"],
    "registrar": ["person.key", "person.2.key"],
    "adapter": ["digest.key", "digest.2.key"],
    "importer": ["seal.2.pub"],
    "auditor": ["person.key", "person.2.key"],
    "operator": ["seal.key", "seal.2.key", "digest.key", "digest.2.key"],
}


@pytest.mark.parametrize("role", key_files.ROLES)
def test_each_role_gets_all_of_its_own_also_into_a_folder_it_has(home: Path, tmp_path: Path, role: str) -> None:
    there = tmp_path / "there"
    key_files.export(home, role, there)
    for what in key_rotation.ROTATED:
        key_rotation.rotate(home, what, in_use=1)

    assert key_files.export(home, role, there) == _GOES[role] == key_files.export(home, role, tmp_path / "new")
    assert sorted(path.name for path in key_files.held(tmp_path / "new")) == sorted(_GOES[role])
    if "digest.2.key" in _GOES[role]:
        assert at(there).digest_key() == at(home).person_key().digests == at(there).key_if_any()
    if "person.2.key" in _GOES[role]:
        assert at(there).person_key() == at(home).person_key() == at(there).key_if_any()
    if "seal.2.pub" in _GOES[role]:
        assert at(there).seal_public() == at(home).seal_public() == at(tmp_path / "new").seal_public()
    if role == "importer":
        assert at(there).key_if_any() is None


def test_a_later_key_of_another_role_is_not_put_beside(home: Path, tmp_path: Path) -> None:
    key_rotation.rotate(home, "person", in_use=1)
    key_files.export(home, "adapter", tmp_path / "there")
    (tmp_path / "there" / "keys" / "digest.key").unlink()

    with pytest.raises(BadInput, match=r"has digest.2.key of another role; give each role a folder of its own"):
        key_files.export(home, "importer", tmp_path / "there")


@pytest.mark.parametrize(
    ("what", "lost", "ask"), [("person", "person.2.key", "person_key"), ("seal", "seal.2.key", "seal_private")]
)
def test_one_that_was_lost_between_two_is_asked_for(home: Path, what: str, lost: str, ask: str) -> None:
    """What was written under it could not be read."""
    for number in (1, 2):
        key_rotation.rotate(home, what, in_use=number)
    (home / "keys" / lost).unlink()

    with pytest.raises(BadInput, match=rf"has \w+\.3\.key and not {lost}: bring your copy of it back"):
        getattr(at(home), ask)()


def test_a_later_pair_must_be_one(home: Path) -> None:
    key_rotation.rotate(home, "seal", in_use=1)
    (home / "keys" / "seal.2.pub").write_bytes(b"x" * 32)

    with pytest.raises(BadInput, match=r"`seal.2.key` and `seal.2.pub` in .* are no pair"):
        at(home).seal_public()


def test_a_file_says_which_key_and_generation_it_is() -> None:
    names = ["person.key", "person.2.key", "seal.13.pub", "case-a-school.key"]

    assert [key_names.base_name(name) for name in names] == ["person.key", "person.key", "seal.pub", names[3]]
    assert [key_names.generation(name) for name in names] == [1, 2, 13, 1]
    assert [key_names.numbered("seal.pub", n) for n in (1, 2)] == ["seal.pub", "seal.2.pub"]
    assert key_files.roles_of("person.2.key") == key_files.roles_of("person.key")
    assert key_files.fingerprint("person.2.key", b"k" * 32) == PersonKey(b"k" * 32).fingerprint

"""
Which keys are there, who holds which, and how is each made once and read with care?

    person.key       tokens, ids, digests          worker, registrar, replay      `safebus keys init`
    digest.key       digests of bytes              adapters, reconcile            `safebus keys export`, of person.key
    seal.key         opens quarantine              operators                      `safebus keys init`
    seal.pub         quarantine is sealed to it    worker, importers              `safebus keys init`, of seal.key
    case-<agency>.key  case keys of an agency      that agency's publishers       `safebus keys init --agency`
    *.2.key, *.2.pub   those that follow them      as those they follow           `safebus keys rotate`

All in `<home>/keys`, 32 bytes each. Nothing else makes one: a process that finds none says so and ends, for one with a
key of its own would take every child for a stranger. A file is there whole or not at all, whoever else is making it at
that moment; the keys of a bus are made by one process while others wait, all or none.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safebus.deploy.service.key_names import base_name, generation, generations, numbered
from safebus.schemas import sealing
from safebus.schemas.errors import BadInput
from safebus.schemas.identifiers import agency_id
from safebus.schemas.keys import KEY_BYTES, DigestKey, PersonKey

PERSON, DIGEST, SEAL, SEAL_PUBLIC = "person.key", "digest.key", "seal.key", "seal.pub"

#: What only `init` makes, and what is derived from it.
OF_THE_BUS = (PERSON, SEAL, SEAL_PUBLIC, DIGEST)

#: Held by the process that makes keys.
LOCK = ".making"

_PR_SET_DUMPABLE = 4  # source: prctl(2)

#: Role -> the files it works with, and nothing else.
ROLES = {
    "worker": (PERSON, SEAL_PUBLIC),
    "registrar": (PERSON,),
    "adapter": (DIGEST,),
    "importer": (SEAL_PUBLIC,),
    "auditor": (PERSON,),
    "operator": (SEAL, DIGEST),
}


def case_file(agency: str) -> str:
    """The file with an agency's own secret for case keys."""
    return f"case-{agency_id(agency)}.key"


def keep_out_of_core_files() -> None:
    """From now on, no memory of this process is written down when it crashes, nor may it be traced."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # A core that is piped to a program has no size limit, so the kernel is told not to make one.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def init(home: Path, *, agencies: Iterable[str] = ()) -> list[str]:
    """
    Make the keys of a new bus; what is there stays as it is.

    Args:
        agencies: Publishers on this machine, whose secrets for case keys are made too.

    Returns:
        The files that were made now.

    Raises:
        BadInput: Some of the bus's keys are there and others are not: they were lost, or the home is that of a role.
    """
    folder = home / "keys"
    with alone(folder):
        there = [name for name in OF_THE_BUS if (folder / name).exists()]
        lacking = [name for name in (SEAL, SEAL_PUBLIC, PERSON) if name not in there]
        if there and lacking:
            raise BadInput(
                f"`{folder}` has {', '.join(there)} and not {', '.join(lacking)}: either it belongs to a role of a bus "
                "whose keys are elsewhere, or a key was lost: bring your copy back (`safebus keys restore`). A new one "
                "would be one that nobody of that bus knows, so nothing was made. Of a first start that was killed, "
                "remove the folder"
            )
        made = []
        if not there:
            private, public = sealing.new_key()
            new = {SEAL: private, SEAL_PUBLIC: public, PERSON: secrets.token_bytes(KEY_BYTES)}
            made = [name for name, secret in new.items() if make(folder / name, secret)]
        person_key(home), seal_public(home)  # whole, a pair, and nobody else's to read
    return made + init_cases(home, agencies)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While one process makes keys here, others wait."""
    try:
        for each in (folder.parent, folder):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / LOCK).open("w")
    except OSError as exc:
        raise BadInput(f"`{folder}` cannot be written: {exc.strerror}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def init_cases(home: Path, agencies: Iterable[str]) -> list[str]:
    """Make these agencies' secrets for case keys; returns the files that were made now."""
    files = [case_file(agency) for agency in agencies]  # all are looked at before one is made
    return [name for name in files if make(home / "keys" / name, secrets.token_bytes(KEY_BYTES))]


def export(home: Path, role: str, to: Path) -> list[str]:
    """
    Write what one role works with into `<to>/keys`, to be carried to where it runs.

    Returns:
        The files that were written.

    Raises:
        BadInput: A key is missing here, or that of another role or bus stands there.
    """
    if SEAL_PUBLIC in ROLES[role]:
        seal_public(home)
    content = {name: secret for each in ROLES[role] for name, secret in _all_of(home, each).items()}
    names = {path.name: base_name(path.name) for path in held(to)}
    more = [name for name, base in names.items() if base in OF_THE_BUS and base not in ROLES[role]]
    if more:
        raise BadInput(f"`{to / 'keys'}` has {', '.join(more)} of another role; give each role a folder of its own")
    for name, secret in content.items():
        if not make(to / "keys" / name, secret) and read(to, name) != secret:
            raise BadInput(f"`{to / 'keys' / name}` is another key; nothing there was changed")
    return list(content)


def _all_of(home: Path, name: str) -> dict[str, bytes]:
    """File -> content, of all generations of a key."""
    if name == DIGEST:
        digests = _digest_key(home)
        return {numbered(name, n): secret for n, secret in enumerate((digests.secret, *digests.later), start=1)}
    if name == SEAL_PUBLIC:
        name = generations(home / "keys", name)[-1]  # only the newest is sealed to
        return {name: read(home, name)}
    return {each: read(home, each) for each in generations(home / "keys", name)}


def person_key(home: Path) -> PersonKey:
    """
    The key of those who decide, with all its generations that are here.

    Raises:
        BadInput: There is none, others can read it, or it is none.
    """
    first, *later = (read(home, name) for name in generations(home / "keys", PERSON))
    return PersonKey(first, tuple(later))


def any_key() -> PersonKey:
    """For what compares tokens only with those that it makes itself: a folder that is tried and not loaded."""
    return PersonKey(secrets.token_bytes(KEY_BYTES))


def digest_key(home: Path) -> DigestKey:
    """
    The key of those who only compare bytes.

    Raises:
        BadInput: There is none, others can read it, it is none, or it is not of the bus whose person key stands beside.
    """
    if not (home / "keys" / DIGEST).exists() and (home / "keys" / PERSON).exists():
        return _digest_key(home)
    first, *later = (read(home, name) for name in generations(home / "keys", DIGEST))
    found = DigestKey(first, tuple(later))
    if (home / "keys" / PERSON).exists() and found != _digest_key(home):
        raise BadInput(f"`{DIGEST}` and `{PERSON}` in `{home / 'keys'}` are of two buses; remove the wrong one")
    return found


def _digest_key(home: Path) -> DigestKey:
    return person_key(home).digests


def seal_public(home: Path) -> bytes:
    """
    The public key that quarantine is sealed to: the newest that is here.

    Raises:
        BadInput: There is none, others can change it, it is none, or the private one beside it is of another.
    """
    newest = max(
        (path.name for path in held(home) if base_name(path.name) == SEAL_PUBLIC), key=generation, default=SEAL_PUBLIC
    )
    public = read(home, newest)
    if (home / "keys" / SEAL).exists():
        seal_privates(home)
    return public


def seal_private(home: Path) -> bytes:
    """The operators' private key that opens what is sealed now; errors as `seal_privates`."""
    return seal_privates(home)[0]


def seal_privates(home: Path) -> tuple[bytes, ...]:
    """
    The operators' private keys, the newest first: one opens what was sealed while it was.

    Raises:
        BadInput: There is none, others can read one, it is none, or the public one beside it is of another.
    """
    found = []
    for name in generations(home / "keys", SEAL):
        public, private = numbered(SEAL_PUBLIC, generation(name)), read(home, name)
        if (home / "keys" / public).exists() and read(home, public) != sealing.public_of(private):
            raise BadInput(f"`{name}` and `{public}` in `{home / 'keys'}` are no pair; quarantine is sealed to another")
        found.append(private)
    return tuple(reversed(found))


def read(home: Path, name: str) -> bytes:
    """
    One key.

    Raises:
        BadInput: It is not there, others can read or replace it, or it is not 32 bytes.
    """
    path = home / "keys" / name
    try:
        with path.open("rb") as file:
            is_, data = os.fstat(file.fileno()), file.read(KEY_BYTES + 1)
            mode, owner = is_.st_mode, is_.st_uid
    except FileNotFoundError:
        raise BadInput(_how_to_get(path)) from None
    except OSError as exc:
        raise BadInput(f"`{path}` cannot be read: {exc.strerror}") from None
    public = base_name(name) == SEAL_PUBLIC
    others = stat.S_IWGRP | stat.S_IWOTH if public else stat.S_IRWXG | stat.S_IRWXO
    if mode & others:
        what = "change" if public else "read"
        raise BadInput(f"others on this machine can {what} `{path}` (mode {stat.S_IMODE(mode):o}); `chmod 600 {path}`")
    for folder in (path.parent, path.parent.parent):
        if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise BadInput(f"others on this machine can replace what is in `{folder}`; `chmod 700 {folder}`")
    if not {owner, path.parent.stat().st_uid} <= {os.geteuid(), 0}:
        raise BadInput(
            f"`{path}` belongs to somebody else on this machine, who can change it; `chown` it to who runs this"
        )
    if len(data) != KEY_BYTES:
        raise BadInput(f"`{path}` has {'more' if len(data) > KEY_BYTES else len(data)} bytes, a key has {KEY_BYTES}")
    return data


def _how_to_get(path: Path) -> str:
    if path.name.startswith("case-"):
        agency = path.name.removeprefix("case-").removesuffix(".key")
        how = f"`safebus keys init --agency {agency}` makes it once; all who publish for `{agency}` need the same"
    elif any(path.parent.glob("*.key")):  # the home of one role, asked for the work of another
        holding = [role for role, files in ROLES.items() if base_name(path.name) in files]
        role = min(holding, key=lambda each: len(ROLES[each]))
        how = (
            f"this home is of another role; use that of a process that has it, or ask whoever keeps the bus's keys for "
            f"`safebus keys export {role}`; if it was lost, `safebus keys restore` brings it back"
        )
    else:
        how = (
            "`safebus keys init` makes those of a new bus, once; `safebus keys export` gives any other process its "
            "own, and `safebus keys restore` brings back those that were lost"
        )
    return f"there is no `{path}`: {how}"


def roles_of(name: str) -> str:
    """Who works with a file, in words."""
    return ", ".join(role for role, files in ROLES.items() if base_name(name) in files) or "publishers"


def fingerprint(name: str, secret: bytes) -> str:
    """Which key it is, for whoever may know that and nothing else. 16 hex digits."""
    name = base_name(name)
    if name == PERSON:
        return PersonKey(secret).fingerprint
    # Of the public half, for both: they are one pair.
    return DigestKey(sealing.public_of(secret) if name == SEAL else secret).fingerprint


def held(home: Path) -> Iterable[Path]:
    """The key files of a home."""
    return sorted(path for path in (home / "keys").glob("*") if path.suffix in (".key", ".pub"))


def make(path: Path, data: bytes) -> bool:
    """
    Write a file that is there whole or not at all; False: it is there already, and stays.

    Raises:
        BadInput: The folder cannot be written, or is of a kind that keeps neither modes nor links, as a stick's may be.
    """
    try:
        return _made(path, data)
    except OSError as exc:
        raise BadInput(
            f"`{path}` cannot be written: {exc.strerror}; a key needs a folder on a file system of this machine, that "
            "keeps who may read it; pack it, sealed, to carry it elsewhere"
        ) from None


def _made(path: Path, data: bytes) -> bool:
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # fails where there is one, and is seen at once as a whole
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return True

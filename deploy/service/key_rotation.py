"""
How is a secret of the bus followed by another?

First the next one is made, beside those that are there, and carried to whoever works with it. Quarantine is sealed to a
new pair as soon as a worker has it. What is written under the next generation of the person key is read by nobody who
lacks it, so that one counts only from a register record on (`streams.register.write.switching_record`).
"""

from __future__ import annotations

import secrets
from pathlib import Path

from safebus.deploy.service import key_files
from safebus.deploy.service.key_names import generations, numbered
from safebus.schemas import sealing
from safebus.schemas.errors import BadInput
from safebus.schemas.keys import KEY_BYTES

#: What can be followed by another -> the files that are made.
ROTATED = {"person": (key_files.PERSON,), "seal": (key_files.SEAL, key_files.SEAL_PUBLIC)}


def following(home: Path, what: str, *, in_use: int) -> list[str]:
    """
    The files that would be made.

    Args:
        what: `person` or `seal`.
        in_use: The generation of the person key that counts, as the register says.

    Raises:
        BadInput: The bus's keys are not all here, or one that was made before is not in use yet.
    """
    person, _ = key_files.person_key(home), key_files.seal_private(home)  # here is where the bus's keys are
    if what == "person" and person.newest > in_use:
        raise BadInput(
            f"`{numbered(key_files.PERSON, person.newest)}` was made before and is not in use yet: carry it to every "
            "process (`safebus keys export`), then `safebus keys switch`"
        )
    number = len(generations(home / "keys", ROTATED[what][0])) + 1
    return [numbered(name, number) for name in ROTATED[what]]


def rotate(home: Path, what: str, *, in_use: int) -> list[str]:
    """Make the next generation of a key where the bus's keys are; takes, gives and raises as `following`."""
    with key_files.alone(home / "keys"):
        names = following(home, what, in_use=in_use)
        secret = (secrets.token_bytes(KEY_BYTES),) if what == "person" else sealing.new_key()
        return [name for name, each in zip(names, secret, strict=True) if key_files.make(home / "keys" / name, each)]

"""
How is one secret kept by several people, of whom some are enough?

By shares of 33 words, as SLIP-0039 describes them: any `needed` of them give the secret, one fewer nothing that helps.
The first two words are the same in all shares of one secret and in no others; the last three are a checksum.

Source: SLIP-0039 (Shamir's secret-sharing for mnemonic codes), one group, empty passphrase.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shamir_mnemonic import MnemonicError, combine_mnemonics, generate_mnemonics
from shamir_mnemonic import share as slip39
from shamir_mnemonic.constants import CHECKSUM_LENGTH_WORDS, RADIX_BITS
from shamir_mnemonic.rs1024 import create_checksum, verify_checksum
from shamir_mnemonic.wordlist import WORD_INDEX_MAP

from safebus.schemas.errors import BadInput

SECRET_BYTES: Final = 32
WORDS: Final = 33
MOST_SHARES: Final = 16  # source: SLIP-0039, four bits for a share's number

_IN_A_ROW: Final = 4
_CUSTOMIZATION: Final = (b"shamir_extendable", b"shamir")  # source: SLIP-0039, checksum


@dataclass(frozen=True)
class Share:
    """
    One person's part.

    Attributes:
        named: How to speak of it in errors: a file, or "share 2 as typed".
        words: All of them, with one space between.
        number: 1 to 16, among all shares of the secret.
        needed: How many open it.
    """

    named: str
    words: str
    number: int
    needed: int

    def __repr__(self) -> str:
        return f"Share({self.named}, ▮)"

    @property
    def begins(self) -> str:
        """Two words, by which shares of one secret know each other; they tell nothing of it."""
        return begins(self.words)


def begins(words: str) -> str:
    """The two words with which all shares of one secret begin."""
    return " ".join(words.split()[:2])


def check_numbers(number: int, needed: int) -> None:
    """
    Can a secret be split so?

    Raises:
        BadInput: It cannot; says what can.
    """
    if not (2 <= needed <= number <= MOST_SHARES or needed == number == 1):
        raise BadInput(
            f"{number} shares of which {needed} are needed cannot be made; expected up to {MOST_SHARES} of which at "
            "least 2 and not more than all are needed, or 1 of 1, which one person carries"
        )


def split(secret: bytes, *, number: int, needed: int) -> list[str]:
    """
    Split a secret of 32 bytes.

    Returns:
        The words of each share.

    Raises:
        BadInput: As `check_numbers`.
    """
    check_numbers(number, needed)
    assert len(secret) == SECRET_BYTES, "a secret has 32 bytes"
    # Nothing is stretched: the secret is uniform, and nobody has to remember it.
    [shares] = generate_mnemonics(1, [(needed, number)], secret, iteration_exponent=0)
    return [str(words) for words in shares]


def in_rows(words: str) -> str:
    """The words with their numbers, four in a row, as they are written down."""
    cells = [f"{number:2} {word:9}" for number, word in enumerate(words.split(), 1)]
    rows = [cells[start : start + _IN_A_ROW] for start in range(0, len(cells), _IN_A_ROW)]
    return "\n".join("  ".join(row).rstrip() for row in rows)


def read(text: str, *, named: str) -> Share:
    """
    Read a share as it was printed or typed: numbers between the words and lines that begin with `#` do not count.

    Raises:
        BadInput: A word is mistyped, missing or in the wrong place; says which, and repeats none.
    """
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    words = [word.lower() for word in " ".join(lines).split() if not re.fullmatch(r"\d+[.):]?", word)]
    unknown = [str(number) for number, word in enumerate(words, 1) if word not in WORD_INDEX_MAP]
    if unknown:
        which = f"word {unknown[0]} is" if len(unknown) == 1 else f"words {', '.join(unknown)} are"
        raise BadInput(f"{named}: {which} not in the list of words of SLIP-0039; compare with what was written down")
    if len(words) != WORDS:
        raise BadInput(f"{named}: found {len(words)} words, a share has {WORDS}; compare with what was written down")
    found = " ".join(words)
    try:
        share = slip39.Share.from_mnemonic(found)
    except MnemonicError:
        raise BadInput(f"{named}: {_where_wrong([WORD_INDEX_MAP[word] for word in words])}") from None
    if (share.group_count, share.group_threshold) != (1, 1):
        raise BadInput(f"{named}: a share of a secret that was split into groups, as `safebus keys backup` makes none")
    return Share(named, found, share.index + 1, share.member_threshold)


def _where_wrong(found: list[int]) -> str:
    """
    Which word was taken for another of the list.

    The checksum knows any three errors. So if changing one word mends it, that one is wrong, or at least three are.
    """
    for at in range(len(found) - 1):
        if _holds([*found[:at], found[at + 1], found[at], *found[at + 2 :]]):
            return f"words {at + 1} and {at + 2} have changed places; compare with what was written down"
    wrong = _one_wrong(found)
    if wrong is not None:
        return f"word {wrong + 1} is another than was written down"
    return "its checksum does not hold: at least two words are others than were written down; compare each"


def _one_wrong(found: list[int]) -> int | None:
    """
    Where changing one word mends the checksum.

    It is linear, so what a change does to it is the sum of what each of its ten bits does.
    """
    data, said = found[:-CHECKSUM_LENGTH_WORDS], found[-CHECKSUM_LENGTH_WORDS:]
    for customization in _CUSTOMIZATION:
        expected = create_checksum(data, customization)
        differs = [at for at, (one, other) in enumerate(zip(expected, said, strict=True)) if one != other]
        if len(differs) == 1:
            return len(data) + differs[0]
        off = _packed(expected) ^ _packed(said)
        for at in range(len(data)):
            if off in _changes(at, len(data)):
                return at
    return None


def _changes(at: int, length: int) -> set[int]:
    """What each other word in this place does to the checksum."""

    def checksum(word: int) -> int:
        return _packed(create_checksum([0] * at + [word] + [0] * (length - at - 1), b""))

    sums = {0}
    for bit in range(RADIX_BITS):
        alone = checksum(1 << bit) ^ checksum(0)
        sums |= {one ^ alone for one in sums}
    return sums - {0}


def _packed(words: Sequence[int]) -> int:
    return sum(word << (RADIX_BITS * at) for at, word in enumerate(words))


def _holds(found: list[int]) -> bool:
    return any(verify_checksum(found, customization) for customization in _CUSTOMIZATION)


def together(shares: Sequence[Share], *, begin: str, needed: int) -> bytes:
    """
    The secret, of enough shares in any order.

    Args:
        begin, needed: What is known of them: the two words with which they begin, and how many it takes.

    Raises:
        BadInput: Too few, one of another secret, or some that do not go together.
    """
    by_number: dict[int, Share] = {}
    for share in shares:
        if (share.begins, share.needed) != (begin, needed):
            raise BadInput(
                f"{share.named} is of another backup: its words begin with `{share.begins}`, those of this one with "
                f"`{begin}`, and {needed} are needed"
            )
        other = by_number.setdefault(share.number, share)
        if other.words != share.words:
            raise BadInput(f"{other.named} and {share.named} are both share {share.number}, with other words")
    if len(by_number) < needed:
        given = ", ".join(map(str, sorted(by_number))) or "none"
        raise BadInput(f"{needed} shares are needed, and there are {len(by_number)} (given: {given})")
    try:
        return bytes(combine_mnemonics([share.words for share in by_number.values()][:needed]))
    except MnemonicError:
        names = ", ".join(share.named for share in list(by_number.values())[:needed])
        raise BadInput(f"{names} do not go together: one of them was not made for this backup; try others") from None

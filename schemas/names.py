"""
Are these two the same name?

The one answer for importers and rules, so that a person who is confirmed in one place is not doubted in the other.
What is only spelling makes no other name, a part that one side leaves out contradicts nothing, and what is filled in
because a name is not known is no name.

    O'Brien, O’Brien, OBRIEN, O Brien          one family name: case, apostrophes, hyphens and spaces, accents however
    Smith-Jones, Smith Jones, SMITH JONES      composed, letters that English keyboards do not have
    Ava Rose, Ava, Ava-Rose                    one first name: the first word counts, others are middle names
    Anne-Marie, Anne Marie, Annemarie          one, too: the first two words may be written as one; but
    Anne, Annemarie                            two
    Smith-Jones, Jones                         two: the parts of a family name tell people apart
    Hart, (nothing), Unknown                   nothing to compare; absent is not different

Source: PDS traces by number with name and date of birth, and folds as much.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Final, NamedTuple

#: What is typed where a name is not known, folded: whole, and word by word.
_NOT_A_NAME: Final = frozenset(
    (
        *("nk", "na", "notknown", "notgiven", "notstated", "notavailable", "notrecorded", "noname", "nonegiven"),
        *("nonamegiven", "tobeconfirmed", "tobeadvised", "namenotknown", "namenotgiven"),
    )
)
#: What systems put where nobody knows a birth date: nobody who is alive was born then.
NOBODYS_DAYS: Final = frozenset({date(1, 1, 1), date(1900, 1, 1), date(1901, 1, 1)})
NOBODYS_NAMES: Final = frozenset(
    {
        *(
            "unknown",
            "unkown",
            "unkwown",
            "unnamed",
            "unidentified",
            "baby",
            "infant",
            "newborn",
            "neonate",
            *("child", "unborn", "twin", "triplet", "one", "two", "three"),
            "forename",
            "surname",
            "none",
            "nil",
            "null",
            "male",
            "female",
            "man",
            "woman",
        ),
        *("boy", "girl", "adult", "person", "suspect", "perpetrator", "offender", "anonymous", "anon", "tbc", "tba"),
        *("xx", "xxx", "xxxx", "mr", "mrs", "ms", "miss", "mx"),
    }
)

#: Letters that are no other letter with a mark, as English keyboards write them, and signs that stand for apostrophes
#: and count as letters to Unicode. The dotless i is what a capital I may have been.
LETTERS: Final = str.maketrans(
    {
        "\u0142": "l",
        "\u00f8": "o",
        "\u0111": "d",
        "\u00e6": "ae",
        "\u0153": "oe",
        "\u00fe": "th",
        "\u0131": "i",
        **dict.fromkeys(map(chr, range(0x2B0, 0x300))),  # spacing modifier letters, such as U+02BC
    }
)
#: What stands between the words of a first name: spaces, and hyphens and dashes as word processors make them.
_BETWEEN_WORDS: Final = re.compile("[\\s\u2010-\u2015\u2212\ufe58\ufe63\uff0d-]+")


#: "Baby of Jane Hart" is what a child is called who has no name yet; it says the mother's.
_OF_ITS_MOTHER: Final = re.compile(r"(baby|infant|child|newborn)( (boy|girl|one|two|[0-9]))? (of|b o) ")


class Name(NamedTuple):
    """What somebody is called; a part that is not known is None or empty."""

    given: str | None
    family: str | None


def agree(one: Name, other: Name) -> bool | None:
    """
    Whether two names are one, by the parts that both give.

    Returns:
        None: There is no part that both give, so neither confirms nor contradicts the other.
    """
    found = [
        not mine.isdisjoint(theirs)
        for mine, theirs in (
            (set(first_names(one.given)), set(first_names(other.given))),
            ({family_name(one.family)} - {""}, {family_name(other.family)} - {""}),
        )
        if mine and theirs
    ]
    return all(found) if found else None


def family_name(family: str | None) -> str:
    """A family name that is one, folded; empty: there is none."""
    return fold(named(family))


def first_name(given: str | None) -> str:
    """The first word of a first name that is one, folded; empty: there is none."""
    return next(iter(first_names(given)), "")


def first_names(given: str | None) -> tuple[str, ...]:
    """The first word of a first name that is one, and the first two as one word, if there are two; folded."""
    words = (fold(word) for word in _BETWEEN_WORDS.split(named(given) or ""))
    of_a_name = [word for word in words if word and word not in NOBODYS_NAMES and not word.isdecimal()]
    return tuple(of_a_name[:1]) if len(of_a_name) < 2 else (of_a_name[0], of_a_name[0] + of_a_name[1])


def named(name: str | None) -> str | None:
    """A name, if it is one: what is filled in because a name is not known says nothing."""
    if name is not None and name.isascii() and name.isalpha():  # most are one word
        word = name.casefold()
        return None if word in NOBODYS_NAMES or word in _NOT_A_NAME else name
    plain = unicodedata.normalize("NFKD", name or "").casefold()
    words = "".join(c if c.isalnum() else " " for c in plain).split()
    if "".join(words) in _NOT_A_NAME or _OF_ITS_MOTHER.match(" ".join(words)):
        return None
    return name if any(word not in NOBODYS_NAMES and not word.isdecimal() for word in words) else None


def fold(text: str | None) -> str:
    """A name, a line of an address or a postcode without what is only spelling."""
    if text is not None and text.isascii() and text.isalnum():
        return text.casefold()  # the same, for most names, without looking at each letter
    plain = unicodedata.normalize("NFKD", text or "").casefold().translate(LETTERS)
    return "".join(c for c in plain if c.isalnum())

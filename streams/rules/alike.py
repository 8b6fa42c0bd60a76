"""
May these be one person, as names and birth dates are given to the police at night?

A number settles who somebody is; a suspect's is rarely known. So names are compared with a slip of a letter or a
space, family names also by how they sound, first names also by how they begin, short forms and initials; and dates
with a slip in one part, or with day and month changed over. Only keyed tokens are compared, so the register and the
decision records hold no name.

    two of family name, first name and birth date are alike           may be
    one of family name and date is, and nothing else is known         may be
    both names the same, and another date                             may be
    the family name the same, another first name, no date to compare  may be, where somebody is to be kept out
    anything else                                                     nobody thinks so
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Final

from safebus.schemas.bus_records import Accused
from safebus.schemas.keys import PersonKey
from safebus.schemas.names import LETTERS, NOBODYS_NAMES, named
from safebus.streams.rules.identity import confirm_tokens, contradicted, first_names, near_dates, same_first_name
from safebus.streams.rules.parties import KnownPerson

_MOST_WORDS: Final = 6  # of one name
_BEGINNING: Final = 3  # letters of a first name that two forms of it share
_MOST_LETTERS: Final = 16  # of one word: longer ones that begin alike are alike

#: What systems put where nobody knows a date.
PLACEHOLDERS: Final = frozenset(
    {date(1, 1, 1), date(1900, 1, 1), date(1901, 1, 1), date(1970, 1, 1), date(1980, 1, 1), date(2000, 1, 1)}
)

#: What people are called for short. Source: our own list of common English short forms; what is missing still sounds.
_FULL: Final = {
    full: names.split()
    for full, names in {
        "alexander": "alex sandy xander",
        "alexandra": "alex sandra alexa",
        "andrew": "andy drew",
        "anthony": "tony",
        "benjamin": "ben benny benji",
        "catherine": "cath kate katie cathy kathy katherine kathryn",
        "charles": "charlie chas chuck",
        "christopher": "chris kit topher",
        "daniel": "dan danny",
        "david": "dave davy",
        "edward": "ed eddie ted ned",
        "elizabeth": "liz lizzie beth eliza betty libby",
        "frederick": "fred freddie",
        "gary": "gaz gazza garry gareth",
        "gerald": "gerry jerry",
        "gregory": "greg",
        "harold": "harry hal",
        "henry": "harry hank",
        "jacob": "jake",
        "james": "jim jimmy jamie",
        "darren": "daz dazza",
        "geoffrey": "geoff jeff",
        "jennifer": "jen jenny",
        "jonathan": "jon jonny",
        "john": "johnny jack",
        "joseph": "joe joey",
        "joshua": "josh",
        "kenneth": "ken kenny",
        "lawrence": "larry laurie",
        "leonard": "len lenny leo",
        "margaret": "maggie meg peggy",
        "matthew": "matt matty",
        "michael": "mike mick micky mickey",
        "muhammad": "mohammed mohammad mohamed mo",
        "nicholas": "nick nicky",
        "oliver": "ollie",
        "patrick": "pat paddy",
        "peter": "pete",
        "philip": "phil pip",
        "rebecca": "becky becca",
        "richard": "rick ricky dick rich",
        "robert": "rob bob bobby robbie bert",
        "ronald": "ron ronnie",
        "samuel": "sam sammy",
        "samantha": "sam sammy",
        "stephen": "steve steven stevie",
        "stewart": "stuart stu",
        "susan": "sue susie",
        "terence": "terry tel",
        "theodore": "theo ted",
        "thomas": "tom tommy",
        "timothy": "tim timmy",
        "victoria": "vicky vic tori",
        "vincent": "vince vinny",
        "walter": "walt wally",
        "william": "will bill billy willy liam",
        "zachary": "zac zak zack",
    }.items()
}
SHORT_FORMS: Final = {
    short: frozenset(full for full, names in _FULL.items() if short in names)
    for names in _FULL.values()
    for short in names
}


@dataclass(frozen=True)
class Alike:
    """
    Keyed tokens of everything that somebody's names may sound like and their birth date be meant for.

    Attributes:
        stated: Name of what was said in its own place -> its exact token.
    """

    family: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    born: frozenset[str] = frozenset()
    stated: Mapping[str, str] = field(default_factory=dict)

    def tokens(self) -> frozenset[str]:
        """Whoever may be one shares one of these: a first name alone makes nobody alike, and very many have it."""
        return self.family | self.born


def described(family_name: str | None, given_name: str | None, born: date | None, key: PersonKey) -> Alike:
    """Somebody of an event: each of their words may be a family name or a first name."""
    words = [*_words(family_name), *_words(given_name)]
    born = None if born in PLACEHOLDERS else born
    said = confirm_tokens(family_name, born, key, given_name=given_name)
    dates = {day for day in (born, _changed_over(born)) if day is not None}
    return Alike(
        frozenset({*_family(words, key), *_one(said, "family_name")}),
        frozenset({*_given(words, key), *first_names(said)}),
        frozenset(
            token for day in dates for token in (*near_dates(day, key), *confirm_tokens(None, day, key).values())
        ),
        said,
    )


def registered(
    family_name: str | None, given_name: str | None, key: PersonKey
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(family, given) of somebody of the register, whose names are in their places."""
    family, given = _words(family_name), _words(given_name)
    initials = [key.likeness("initial", word[0]) for word in given[:1]]
    # Both typed into one box, and no space between.
    one, other = (words[-1] if words else "" for words in (given, family))  # the last is all of them
    whole = [f"{one}{other}"[:_MOST_LETTERS], f"{other}{one}"[:_MOST_LETTERS]] if one and other else []
    return (
        tuple(sorted(_family([*family, *whole], key))),
        tuple(sorted({*_given(given, key), *initials, *(key.likeness("given", each) for each in whole)})),
    )


def read(accused: Accused) -> Alike:
    """The same as `described`, from what a decision record keeps."""
    said = dict(each.split(" ") for each in accused.confirm)
    return Alike(frozenset(accused.family), frozenset(accused.given), frozenset(accused.born), said)


def known(person: KnownPerson) -> Alike:
    """The same for a person of the register."""
    return Alike(
        frozenset({*person.family_alike, *_one(person.confirm, "family_name")}),
        frozenset({*person.given_alike, *first_names(person.confirm)}),
        frozenset({*person.near, *_one(person.confirm, "date_of_birth")}),
        person.confirm,
    )


def agrees(one: Accused, known: KnownPerson | None) -> bool:
    """Nothing that was said of them speaks against the person whose number they go by."""
    said = dict(each.split(" ") for each in one.confirm)
    return known is not None and not contradicted(said, known.confirm)


def may_be_one(one: Alike, other: Alike, *, keeps_out: bool = False) -> bool:
    """
    The table above.

    Args:
        keeps_out: It is asked whom to keep out. No list of short forms is whole (Babs, Kaz, Kasia), and whoever has the
            name of a governor may be of his family.
    """
    found = {
        "family_name": bool(one.family & other.family),
        "given_name": bool(one.given & other.given),
        "date_of_birth": bool(one.born & other.born),
    }
    against = [name for name, alike in found.items() if not alike and name in one.stated and name in other.stated]
    if sum(found.values()) >= 2:
        family = one.stated.get("family_name") == other.stated.get("family_name")
        first = same_first_name(one.stated, other.stated)
        if first is None:
            first = not first_names(one.stated) and not first_names(other.stated)
        return found["date_of_birth"] or not against or (family and first)
    if keeps_out and against == ["given_name"] and not found["date_of_birth"]:
        name = one.stated.get("family_name")
        same = name is not None and name == other.stated.get("family_name")
        return same and "date_of_birth" not in {*one.stated} & {*other.stated}
    return (found["family_name"] or found["date_of_birth"]) and not against


def _one(said: dict[str, str], name: str) -> Iterator[str]:
    if name in said:
        yield said[name]


def _changed_over(born: date | None) -> date | None:
    """Day and month in each other's place, as they are in the United States."""
    return born.replace(month=born.day, day=born.month) if born is not None and born.day <= 12 else born


def _words(name: str | None) -> list[str]:
    """The words of a name, also as one word, without what is only spelling."""
    kept = (named(name) or "").casefold().replace("'", "")
    if not kept.isascii():
        plain = unicodedata.normalize("NFKD", kept.translate(LETTERS))
        kept = "".join(c for c in plain if c not in "'\u2019" and unicodedata.category(c) not in ("Mn", "Cf"))
    words = [word for word in re.split(r"[\W_]+", kept) if word and word not in NOBODYS_NAMES][:_MOST_WORDS]
    joined = ["".join(words)] if len(words) > 1 else []  # Anne Marie is Annemarie
    return [word[:_MOST_LETTERS] for word in (*words, *joined)]


def _family(words: list[str], key: PersonKey) -> set[str]:
    # Stone and Stones, Jenkin and Jenkins; and by a letter, which may be the first: that is heard by nobody.
    said = {each for word in words for each in (word, word.removesuffix("s")) if len(each) > 1}
    spelt = {spelling for word in words if len(word) > 1 for spelling in _spellings(word)}
    return {key.likeness("family", each) for each in {*map(sound, said), *spelt}}


def _given(words: list[str], key: PersonKey) -> set[str]:
    names = {*words, *(full for word in words for full in SHORT_FORMS.get(word, ()))}
    spelt = {spelling for name in names if len(name) > 1 for spelling in _spellings(name)}
    begins = {name[:_BEGINNING] for name in names if len(name) >= _BEGINNING}  # Jackie, Geoff, whatever the list lacks
    return {
        *(key.likeness("given", each) for each in spelt),
        *(key.likeness("given begins", each) for each in begins),
        *(key.likeness("initial", word) for word in words if len(word) == 1),
    }


# Of a word that is cut short already, so what is kept is small.
@lru_cache(maxsize=1024)
def _spellings(name: str) -> frozenset[str]:
    """A first name as it is, and without any one of its letters: two that differ in one share one of these."""
    once = re.sub(r"(.)\1", r"\1", name)  # Garry, Phillip
    return frozenset({once, *(once[:i] + once[i + 1 :] for i in range(len(once)) if len(once) > 3)})


_SOUNDS: Final = {
    c: code for code, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), 1) for c in letters
}


@lru_cache(maxsize=1024)
def sound(word: str) -> str:
    """
    How a word sounds in English, in four signs; a word in another script is itself.

    Source: American Soundex, as the National Archives (US) describes it for the census.
    """
    if not (word.isascii() and word.isalpha()):
        return word
    found, last = word[0].upper(), _SOUNDS.get(word[0])
    for letter in word[1:]:
        code = _SOUNDS.get(letter)
        if code is not None and code != last:
            found += str(code)
        if letter not in "hw":
            last = code
    return found[:4].ljust(4, "0")

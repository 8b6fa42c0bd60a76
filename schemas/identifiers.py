"""
Is this identifier what it says it is, and what may stand for it outside?

Identifiers of people are checked by their own check digits and then only travel inside encrypted or sealed
values. Outside (keys, headers, the register, logs) a keyed token stands for them, see `PersonKey`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
import uuid

from nhs_number.constants import REGION_RESERVED, REGION_SYNTHETIC, REGION_UNALLOCATED, Region
from nhs_number.validate import is_valid as _is_valid_nhs

from safebus.schemas.errors import BadIdentifier

_AGENCY = re.compile(r"[a-z][a-z0-9-]{1,39}")
_UPN = re.compile(r"[A-Z][0-9]{11}[0-9A-Z]")
_UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"  # without I, O, S
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SAFEBUS = uuid.UUID("9d5f2c1e-7a54-5b53-9d0c-5afeb0500001")  # namespace of every id derived here


def nhs_number(text: str) -> str:
    """
    Check an NHS number.

    Returns:
        Ten digits, without spaces.

    Raises:
        BadIdentifier: It is not ten digits, the check digit does not fit, it is a Scottish one (CHI) without a date,
            all its digits are alike, or it lies in a range that was never issued.

    Source: NHS Data Dictionary, NHS NUMBER (modulus 11); ranges: PyPI's nhs-number.
    """
    digits = _of_our_digits(text.replace(" ", ""))
    if not re.fullmatch(r"[0-9]{10}", digits):
        others = " that are not all digits" if not digits.isdecimal() else ""
        raise BadIdentifier(
            f"an NHS number has 10 digits, with or without spaces; found {len(digits)} characters{others}; "
            "check the source record"
        )
    _not_alike(digits, "NHS number")
    if _in(REGION_UNALLOCATED, digits) or _in(REGION_RESERVED, digits):
        raise BadIdentifier("this NHS number lies in a range that was never issued; check the source record")
    if not _is_valid_nhs(digits):
        raise BadIdentifier("the check digit of this NHS number does not fit (modulus 11); check the source record")
    return digits


def for_trying_only(number: str) -> bool:
    """Is this NHS number, which `nhs_number` took, of the range that is kept for tests and never issued (9...)?"""
    return _in(REGION_SYNTHETIC, number)


def _in(region: Region, number: str) -> bool:
    return bool(region.contains_number(number))  # type: ignore[no-untyped-call]  # the library has no annotations


def _of_our_digits(text: str) -> str:
    """Digits of another script look right and are other characters."""
    for character in text:
        if character.isdigit() and not character.isascii():
            name = unicodedata.name(character).replace(" DIGIT", "").rpartition(" ")[0].lower()
            raise BadIdentifier(f"found {name} digits; expected 0-9: type the number again")
    return text


def _not_alike(digits: str, what: str) -> None:
    """What is typed where a number is not known has a check digit that fits, and would match whoever else has it."""
    if len(set(digits)) == 1:
        raise BadIdentifier(f"all digits are alike: that is nobody's {what}; leave it out")


def upn(text: str) -> str:
    """
    Check a unique pupil number. Authority codes are not checked: published lists lag behind new councils.

    Raises:
        BadIdentifier: The shape or the check letter does not fit.

    Source: Department for Education, Unique pupil numbers guide; weights 2..13, modulus 23.
    """
    _of_our_digits(text)
    if not _UPN.fullmatch(text):
        raise BadIdentifier("a UPN is a letter, 11 digits and a digit or letter; found another shape")
    # A temporary UPN ends in a letter, which counts as its place in the same alphabet.
    values = [_UPN_LETTERS.find(c) if c.isalpha() else int(c) for c in text[1:]]
    if -1 in values or _UPN_LETTERS[sum(i * v for i, v in enumerate(values, start=2)) % 23] != text[0]:
        raise BadIdentifier("the check letter of this UPN does not fit (modulus 23); check the source record")
    _not_alike("".join(filter(str.isdigit, text)), "UPN")
    return text


#: What is typed where nobody knows the reference, without what is only spelling.
_NO_REFERENCE = re.compile(
    r"n[ak]|nil|none(known|given|yet)?|null|unk|unknown[0-9]?|new|pending|tbc|tba"
    r"|not(known|given|applicable|available|recorded|stated|yetknown|on(system|record|file))[0-9]?"
    r"|no(ref|reference|nhs|number|nhsnumber|id|record)"
)


def local_id(text: str) -> str:
    """
    Check an agency's own reference of a person.

    Raises:
        BadIdentifier: A placeholder, which would match whoever else has it; or blanks around it, with which it would
            match nobody.
    """
    plain = "".join(c for c in text.casefold() if c.isalnum())
    alike = len(set(plain)) < 2 and (plain[:1] in ("", "0", "x") or (plain[0] == "9" and len(plain) > 5))
    if alike or _NO_REFERENCE.fullmatch(plain):
        raise BadIdentifier("this stands for nobody, as it is typed where a reference is not known; leave it out")
    if text != text.strip():
        raise BadIdentifier("there are blanks around this reference; leave them out")
    return text


def of_scheme(scheme: str, text: str) -> str:
    """
    Check an identifier of a person by its kind: `nhs`, `upn`, or an agency's own (`local:<agency>`).

    Raises:
        BadIdentifier: As its kind says.
    """
    return {"nhs": nhs_number, "upn": upn}.get(scheme, local_id)(text)


def agency_id(text: str) -> str:
    """
    Check the id of an agency: it becomes part of topic names, file names and certificates.

    Raises:
        BadIdentifier: Not 2-40 of a-z, 0-9 and hyphen, starting with a letter.
    """
    if not _AGENCY.fullmatch(text):
        raise BadIdentifier(
            f"an agency id has 2-40 characters of a-z, 0-9 and `-`, starting with a letter; found {len(text)} others"
        )
    return text


def event_id(text: str) -> str:
    """
    Check an event id: a UUID in lower case, so that the same id has one spelling only.

    Raises:
        BadIdentifier: Any other spelling. Source: RFC 9562, section 4.
    """
    if not _UUID.fullmatch(text):
        raise BadIdentifier("an event id is a UUID in lower case with hyphens, such as `str(uuid.uuid4())` gives")
    return text


#: What processes of the bus are called in their certificates: no agency may be, or it would have their rights.
PROCESSES = ("worker", "registrar", "auditor")
_OF_PROCESSES = ("adapter-", "importer-")


def is_a_process(name: str) -> bool:
    """Is it, in a certificate, the name of a process of the bus?"""
    return name in PROCESSES or name.startswith(_OF_PROCESSES)


def joined(*parts: str) -> bytes:
    """Parts with their lengths, so ("a", "bc") and ("ab", "c") differ."""
    return "".join([f"{len(p)}:{p}" for p in parts]).encode()


def derived_id(*parts: str) -> str:
    """
    An id that the same inputs always give, so that a repeat is recognised.

    Source: RFC 9562, UUID version 5.
    """
    name = joined(*parts)
    # What `str(uuid.uuid5(_SAFEBUS, name))` gives in three times the time: a decision needs some twenty of them.
    made = bytearray(hashlib.sha1(_SAFEBUS.bytes + name, usedforsecurity=False).digest()[:16])
    made[6], made[8] = made[6] & 0x0F | 0x50, made[8] & 0x3F | 0x80
    text = made.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

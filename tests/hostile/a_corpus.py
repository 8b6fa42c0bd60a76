"""
What would someone send who means harm, or whose software is broken?

One function for each kind, from a seeded `Random` to one record and the reasons for which it may be refused: decided
here from how it was made, not asked of the gate. Where chance decides which byte is changed, several are possible.
Every event claims to come from `POLICE`, but those whose damage might go unseen: they claim another agency, so that
what is left of them is refused as WRONG_SOURCE.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from a_pieces import long, pieces, string
from random_events import TYPES, a_record, as_plain_avro, bytes_of

from safebus.producers.samples import nhs_numbers
from safebus.schemas import codec
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.gate import DEFAULT_LIMITS

POLICE, OTHER = "fordshire-police", "htest-police"
SCHEMA = event_schemas().of("police.encompass.v1")
HEAD = b"\xc3\x01" + SCHEMA.fingerprint
KEY = b"c" * 32
NUMBERS = frozenset({"OVERLONG_NUMBER", "NUMBER_OUT_OF_RANGE", "BAD_BOOLEAN", "BAD_BLOCK"})
DECODING = frozenset({"TRUNCATED", "TRAILING_BYTES", "INVALID_UTF8", "BAD_INDEX", "IMPOSSIBLE_VALUE", *NUMBERS})
_NUMBERS = list(islice(nhs_numbers(start=800_000), 50))


class Hostile(NamedTuple):
    """One record to publish. `reasons`: one of them must be given."""

    kind: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    reasons: frozenset[str]


Maker = Callable[[random.Random], "bytes | tuple[bytes | None, bytes | None, list[Any]] | None"]
KINDS: dict[str, tuple[Maker, frozenset[str], bool]] = {}


def kind(*reasons: str, large: bool = False) -> Callable[[Maker], Maker]:
    """Say what a maker's records are refused for. `large`: so large that a flood has only a few of them."""

    def entered(maker: Maker) -> Maker:
        KINDS[maker.__name__] = (maker, frozenset(reasons), large)
        return maker

    return entered


def make(name: str, seed: int) -> Hostile:
    """One record of this kind; the same for the same seed."""
    maker, reasons, _ = KINDS[name]
    made = maker(random.Random(f"{name}-{seed}"))
    key, value, headers = made if isinstance(made, tuple) else (KEY, made, [])
    return Hostile(name, key, value, headers, reasons)


def flood(seed: int, count: int) -> Iterator[Hostile]:
    """So many records, of all kinds in turn; of each large kind one in twenty rounds."""
    made = 0
    for number in range(count):
        for name, (_, _, large) in KINDS.items():
            if made < count and (not large or number % 20 == 0):
                made += 1
                yield make(name, seed * 1_000_003 + number)


# An event, and its pieces


def event(chance: random.Random, agency: str = POLICE, **changes: Any) -> dict[str, Any]:
    """A good one of its own, as the plain values that Avro writes; `changes` may make it anything."""
    publisher = {"agency": agency, "org_scheme": "CJS-OU", "org_code": "99", "org_name": "A police force"}
    subject = {
        "ref": "child",
        "role": "CHILD",
        "given_name": "Test",
        "nhs_number": chance.choice(_NUMBERS),
        "date_of_birth": "2015-02-03",
        "safe_to_call": True,
        "works_for": ["htest-school", "htest-council"],
    }
    made = uuid.UUID(int=chance.getrandbits(128), version=4)
    return a_record(event_id=str(made), publisher=publisher, subjects=[subject], correlation_id="TEST-1") | changes


def value(chance: random.Random, agency: str = POLICE, **changes: Any) -> bytes:
    return bytes_of(event(chance, agency, **changes), SCHEMA)


def subject(chance: random.Random, **changes: Any) -> dict[str, Any]:
    return event(chance)["subjects"][0] | changes


def with_piece(chance: random.Random, path: str, piece: bytes) -> bytes:
    """A good event with other bytes at this place."""
    parts = pieces(SCHEMA.raw, as_plain_avro(SCHEMA.raw, event(chance)))
    assert path in parts
    return HEAD + b"".join((parts | {path: piece}).values())


TEXTS = ["correlation_id", "purpose", "subjects[0].given_name", "payload.incident_type", "publisher.org_name"]
ARRAYS = ["subjects#", "subjects[0].works_for#", "payload.children#"]
TIMES = ["occurred_at", "recorded_at", "published_at"]


# No event at all


@kind("NOT_SINGLE_OBJECT")
def noise(chance: random.Random) -> bytes:
    return bytes([chance.choice(b'\x00{<OPH"')]) + chance.randbytes(chance.randint(0, 400))


@kind("EMPTY")
def nothing(chance: random.Random) -> bytes | None:
    return chance.choice([None, b""])


@kind("NOT_SINGLE_OBJECT")
def half_a_head(chance: random.Random) -> bytes:
    return HEAD[: chance.randint(1, 9)]


@kind("UNKNOWN_SCHEMA")
def unknown_schema(chance: random.Random) -> bytes:
    other = chance.choice([chance.randbytes(8), codec.fingerprint_of_bus("register"), SCHEMA.fingerprint[::-1]])
    return b"\xc3\x01" + other + value(chance)[10:]


@kind(*DECODING, "WRONG_SOURCE", "TOO_MANY_ITEMS", "TOO_LONG_STRING")
def another_types_schema(chance: random.Random) -> bytes:
    other = chance.choice([name for name in TYPES if name != SCHEMA.event_type])
    return b"\xc3\x01" + event_schemas().of(other).fingerprint + value(chance, OTHER)[10:]


@kind(*DECODING, "TOO_MANY_ITEMS")
def noise_behind_a_head(chance: random.Random) -> bytes:
    return HEAD + chance.randbytes(chance.randint(0, 600))


@kind("TOO_LARGE", large=True)
def too_large(chance: random.Random) -> bytes:
    return value(chance) + bytes(DEFAULT_LIMITS.value_bytes + chance.randint(0, 100_000))


# A good event, damaged


@kind("TRUNCATED")
def cut(chance: random.Random) -> bytes:
    whole = value(chance)
    return whole[: chance.randint(10, len(whole) - 1)]


@kind("TRAILING_BYTES")
def longer(chance: random.Random) -> bytes:
    return value(chance) + chance.choice([b"\0", chance.randbytes(chance.randint(1, 64)), value(chance)])


@kind(*DECODING, "UNKNOWN_SCHEMA", "NOT_SINGLE_OBJECT", "WRONG_SOURCE", "TOO_MANY_ITEMS")
def turned_bits(chance: random.Random) -> bytes:
    whole = bytearray(value(chance, OTHER))
    for _ in range(chance.randint(1, 3)):
        whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
    return bytes(whole)


@kind(*DECODING, "WRONG_SOURCE", "TOO_MANY_ITEMS")
def swapped_parts(chance: random.Random) -> bytes:
    whole = value(chance, OTHER)
    a, b, c = sorted(chance.randint(10, len(whole)) for _ in range(3))
    return whole[:a] + whole[b:c] + whole[a:b] + whole[c:]


# Numbers


@kind("OVERLONG_NUMBER")
def over_long_number(chance: random.Random) -> bytes:
    return with_piece(chance, "lifecycle", b"\x80" * chance.randint(1, 19) + b"\0")


@kind("OVERLONG_NUMBER")
def endless_number(chance: random.Random) -> bytes:
    names = list(pieces(SCHEMA.raw, as_plain_avro(SCHEMA.raw, event(chance))))
    whole = with_piece(chance, names[0], b"\x80" * chance.randint(20, 400))
    return whole[: 10 + whole[10:].rindex(b"\x80\x80") + 2]


@kind("NUMBER_OUT_OF_RANGE")
def too_large_a_number(chance: random.Random) -> bytes:
    wraps = with_piece(chance, chance.choice(TIMES), b"\x80" * 9 + bytes([chance.randint(2, 127)]))
    an_int = with_piece(
        chance, "payload.previous_incidents?", long(1) + long(chance.choice([2**31, -(2**31) - 1, 2**33]))
    )
    return chance.choice([wraps, an_int])


@kind("BAD_BOOLEAN")
def odd_boolean(chance: random.Random) -> bytes:
    return with_piece(chance, "subjects[0].safe_to_call", bytes([chance.randint(2, 255)]))


@kind("BAD_INDEX")
def no_such_branch(chance: random.Random) -> bytes:
    path, least = chance.choice([("correlation_id?", 2), ("lifecycle", 4), ("urgency", 3), ("subjects[0].role", 7)])
    return with_piece(chance, path, long(chance.choice([least, least + chance.randint(0, 2**40), 2**62])))


@kind("BAD_INDEX")
def index_from_behind(chance: random.Random) -> bytes:
    return with_piece(chance, chance.choice(["correlation_id?", "lifecycle", "urgency"]), long(-1))


@kind("IMPOSSIBLE_VALUE")
def no_such_time(chance: random.Random) -> bytes:
    far = chance.choice([253_402_300_800_000, -62_135_596_800_001, 2**63 - 1, -(2**63)])
    return with_piece(chance, chance.choice(TIMES), long(far))


@kind("IMPOSSIBLE_VALUE")
def no_such_day(chance: random.Random) -> bytes:
    return with_piece(chance, "subjects[0].date_of_birth", long(chance.choice([2_932_897, -719_163, 2**31 - 1])))


# Texts


@kind("INVALID_UTF8")
def not_utf8(chance: random.Random) -> bytes:
    bad = chance.choice(
        [b"caf\xe9", b"\xc0\xaf", b"\xed\xa0\x80", b"\xed\xa0\xbd\xed\xb8\x80", b"\xf4\x90\x80\x80", b"\xff"]
    )
    return with_piece(chance, chance.choice(TEXTS), long(len(bad)) + bad)


@kind("TRUNCATED", "IMPOSSIBLE_VALUE")
def lying_length(chance: random.Random) -> bytes:
    lie = chance.choice([2**20, 2**31, 2**40, 2**62, 2**63 - 1, -1, -(2**31), -(2**63)])
    return with_piece(chance, chance.choice(TEXTS), long(lie))


@kind("TOO_LONG_STRING", large=True)
def too_long_text(chance: random.Random) -> bytes:
    return value(chance, correlation_id=chance.choice("xé†") * chance.randint(20_001, 40_000))


@kind("IMPOSSIBLE_VALUE")
def nul_in_a_text(chance: random.Random) -> bytes:
    text = "Test" + "\0" * chance.randint(1, 9) + "Case"
    return value(chance, subjects=[subject(chance, **{chance.choice(["given_name", "family_name", "school"]): text})])


# Lists


@kind("TRUNCATED", "BAD_BLOCK", "OVERLONG_NUMBER")
def lying_count(chance: random.Random) -> bytes:
    count = chance.choice([50_000_000, 2**31, 2**40, 2**62, 2**63 - 1, -(2**31), -(2**62), -(2**63)])
    return with_piece(chance, chance.choice(ARRAYS), long(count))


@kind("TOO_MANY_ITEMS", large=True)
def bomb_of_empty_texts(chance: random.Random) -> bytes:
    count = chance.randint(201, 120_000)
    return with_piece(chance, "handling.refrain$", long(count) + b"\0" * count + b"\0")


@kind("TOO_MANY_ITEMS", large=True)
def bomb_of_records(chance: random.Random) -> bytes:
    count = chance.randint(201, 30_000)
    child = string("child") + b"\0\0\0"
    count = min(count, 100_000 // len(child))
    whole = with_piece(chance, "payload.children#", long(count + 1) + child * count)
    return whole


@kind("BAD_BLOCK")
def lying_block(chance: random.Random) -> bytes:
    item = string("htest-third")
    size = len(item) + chance.choice([-len(item), -1, 1, 20, -len(item) - chance.randint(1, 2**40)])
    return with_piece(chance, "subjects[0].works_for$", long(-1) + long(size) + item + long(0))


@kind("TRUNCATED")
def block_of_more_than_there_is(chance: random.Random) -> bytes:
    size = chance.choice([2**17, 2**31, 2**40, 2**62, 2**63 - 1])
    return with_piece(chance, "subjects[0].works_for$", long(-1) + long(size) + string("htest-third") + long(0))


@kind("TOO_MANY_ITEMS", large=True)
def bomb_of_blocks(chance: random.Random) -> bytes:
    count = chance.randint(201, 40_000)
    return with_piece(chance, "handling.refrain$", b"\x01\x02\x00" * count + b"\0")


# What Avro allows and the world does not


@kind("IMPOSSIBLE_VALUE")
def impossible(chance: random.Random) -> bytes:
    number = chance.choice(_NUMBERS)
    wrong = number[:9] + str((int(number[9]) + chance.randint(1, 9)) % 10)
    person, payload = subject(chance), event(chance)["payload"]
    changes: list[dict[str, Any]] = [
        {"subjects": [person | {"nhs_number": wrong}]},
        {"subjects": [person | {"nhs_number": "x" * chance.randint(1, 5000)}]},
        {"subjects": [person | {"ref": f"p{n}"} for n in range(31)]},
        {"subjects": [person, person]},
        {"subjects": []},
        {"subjects": [person | {"role": "OTHER_ADULT"}]},
        {"subjects": [person | {"ref": ""}]},
        {"payload": payload | {"children": [payload["children"][0] | {"subject_ref": "stranger"}]}},
        {"payload": payload | {"previous_incidents": -1}},
        {"event_id": "0B0F6AD4-6F0B-4A9C-8D2E-5AFE00000001"},
        {"event_id": "../../etc/passwd"},
        {"event_type": "care.protection-plan.v1"},
        {"purpose": "Safeguarding'; DROP TABLE events; --"},
        {"purpose": ""},
        {"sequence": -1},
        {"occurred_at": datetime(1, 1, 1, tzinfo=UTC), "purpose": "?"},
    ]  # fmt: skip
    return value(chance, **chance.choice(changes))


@kind("WRONG_SOURCE")
def another_agencys_name(chance: random.Random) -> bytes:
    return value(chance, chance.choice([OTHER, "fordshire-polise", "county-hospital", "fordshire-police-"]))


# What is around it


@kind("BAD_KEY")
def bad_key(chance: random.Random) -> tuple[bytes | None, bytes, list[Any]]:
    return chance.choice([None, b"", b"k" * chance.randint(129, 4000)]), value(chance), []


@kind("TOO_MANY_HEADERS")
def header_flood(chance: random.Random) -> tuple[bytes, bytes, list[Any]]:
    many = [("", None)] * chance.randint(17, 500)
    long_one = [("ce_id", b"x" * chance.randint(4100, 20_000))]
    long_name = [("é" * chance.randint(4100, 9000), None)]
    return KEY, value(chance), chance.choice([many, long_one, long_name])


#: Odd, and yet what somebody may be called or may have written: to refuse it would withhold an alert.
ODD_BUT_GOOD = [
    "Zoë Ó Súilleabháin",
    "\u202egnirts a\u202c",  # right to left and back
    "a\u200bb\ufeffc",  # no width at all
    "line\r\nbreak\ttab\x0b\x1b[31m",
    "😀" * 50,
    "e\u0301" * 300,
    "\U0010ffff\ufffe",
    "x" * 20_000,
    "'; DROP TABLE alerts; --",
    "{{7*7}}${jndi:ldap://x}<script>",
]

"""
The gate lets in whatever a correct encoder may write, and nothing else.

The bytes here are put together by hand, piece by piece from the Avro specification, so that each lie is exactly one.
"""

import io
import json
import struct
import tracemalloc
from functools import cache
from pathlib import Path
from typing import Any

import avro.io
import avro.schema
import pytest
from a_pieces import in_blocks, in_blocks_of, long, pieces, string
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_events import TYPES, a_record, an_event, as_plain_avro, bytes_of, event_records, events, texts

from safebus.schemas import codec, gate
from safebus.schemas.errors import Refused
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import EVENT_CLASSES
from safebus.schemas.gate import DEFAULT_LIMITS, GateReason, Limits
from safebus.schemas.keys import DigestKey

SCHEMA = event_schemas().of("police.encompass.v1")
HEAD = b"\xc3\x01" + SCHEMA.fingerprint
CANARY = "CANARY-Jane"
KEY = DigestKey(b"k" * 32)
RECORD = a_record(
    correlation_id=CANARY,
    subjects=[
        {
            "ref": "child",
            "role": "CHILD",
            "given_name": CANARY,
            "date_of_birth": "2015-02-03",
            "safe_to_call": True,
            "works_for": ["htest-school", "htest-council"],
        }
    ],
)
VALUE = bytes_of(RECORD)


# One event in pieces

PIECES = pieces(SCHEMA.raw, as_plain_avro(SCHEMA.raw, RECORD))


def with_pieces(changes: dict[str, bytes]) -> bytes:
    """The event with other bytes at these places."""
    assert set(changes) <= set(PIECES)
    return HEAD + b"".join((PIECES | changes).values())


def with_piece(path: str, piece: bytes) -> bytes:
    return with_pieces({path: piece})


def up_to(path: str) -> bytes:
    """The event before this place."""
    names = list(PIECES)
    return HEAD + b"".join(PIECES[name] for name in names[: names.index(path)])


def at(path: str) -> int:
    """Where this place begins in the Avro body."""
    return len(up_to(path)) - len(HEAD)


def refusal(value: bytes | None, *, limits: Limits = DEFAULT_LIMITS) -> Refused:
    with pytest.raises(Refused) as refused:
        codec.decode(value, limits=limits)
    return refused.value


def test_the_pieces_together_are_the_event() -> None:
    assert HEAD + b"".join(PIECES.values()) == VALUE
    assert codec.decode(VALUE).record == RECORD | {
        "subjects": [RECORD["subjects"][0] | {"works_for": ["htest-school", "htest-council"]}],
        "handling": {k: list(v) if isinstance(v, tuple) else v for k, v in RECORD["handling"].items()},
        "payload": RECORD["payload"] | {"children": list(RECORD["payload"]["children"])},
    }


CASES = Path(__file__).parents[1] / "data" / "cases" / "ways-in" / "avro"


@pytest.mark.parametrize("name", ["go-hamba-blocked.bin", "blocked.bin", "split.bin"])
def test_what_a_go_publisher_wrote_is_let_in(name: str) -> None:
    """Once, a Go publisher's every event was refused: its encoder says of each block how many bytes it has."""
    value = (CASES / name).read_bytes()
    value = value if value.startswith(HEAD) else HEAD + value

    received = codec.decode(value)

    assert received.event.event_id == "11111111-1111-4111-8111-111111111111"
    assert received.value == value
    assert received.content == codec.encode(received.event)


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=40)
@given(data=st.data())
def test_an_event_has_one_content_however_its_lists_are_cut(event_type: str, data: st.DataObject) -> None:
    record = data.draw(event_records(event_type))
    schema = event_schemas().of(event_type)
    plain, chance = as_plain_avro(schema.raw, record), data.draw(st.randoms(use_true_random=False))
    event = EVENT_CLASSES[event_type].model_validate(record)

    cut = gate.MARKER + schema.fingerprint + in_blocks(schema.raw, plain, chance)
    received = codec.decode(cut)

    assert received.event == event
    assert received.record == codec.decode(codec.encode(event)).record
    assert received.content == codec.content_of(cut) == codec.encode(event)
    assert read_by_avro_python3(schema.raw, cut[10:]) == plain
    assert received.digest(KEY) == KEY.digest(codec.encode(event))
    assert codec.is_digest_of(received.digest(KEY), cut, key=KEY)
    assert codec.is_digest_of(received.digest(KEY), codec.encode(event), key=KEY)


def test_other_content_has_another_digest_and_so_has_what_is_no_event() -> None:
    digest = codec.decode(VALUE).digest(KEY)

    assert not codec.is_digest_of(digest, with_piece("purpose", string("another")), key=KEY)
    assert not codec.is_digest_of(digest, VALUE + b"\0", key=KEY)
    assert not codec.is_digest_of(digest, None, key=KEY)
    assert codec.content_of(VALUE + b"\0") == VALUE + b"\0"
    assert codec.content_of(None) == b""


@pytest.mark.parametrize("event_type", TYPES)
def test_every_type_of_event_is_let_in(event_type: str) -> None:
    schema, record, _ = gate.decode(codec.encode(an_event(event_type)), event_schemas())

    assert schema is event_schemas().of(event_type)
    assert record["event_type"] == event_type


# One lie at a time

LONGEST = 2**63 - 1

LIES: list[tuple[str, bytes | None, GateReason]] = [
    ("no value, a tombstone", None, GateReason.EMPTY),
    ("an empty value", b"", GateReason.EMPTY),
    ("a byte more than the limit", VALUE + bytes(DEFAULT_LIMITS.value_bytes), GateReason.TOO_LARGE),
    ("JSON", b'{"event_id": "0b0f6ad4"}', GateReason.NOT_SINGLE_OBJECT),
    ("Confluent's wire format", b"\x00\x00\x00\x00\x07" + VALUE[10:], GateReason.NOT_SINGLE_OBJECT),
    ("an Avro file", b"Obj\x01" + VALUE, GateReason.NOT_SINGLE_OBJECT),
    ("a marker alone", b"\xc3\x01", GateReason.NOT_SINGLE_OBJECT),
    ("half a fingerprint", VALUE[:9], GateReason.NOT_SINGLE_OBJECT),
    ("another schema", b"\xc3\x01" + bytes(8) + VALUE[10:], GateReason.UNKNOWN_SCHEMA),
    ("a big-endian fingerprint", b"\xc3\x01" + SCHEMA.fingerprint[::-1] + VALUE[10:], GateReason.UNKNOWN_SCHEMA),
    ("a record of the bus itself", b"\xc3\x01" + codec.fingerprint_of_bus("register"), GateReason.UNKNOWN_SCHEMA),
    ("nothing after the fingerprint", HEAD, GateReason.TRUNCATED),
    ("the last byte cut", VALUE[:-1], GateReason.TRUNCATED),
    ("a number that is cut off", up_to("occurred_at") + b"\x80" * 9, GateReason.TRUNCATED),
    ("a string of 2**62 bytes", with_piece("event_id", long(2**62)), GateReason.TRUNCATED),
    ("a string longer than the event", with_piece("purpose", long(10_000) + b"safeguarding"), GateReason.TRUNCATED),
    ("2**31 records in five bytes", up_to("subjects#") + long(2**31), GateReason.TRUNCATED),
    ("a block of 2**31 records", up_to("subjects#") + long(-(2**31)) + long(2**40), GateReason.TRUNCATED),
    ("a byte more", VALUE + b"\0", GateReason.TRAILING_BYTES),
    ("a second event behind the first", VALUE + VALUE, GateReason.TRAILING_BYTES),
    ("a text in Latin-1", with_piece("purpose", long(4) + b"caf\xe9"), GateReason.INVALID_UTF8),
    ("an over-long sign", with_piece("purpose", long(2) + b"\xc0\xaf"), GateReason.INVALID_UTF8),
    ("a lone surrogate", with_piece("purpose", long(3) + b"\xed\xa0\x80"), GateReason.INVALID_UTF8),
    (
        "a pair of surrogates, CESU-8",
        with_piece("purpose", long(6) + b"\xed\xa0\xbd\xed\xb8\x80"),
        GateReason.INVALID_UTF8,
    ),
    ("a sign above U+10FFFF", with_piece("purpose", long(4) + b"\xf4\x90\x80\x80"), GateReason.INVALID_UTF8),
    ("half a sign", with_piece("purpose", long(2) + b"\xe2\x82"), GateReason.INVALID_UTF8),
    ("a branch that is not there", with_piece("correlation_id?", long(2)), GateReason.BAD_INDEX),
    ("a symbol that is not there", with_piece("lifecycle", long(4)), GateReason.BAD_INDEX),
    ("symbol -9", with_piece("lifecycle", long(-9)), GateReason.BAD_INDEX),
    ("symbol 2**40", with_piece("lifecycle", long(2**40)), GateReason.BAD_INDEX),
    (
        "a day after the year 9999",
        with_piece("subjects[0].date_of_birth", long(2_932_897)),
        GateReason.IMPOSSIBLE_VALUE,
    ),
    ("a day before the year 1", with_piece("subjects[0].date_of_birth", long(-719_163)), GateReason.IMPOSSIBLE_VALUE),
    ("the last day of all", with_piece("subjects[0].date_of_birth", long(2**31 - 1)), GateReason.IMPOSSIBLE_VALUE),
    ("a time after the year 9999", with_piece("occurred_at", long(253_402_300_800_000)), GateReason.IMPOSSIBLE_VALUE),
    ("the last millisecond of all", with_piece("occurred_at", long(LONGEST)), GateReason.IMPOSSIBLE_VALUE),
    ("the first millisecond of all", with_piece("occurred_at", long(-LONGEST - 1)), GateReason.IMPOSSIBLE_VALUE),
    (
        "an id in capitals",
        with_piece("event_id", string("0B0F6AD4-6F0B-4A9C-8D2E-5AFE00000001")),
        GateReason.IMPOSSIBLE_VALUE,
    ),
    ("a text of fewer bytes than none", with_piece("purpose", long(-1)), GateReason.IMPOSSIBLE_VALUE),
    ("an over-long number", with_piece("lifecycle", b"\x80\x00"), GateReason.OVERLONG_NUMBER),
    ("an over-long length", with_piece("purpose", b"\x98\x80\x00safeguarding"), GateReason.OVERLONG_NUMBER),
    ("a number of 20 bytes", with_piece("lifecycle", b"\x80" * 19 + b"\x00"), GateReason.OVERLONG_NUMBER),
    ("a number that never ends", up_to("occurred_at") + b"\x80" * 300, GateReason.OVERLONG_NUMBER),
    ("a number of 65 bits", with_piece("occurred_at", b"\x80" * 9 + b"\x02"), GateReason.NUMBER_OUT_OF_RANGE),
    (
        "a date in six bytes",
        with_piece("subjects[0].date_of_birth", b"\x80" * 5 + b"\x01"),
        GateReason.NUMBER_OUT_OF_RANGE,
    ),
    (
        "a date of 33 bits",
        with_piece("subjects[0].date_of_birth", b"\x80" * 4 + b"\x10"),
        GateReason.NUMBER_OUT_OF_RANGE,
    ),
    (
        "a number of 41 bits where 32 are",  # fastavro reads it, and raised when it was to write it: the worker stopped
        with_piece("payload.previous_incidents?", long(1) + long(2**40)),
        GateReason.NUMBER_OUT_OF_RANGE,
    ),
    ("a boolean that is 7", with_piece("subjects[0].safe_to_call", b"\x07"), GateReason.BAD_BOOLEAN),
    ("a boolean that is 255", with_piece("subjects[0].safe_to_call", b"\xff"), GateReason.BAD_BOOLEAN),
    ("symbol -1", with_piece("lifecycle", long(-1)), GateReason.BAD_INDEX),
    ("branch -1", with_piece("correlation_id?", long(-1)), GateReason.BAD_INDEX),
    ("a block of too few bytes", with_piece("subjects[0].works_for#", long(-2) + long(0)), GateReason.BAD_BLOCK),
    ("a block of too many bytes", with_piece("subjects[0].works_for#", long(-2) + long(28)), GateReason.BAD_BLOCK),
    ("a block of -1 bytes", with_piece("subjects[0].works_for#", long(-2) + long(-1)), GateReason.BAD_BLOCK),
    (
        "a block of more bytes than there are",
        with_piece("subjects[0].works_for#", long(-2) + long(10_000)),
        GateReason.TRUNCATED,
    ),
    (
        "a block of as many records as there can be numbers",
        with_piece("subjects[0].works_for#", long(-LONGEST - 1) + long(1)),
        GateReason.TRUNCATED,
    ),
    (
        "an odd boolean in a block",
        with_pieces({"payload.children#": long(-1) + long(9), "payload.children[0].present": b"\x02"}),
        GateReason.BAD_BOOLEAN,
    ),
    (
        "201 items in blocks",
        with_piece("handling.refrain$", (long(1) + string("x")) * 201 + long(0)),
        GateReason.TOO_MANY_ITEMS,
    ),
    (
        "201 items",
        with_piece("handling.refrain$", long(201) + string("x") * 201 + long(0)),
        GateReason.TOO_MANY_ITEMS,
    ),
    ("a NUL in a text", with_piece("subjects[0].given_name", string("CANARY\0Jane")), GateReason.IMPOSSIBLE_VALUE),
    ("20 001 signs", with_piece("correlation_id", string("x" * 20_001)), GateReason.TOO_LONG_STRING),
]


@pytest.mark.parametrize(("value", "reason"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_each_lie_has_its_reason_and_is_not_repeated(value: bytes | None, reason: GateReason) -> None:
    refused = refusal(value)

    assert refused.reason == reason
    assert "canary" not in str(refused).lower()
    assert not [text for text in texts(RECORD) if len(text) > 8 and text in refused.detail]


def test_every_reason_has_an_example() -> None:
    of_wrapping = {GateReason.BAD_KEY, GateReason.TOO_MANY_HEADERS, *DAMAGES}
    of_our_own = {GateReason.NOT_CANONICAL}

    assert {reason for _, _, reason in LIES} | of_wrapping | of_our_own == set(GateReason)


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (None, "found no value, expected an Avro single-object encoding"),
        (b"{}", "expected the marker C3 01 and 8 bytes of fingerprint first; found what may be JSON"),
        (b"\xc3\x01", "expected the marker C3 01 and 8 bytes of fingerprint first"),
        (
            b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08",
            "fingerprint 0102030405060708 is not one of 5 known; write the one that `safebus schemas` shows, whatever "
            "your library works out",
        ),
        (
            b"\xc3\x01" + SCHEMA.fingerprint[::-1] + VALUE[10:],
            f"fingerprint {SCHEMA.fingerprint[::-1].hex()} is not one of 5 known, but is one from behind; expected "
            "little-endian; write the one that `safebus schemas` shows, whatever your library works out",
        ),
        (
            b"\x00\x00\x00\x00\x07" + VALUE[10:],
            "expected the marker C3 01 and 8 bytes of fingerprint first; found what may be the 5 bytes of a schema "
            "registry's id",
        ),
        (
            b"Obj\x01" + VALUE[10:],
            "expected the marker C3 01 and 8 bytes of fingerprint first; found an Avro file",
        ),
        (
            VALUE[:-1],
            f"`payload.children`, byte {len(VALUE) - 11} of the Avro body: the record ends here, before all its fields",
        ),
        (
            with_piece("subjects[0].safe_to_call", b"\x07"),
            f"`subjects[0].safe_to_call`, byte {at('subjects[0].safe_to_call')} of the Avro body: a boolean that is "
            "0x07, expected 00 or 01",
        ),
        (
            with_piece("subjects[0].works_for#", long(-2) + long(28)),
            f"`subjects[0].works_for`, byte {at('subjects[0].works_for#')} of the Avro body: a block says that it has "
            "28 bytes, and its items take 27",
        ),
        (
            with_piece("subjects[0].works_for#", long(-2) + long(10_000)),
            f"`subjects[0].works_for`, byte {at('subjects[0].works_for#')} of the Avro body: a block says that it has "
            "10000 bytes, and 96 are left",
        ),
        (
            with_piece("lifecycle", b"\x80\x00"),
            f"`lifecycle`, byte {at('lifecycle')} of the Avro body: a number in 2 bytes that needs fewer",
        ),
        (
            with_piece("lifecycle", long(4)),
            f"`lifecycle`, byte {at('lifecycle')} of the Avro body: symbol 4 of an enum that has 0 to 3",
        ),
        (VALUE + b"\0\0", "2 bytes follow the record; expected none"),
        (
            with_piece("subjects[0].works_for[1]", string("htest\0council")),
            "`subjects[].works_for[]` has a NUL character; remove it",
        ),
        (
            with_piece("correlation_id", string("x" * 20_001)),
            "`correlation_id` has 20001 characters, expected at most 20000",
        ),
        (
            with_piece("subjects[0].works_for[1]", string("x" * 20_001)),
            "`subjects[].works_for[]` has 20001 characters, expected at most 20000",
        ),
        (
            with_piece("handling.refrain$", long(201) + string("x") * 201 + long(0)),
            "`handling.refrain` has 201 items, expected at most 200",
        ),
    ],
)
def test_a_detail_says_what_was_found_and_what_was_expected(value: bytes | None, detail: str) -> None:
    assert refusal(value).detail == detail


def test_what_is_exactly_at_the_limit_is_let_in() -> None:
    lists = {"sensitivity": "x", "refrain": "ORCON", "obligations": "AUDIT"}
    full = {f"handling.{name}$": long(200) + string(label) * 200 + long(0) for name, label in lists.items()}
    at_limit = with_pieces({"correlation_id": string("é" * 20_000)} | full)
    limits = Limits(value_bytes=len(at_limit))

    received = codec.decode(at_limit, limits=limits)

    assert received.record["correlation_id"] == "é" * 20_000
    assert [len(received.record["handling"][name]) for name in lists] == [200] * 3
    assert refusal(at_limit, limits=Limits(value_bytes=len(at_limit) - 1)).reason == GateReason.TOO_LARGE


# Whatever comes


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=40)
@given(data=st.data())
def test_whatever_a_change_of_bytes_is_let_in_has_a_content_that_every_encoder_gives(
    event_type: str, data: st.DataObject
) -> None:
    """And whatever is not, is Refused: never another error, which would stop the worker. Source: threat 6."""
    event = data.draw(events(event_type))
    value = bytearray(data.draw(st.sampled_from([codec.encode(event), in_blocks_of(event, 1)])))
    number = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-1, -2, 2**31, 2**40, 2**62, -(2**62)])
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(10, len(value)))
        end = data.draw(st.integers(start, min(start + 8, len(value))))
        value[start:end] = data.draw(st.binary(max_size=12) | number.map(long))

    _let_in_or_refused(bytes(value))


@pytest.mark.parametrize("event_type", TYPES)
@given(body=st.binary(max_size=300))
@example(body=b"")
@example(body=b"\x80" * 300)
@example(body=b"\xff" * 300)
@example(body=b"\x01" * 300)
def test_no_bytes_at_all_do_more_than_be_refused(event_type: str, body: bytes) -> None:
    _let_in_or_refused(b"\xc3\x01" + event_schemas().of(event_type).fingerprint + body)


def test_any_bit_of_any_byte_may_be_turned() -> None:
    """All of them, not a sample: the event is small enough."""
    for place in range(10, len(VALUE)):
        for byte in {VALUE[place] ^ (1 << bit) for bit in range(8)}:
            _let_in_or_refused(VALUE[:place] + bytes([byte]) + VALUE[place + 1 :])


def test_an_event_cut_anywhere_is_truncated() -> None:
    assert {refusal(VALUE[:length]).reason for length in range(10, len(VALUE))} == {GateReason.TRUNCATED}


def read_by_avro_python3(raw: Any, body: bytes) -> Any:
    """What another reader reads, to the last byte."""
    schema, source = parsed_by_avro_python3(json.dumps(raw)), io.BytesIO(body)
    plain = avro.io.DatumReader(schema, schema).read(avro.io.BinaryDecoder(source))
    assert source.read() == b""
    return plain


@cache
def parsed_by_avro_python3(raw: str) -> Any:
    return avro.schema.parse(raw)


def _let_in_or_refused(value: bytes) -> None:
    """Whatever is let in, every reader reads the same."""
    try:
        received = codec.decode(value)
    except Refused as refused:
        assert CANARY not in str(refused)
        assert refused.reason in set(GateReason)
    else:
        written = gate.MARKER + received.schema.fingerprint + gate.write(received.record, received.schema.parsed)
        assert received.content == written
        assert value == written or len(value) > len(written)  # only blocks may differ
        raw = received.schema.raw
        assert read_by_avro_python3(raw, value[10:]) == as_plain_avro(raw, received.record)


# How much memory a message may cost


@pytest.mark.parametrize(
    ("path", "item"),
    [
        pytest.param("handling.refrain$", b"\0", id="empty strings"),
        pytest.param("payload.children[0].subject_ref", b"\0\0\0\0", id="records"),
    ],
)
def test_a_bomb_of_items_costs_a_bounded_amount_of_memory(path: str, item: bytes) -> None:
    """Five bytes once made a list of 50 million. Here every item needs a byte, and there are 128 KiB at most."""
    room = DEFAULT_LIMITS.value_bytes - len(VALUE) - 20
    number = room // len(item)
    if path == "payload.children[0].subject_ref":
        start = HEAD + b"".join(piece for at, piece in PIECES.items() if not at.startswith("payload.children"))
        bomb = start + long(number) + item * number + long(0)
    else:
        bomb = with_piece(path, long(number) + item * number + long(0))
    tracemalloc.start()

    refused = refusal(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert refused.reason == GateReason.TOO_MANY_ITEMS
    assert peak < 32 * 2**20


@pytest.mark.parametrize("count", [50_000_000, 2**31, 2**40, 2**62, LONGEST, -(2**31), -(2**62), -LONGEST - 1])
@pytest.mark.parametrize("path", ["subjects#", "subjects[0].works_for#", "payload.children#"])
def test_a_count_that_promises_more_than_comes_costs_nothing(count: int, path: str) -> None:
    tracemalloc.start()

    refused = refusal(with_piece(path, long(count)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert refused.reason in {
        GateReason.TRUNCATED,
        GateReason.INVALID_UTF8,
        GateReason.BAD_INDEX,
        GateReason.IMPOSSIBLE_VALUE,
        GateReason.BAD_BLOCK,
    }
    assert peak < 2**20


@pytest.mark.parametrize("length", [2**31, 2**40, 2**62, LONGEST, -1, -(2**31), -LONGEST - 1])
def test_a_length_that_cannot_be_costs_nothing(length: int) -> None:
    tracemalloc.start()

    refused = refusal(with_piece("purpose", long(length)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert refused.reason in {GateReason.TRUNCATED, GateReason.IMPOSSIBLE_VALUE, GateReason.INVALID_UTF8}
    assert peak < 2**20


# Key and headers


@pytest.mark.parametrize("key", [b"k", b"k" * 128])
def test_a_key_of_up_to_128_bytes_is_let_in(key: bytes) -> None:
    gate.check_wrapping(key, [("ce_id", b"x")] * 16)
    gate.check_wrapping(key, [])


@pytest.mark.parametrize(
    ("key", "detail"),
    [
        (None, "found no key, expected a case key of 1 to 128 bytes"),
        (b"", "found no key, expected a case key of 1 to 128 bytes"),
        (b"CANARY" * 22, "found 132 bytes, expected a case key of 1 to 128 bytes"),
    ],
)
def test_a_record_without_a_case_key_is_refused(key: bytes | None, detail: str) -> None:
    """It keeps one case in order; a long one is somebody's name, or an attack."""
    with pytest.raises(Refused) as refused:
        gate.check_wrapping(key, [])

    assert (refused.value.reason, refused.value.detail) == (GateReason.BAD_KEY, detail)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([("a", b"")] * 17, "found 17 headers of 17 bytes, more than 16 of 4096"),
        ([("a", b"CANARY" * 683)], "found 1 headers of 4099 bytes, more than 16 of 4096"),
        ([("CANARY" * 683, b"")], "found 1 headers of 4098 bytes, more than 16 of 4096"),
    ],
)
def test_too_many_headers_are_refused(headers: list[tuple[str, bytes]], found: str) -> None:
    with pytest.raises(Refused) as refused:
        gate.check_wrapping(b"key", headers)

    assert (refused.value.reason, refused.value.detail) == (GateReason.TOO_MANY_HEADERS, found)


def test_headers_may_be_null_nameless_or_twice() -> None:
    """Kafka allows it, and what stands in them is never read. Null comes as None from aiokafka."""
    gate.check_wrapping(b"key", [("traceparent", None), ("", None), ("", b"1"), ("ce_id", b"1"), ("ce_id", b"2")])


DAMAGES = [
    GateReason.BAD_HEADER,
    GateReason.BATCH_TOO_LARGE,
    GateReason.UNREADABLE_BATCH,
    GateReason.IN_TRANSACTION,
]


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_record_that_could_not_be_read_says_why_before_anything_else_is_asked(reason: GateReason) -> None:
    """Without key and value too: those are what could not be read."""
    with pytest.raises(Refused) as refused:
        gate.check_wrapping(None, [("ce_id", b"x"), (gate.Damaged("", reason, "what was found"), None)])

    assert (refused.value.reason, refused.value.detail) == (reason, "what was found")


def test_a_number_that_is_no_double_does_not_stand_in_any_schema() -> None:
    """NaN equals nothing, not even itself; so no schema has a double."""
    kinds = {leaf.kind for schema in event_schemas().by_fingerprint.values() for leaf in schema.leaves}

    assert not kinds & {"double", "float", "bytes"}
    assert struct.calcsize("<d") == 8

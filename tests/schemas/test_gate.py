"""
The gate lets in only what a correct encoder would have written.

The bytes here are put together by hand, piece by piece from the Avro specification, so that each lie is exactly one.
"""

import struct
import tracemalloc

import pytest
from a_pieces import long, pieces, string
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_events import TYPES, a_record, an_event, as_plain_avro, bytes_of, events, texts

from safebus.schemas import codec, gate
from safebus.schemas.errors import Refused
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.gate import DEFAULT_LIMITS, GateReason, Limits

SCHEMA = event_schemas().of("police.encompass.v1")
HEAD = b"\xc3\x01" + SCHEMA.fingerprint
CANARY = "CANARY-Jane"
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


@pytest.mark.parametrize("event_type", TYPES)
def test_every_type_of_event_is_let_in(event_type: str) -> None:
    schema, record = gate.decode(codec.encode(an_event(event_type)), event_schemas())

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
    ("a number that never ends", up_to("occurred_at") + b"\x80" * 300, GateReason.TRUNCATED),
    ("a string of 2**62 bytes", with_piece("event_id", long(2**62)), GateReason.TRUNCATED),
    ("a string longer than the event", with_piece("purpose", long(10_000) + b"safeguarding"), GateReason.TRUNCATED),
    ("2**31 records in five bytes", up_to("subjects#") + long(2**31), GateReason.TRUNCATED),
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
    ("an over-long number", with_piece("lifecycle", b"\x80\x00"), GateReason.NOT_CANONICAL),
    ("an over-long length", with_piece("purpose", b"\x98\x80\x00safeguarding"), GateReason.NOT_CANONICAL),
    ("a number of 20 bytes", with_piece("lifecycle", b"\x80" * 19 + b"\x00"), GateReason.NOT_CANONICAL),
    ("a boolean that is 7", with_piece("subjects[0].safe_to_call", b"\x07"), GateReason.NOT_CANONICAL),
    ("a boolean that is 255", with_piece("subjects[0].safe_to_call", b"\xff"), GateReason.NOT_CANONICAL),
    ("symbol -1", with_piece("lifecycle", long(-1)), GateReason.NOT_CANONICAL),
    ("branch -1", with_piece("correlation_id?", long(-1)), GateReason.NOT_CANONICAL),
    (
        "an array in two blocks",
        with_pieces(
            {
                "subjects[0].works_for#": long(1),
                "subjects[0].works_for[1]": long(1) + string("htest-council"),
            }
        ),
        GateReason.NOT_CANONICAL,
    ),
    (
        "a block that counts its bytes",
        with_piece(
            "subjects[0].works_for#",
            long(-2) + long(len(PIECES["subjects[0].works_for[0]"] + PIECES["subjects[0].works_for[1]"])),
        ),
        GateReason.NOT_CANONICAL,
    ),
    (
        "a block that lies about its bytes",
        with_piece("subjects[0].works_for#", long(-2) + long(0)),
        GateReason.NOT_CANONICAL,
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

    assert {reason for _, _, reason in LIES} | of_wrapping == set(GateReason)


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (None, "found no value, expected an Avro single-object encoding"),
        (b"{}", "expected the marker C3 01 and 8 bytes of fingerprint first"),
        (
            b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08",
            "fingerprint 0102030405060708 is not one of 5 known; `safebus schemas list` shows them",
        ),
        (VALUE[:-1], f"the record ends at byte {len(VALUE) - 11}, before all its fields"),
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
def test_whatever_a_change_of_bytes_is_let_in_is_written_the_same_way_again(
    event_type: str, data: st.DataObject
) -> None:
    """And whatever is not, is Refused: never another error, which would stop the worker. Source: threat 6."""
    value = bytearray(codec.encode(data.draw(events(event_type))))
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


def _let_in_or_refused(value: bytes) -> None:
    try:
        received = codec.decode(value)
    except Refused as refused:
        assert CANARY not in str(refused)
        assert refused.reason in set(GateReason)
    else:
        assert gate.MARKER + received.schema.fingerprint + gate.write(received.record, received.schema.parsed) == value


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

"""Whatever is wrong with the bytes of a message is said with its place and what to do."""

from collections.abc import Callable

import pytest
from a_message import CASES, MOVED

from safebus.producers.importers.outcome import Imported, NotImported, Outcome

Message = Callable[[bytes], Outcome]
SIGNAL = (CASES / "mns" / "samename" / "mon" / "signal.json").read_bytes()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"specversion":\n "\xe9"}', "line 2, column 3: byte 0xE9 is not UTF-8"),
        (SIGNAL.decode().encode("utf-16"), "this is UTF-16; save it as UTF-8"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b'{"a":\n 1,}', "not JSON from line 2, column 4 on"),
        (SIGNAL[:-5], "this is not JSON from line "),
        (b"", "not JSON from line 1, column 1 on"),
        (b"[" + SIGNAL + b"]", "expected one JSON object"),
        (b" " * 1_048_577, "found 1048577 bytes, expected at most 1048576"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_json_that_cannot_be_read_names_the_place(signal: Message, data: bytes, said: str) -> None:
    outcome = signal(data)

    assert isinstance(outcome, NotImported)
    assert said in outcome.detail


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (MOVED.encode("cp1252"), ": it is not UTF-8, or not allowed there"),
        (MOVED.encode()[:-9], ": it is not whole; ask the source for the message"),
    ],
    ids=["cp1252", "cut"],
)
def test_xml_that_cannot_be_read_names_the_place(message: Message, data: bytes, said: str) -> None:
    outcome = message(data)

    assert isinstance(outcome, NotImported)
    assert said in outcome.detail


def test_a_byte_order_mark_changes_nothing(signal: Message, message: Message) -> None:
    for read, data in ((signal, SIGNAL), (message, MOVED.encode())):
        outcome = read(b"\xef\xbb\xbf" + data)

        assert isinstance(outcome, Imported)
        assert outcome == read(data)

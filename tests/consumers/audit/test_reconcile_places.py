"""Where the register sent a partner's notifications, and when, from all that was ever written to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from safebus.consumers.adapters.places import place_digest, place_digests
from safebus.consumers.audit.reconcile.places import Stood, places_at, places_of
from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.keys import PersonKey
from safebus.streams.register.governance import RegisteredDestination
from safebus.streams.register.history import history
from safebus.streams.register.store import body_of

KEY = PersonKey(b"k" * 32).digests
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = int(NOON.timestamp() * 1000)
MINUTE = 60_000


def destination(partner: str, place: str | None) -> RegisterRecord:
    body = None
    if place is not None:
        body = body_of(RegisteredDestination(partner=partner, transport="webhook", place=place))
    return RegisterRecord(
        record_id=f"destination/{partner}",
        kind="destination",
        recorded_at=NOON,
        recorded_by="op",
        reason="because",
        body=body,
    )


def digests(place: str) -> frozenset[str]:
    return frozenset(place_digests("webhook", place, KEY))


def test_each_place_stands_until_another_is_registered_or_it_is_ended() -> None:
    records = [
        destination("ash", "https://a.example/"),
        destination("haven", "https://h.example/"),
        destination("ash", "https://b.example/"),
        destination("ash", None),
        destination("ash", "https://a.example/"),
    ]
    log = list(enumerate(records))
    taken_in = [(n, int((NOON + timedelta(minutes=n)).timestamp() * 1000)) for n, _ in log]
    found = places_of(history(log, taken_in), KEY)

    a, b = digests("https://a.example/"), digests("https://b.example/")
    assert found["ash"] == [
        Stood(AT, AT + 2 * MINUTE, a),
        Stood(AT + 2 * MINUTE, AT + 3 * MINUTE, b),
        Stood(AT + 4 * MINUTE, None, a),
    ]
    assert found["haven"] == [Stood(AT + MINUTE, None, digests("https://h.example/"))]


def test_a_digest_tells_sameness_and_not_the_place() -> None:
    [one] = digests("https://a.example/")
    other = frozenset(place_digests("postgres", "https://a.example/", KEY))

    assert one not in other and len(one) == 64
    assert frozenset(place_digests("webhook", "https://a.example/", PersonKey(b"m" * 32).digests)) != {one}


def test_who_lacks_the_next_secret_knows_a_place_until_that_is_in_use() -> None:
    """A process that delivers may hold it long before; an auditor would have accused it of every delivery."""
    two, one = PersonKey(b"k" * 32, (b"l" * 32,)).digests, KEY
    [registered] = place_digests("webhook", "https://a.example/", one)

    assert place_digest("webhook", "https://a.example/", two.of(1)) == registered
    assert place_digest("webhook", "https://a.example/", two.of(2)) in place_digests(
        "webhook", "https://a.example/", two
    )
    assert place_digest("webhook", "https://a.example/", two.of(2)) != registered


def test_those_that_stood_a_moment_before_or_after_count_and_where_none_stood_none_does() -> None:
    old, new = Stood(0, AT, frozenset("o")), Stood(AT, None, frozenset("n"))

    assert places_at([old, new], AT + 4 * MINUTE) == [old, new]
    assert places_at([old, new], AT + 6 * MINUTE) == [new]
    assert places_at([old, new], AT - 6 * MINUTE) == [old]
    assert places_at([old], AT + MINUTE) == places_at([], AT) == []

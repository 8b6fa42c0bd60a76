"""Two case secrets of one agency are counted each time, and said once for each."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from safebus.producers.publisher import Messages
from safebus.schemas import headers
from safebus.streams.worker.case_secrets import CaseSecrets
from safebus.streams.worker.counts import Counts, NoCounts

POLICE, TOPIC = "fordshire-police", "in.fordshire-police"
ONE, OTHER = (Messages(POLICE, secret * 16).fingerprint for secret in (b"1", b"2"))


@dataclass
class Told(NoCounts):
    topics: list[str] = field(default_factory=list)

    def under_other_secret(self, topic: str) -> None:
        self.topics.append(topic)


def seen(*came: bytes | None, registered: str | None = None, agency: str = POLICE) -> tuple[int, list[str]]:
    """How many were counted, and what was said."""
    told = Told()
    secrets = CaseSecrets(Counts(tally=told))
    with capture_logs() as logs:
        for value in came:
            about = [("ce_id", b"e"), *([] if value is None else [(headers.CASE_KEY_BY, value)])]
            secrets.seen(agency, about, topic=TOPIC, registered=registered)
    assert set(told.topics) <= {TOPIC}
    return len(told.topics), [f"{line['event']} {line['found']} {line['expected']}" for line in logs]


def test_one_secret_is_nothing_to_say() -> None:
    assert seen(*[ONE.encode()] * 3) == (0, [])
    assert seen(*[ONE.encode()] * 3, registered=ONE) == (0, [])


def test_another_than_the_first_is_counted_each_time_and_said_once() -> None:
    assert seen(*map(str.encode, (ONE, OTHER, ONE, OTHER))) == (2, [f"publisher.other_case_secret {OTHER} {ONE}"])


def test_each_is_said_once_in_whatever_order_they_come_and_not_without_end() -> None:
    third = Messages(POLICE, b"3" * 16).fingerprint
    assert seen(*map(str.encode, (ONE, *[OTHER, third] * 5)), registered=ONE) == (
        10,
        [f"publisher.other_case_secret {found} {ONE}" for found in (OTHER, third)],
    )
    counted, said = seen(*[b"%016x" % number for number in range(99)], registered=ONE)
    assert (counted, len(said)) == (99, 10)


def test_the_register_says_which_is_right() -> None:
    assert seen(*[ONE.encode()] * 2, registered=OTHER) == (2, [f"publisher.other_case_secret {ONE} {OTHER}"])


@pytest.mark.parametrize("value", [None, b"", b"x" * 16, ONE.encode() + b"0", b"\x1b[2J"])
def test_what_is_no_fingerprint_says_nothing(value: bytes | None) -> None:
    """Other programs publish, too; and what anybody may write there is not repeated."""
    assert seen(ONE.encode(), value, registered=ONE) == (0, [])


def test_agencies_do_not_share_a_secret() -> None:
    told = Told()
    secrets = CaseSecrets(Counts(tally=told))
    for agency, fingerprint in ((POLICE, ONE), ("fordshire-housing", OTHER)):
        about = [(headers.CASE_KEY_BY, fingerprint.encode())]
        secrets.seen(agency, about, topic=f"in.{agency}", registered=None)

    assert told.topics == []

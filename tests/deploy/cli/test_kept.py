"""Until when a partner's topic keeps what waits, as its settings say, and what an operator is told of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from safebus.consumers.audit.standing import How, Standing
from safebus.deploy.cli.kept import Kept, by, in_words, until_when
from safebus.deploy.service.topic_plan import wanted

NOON = datetime(2026, 12, 18, 12, tzinfo=UTC)
WEEK = Kept(timedelta(days=7))
WAITS = Standing("ash", How.PAUSED, undelivered=3, oldest=NOON - timedelta(days=2))
NOTHING = Standing("ash", How.PAUSED)
AGAIN = "`safebus deliveries again ash --from ...` makes it again while its event is kept (30 days)"
GONE = f"goes to nobody, unless {AGAIN}"


def test_the_settings_of_a_topic_as_kafka_gives_them() -> None:
    [out] = [topic for topic in wanted(["ash"]) if topic.name == "out.ash"]

    assert by(out.config()) == WEEK
    assert by({"retention.ms": "-1", "retention.bytes": "1000"}) == Kept(None, by_size=True)


@pytest.mark.parametrize(
    ("standing", "until", "words"),
    [
        (
            WAITS,
            NOON + timedelta(days=5),
            ["`out.ash` keeps the oldest that waits until 2026-12-23 12:00 UTC at least"],
        ),
        (
            WAITS,
            NOON + timedelta(days=6),
            [
                "`out.ash` keeps the oldest that waits until 2026-12-23 12:00 UTC at least",
                f"the pause is longer than that: what is gone by then {GONE}",
            ],
        ),
        (
            NOTHING,
            None,
            [
                "`out.ash` keeps what comes from now on until 2026-12-25 12:00 UTC at least",
                f"resume before then; what is gone from the topic by then {GONE}",
            ],
        ),
    ],
)
def test_whoever_pauses_is_told_whether_the_pause_is_longer(
    standing: Standing, until: datetime | None, words: list[str]
) -> None:
    assert in_words(WEEK, standing, until=until, now=NOON) == words


def test_what_is_kept_for_ever_or_by_size_or_not_shown_is_said_so() -> None:
    said = [
        in_words(kept, WAITS, until=None, now=NOON)
        for kept in (Kept(), Kept(by_size=True), Kept(why_not="hidden"), Kept(in_memory=True))
    ]

    assert said == [
        ["`out.ash` keeps what waits, whatever its age"],
        [
            "`out.ash` keeps what waits, whatever its age",
            "`out.ash` has `retention.bytes`: where much comes, the oldest goes sooner",
        ],
        ["until when `out.ash` keeps what waits is not known: hidden"],
        [
            "`out.ash` keeps what waits, whatever its age, until the embedded broker ends: in memory alone, and of "
            "each partition the newest 5 MB"
        ],
    ]


def test_the_column_is_empty_where_nothing_waits_or_nothing_is_known() -> None:
    columns = [until_when(WEEK, WAITS), until_when(WEEK, NOTHING), until_when(Kept(), WAITS)]

    assert columns == ["2026-12-23T12:00:00+00:00", "", ""]

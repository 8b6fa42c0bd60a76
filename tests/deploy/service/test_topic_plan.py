"""Topics are compared by value: what is there and is not as it should be is named, with what comes of it."""

from __future__ import annotations

import pytest

from safebus.deploy.service.topic_plan import Drift, also_there, drifted, wanted

EXPECTED = wanted(["ash-primary"])
THERE = {topic.name: topic.partitions for topic in EXPECTED}
SETTINGS = {topic.name: topic.config() for topic in EXPECTED}


def changed(topic: str, **settings: str) -> list[Drift]:
    of_one = SETTINGS[topic] | {name.replace("_", "."): value for name, value in settings.items()}
    return drifted(EXPECTED, THERE, SETTINGS | {topic: of_one})


def test_what_is_as_it_should_be_is_not_named() -> None:
    assert drifted(EXPECTED, THERE, SETTINGS) == []
    # The embedded broker has no settings, and gives every topic as many partitions.
    assert drifted(EXPECTED, dict.fromkeys(THERE, 4), None) == []
    assert [d.topic for d in drifted(EXPECTED, THERE | {"decisions": 3}, None)] == ["decisions"]
    assert drifted(EXPECTED, {}, SETTINGS) == []  # what is missing is no difference


@pytest.mark.parametrize(
    ("topic", "setting", "found", "expected"),
    [
        ("in.ash-primary", "message.timestamp.type", "CreateTime", "LogAppendTime"),
        ("register", "cleanup.policy", "compact", "delete"),
        ("register", "cleanup.policy", "compact,delete", "delete"),
        ("decisions", "retention.ms", "3600000", "-1"),
        ("quarantine", "retention.ms", "-1", "7776000000"),
    ],
)
def test_each_drift_is_named_and_can_be_mended(topic: str, setting: str, found: str, expected: str) -> None:
    [one] = changed(topic, **{setting.replace(".", "_"): found})

    assert (one.topic, one.setting, one.found, one.expected) == (topic, setting, found, expected)
    assert one.can_be_mended
    assert str(one).startswith(f"{setting} is {found}, not {expected}: ")


@pytest.mark.parametrize("count", [3, 5])
def test_more_partitions_are_as_wrong_as_fewer_and_no_command_mends_them(count: int) -> None:
    """With five an event and its repeat may be decided in two places."""
    [one] = drifted(EXPECTED, THERE | {"decisions": count}, SETTINGS)

    assert (one.topic, one.setting, one.found, one.expected) == ("decisions", "partitions", str(count), "4")
    assert not one.can_be_mended and "make the topic anew" in str(one)


def test_a_setting_that_is_not_shown_is_not_taken_for_right() -> None:
    without = {name: value for name, value in SETTINGS["register"].items() if name != "message.timestamp.type"}

    [one] = drifted(EXPECTED, THERE, SETTINGS | {"register": without})
    assert (one.setting, one.found) == ("message.timestamp.type", "not shown")


def test_topics_of_partners_that_the_register_has_no_more_are_looked_at_however_they_are_named() -> None:
    there = ["in.ash", "out.ash", "receipts.gone", "out.gone", "out.Not a name!", "decisions", "somebodys", "inn.ash"]
    found = {topic.name: topic.kept_ms for topic in also_there(["ash"], there)}

    assert found == {"out.Not a name!": 7 * 86_400_000, "out.gone": 7 * 86_400_000, "receipts.gone": -1}

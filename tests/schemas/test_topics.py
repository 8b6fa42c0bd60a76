"""The table of topics, by which they are made and their rights are given."""

import pytest

from safebus.schemas import topics
from safebus.schemas.errors import BadIdentifier
from safebus.schemas.topics import PARTITIONS, Topic, partner_of_receipts, receipts_from, table

DAY_MS = 86_400_000


def test_the_table_holds_every_topic_of_a_bus() -> None:
    found = table(publishers=["htest-police"], partners=["htest-school"])

    assert found == [
        Topic("register", 1, -1, "register load, consent record", "worker, adapters, replay"),
        Topic("decisions", 4, -1, "worker", "audit, explain, replay"),
        Topic("quarantine", 4, 90 * DAY_MS, "worker, importers", "operators"),
        Topic("operations", 1, -1, "whoever uses the commands", "audit"),
        Topic("in.htest-police", 4, 30 * DAY_MS, "htest-police", "worker, replay"),
        Topic("out.htest-school", 4, 7 * DAY_MS, "worker", "adapter of htest-school"),
        Topic("receipts.htest-school", 4, -1, "adapter of htest-school", "adapter, audit, explain"),
        Topic("parked.htest-school", 4, -1, "adapter of htest-school", "operators"),
    ]


def test_an_agency_named_twice_has_its_topics_once_and_order_does_not_matter() -> None:
    assert table(["bb", "aa", "bb"], ["dd", "cc", "dd"]) == table(["aa", "bb"], ["cc", "dd"])
    assert [topic.name for topic in table(["bb", "aa", "bb"], [])[4:]] == ["in.aa", "in.bb"]


def test_every_source_partition_has_its_own_decisions_partition() -> None:
    """A worker reads the tail of that one partition to know what it has decided."""
    found = {topic.name: topic.partitions for topic in table(["aa", "bb"], ["cc"])}

    assert found["in.aa"] == found["in.bb"] == found["decisions"] == PARTITIONS


def test_the_register_is_one_partition_kept_for_ever() -> None:
    """One offset names one state, and the past must be reconstructible."""
    register = table([], [])[0]

    assert (register.name, register.partitions, register.config()["retention.ms"]) == ("register", 1, "-1")


def test_every_topic_is_dated_by_the_broker_and_none_is_compacted() -> None:
    """Compaction would take what a record of the past rests on; a publisher's clock could keep a consent alive."""
    assert {(t.config()["message.timestamp.type"], t.config()["cleanup.policy"]) for t in table(["aa"], ["bb"])} == {
        ("LogAppendTime", "delete")
    }


def test_a_topic_says_whose_notifications_it_holds_or_that_it_is_published() -> None:
    assert topics.partner_of_notifications(topics.notifications_for("ash")) == "ash"
    assert topics.partner_of_notifications("receipts.ash") is None
    assert topics.partner_of_parked(topics.parked_for("ash")) == "ash"
    assert topics.partner_of_parked("out.ash") is None
    assert topics.is_published(topics.published_by("ash")) and not topics.is_published("out.ash")


def test_the_agency_of_a_topic_is_the_one_that_publishes_to_it() -> None:
    assert topics.agency_of(topics.published_by("htest-police")) == "htest-police"


@pytest.mark.parametrize("topic", ["out.htest-police", "decisions", "xin.htest-police", ""])
def test_a_topic_that_no_agency_publishes_to_belongs_to_none(topic: str) -> None:
    with pytest.raises(ValueError, match=r"is not one that an agency publishes to \(`in\.<agency>`\)"):
        topics.agency_of(topic)


@pytest.mark.parametrize("name", [topics.published_by, topics.notifications_for, topics.parked_for])
@pytest.mark.parametrize("hostile", ["", "a", "../etc", "A-B", "aa.bb", "aa\n", "aa/bb", "*", "-aa", "a" * 41])
def test_a_name_that_is_no_agency_id_names_no_topic(name: object, hostile: str) -> None:
    """Topic names become file names, certificates and rights."""
    assert callable(name)

    with pytest.raises(BadIdentifier, match="2-40 characters"):
        name(hostile)


def test_receipts_are_told_by_whose_they_are() -> None:
    assert partner_of_receipts(receipts_from("htest-school")) == "htest-school"
    assert [partner_of_receipts(name) for name in ("receipts", "out.htest-school", "decisions")] == [None] * 3


def test_what_is_kept_for_ever_is_what_the_table_says() -> None:
    found = topics.table(["police"], ["haven"])

    assert {t.name for t in found if topics.is_kept_for_ever(t.name)} == {t.name for t in found if t.kept_ms == -1}

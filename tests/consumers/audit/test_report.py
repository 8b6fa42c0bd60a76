"""A report says everything that was found, on lines of its own, and nobody signs for more than was looked at."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from safebus.consumers.audit.coverage import Covered
from safebus.consumers.audit.operations import OnRecord
from safebus.consumers.audit.reconcile.balance import (
    Account,
    AgencyCount,
    Discrepancy,
    Finding,
    PartnerCount,
)
from safebus.consumers.audit.replay.findings import Difference, Verified
from safebus.consumers.audit.report import NOT_SHOWN, Report, as_document, as_json
from safebus.consumers.audit.unrecorded import Unrecorded
from safebus.consumers.audit.untold import Untold
from safebus.deploy.service.terminal import visible
from safebus.schemas.bus_records import Operation, RegisterRecord
from safebus.schemas.own_records import Strange
from safebus.streams.register.history import Step, What

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
RECEIPTS = Covered("receipts.school", 4, 30, 0, NOON, None)
FOUND = Finding(Discrepancy.LOST, "e-9", "e-9", "police", "in.police/0/9", "the worker went past it")
OPERATION = Operation(
    operation_id="00000000-0000-4000-8000-000000000001",
    at=NOON,
    what="parked redrive",
    about=("school", "n-1"),
    reason="| [a](b)\n# they mended it",
    certificate="",
    system_user="anna",
    number=1,
)
ALONE = Unrecorded("register/0/7", ("consent/1", "consent/2"), "mallory", "no command on record")
OWED = Untold("school", "n-1", "e-1", "withdrawn")
CHANGED = RegisterRecord(
    record_id="partner/school",
    kind="partner",
    body=None,
    recorded_at=NOON,
    recorded_by="ben",
    reason="closed",
)


def report(**changes: Any) -> Report:
    whole = Report(
        since=NOON,
        until=NOON + timedelta(days=1),
        made_at=NOON + timedelta(days=2),
        by="auditor-eve",
        release="1.0",
        register_offset=41,
        hidden=(),
        covered=(replace(RECEIPTS, topic="in.police", gone=7, kept_for=timedelta(days=30)), RECEIPTS),
        account=Account(
            {"police": AgencyCount(3, 2, Counter(ID_REUSED=1))},
            {"school": PartnerCount(permitted=2, on_topic=2, handed_over=2)},
        ),
        verified=Verified(decisions=2, identical=2, outputs=2, outputs_identical=2),
        steps=(Step(41, NOON, CHANGED, What.ENDED, (), {"a": 1}, None, timedelta(minutes=1)),),
        operations=(OnRecord(OPERATION, NOON, 5, proven=True),),
        strange=(),
        unrecorded=(),
        untold=(),
    )
    return replace(whole, **changes)


def test_where_nothing_is_wrong_it_says_so_and_shows_what_was_looked_at() -> None:
    text = as_document(report())

    assert report().doubts() == []
    assert "- Nothing was found that speaks against what the bus says it did." in text
    assert "| in.police | 4 | 30 | 2026-11-02 12:00 UTC | 7 | 30 days |" in text
    assert "| receipts.school | 4 | 30 | 2026-11-02 12:00 UTC | 0 | ever |" in text
    assert "| police | 3 | 2 | 1 |" in text
    assert "| school | 2 | 2 | 2 |" in text
    assert "- 1 set aside as ID\\_REUSED\n- 3 published events add up" in text
    assert "- 2 of 2 decisions are identical, byte for byte, when made again" in text
    assert "| 41 | 2026-11-02T12:00:00+00:00 | partner/school | ended | 60 |  | ben | closed |" in text
    assert all(f"- {each}" in text for each in NOT_SHOWN)


def test_what_a_person_typed_makes_no_line_cell_heading_or_link_of_its_own() -> None:
    text = as_document(report())

    assert r"| yes | parked redrive | 1 | school n-1 | \| \[a\](b) \# they mended it |" in text


def test_the_digest_is_of_what_is_printed_whatever_a_person_typed() -> None:
    """What acts on a terminal is printed as its code point; the digest would have been of the sign itself."""
    turned = replace(report().operations[0], operation=OPERATION.model_copy(update={"reason": "a\u202eb\x1b[31m"}))
    text = as_document(report(operations=(turned,)))

    assert r"| a\u{202e}b\u{1b}\[31m |" in text
    assert visible(text) == text


def test_the_digest_is_of_all_that_stands_above_the_place_to_sign() -> None:
    text = as_document(report())
    body, _, signed = text.partition("## Signed")

    assert hashlib.sha256(body.encode()).hexdigest() in signed
    assert "| name | role | date | signature |" in signed
    assert as_document(report(by="auditor-eva")).partition("## Signed")[2] != signed


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"account": Account({"police": AgencyCount(1, lost=1)}, findings=[FOUND])}, "does not add up: 1 LOST"),
        ({"account": Account(findings=[FOUND])}, "does not add up: 1 LOST"),
        ({"account": Account({"police": AgencyCount(2, 1)})}, "does not add up"),
        ({"account": Account()}, "nothing was published in that span"),
        ({"verified": Verified(2, 1, differences=[Difference("e-1", "other answer")], not_listed=3)}, "4 decisions or"),
        ({"verified": Verified()}, "there is no decision in the span"),
        ({"covered": (replace(RECEIPTS, gone=1),)}, "`receipts.school` is kept for ever, and 1 records"),
        ({"hidden": ("out.school",)}, "not shown to auditor-eve, and so not looked at: out.school"),
        ({"strange": (Strange("operations", 0, 5, "NOT_SIGNED"),)}, "1 records among the operations"),
        ({"unrecorded": (ALONE,)}, "1 changes of the register have no command beside them"),
        ({"untold": (OWED,)}, "1 notices that a consent has ended are owed"),
    ],
)
def test_whatever_speaks_against_it_stands_first(changes: dict[str, Any], doubt: str) -> None:
    found = report(**changes)
    short = as_document(found).partition("## In short")[2].partition("## 1.")[0]

    assert [doubt in each for each in found.doubts()] == [True]
    assert doubt in short.replace("\\", "")
    assert "Nothing was found" not in short
    assert as_json(found)["sound"] is False


def test_each_finding_and_difference_is_listed_with_its_place_and_what_to_do() -> None:
    text = as_document(
        report(
            account=Account({"police": AgencyCount(1, lost=1)}, findings=[FOUND]),
            verified=Verified(1, differences=[Difference("e-1", "other answer")], not_listed=2),
            strange=(Strange("operations", 0, 5, "NOT_SIGNED"),),
            unrecorded=(ALONE,),
            untold=(OWED,),
            steps=(),
            operations=(),
        )
    )

    assert "| LOST | e-9 | e-9 | police | in.police/0/9 | the worker went past it | ask the agency" in text
    assert "| e-1 | other answer |" in text
    assert "2 more differences are counted and not listed" in text
    assert r"| operations/0/5 | NOT\_SIGNED |" in text
    assert "| school | n-1 | e-1 | withdrawn |" in text
    assert "| register/0/7 | consent/1 consent/2 | mallory | no command on record |" in text
    assert "Nothing did in that span." in text and "Nothing in that span." in text


def test_for_a_program_it_is_the_same_facts() -> None:
    said = json.loads(json.dumps(as_json(report())))

    assert (said["sound"], said["doubts"]) == (True, [])
    assert said["coverage"][0] == {
        "topic": "in.police",
        "partitions": 4,
        "records": 30,
        "gone": 7,
        "oldest": NOON.isoformat(),
        "kept_for": 30 * 86_400,
        "unexplained": False,
    }
    assert said["reconcile"]["agencies"]["police"]["set_aside"] == {"ID_REUSED": 1}
    assert said["reconcile"]["noted"]["sent_again_not_taken"] == 0
    assert said["verify"]["identical"] == 2
    assert (said["strange"], said["unrecorded"], said["untold"]) == ([], [], [])
    assert [step["record"] for step in said["register"]] == ["partner/school"]
    assert [one["who"] for one in said["operations"]] == ["anna"]

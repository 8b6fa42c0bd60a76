"""
What does one record on a topic say, for someone who only counts?

Ids, digests and times; never a value of an event or of a notification. What agencies published is read only for the
bytes that every encoder gives it: their keyed digest tells which decision is about it. Our own records are read by
fastavro alone and only as far as needed, because checking their canonical form, as `codec.decode_record` does, would
take most of the time.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple, cast

import fastavro

from safebus.consumers.delivery import stages
from safebus.schemas import codec, gate, identifiers, topics
from safebus.schemas.bus_records import Outcome, Stage
from safebus.schemas.errors import BadIdentifier, Refused
from safebus.schemas.event_schemas import bus_schemas
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.keys import DigestKey


class Place(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    @property
    def stands_on(self) -> Partition:
        """The partition that it is a place of."""
        return Partition(self.topic, self.partition)

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Published:
    """
    A record that an agency published.

    Attributes:
        at: Milliseconds since 1970 on the broker's clock; so in every fact.
        digests: Of its content, keyed, as a decision's `input_digest`: one for each generation of the bus's secret.
        event_id: As its header says it, if that is a UUID: anything else a publisher may have written there is not ours
            to show.
    """

    place: Place
    at: int
    digests: tuple[str, ...]
    event_id: str | None

    @property
    def agency(self) -> str:
        return topics.agency_of(self.place.topic)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a decision says to one recipient about one person."""

    partner: str
    outcome: Outcome
    notification_id: str | None
    digest: str | None
    takes_back: str | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """
    A decision record.

    Attributes:
        digest: Of its own bytes; `input_digest`: of the event's.
        for_a_person: Somebody must look at something about it, so it also stands in quarantine.
    """

    place: Place
    at: int
    event_id: str
    agency: str
    origin: Place
    input_digest: str
    digest: str
    answers: tuple[Answered, ...]
    for_a_person: bool = False

    def permits(self, partner: str, notification_id: str) -> Answered | None:
        """The answer that lets this partner have this notification."""
        for answer in self.answers:
            if (answer.partner, answer.notification_id, answer.outcome) == (partner, notification_id, Outcome.PERMIT):
                return answer
        return None


@dataclass(frozen=True, slots=True)
class WasSetAside:
    """An entry in quarantine."""

    place: Place
    at: int
    origin: Place
    reason: str


@dataclass(frozen=True, slots=True)
class _Stands:
    """A notification stands somewhere; `digest` is of its bytes."""

    place: Place
    at: int
    partner: str
    notification_id: str
    event_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class OnTopic(_Stands):
    """A notification on a partner's topic."""


@dataclass(frozen=True, slots=True)
class IsParked(_Stands):
    """A notification that was put where a person looks."""


@dataclass(frozen=True, slots=True)
class Handled:
    """
    A receipt.

    Attributes:
        by_hand: A person sent it; `restored`: because the partner had lost what it was handed.
        because: Why a person sent it, in their words; empty: it was tried by itself.
        went_to: Digest of the place where it was handed over; None: it does not say.
        written_by: Whose process wrote it; empty: it does not say.
    """

    place: Place
    at: int
    partner: str
    notification_id: str
    event_id: str
    stage: Stage
    digest: str
    by_hand: bool = False
    restored: bool = False
    went_to: str | None = None
    written_by: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A receipt of a notice that a consent has ended. `took`: the partner did; else it refused."""

    place: Place
    at: int
    partner: str
    notification_id: str
    event_id: str
    took: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record on one of the bus's own topics that the bus did not write."""

    place: Place
    at: int


Fact = Published | Decided | WasSetAside | OnTopic | IsParked | Handled | Told | Unreadable


def fact_of(
    place: Place, at: int, value: bytes | None, headers: Sequence[tuple[str, bytes]], *, key: DigestKey
) -> Fact:
    """What a record says."""
    if place.topic.startswith("in."):
        return Published(place, at, key.digests_of(codec.content_of(value)), _event_id(headers))
    try:
        if place.topic == topics.DECISIONS:
            if not gate.in_transaction(headers):
                return Unreadable(place, at)
            return _decided(place, at, value or b"", key)
        gate.check_marks(headers)
        if place.topic == topics.QUARANTINE:
            found = _read(value or b"", "quarantined", last="offset")
            return WasSetAside(place, at, Place(found["topic"], found["partition"], found["offset"]), found["reason"])
        partner = topics.partner_of_receipts(place.topic)
        if partner is not None:
            found = _read(value or b"", "receipt")
            if found["partner"] != partner:
                return Unreadable(place, at)
            stage = Stage(found["stage"])
            ids = found["partner"], found["notification_id"], found["event_id"]
            if stage is Stage.NOTICE_HANDED_OVER:
                return Told(place, at, *ids, took=stages.was_told(found["reason"]))
            because = stages.sent_again_because(found["reason"])
            by_hand = because is not None, stages.was_restored(found["reason"])
            where = found.get("place"), found.get("written_by", "")  # recorded before there were these
            return Handled(place, at, *ids, stage, found["output_digest"], *by_hand, *where, because or "")
        found = _read(value or b"", "notification", last="subject_token")
        partner = topics.partner_of_parked(place.topic)
        kind = OnTopic if partner is None else IsParked
        return kind(
            place,
            at,
            partner or place.topic.removeprefix("out."),
            found["notification_id"],
            found["event_id"],
            _digest(value or b"", found["subject_token"], key),
        )
    except _NOT_OURS:
        return Unreadable(place, at)


def _digest(value: bytes, token: str, key: DigestKey) -> str:
    """Of a notification, under the secret under which its token was written."""
    if not key.knows(token):
        raise ValueError("the token is of a generation that is not held here")
    return key.under(token).digest(value)


def key_of_decision(value: bytes) -> tuple[str, str, str]:
    """
    (event id, agency, input digest) of a decision record, without reading its answers.

    Raises:
        ValueError: It is none, or is cut off.
    """
    try:
        found = _read(value, "decision", last="input_digest")
    except _NOT_OURS as exc:
        raise ValueError("expected a `decision` record") from exc
    return found["event_id"], found["source"], found["input_digest"]


def _read(value: bytes, name: str, *, last: str | None = None, wanted: Any = None) -> dict[str, Any]:
    """Read a record up to a field, or of the whole of it only what is wanted."""
    if codec.written_under(value, name) is None:
        raise ValueError(f"expected a `{name}` record")
    written = _up_to(name, value[2:10], last)
    return cast("dict[str, Any]", fastavro.schemaless_reader(io.BytesIO(value[10:]), written, wanted))


_NOT_OURS = (Refused, ValueError, EOFError, struct.error, StopIteration, IndexError, OverflowError)


def _decided(place: Place, at: int, value: bytes, key: DigestKey) -> Decided:
    found = _read(value, "decision", wanted=_counted_of_decision())
    origin = found["origin"]
    return Decided(
        place=place,
        at=at,
        event_id=found["event_id"],
        agency=found["source"],
        origin=Place(origin["topic"], origin["partition"], origin["offset"]),
        input_digest=found["input_digest"],
        digest=key.digest(value),
        answers=tuple(
            Answered(a["recipient"], Outcome(a["outcome"]), a["notification_id"], a["output_digest"], a["takes_back"])
            for a in found["answers"]
        ),
        for_a_person=bool(found["worklist"]),
    )


# Avro has no way to a field but through all before it, so reading ends after the last one that is needed.
@cache
def _up_to(name: str, fingerprint: bytes, last: str | None) -> Any:
    whole = bus_schemas(name)[fingerprint]
    if last is None:
        return whole
    names = [field["name"] for field in whole["fields"]]
    fields = whole["fields"][: names.index(last) + 1]
    return fastavro.parse_schema({"type": "record", "name": whole["name"], "fields": fields})


@cache
def _counted_of_decision() -> Any:
    """What is counted of a decision; the rest is skipped: of 21 KB about four people, 19 are field names."""
    whole = _raw("decision")
    whole["fields"] = [f for f in whole["fields"] if f["name"] in _OF_DECISION]
    answer = next(f for f in whole["fields"] if f["name"] == "answers")["type"]["items"]
    answer["fields"] = [f for f in answer["fields"] if f["name"] in _OF_ANSWER]
    to_see = next(f for f in whole["fields"] if f["name"] == "worklist")["type"]["items"]
    to_see["fields"] = [f for f in to_see["fields"] if f["name"] == "code"]
    return fastavro.parse_schema(whole)


_OF_DECISION = frozenset({"event_id", "source", "origin", "input_digest", "answers", "worklist"})
_OF_ANSWER = frozenset({"recipient", "outcome", "notification_id", "output_digest", "takes_back"})


def _raw(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (resources.files("safebus.schemas") / "avro" / "bus" / f"{name}.avsc").read_text("utf-8")
    )
    return found


def _event_id(headers: Sequence[tuple[str, bytes]]) -> str | None:
    for name, value in headers:
        if name == "ce_id":
            try:
                return identifiers.event_id((value or b"").decode("ascii", "replace"))
            except BadIdentifier:
                return None
    return None

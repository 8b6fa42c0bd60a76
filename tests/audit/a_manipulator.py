"""
Somebody changes what stands on a bus's topics, by chance, and a ledger says what they did and whether it must be seen.

What is done:

    delete      one record, as if it had never been written       recreate    a topic, with nothing on it
    edit        a record, as the bus would have written it        move        to another partition
    insert      a copy of another record between two others       reorder     two that stand side by side
    copy        to the end of the same topic, or of another       forge       with the bus's keys and without
    cut         the newest, or the oldest, of a partition
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import Any, TypeVar

from a_recording import Record, Recording

from safebus.consumers.audit.reconcile.matching import WITH_DECISION
from safebus.consumers.delivery.stages import ENDED
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import (
    BusRecord,
    DecisionRecord,
    Notification,
    Operation,
    Outcome,
    Quarantined,
    Receipt,
    RegisterRecord,
    Stage,
)
from safebus.schemas.kafka.partitions import Partition

R = TypeVar("R", bound=BusRecord)


class Must(StrEnum):
    """
    What an auditor may ask for.

    NAMED: it changes who got what, or hides it. MAY: it does neither; to name it is no mistake. OPEN: it hides
    something, and nothing on the topics can tell; `docs/security.md` says so.
    """

    NAMED = "NAMED"
    MAY = "MAY"
    OPEN = "OPEN"


@dataclass(frozen=True)
class Manipulation:
    """
    One line of the ledger.

    Attributes:
        recording: As it stands after it.
        names: What an answer must say, any of these: ids and places of what was done.
    """

    what: str
    where: str
    recording: Recording
    must: Must
    names: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.what} ({self.where})"


class Manipulator:
    """Changes a recording, as somebody may who writes what the bus would have written."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._by_topic: dict[str, list[Partition]] = defaultdict(list)
        for partition, records in recording.records.items():
            if records:
                self._by_topic[partition.topic].append(partition)

    def once(self, chance: Random) -> Manipulation:
        """One of them, by chance, on a topic by chance."""
        while True:
            how = chance.choice((self._delete, self._delete, self._edit, self._edit, self._forge, self._copy))
            how = chance.choice((how, how, how, self._recreate, self._move, self._reorder, self._insert, self._cut))
            if (done := how(self._somewhere(chance), chance)) is not None:
                return done

    def each(self, chance: Random) -> Iterator[Manipulation]:
        """Each kind of them on each kind of topic, where there is such a one."""
        every = (
            self._delete, self._edit, self._forge, self._copy, self._recreate, self._move, self._reorder, self._insert,
            self._cut,
        )  # fmt: skip
        for kind in ("in.", "decisions", "out.", "receipts.", "parked.", "quarantine", "register", "operations"):
            for how in every:
                tried = (how(self._somewhere(chance, kind), chance) for _ in range(20))
                if (done := next(filter(None, tried), None)) is not None:
                    yield done

    def _somewhere(self, chance: Random, kind: str | None = None) -> Partition:
        kinds = sorted({topic.partition(".")[0] for topic in self._by_topic})
        kind = kind or chance.choice(kinds)
        some = [topic for topic in sorted(self._by_topic) if topic.startswith(kind)]
        return chance.choice(self._by_topic[chance.choice(some)])

    # What can be done.

    def _delete(self, at: Partition, chance: Random) -> Manipulation | None:
        records = self._records(at)
        number = chance.randrange(len(records))
        left = [*records[:number], *records[number + 1 :]]
        return self._ledger("delete", at, left, gone=[records[number]], moved=records[number + 1 :])

    def _cut(self, at: Partition, chance: Random) -> Manipulation | None:
        records = self._records(at)
        number = chance.randrange(len(records))
        if chance.random() < 0.5:
            return self._ledger("cut the newest", at, records[:number], gone=records[number:])
        gone, left = records[: number + 1], records[number + 1 :]
        return self._ledger("cut the oldest", at, left, gone=gone, moved=left)

    def _recreate(self, at: Partition, chance: Random) -> Manipulation | None:
        done = self.recording
        gone: list[Record] = []
        for partition in self._by_topic[at.topic]:
            gone += self._records(partition)
            done = done.with_(partition, [])
        return self._ledger("recreate", at, (), gone=gone, recording=done)

    def _insert(self, at: Partition, chance: Random) -> Manipulation | None:
        records = self._records(at)
        number = chance.randrange(len(records))
        added = chance.choice(records)
        there = [*records[:number], replace(added, at=records[number].at), *records[number:]]
        return self._ledger("insert a copy", at, there, moved=records[number:])

    def _reorder(self, at: Partition, chance: Random) -> Manipulation | None:
        records = list(self._records(at))
        if len(records) < 2:
            return None
        number = chance.randrange(len(records) - 1)
        one, two = records[number : number + 2]
        if (one.key, one.value) == (two.key, two.value):
            return None
        records[number : number + 2] = replace(two, at=one.at), replace(one, at=two.at)
        return self._ledger("reorder", at, records, moved=[one, two])

    def _move(self, at: Partition, chance: Random) -> Manipulation | None:
        if at.topic in (topics.REGISTER, topics.OPERATIONS):  # of these one partition is read
            return None
        records = self._records(at)
        number = chance.randrange(len(records))
        moved = records[number]
        to = Partition(at.topic, (at.number + chance.randrange(1, 4)) % 4)
        there = list(self.recording.records.get(to, ()))
        there.insert(sum(record.at <= moved.at for record in there), moved)
        left = [*records[:number], *records[number + 1 :]]
        done = self.recording.with_(to, there)
        behind = there[there.index(moved) :] + list(records[number + 1 :])
        return self._ledger("move", at, left, moved=[moved, *behind], recording=done)

    def _copy(self, at: Partition, chance: Random) -> Manipulation | None:
        record = chance.choice(self._records(at))
        topic, must = at.topic, Must.MAY
        prefix = topic.partition(".")[0] + "."
        if "." in topic and prefix != "in." and chance.random() < 0.7:
            others = [name for name in self.recording.topics if name.startswith(prefix) and name != topic]
            topic, must = chance.choice(others), Must.NAMED
        to = Partition(topic, at.number)
        there = [*self.recording.records.get(to, ()), replace(record, at=self._last_at())]
        if topic == at.topic == topics.REGISTER:
            must = Must.NAMED  # what has ended is there again
        names = self._names(to, record) | {f"{to.topic}/{to.number}/{len(there) - 1}"}
        done = self.recording.with_(to, there)
        return Manipulation("copy to the end", f"{at.topic} -> {topic}", done, must, names)

    def _edit(self, at: Partition, chance: Random) -> Manipulation | None:
        records = list(self._records(at))
        number = chance.randrange(len(records))
        record = records[number]
        edit = self._edits(at.topic, record, chance)
        if edit is not None and self._is_set_aside(at, number):
            edit = (*edit[:2], Must.OPEN)  # nothing was disclosed by it, and its original stands sealed in quarantine
        if edit is None:
            return None
        what, changed, must = edit
        assert changed != record, what
        records[number] = changed
        names = self._names(at, record) | self._names(at, changed) | {f"{at.topic}/{at.number}/"}
        done = self.recording.with_(at, records)
        return Manipulation(f"edit: {what}", at.topic, done, must, names)

    def _forge(self, at: Partition, chance: Random) -> Manipulation | None:
        record = chance.choice(self._records(at))
        forged = self._forgery(at.topic, record, chance)
        if forged is None:
            return None
        what, added, must = forged
        added = replace(added, at=self._last_at())
        there = [*self._records(at), added]
        place = f"{at.topic}/{at.number}/"
        done = self.recording.with_(at, there)
        return Manipulation(f"forge: {what}", at.topic, done, must, self._names(at, added) | {place})

    # What it means.

    def _ledger(
        self,
        what: str,
        at: Partition,
        there: Sequence[Record],
        *,
        gone: Iterable[Record] = (),
        moved: Iterable[Record] = (),
        recording: Recording | None = None,
    ) -> Manipulation:
        gone, moved = list(gone), list(moved)
        done = (recording or self.recording).with_(at, there)
        hidden = [record for record in gone if self._matters(at.topic, record, done)]
        must = Must.NAMED if hidden else Must.MAY
        names = {f"{at.topic}/{at.number}"}.union(*(self._names(at, record) for record in [*hidden, *moved]))
        names |= {f"{topics.OPERATIONS}/0/"} if at.topic == topics.REGISTER else set()  # the command that wrote it
        if at.topic.startswith("in.") and self._decided_on_other(at, done):
            must = Must.NAMED
        if at.topic == topics.REGISTER and what.startswith("insert"):
            must = Must.NAMED  # what had been changed since stands again
        return Manipulation(what, at.topic, done, must, frozenset(names))

    def _matters(self, topic: str, record: Record, left: Recording) -> bool:
        """Does it tell who got what, or why, when nothing else that is left on its topic tells the same?"""
        every = [r for p, records in left.records.items() if p.topic == topic for r in records]
        if any((r.key, r.value) == (record.key, record.value) for r in every):
            return False
        if topic.startswith("receipts."):
            mine = _read(record, Receipt)
            assert mine is not None
            if mine.stage not in ENDED and mine.stage is not Stage.NOTICE_HANDED_OVER:
                return False
            after = [r for r in (_read(each, Receipt) for each in every) if r and _same(r, mine)]
            # That it was parked before somebody sent it again, its entry says.
            ends = {Stage.PARKED, Stage.HANDED_OVER} if mine.stage is Stage.PARKED else {mine.stage}
            return not any(r.stage in ends for r in after)
        return True

    def _decided_on_other(self, at: Partition, done: Recording) -> bool:
        """Does a decision say that its event stands where something else does now, or nothing?"""
        before, after = dict(self.recording.on(at)), dict(done.on(at))
        decisions = [
            _read(record, DecisionRecord)
            for partition in self._by_topic[topics.DECISIONS]
            for record in self._records(partition)
        ]
        places = [d.origin.offset for d in decisions if d and (d.origin.topic, d.origin.partition) == at]
        return any(offset not in after or before[offset].value != after[offset].value for offset in places)

    def _is_set_aside(self, at: Partition, offset: int) -> bool:
        """It was published there, and nothing is decided about it."""
        entries = [
            _read(record, Quarantined)
            for partition in self._by_topic[topics.QUARANTINE]
            for record in self._records(partition)
        ]
        places = [(q.topic, q.partition, q.offset) for q in entries if q and q.reason not in WITH_DECISION]
        return (*at, offset) in places

    def _edits(self, topic: str, record: Record, chance: Random) -> tuple[str, Record, Must] | None:
        """An edit of one record, as somebody with the bus's keys would make it."""
        if topic.startswith("in."):
            assert record.value is not None
            at = chance.randrange(len(record.value))
            value = record.value[:at] + bytes([record.value[at] ^ 1]) + record.value[at + 1 :]
            return "one bit of what was published", replace(record, value=value), Must.NAMED
        kind, edits = _EDITS[topic.partition(".")[0]]
        was = _read(record, kind)
        if was is None:
            return None
        what, edit, must = chance.choice(edits)
        changed = edit(was, chance)
        if changed is None or changed == was:
            return None
        return what, replace(record, value=codec.encode_record(changed)), must

    def _forgery(self, topic: str, record: Record, chance: Random) -> tuple[str, Record, Must] | None:
        """A record that nobody wrote, made from one that somebody did."""
        if chance.random() < 0.2:
            junk = replace(record, value=chance.randbytes(40))
            must = Must.MAY if topic.startswith("in.") else Must.NAMED
            return "junk", junk, must
        kind = next((kind for name, (kind, _) in _EDITS.items() if topic.startswith(name)), None)
        was = None if kind is None else _read(record, kind)
        new = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        match was:
            case DecisionRecord():
                made = was.model_copy(update={"event_id": new})
                outside = replace(record, value=codec.encode_record(made), key=new.encode(), in_transaction=False)
                if chance.random() < 0.5:
                    return "a decision in no transaction", replace(outside, ends_one=False), Must.NAMED
                inside = replace(outside, in_transaction=True, ends_one=True)
                return "a decision about another event", inside, Must.NAMED
            case Notification():
                made = was.model_copy(update={"notification_id": new})
                marks = tuple((n, new.encode() if n == "ce_id" else v) for n, v in record.headers)
                return "a notification", replace(record, value=codec.encode_record(made), headers=marks), Must.NAMED
            case Receipt():
                made = was.model_copy(update={"notification_id": new, "stage": Stage.HANDED_OVER})
                forged = replace(record, value=codec.encode_record(made), key=new.encode())
                return "a receipt of what nobody sent", forged, Must.NAMED
            case RegisterRecord():
                made = was.model_copy(update={"record_id": f"{was.record_id}-x", "reason": "forged"})
                forged = replace(record, value=codec.encode_record(made), key=made.record_id.encode())
                return "an entry", forged, Must.NAMED
        return None

    def _names(self, at: Partition, record: Record) -> frozenset[str]:
        """Any of these, said in an answer, says that something is wrong with this record."""
        found = {_event_id(record), (record.key or b"").decode("utf-8", "replace")}
        for kind in (DecisionRecord, Notification, Receipt, Quarantined, RegisterRecord, Operation):
            match _read(record, kind):
                case DecisionRecord() as decision:
                    found |= {decision.event_id}
                case Notification() as notification:
                    found |= {notification.notification_id, notification.event_id}
                case Receipt() as receipt:
                    found |= {receipt.notification_id, receipt.event_id}
                case Quarantined() as aside:
                    found |= {f"{aside.topic}/{aside.partition}/{aside.offset}", aside.quarantine_id}
                    stood = dict(self.recording.on(Partition(aside.topic, aside.partition))).get(aside.offset)
                    found |= set() if stood is None else {_event_id(stood)}
                case RegisterRecord() as entry:
                    found |= {entry.record_id}
                case Operation() as operation:
                    found |= {operation.operation_id, *operation.about}
        return frozenset(found - {""})

    def _records(self, at: Partition) -> Sequence[Record]:
        return self.recording.records[at]

    def _last_at(self) -> int:
        return max(record.at for records in self.recording.records.values() for record in records)


def _read(record: Record, kind: type[R]) -> R | None:
    try:
        return codec.decode_record(record.value or b"", kind)
    except Exception:
        return None


def _event_id(record: Record) -> str:
    return (dict(record.headers).get("ce_id") or b"").decode("utf-8", "replace")


def _same(one: Receipt, two: Receipt) -> bool:
    return one.notification_id == two.notification_id and (
        (one.stage is Stage.NOTICE_HANDED_OVER) is (two.stage is Stage.NOTICE_HANDED_OVER)
    )


def _answer(chance: Random, was: DecisionRecord, wanted: Outcome, **changes: Any) -> DecisionRecord | None:
    some = [n for n, answer in enumerate(was.answers) if answer.outcome is wanted]
    if not some:
        return None
    number = chance.choice(some)
    answers = [a.model_copy(update=changes) if n == number else a for n, a in enumerate(was.answers)]
    return was.model_copy(update={"answers": tuple(answers)})


def _with(**changes: Any) -> Callable[[Any, Random], Any]:
    return lambda was, _chance: was.model_copy(update=changes)


def _to_stage(stage: Stage, *of: Stage) -> Callable[[Receipt, Random], Receipt | None]:
    return lambda was, _: was.model_copy(update={"stage": stage}) if was.stage in of else None


_Edit = tuple[str, Callable[[Any, Random], Any], Must]
_HANDED_OVER, _PARKED, _STOPPED = Stage.HANDED_OVER, Stage.PARKED, Stage.STOPPED
_ZEROS = "0" * 64

_DECISION: list[_Edit] = [
    ("a permit is a refusal", lambda w, c: _answer(c, w, Outcome.PERMIT, outcome=Outcome.REFUSE), Must.NAMED),
    ("a refusal is a permit", lambda w, c: _answer(c, w, Outcome.REFUSE, outcome=Outcome.PERMIT), Must.NAMED),
    ("somebody else is permitted", lambda w, c: _answer(c, w, Outcome.PERMIT, recipient="haven"), Must.NAMED),
    ("no reasons", lambda w, c: _answer(c, w, Outcome.REFUSE, reasons=()), Must.NAMED),
    ("no answers", _with(answers=()), Must.NAMED),
    ("another register", lambda w, c: w.model_copy(update={"register_offset": c.randrange(60)}), Must.NAMED),
    ("another event's content", _with(input_digest=_ZEROS), Must.NAMED),
    ("another purpose", _with(purpose="something_else"), Must.NAMED),
    ("nothing for a person", _with(worklist=()), Must.NAMED),
    ("nothing earlier", _with(earlier=None), Must.OPEN),  # where no answer rests on it; see `docs/security.md`
    ("leaves nothing", _with(episode=None), Must.NAMED),
]
_NOTIFICATION: list[_Edit] = [
    ("another view", lambda w, _: w.model_copy(update={"view": w.view[:-1] + bytes([w.view[-1] ^ 1])}), Must.NAMED),
    ("another urgency", _with(urgency="whenever"), Must.NAMED),
    ("about another event", _with(event_id="00000000-0000-4000-8000-000000000009"), Must.NAMED),
]
_RECEIPT: list[_Edit] = [
    ("what was handed over was parked", _to_stage(_PARKED, _HANDED_OVER), Must.NAMED),
    ("what was parked was handed over", _to_stage(_HANDED_OVER, _PARKED), Must.NAMED),
    ("what was handed over was stopped", _to_stage(_STOPPED, _HANDED_OVER), Must.OPEN),
    ("what was stopped was handed over", _to_stage(_HANDED_OVER, _STOPPED), Must.OPEN),
    ("what was handed over is tried", _to_stage(Stage.WAITING, _HANDED_OVER), Must.NAMED),
    ("other bytes", lambda w, _: w.model_copy(update={"output_digest": _ZEROS}) if w.stage is _HANDED_OVER else None,
     Must.NAMED),
]  # fmt: skip
_REGISTER: list[_Edit] = [
    ("ended", _with(body=None), Must.NAMED),
    ("by somebody else", _with(recorded_by="nobody"), Must.OPEN),
    ("for another reason", _with(reason="because"), Must.NAMED),
]
_QUARANTINED: list[_Edit] = [
    ("another reason", _with(reason="EMPTY"), Must.MAY),
    ("another place", lambda w, _: w.model_copy(update={"offset": w.offset + 1}), Must.NAMED),
]
_OPERATION: list[_Edit] = [
    ("by somebody else", _with(system_user="nobody"), Must.OPEN),
    (
        "about something else",
        lambda w, _: w.model_copy(update={"about": (w.about[0],)}) if "deliver" in w.what else None,
        Must.NAMED,
    ),
    (
        "to write something else",
        lambda w, _: w.model_copy(update={"request": _ZEROS}) if w.request else None,
        Must.NAMED,
    ),
]
_EDITS: dict[str, tuple[type[BusRecord], list[_Edit]]] = {
    "decisions": (DecisionRecord, _DECISION),
    "out": (Notification, _NOTIFICATION),
    "parked": (Notification, _NOTIFICATION),
    "receipts": (Receipt, _RECEIPT),
    "register": (RegisterRecord, _REGISTER),
    "quarantine": (Quarantined, _QUARANTINED),
    "operations": (Operation, _OPERATION),
}

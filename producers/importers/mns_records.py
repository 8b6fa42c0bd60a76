"""
What does a signal of MNS mean, with the record that it points at?

    pds-death-notification-2   the record's death notification status: DEATH, DEATH_REMOVED; none: RECORD_CHANGED
    nhs-number-change-2        the record is under another number: NUMBER_CHANGED to that one
    pds-record-change-2        RECORD_CHANGED

with whom the record names: name, date of birth, and unless it is restricted, home and GP practice of the day on which
it was asked. Where signal and record do not fit together nothing is concluded, and the event is the signal's alone:
"this changed, look it up at the source". That loses nothing and says nothing that is not so.

The record is that of the day on which it was asked, not of the signal. So the event's id is derived from signal and
content: the same signal with the same record is a repeat, and with a newer record it is news.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from datetime import datetime

from safebus.producers.importers.called import called
from safebus.producers.importers.deaths import Deceased
from safebus.producers.importers.fhir_times import days, instant_if_whole
from safebus.producers.importers.homes import home_of
from safebus.producers.importers.identity_events import FeedMessage, event_of, stricter
from safebus.producers.importers.mns import Signal, pointer, told_by
from safebus.producers.importers.orders import check_born, check_died
from safebus.producers.importers.outcome import Imported, NotImported, NotNow, answer
from safebus.producers.importers.pds import PdsRecord
from safebus.schemas import codec
from safebus.schemas.events import Address, IdentityChange, IdentityEvent, Person, PersonRole
from safebus.schemas.identifiers import derived_id
from safebus.schemas.names import Name
from safebus.schemas.uk_day import uk_day

_VERSION = re.compile(r'(?:W/)?"?([0-9]{1,18})"?')
_DIED = "Patient.deceasedDateTime"


@dataclass(frozen=True)
class _Looked:
    """A record, the number that was asked for, and when."""

    record: PdsRecord
    asked_at: datetime


def import_looked_up(
    signal: Signal, record: PdsRecord, *, agency: str, asked_at: datetime, case_secret: bytes
) -> Imported | NotImported | NotNow:
    """
    Make an event of a signal and the record that it points at.

    Args:
        case_secret: The agency's own. Part of the event's id is a keyed digest of its content, which nobody without
            it can try names and numbers against.
    """
    theirs, ours = _version(record.version), _version(signal.record_version)
    if theirs is not None and ours is not None and theirs < ours:
        return NotNow(
            f"the record is at version {theirs} still, the signal tells of version {ours}; import it again later"
        )
    return answer(lambda: _import(signal, _Looked(record, asked_at), agency, case_secret))


def import_without(signal: Signal, why: str, *, agency: str) -> Imported | NotImported:
    """The signal's own event, and why nothing of a record is in it."""
    return answer(lambda: Imported(pointer(signal, agency=agency), (f"what the record says: {why}",)))


def _import(signal: Signal, looked: _Looked, agency: str, case_secret: bytes) -> Imported:
    record, kind = looked.record, signal.becomes["record"]
    if record.number != signal.number and (kind != "number" or record.is_restricted()):
        # It may be superseded, or a wrong answer; a restricted record's old and new number stand nowhere together.
        why = "the answer is under another NHS number than was asked for; look it up at the source"
        event = pointer(_labelled(signal, record), agency=agency)
        return Imported(event, (f"what the record says: {why}",))
    person, left_out = _person(looked)
    change, said = _change(signal, looked)
    message = told_by(_labelled(signal, record), person, change)
    update: dict[str, object] = {"record_version": record.version}
    if record.number != signal.number:
        # The signal says that this number changed, and the service that this is the record now: two sources.
        update["superseded_nhs_number"] = signal.number
    if change is IdentityChange.DEATH:
        update["died_at"] = _died_at(record.deceased, looked.asked_at)
    message = replace(message, payload=message.payload.model_copy(update=update))
    return Imported(_with_its_own_id(message, agency, case_secret), (*record.left_out, *left_out, *said))


def _labelled(signal: Signal, record: PdsRecord) -> Signal:
    """The stricter label of the two."""
    return replace(signal, confidentiality=stricter(signal.confidentiality, record.confidentiality))


def _change(signal: Signal, looked: _Looked) -> tuple[IdentityChange, tuple[str, ...]]:
    """What changed, as far as both say so, and what of the record says more."""
    record, kind = looked.record, signal.becomes["record"]
    if kind == "number" and record.number == signal.number:
        return IdentityChange.NUMBER_CHANGED, ("the other NHS number: the record is under the number of the signal",)
    if kind != "death":
        return IdentityChange(signal.becomes["signal"]), ()
    change = record.deceased.by_status()
    if change is None:
        return IdentityChange.RECORD_CHANGED, ("whether they died: the record has no death notification status",)
    if record.deceased.when:
        died = days(record.deceased.when, _DIED)
        died_at = instant_if_whole(record.deceased.when, _DIED, received_at=looked.asked_at)
        check_died(died, died_at, record.births, changed_at=looked.asked_at, told_at=looked.asked_at)
        if died.first > uk_day(signal.published_at):
            return IdentityChange.RECORD_CHANGED, ("a death after this signal: another signal tells of it",)
        return change, () if died_at else ("time of death: only a day or less is given",)
    return change, ()


def _died_at(deceased: Deceased, asked_at: datetime) -> datetime | None:
    return instant_if_whole(deceased.when, _DIED, received_at=asked_at) if deceased.when else None


def _person(looked: _Looked) -> tuple[Person, tuple[str, ...]]:
    record, today = looked.record, uk_day(looked.asked_at)
    check_born(record.births, by=looked.asked_at, who="person", what="the day on which it was asked for")
    name, no_name = called(record.names, on=today)
    home, no_home = home_of(record.addresses, as_of=looked.asked_at)
    practices = {each.code for each in record.practices if each.holds(today)}
    born = record.births[0] if record.births else None
    left_out = [f"name of `person`: {no_name}"] * bool(no_name)
    left_out += [f"home address of `person`: {no_home}"] * bool(no_home)
    left_out += ["date of birth of `person`: it gives no certain day"] * (born is not None and born.day is None)
    name = name or Name(None, None)
    person = Person(
        ref="person",
        role=PersonRole.PERSON,
        given_name=name.given or None,
        family_name=name.family or None,
        date_of_birth=born.day if born else None,
        nhs_number=record.number,
        home_address=Address(lines=home.lines, postcode=home.postcode) if home else None,
        registered_gp=practices.pop() if len(practices) == 1 else None,
    )
    return person, tuple(left_out)


def _with_its_own_id(message: FeedMessage, agency: str, case_secret: bytes) -> IdentityEvent:
    event = event_of(message, agency=agency)
    content = hmac.new(case_secret, codec.encode(event), hashlib.sha256).hexdigest()
    return event.model_copy(update={"event_id": derived_id("mns record", agency, message.source_id, content)})


def _version(text: str | None) -> int | None:
    found = _VERSION.fullmatch(text or "")
    return int(found[1]) if found else None

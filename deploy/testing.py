"""
How does a publisher's own test see what would become of its events?

    from safebus.testing import BusInMemory

    async def test_a_school_hears_of_it():
        bus = BusInMemory()
        async with bus.publisher("fordshire-police") as publisher:
            await my_code_that_publishes(publisher)

        assert bus.told("ash-primary")[0].view["subject"]["given_name"] == "Ava"

No broker, no process, no file: the checks are the publisher's own and the answers are the rules' own, by the register
of the demonstration or by a folder. What a broker does (partitions, time-outs, repeats after a crash) is not here; for
that there is `safebus up`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from safebus.consumers.audit.policy_try import Rehearsal
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service.key_files import any_key
from safebus.producers.publisher import Publisher
from safebus.producers.publisher_sync import PublisherSync
from safebus.schemas import codec, gate, topics
from safebus.schemas.bus_records import Reason
from safebus.schemas.errors import NoTopic, NotReachable, Refused, SafebusError, WrongUse
from safebus.schemas.events import Event
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Written, partition_of
from safebus.streams.rules import reasons
from safebus.streams.rules.asked_again import read_view
from safebus.streams.rules.sharing import SetAside

_NOWHERE: Final = Connection("in-memory:1")
_SECRET: Final = b"a secret for tests that is none"


@dataclass(frozen=True)
class Told:
    """What one partner would get. `view`: the fields, as plain values."""

    partner: str
    event_id: str
    lifecycle: str
    view: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What was decided for one partner about one person. `why`: in words. `about`: the person's place in the event."""

    partner: str
    about: int
    outcome: str
    why: tuple[str, ...]


class BusInMemory:
    """
    A bus that lives as long as this object.

    Args:
        register: A folder of YAML files; None: the demonstration's.
        now: When everything is decided; None: when it is published.

    Attributes:
        published: Each event that was accepted, once, in this order.
        set_aside: Event id -> why it was not decided.

    Raises:
        BadRegister: The folder's problems, with file and line.
    """

    def __init__(self, register: Path | None = None, *, now: datetime | None = None) -> None:
        self._now = now
        folder = register or DEMO_REGISTER
        self._rules = Rehearsal(folder, now=self._clock(), key=any_key(), rules_digest="rehearsed")
        self.published: list[Event] = []
        self.set_aside: dict[str, str] = {}
        self._told: list[Told] = []
        self._answers: dict[str, tuple[Answer, ...]] = {}
        self._contents: dict[tuple[str, str], bytes] = {}
        self._ends: dict[tuple[str, int], int] = {}
        self._trouble: SafebusError | None = None

    def publisher(self, agency: str, *, case_secret: bytes = _SECRET) -> Publisher:
        """
        A publisher to it, for whoever takes a `safebus.Publisher`.

        Raises:
            BadIdentifier: This cannot be an agency.
        """
        bus = self

        class InMemory(Publisher):
            def _link(self, _connection: Connection, _agency: str, _timeout_s: float) -> _Link:
                return _Link(bus)

        return InMemory(_NOWHERE, agency=agency, case_secret=case_secret)

    def publisher_sync(self, agency: str, *, case_secret: bytes = _SECRET) -> PublisherSync:
        """
        A publisher to it, for whoever takes a `safebus.PublisherSync`.

        Raises:
            BadIdentifier: This cannot be an agency.
        """
        kind = type(self.publisher(agency, case_secret=case_secret))

        class InMemory(PublisherSync):
            @property
            def _kind(self) -> type[Publisher]:
                return kind

        return InMemory(_NOWHERE, agency=agency, case_secret=case_secret)

    @contextmanager
    def down(self, trouble: SafebusError | None = None) -> Iterator[None]:
        """While nothing can be published: `NotReachable`, or what is given."""
        self._trouble = trouble or NotReachable("no broker answers; it was taken down by a test")
        try:
            yield
        finally:
            self._trouble = None

    def told(self, partner: str | None = None) -> list[Told]:
        """What all partners, or one, would get, in order."""
        return [each for each in self._told if partner in (None, each.partner)]

    def answers(self, event_id: str) -> tuple[Answer, ...]:
        """What was decided about an event, for each partner that was looked at."""
        return self._answers.get(event_id, ())

    def _clock(self) -> datetime:
        return self._now or datetime.now(UTC)

    def _take(self, message: Message) -> Written | SafebusError:
        if self._trouble is not None:
            return self._trouble
        agency = topics.agency_of(message.topic)
        if agency not in self._rules.register.partners:
            return NoTopic(f"there is no topic `{message.topic}` on this bus; its register has no partner `{agency}`")
        where = partition_of(message.key)
        offset = self._ends.setdefault((message.topic, where), 0)
        self._ends[message.topic, where] += 1
        try:
            gate.check_wrapping(message.key, message.headers)
            self._decide(codec.decode(message.value))
        except Refused as exc:  # the publisher asks the same, so only a new gate could come here
            self.set_aside[dict(message.headers)["ce_id"].decode()] = str(exc)
        return Written(where, offset)

    def _decide(self, received: codec.Received) -> None:
        event = received.event
        who = event.publisher.agency, event.event_id
        if who in self._contents:
            if self._contents[who] != received.content:  # the same content counts once
                self.set_aside[event.event_id] = "ID_REUSED: the event id was used before, for other content"
            return
        self._contents[who] = received.content
        self.published.append(event)
        outcome = self._rules.decide(received, now=self._clock())
        if isinstance(outcome, SetAside):
            self.set_aside[event.event_id] = f"{outcome.reason}: {outcome.detail}"
            return
        self._answers[event.event_id] = tuple(
            Answer(a.recipient, a.subject_index, a.outcome, tuple(_words(reason) for reason in a.reasons))
            for a in outcome.record.answers
        )
        for output in outcome.outputs:
            told = output.notification
            view = read_view(told, self._rules.register)
            assert view is not None  # the register that it was decided by holds the agreement
            self._told.append(Told(told.recipient, told.event_id, told.lifecycle, view))


def _words(reason: Reason) -> str:
    return f"{reason.code}: {reasons.say(reason)}"


class _Link:
    """`schemas.kafka.writer.Writer`, as far as a publisher asks it."""

    def __init__(self, bus: BusInMemory) -> None:
        self._bus, self._up = bus, False

    async def start(self) -> None:
        if self._bus._trouble is not None:
            raise self._bus._trouble
        self._up = True

    async def stop(self) -> None:
        self._up = False

    async def outcomes(self, messages: Iterable[Message], /) -> list[Written | SafebusError]:
        if not self._up:
            raise WrongUse("it was not started; start it first")
        return [self._bus._take(message) for message in messages]

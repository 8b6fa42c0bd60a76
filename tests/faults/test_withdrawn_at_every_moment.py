"""
A consent is withdrawn at every moment of a delivery: nothing takes effect for which the register was asked after that.

A real broker, a real register, real PostgreSQL servers; only waiting is shortened, by the clock. Each child has one
notification that stands on its parent's agreement. What had begun takes effect a moment later; of that the partner is
told, and of nothing else.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from a_demo_bus import KEY, demo_bus
from test_postgres import Line, line

from safebus.consumers.adapters.adapter import Effect, Parcel, PartnerAnswer
from safebus.consumers.adapters.postgres import CREATE_TABLE, PostgresAdapter, PostgresSettings
from safebus.consumers.delivery import parked
from safebus.consumers.delivery.courier import Courier
from safebus.consumers.delivery.stages import ENDED, UNKNOWN
from safebus.deploy.local.demo import story
from safebus.deploy.local.partner_postgres import open_postgres
from safebus.deploy.service.register_checks import RegisterRecheck
from safebus.producers.samples import nhs_numbers
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Notification, Origin, Receipt, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.entries import Entry, consent_record_id
from safebus.streams.register.follow import RegisterReader, current_register
from safebus.streams.register.write import as_records, under, write_records
from safebus.streams.rules import sharing
from safebus.streams.rules.consent import ConsentEntry, Meaning, State
from safebus.streams.rules.parties import Involvement, KnownPerson

pytestmark = pytest.mark.flow

PARTNER = "ash-primary"
DEADLINE_S = 240
_ASKED: contextvars.ContextVar[float] = contextvars.ContextVar("asked")


class Register(RegisterRecheck):
    """Remembers when it was last asked, for whoever asks."""

    async def refresh(self) -> int:
        began = time.monotonic()
        found = await super().refresh()
        _ASKED.set(began)
        return found


class OldRegister(Register):
    """What it knows when it begins is all that it ever knows, as if nobody asked before the effect."""

    async def refresh(self) -> int:
        _ASKED.set(time.monotonic())
        return 0


@dataclass
class Watched:
    """A real adapter; beside it is noted when the register was asked for what took effect, and when that was over."""

    inner: PostgresAdapter
    asked: dict[str, float]
    done: dict[str, float]
    transport: str = PostgresAdapter.transport

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    @asynccontextmanager
    async def prepare(self, parcel: Parcel) -> AsyncIterator[Effect | PartnerAnswer]:
        async with self.inner.prepare(parcel) as ready:
            if isinstance(ready, PartnerAnswer) or parcel.kind != "notification":
                yield ready
                return

            async def effect() -> PartnerAnswer:
                self.asked[parcel.notification_id] = _ASKED.get()
                answer = await ready()
                self.done[parcel.notification_id] = time.monotonic()
                return answer

            yield effect


@dataclass
class Child:
    number: str
    notification: Notification

    @property
    def id(self) -> str:
        return self.notification.notification_id


@dataclass
class Trial:
    """
    A bus with one partner, in whose database every row is looked at.

    Attributes:
        line: Leads to the partner's primary, wherever that stands.
        servers: The owner's DSNs of all that were primary.
        asked, done: By notification: when the register was asked for what took effect, and when that was over.
        acknowledged: When the withdrawal was.
    """

    connection: Connection
    folder: Path
    line: Line
    servers: list[str]
    dsn: str
    outbound: Writer
    reader: RegisterReader
    recheck: Register
    chance: random.Random
    stack: ExitStack
    first: ExitStack
    ahead: timedelta = timedelta(0)
    asked: dict[str, float] = field(default_factory=dict)
    done: dict[str, float] = field(default_factory=dict)
    acknowledged: dict[str, float] = field(default_factory=dict)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def adapter(self) -> Watched:
        return Watched(PostgresAdapter(PostgresSettings(self.dsn)), self.asked, self.done)

    async def children(self, count: int, like: Notification, first: int) -> list[Child]:
        """Known to the register, at this school, and their parents agree."""
        numbers = islice(nhs_numbers(start=500_000), first, first + count)
        found, entries = [], []
        for n, number in zip(range(first, first + count), numbers, strict=True):
            token = KEY.token("nhs", number)
            update = {"notification_id": f"6f1c0f9e-0000-4000-8000-{n:012}", "subject_token": token}
            found.append(Child(number, like.model_copy(update=update | {"event_id": f"event-{n}"})))
            person = KnownPerson(person_id=token, tokens={"nhs": token})
            tie = Involvement(person_id=token, partner=PARTNER, role="attends_school")
            entries += [
                Entry(f"person/{token}", "person", person, "test"),
                Entry(f"involvement/{token}/{PARTNER}", "involvement", tie, "test"),
                self._consent(number, State.GIVEN, at=like.decided_at - timedelta(hours=1)),
            ]
        records = as_records(entries, at=self.clock(), by="test", reason="test")
        await write_records(self.connection, records, key=KEY)
        return found

    def _consent(self, number: str, state: State, *, at: datetime) -> Entry:
        body = ConsentEntry(
            person_id=KEY.token("nhs", number),
            meaning=Meaning.SERVICE_AGREEMENT,
            purpose="temporary_accommodation_notice",
            state=state,
            decided_at=at,
            expressed_by="parent",
            method="test",
        )
        return Entry(consent_record_id(body), "consent", body, "test")

    async def publish(self, children: list[Child]) -> None:
        out = topics.notifications_for(PARTNER)
        await self.outbound.send_all(
            Message(out, c.notification.subject_token.encode(), codec.encode_record(c.notification)) for c in children
        )

    async def withdraw(self, children: list[Child], *, within_s: float = 0.0) -> None:
        """One after another, with a little time by chance before each."""
        for child in children:
            await asyncio.sleep(self.chance.uniform(0, within_s))
            [record] = as_records(
                [self._consent(child.number, State.WITHDRAWN, at=self.clock())], at=self.clock(), by="t", reason="t"
            )
            value = codec.encode_record(record)
            message = Message(topics.REGISTER, record.record_id.encode(), value, under(KEY), 0)
            await self.outbound.send_all([message])
            self.acknowledged[child.id] = time.monotonic()

    async def partner(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.servers[-1], timeout=30)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def receipts(self) -> list[Receipt]:
        read = read_topic(self.connection, topics.receipts_from(PARTNER))
        return [codec.decode_record(m.value, Receipt) async for m in read]

    async def until(self, what: str, done: Callable[[list[Receipt]], bool]) -> None:
        """Time goes on a little faster, for whoever waits for a time to come."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not done(await self.receipts()):
                    self.ahead += timedelta(seconds=20)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            said = Counter((r.stage, r.reason, r.answer) for r in await self.receipts())
            raise TimeoutError(f"after {DEADLINE_S} s still waiting for: {what}; {said}") from None

    async def until_ended(self, children: list[Child]) -> None:
        ids = {child.id for child in children}
        await self.until("all to have ended", lambda r: ids <= {x.notification_id for x in r if x.stage in ENDED})

    async def rows(self) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for dsn in self.servers:
            connection = await asyncpg.connect(dsn, timeout=30)
            there = await connection.fetch("SELECT notification_id, kind FROM safebus_inbound")
            found |= {(str(row[0]), row[1]) for row in there}
            await connection.close()
        return found

    # The moments

    async def queued(self, children: list[Child]) -> None:
        """Each at some moment between the topic and the partner's commit."""
        for child in children:
            await self.publish([child])
            await self.withdraw([child], within_s=0.3)

    async def locked(self, children: list[Child]) -> None:
        """Half of them while their rows wait for a lock of the partner's, half while the others go in."""
        partner = await asyncpg.connect(self.servers[-1], timeout=30)
        await partner.execute("BEGIN; LOCK TABLE safebus_inbound IN ACCESS EXCLUSIVE MODE")
        await self.publish(children)
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(DEADLINE_S):
            while not await partner.fetchval(waits):
                await asyncio.sleep(0.02)
        shuffled = self.chance.sample(children, len(children))
        await self.withdraw(shuffled[: len(children) // 2])
        await partner.execute("COMMIT")
        await partner.close()
        await self.withdraw(shuffled[len(children) // 2 :], within_s=0.01)

    async def in_retry(self, children: list[Child]) -> None:
        """The partner is full for a while."""
        await self.partner(
            "CREATE OR REPLACE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE 'full' USING ERRCODE = '53100'; END $$",
            "CREATE TRIGGER full_up BEFORE INSERT ON safebus_inbound FOR EACH ROW EXECUTE FUNCTION full_up()",
        )
        await self.publish(children)
        ids = {child.id for child in children}
        await self.until(
            "some to be tried in vain",
            lambda r: len([x for x in r if x.notification_id in ids and x.answer == "53100"]) > 2,
        )
        shuffled = self.chance.sample(children, len(children))
        await self.withdraw(shuffled[: len(children) // 2])
        await self.partner("DROP TRIGGER full_up ON safebus_inbound")
        self.ahead += timedelta(minutes=10)
        await self.withdraw(shuffled[len(children) // 2 :], within_s=0.02)

    async def redriven(self, children: list[Child]) -> None:
        """A person sends again what is parked; once the first has gone, parents withdraw."""
        again, first_went = [], asyncio.Event()
        for child in children:
            value = codec.encode_record(child.notification)
            there = parked.Parked(child.notification, value, "tried in a test", self.clock())
            again.append(parked.again(there, KEY.digests, "tried in a test"))

        async def redrive() -> None:
            tried = parked.redrive(
                self.connection, PARTNER, again, adapter=self.adapter(), recheck=self.recheck, clock=self.clock
            )
            async for _ in tried:
                first_went.set()

        async def withdraw() -> None:
            await first_went.wait()
            await self.withdraw(self.chance.sample(children, len(children)), within_s=0.02)

        await asyncio.gather(redrive(), withdraw())

    async def switched_over(self, children: list[Child]) -> None:
        """The primary ends and comes back as a standby; another one becomes primary, and the name leads there."""
        await self.publish(children)
        shuffled = self.chance.sample(children, len(children))
        third = len(children) // 3
        withdrawing = asyncio.create_task(self.withdraw(shuffled[:third], within_s=0.02))
        await self.servers_switch()
        await withdrawing
        self.ahead += timedelta(minutes=10)
        await self.withdraw(shuffled[third:], within_s=0.02)

    async def servers_switch(self) -> None:
        old = self.folder / "postgres-1"
        await asyncio.to_thread(self.first.close)
        (old / "cluster" / "standby.signal").touch()
        self.servers[0] = await asyncio.to_thread(self.stack.enter_context, open_postgres(old))
        self.line.to_port = urlsplit(self.servers[0]).port or 0  # for a while the name leads to the standby
        await asyncio.sleep(self.chance.uniform(0.1, 0.5))
        new = open_postgres(self.folder / "postgres-2")
        self.servers.append(await asyncio.to_thread(self.stack.enter_context, new))
        await self.partner(*made(self.dsn))
        self.line.to_port = urlsplit(self.servers[1]).port or 0


def made(dsn: str) -> tuple[str, ...]:
    password = urlsplit(dsn).password
    return (
        f"CREATE ROLE safebus LOGIN PASSWORD '{password}'",
        CREATE_TABLE,
        "GRANT INSERT, SELECT ON safebus_inbound TO safebus",
    )


MOMENTS = ("queued", "locked", "in_retry", "redriven", "switched_over")


@asynccontextmanager
async def a_trial(tmp_path: Path, seed: int) -> AsyncIterator[Trial]:
    async with AsyncExitStack() as stack:
        connection, _ = await stack.enter_async_context(demo_bus(tmp_path))
        first, later = stack.enter_context(ExitStack()), stack.enter_context(ExitStack())
        owner = await asyncio.to_thread(first.enter_context, open_postgres(tmp_path / "postgres-1"))
        name = await stack.enter_async_context(line(owner))
        dsn = f"postgresql://safebus:made-up@127.0.0.1:{name.port}/postgres"
        outbound = Writer(connection, client_id="test")
        await outbound.start()
        stack.push_async_callback(outbound.stop)
        reader = RegisterReader(connection, key=KEY.digests)
        await reader.start()
        stack.push_async_callback(reader.stop)
        recheck, chance = Register(reader), random.Random(seed)
        trial = Trial(connection, tmp_path, name, [owner], dsn, outbound, reader, recheck, chance, later, first)
        await trial.partner(*made(dsn))
        yield trial


@asynccontextmanager
async def delivering(trial: Trial) -> AsyncIterator[None]:
    courier = Courier(
        trial.connection,
        partner=PARTNER,
        adapter=trial.adapter(),
        recheck=trial.recheck,
        key=KEY.digests,
        clock=trial.clock,
        jitter=lambda: 0.0,
        on_record_after_s=3_600.0,  # else a machine that stands still for a while adds a receipt
    )
    stop = asyncio.Event()
    running = asyncio.ensure_future(courier.run(stop))
    try:
        yield
        assert not running.done()
    finally:
        stop.set()
        await running


@dataclass
class Found:
    """
    What came of it, by moment.

    Attributes:
        went: Handed over; `began` of these: after the withdrawal was acknowledged, having been asked for before.
        too_late: Took effect though the register was asked for it only after the withdrawal.
        untold: Handed over, and no notice followed; `told_of_nothing`: a notice, and nothing was ever there.
        odd: The receipts of what was told and never there.
        longest_ms: From the acknowledgement to the last effect of what had begun, milliseconds.
    """

    children: Counter[str] = field(default_factory=Counter)
    went: Counter[str] = field(default_factory=Counter)
    began: Counter[str] = field(default_factory=Counter)
    too_late: Counter[str] = field(default_factory=Counter)
    untold: Counter[str] = field(default_factory=Counter)
    told_of_nothing: Counter[str] = field(default_factory=Counter)
    longest_ms: float = 0.0
    odd: list[str] = field(default_factory=list)


async def withdrawn(tmp_path: Path, each: int, *, moments: Sequence[str] = MOMENTS, seed: int = 1) -> Found:
    """So many children for each moment."""
    found = Found()
    async with a_trial(tmp_path, seed) as trial:
        like = await a_placement(trial.connection)
        there: dict[str, list[Child]] = {}
        async with delivering(trial):
            first = await trial.children(1, like, len(MOMENTS) * each)
            await trial.publish(first)
            await trial.until_ended(first)  # the courier has its partitions; nobody withdraws this one
            for number, moment in enumerate(moments):
                children = there[moment] = await trial.children(each, like, number * each)
                await getattr(trial, moment)(children)
                await trial.until_ended(children)
            went = {key for key, kind in await trial.rows() if kind == "notification"} - {first[0].id}
            await trial.until("notices of all that went", lambda r: went <= told(r))
            trial.ahead += timedelta(minutes=5)
            later = await trial.children(1, like, (len(MOMENTS) + 1) * each)
            await trial.publish(later)
            await trial.until_ended(later)  # by then whoever else was to be told would have been
            receipts = await trial.receipts()
        notices = {key for key, kind in await trial.rows() if kind == "consent.withdrawn"}
        for moment, children in there.items():
            judge(found, moment, [child.id for child in children], trial, went, notices, receipts)
    return found


def told(receipts: list[Receipt]) -> set[str]:
    return {r.notification_id for r in receipts if r.stage is Stage.NOTICE_HANDED_OVER}


def judge(
    found: Found, moment: str, ids: list[str], trial: Trial, went: set[str], notices: set[str], receipts: list[Receipt]
) -> None:
    maybe = {r.notification_id for r in receipts if r.reason.startswith(UNKNOWN)}
    for key in ids:
        found.children[moment] += 1
        if key in notices and key not in went | maybe:
            found.told_of_nothing[moment] += 1
            found.odd += [f"{key[-3:]}: {r.stage} {r.reason}, {r.answer}" for r in receipts if r.notification_id == key]
        if key not in went:
            continue
        acknowledged = trial.acknowledged[key]
        found.went[moment] += 1
        found.untold[moment] += key not in notices
        found.too_late[moment] += trial.asked[key] > acknowledged
        if trial.done[key] > acknowledged and trial.asked[key] <= acknowledged:
            found.began[moment] += 1
            found.longest_ms = max(found.longest_ms, 1000 * (trial.done[key] - acknowledged))


async def a_placement(connection: Connection) -> Notification:
    register = await current_register(connection, key=KEY)
    received = codec.decode(codec.encode(story.moved_to_temporary_accommodation(1)))
    origin = Origin(topic="in.fordshire-housing", partition=0, offset=0)
    now = datetime.now(UTC)
    outcome = sharing.share(received, register, origin=origin, now=now, key=KEY, rules_digest="test")
    assert isinstance(outcome, sharing.Shared)
    [like] = [o.notification for o in outcome.outputs if o.notification.recipient == PARTNER]
    return like


#: Counters compare as counts: one that has counted nothing is equal to it.
ZERO: Counter[str] = Counter()


async def test_what_is_withdrawn_at_any_moment_goes_no_more_and_what_had_begun_is_told(tmp_path: Path) -> None:
    found = await withdrawn(tmp_path, 8)

    assert (found.too_late, found.untold, found.told_of_nothing) == (ZERO, ZERO, ZERO)
    assert found.children.total() > found.went.total() > 0  # else nothing is shown


async def test_what_a_person_sent_again_is_told_by_a_courier_that_runs_and_knows_nothing_of_it(tmp_path: Path) -> None:
    """Nothing else is handed over on a consent, so nothing else makes it look at the receipts."""
    found = await withdrawn(tmp_path, 12, moments=["redriven"], seed=4)

    assert (found.too_late, found.untold, found.told_of_nothing) == (ZERO, ZERO, ZERO)
    assert found.went.total() > 0


async def test_where_the_register_is_not_asked_it_goes(tmp_path: Path) -> None:
    """So the test above can fail."""
    async with a_trial(tmp_path, 3) as trial:
        like = await a_placement(trial.connection)
        children = await trial.children(6, like, 0)
        trial.recheck = OldRegister(trial.reader)
        await trial.reader.catch_up()
        await trial.withdraw(children)
        async with delivering(trial):
            await trial.publish(children)
            await trial.until_ended(children)
        went = {key for key, kind in await trial.rows() if kind == "notification"}

    assert {key for key in went if trial.asked[key] > trial.acknowledged[key]} == {child.id for child in children}


@pytest.mark.soak
async def test_it_does_so_a_thousand_times(tmp_path: Path) -> None:
    began = time.monotonic()
    found = await withdrawn(tmp_path, 200, seed=2)
    print(f"withdrawn at every moment, {time.monotonic() - began:.0f} s: {found}")

    assert (found.too_late, found.untold, found.told_of_nothing) == (ZERO, ZERO, ZERO)
    assert found.children.total() == 1000 and found.went.total() > 0

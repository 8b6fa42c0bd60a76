"""
The demonstration, from an empty folder to an empty process list.

Starts a broker, the partners' systems, a worker and the adapters as processes of their own; publishes; waits for facts;
shows what arrived where; takes a consent back; proves what it says; ends everything.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from safebus.consumers.audit.reconcile.matching import WITH_DECISION
from safebus.consumers.audit.replay.verify import verify
from safebus.deploy.local.brokers import make_topics, open_broker
from safebus.deploy.local.demo import show, story, watch
from safebus.deploy.local.demo.partners import Partners, open_partners
from safebus.deploy.local.processes import Processes
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service import key_files, logs, settings
from safebus.deploy.service.rules_digest import rules_digest
from safebus.deploy.service.terminal import clock, say
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.producers.importers.input_files import read_files
from safebus.producers.importers.sending import ImportedFile, Sink, import_all
from safebus.producers.publisher import Publisher
from safebus.schemas.errors import BadInput, BrokenPromise
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import Event
from safebus.schemas.kafka.connection import Connection
from safebus.streams.register.changes import changes_of
from safebus.streams.register.follow import RegisterReader, current_register
from safebus.streams.register.store import Register
from safebus.streams.register.write import as_records, check_consent, consent_record, write_records
from safebus.streams.rules.consent import ConsentEntry, Meaning, State

REAL = Path(__file__).parent / "real"
RECIPIENTS = [
    "fordshire-mash", "ash-primary", "beech-primary", "fordshire-0-19", "meadow-practice", "haven",
    "county-hospital", "fordshire-housing",
]  # fmt: skip
NEEDLES = [story.REFUGE, story.REFUGE_POSTCODE, "Rowan House", "Hidden Close"]


@dataclass
class RunningDemo:
    """What the demonstration has started."""

    settings: settings.Settings
    connection: Connection
    partners: Partners
    processes: Processes
    register: Register

    async def until(self, done: Any, what: str) -> watch.BusSoFar:
        """Wait for a fact."""
        return await watch.until(self.connection, done, what=what, clock=clock, check=self.processes.check)


async def demonstrate(broker_name: str, *, keep: Path | None) -> int:
    """
    Run the demonstration.

    Args:
        keep: Leave everything that was written in this folder.

    Returns:
        Exit code.

    Raises:
        BrokenPromise: Something was disclosed that must not be, or cannot be made again.
    """
    logs.set_up("error")
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise BadInput(f"`{keep}` is not empty; --keep needs a folder of its own")
    begin = clock()
    folder = keep or Path(tempfile.mkdtemp(prefix="safebus-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        async with AsyncExitStack() as stack:
            stage = await _set_the_stage(stack, broker_name, folder)
            seen = await _first_chapter(stage)
            lines = await _real_inputs(stage)
            await _consent_withdrawn(stage)
            await _proof(stage, broker_name)
        _what_next(begin, clock(), seen, lines, keep)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


async def _set_the_stage(stack: AsyncExitStack, broker_name: str, folder: Path) -> RunningDemo:
    found = settings.load({"SAFEBUS_HOME": str(folder / "home")})
    say(f"starting a broker ({broker_name}), a PostgreSQL, an HTTP receiver and drop folders on this machine ...")
    broker = await asyncio.to_thread(stack.enter_context, open_broker(broker_name, data_dir=folder / "broker"))
    connection = Connection(broker.bootstrap)
    key_files.init(found.home)
    changes = changes_of(DEMO_REGISTER, Register(), found.person_key())
    entries = [change.entry for change in changes]
    key_files.init_cases(found.home, partners_of(entries))
    await asyncio.to_thread(make_topics, broker, wanted(partners_of(entries)))
    records = as_records(entries, at=clock(), by="demonstration", reason="the story begins")
    offset = await write_records(connection, records, key=found.person_key())
    partners = await open_partners(stack, folder)
    processes = Processes(found, logs=folder / "logs", broker=broker.bootstrap)
    stack.callback(processes.stop)
    processes.start("worker", ["worker"])
    processes.start("deliver", ["deliver", "--destinations", str(partners.destinations(RECIPIENTS))])
    register = await current_register(connection)
    show.chapter(
        "The agreements",
        f"{len(register.partners)} agencies, {len(register.agreements)} agreements and {len(register.bases)} legal "
        f"bases are loaded and checked (register offset {offset}).\n"
        "People stand in the register as keyed tokens, never as names or numbers.",
    )
    for agreement in register.agreements.values():
        show.line(
            f"  {agreement.title} (v{agreement.version}, {len(agreement.flows)} flows, review by {agreement.review_by})"
        )
    return RunningDemo(found, connection, partners, processes, register)


async def _publish(stage: RunningDemo, events: list[tuple[Event, str]]) -> None:
    for event, case in events:
        agency = event.publisher.agency
        async with Publisher(
            stage.connection, agency=agency, case_secret=stage.settings.case_secret(agency)
        ) as publisher:
            await publisher.publish(event, case=case)


async def _first_chapter(stage: RunningDemo) -> watch.BusSoFar:
    events = story.first_chapter()
    await _publish(stage, events)
    ids = {event.event_id for event, _ in events}
    seen = await stage.until(lambda s: s.settled(ids), "the first chapter to be decided and delivered")
    incident = story.incident().event_id
    show.chapter(
        "A night in Fordham",
        "Police attend an assault. Ava (11) goes to Ash Primary, Ben (9) to Beech Primary, Cora is a toddler.\n"
        "Their mother Maya is taken to a refuge with them. The alleged perpetrator, Gary, governs Beech Primary.\n"
        "The police publish one notification. It holds everything, the refuge's address included.\n",
    )
    show.who_was_told(seen.decisions[incident], stage.register, _names(stage))
    show.line("\nWhat their own systems hold about it now, side by side:\n")
    received = {partner: await stage.partners.received(partner) for partner in RECIPIENTS}
    show.side_by_side(received, incident)
    show.line("\nThe hospital, the council and the housing authority publish too:\n")
    titles = [
        "hospital: Ava was seen at night",
        "council: Ava has a protection plan",
        "housing: family placed (parent agreed)",
    ]
    show.others([(t, seen.decisions[e.event_id]) for t, (e, _) in zip(titles, events[1:], strict=True)])
    return seen


def _names(stage: RunningDemo) -> dict[str, str]:
    """Token -> first name: the demonstration made these people up, so it may say who they are."""
    key = stage.settings.person_key()
    people = (story.AVA, story.BEN, story.CORA, story.MAYA)
    return {key.token("nhs", p.nhs_number or ""): p.given_name or "" for p in people}


async def _real_inputs(stage: RunningDemo) -> list[ImportedFile]:
    lines: list[ImportedFile] = []
    secret = stage.settings.case_secret("nhs-england")
    to = Sink(stage.connection, secret, stage.settings.seal_public())
    for kind, pattern in (("mns", "*.json"), ("nems", "*.xml")):
        paths = [f for f in sorted((REAL / kind).glob(pattern)) if f.name != "fhirsignal.schema.json"]
        files, _ = read_files(paths)
        files = [replace(each, path=Path(each.path).name) for each in files]
        lines += await import_all(kind, files, agency="nhs-england", to=to, now=clock())
    ids = {line.event_id for line in lines if line.event_id}
    set_aside = sum(line.event_id is None for line in lines)
    seen = await stage.until(
        lambda s: _accounted(s, ids, set_aside), "the NHS's own examples to be decided and delivered"
    )
    show.chapter(
        "Real inputs",
        "The NHS's own published examples of MNS signals and NEMS messages, as messy as the real thing.\n"
        "Each becomes an event or goes to quarantine, sealed, with its reason.\n",
    )
    show.imported(lines, seen.decisions)
    return lines


def _accounted(seen: watch.BusSoFar, ids: set[str], set_aside: int) -> bool:
    """Every file is decided and delivered, or in quarantine: by the importer, or by the worker."""
    decided = ids & seen.decisions.keys()
    by_importer = sum(q.partition < 0 for q in seen.quarantined.values())
    # What stands there beside its decision is counted once.
    by_worker = sum(q.partition >= 0 and q.reason not in WITH_DECISION for q in seen.quarantined.values())
    return by_importer >= set_aside and len(decided) + by_worker >= len(ids) and seen.settled(decided)


async def _consent_withdrawn(stage: RunningDemo) -> None:
    now = clock()
    entry = ConsentEntry(
        person_id=stage.settings.person_key().token("nhs", story.AVA.nhs_number or ""),
        meaning=Meaning.SERVICE_AGREEMENT,
        purpose="temporary_accommodation_notice",
        state=State.WITHDRAWN,
        decided_at=now,
        expressed_by="parent",
        method="telephone call to the housing officer",
    )
    check_consent(entry, await current_register(stage.connection), now=now)
    record = consent_record(entry, at=now, by="housing officer", reason="mother rang")
    offset = await write_records(stage.connection, [record], key=stage.settings.person_key())
    before = story.moved_to_temporary_accommodation(1)
    after = story.moved_to_temporary_accommodation(2)
    await _publish(stage, [(after, "H-1")])
    ids = {after.event_id}
    seen = await stage.until(
        lambda s: s.settled(ids) and s.permitted({before.event_id}) <= s.noticed(),
        "the withdrawal to be respected and its notices delivered",
    )
    show.chapter(
        "A consent is withdrawn",
        f"Maya no longer wants school and health told where the council places the family (register offset {offset}).\n"
        "The family moves again, and the housing authority publishes again:\n",
    )
    show.others(
        [
            ("housing: placed (agreement given)", seen.decisions[before.event_id]),
            ("housing: placed again (withdrawn)", seen.decisions[after.event_id]),
        ]
    )
    told = sorted({r.partner for r in seen.receipts if r.notification_id in seen.noticed()})
    show.line(f"\nThose who had been told before were sent a notice that the agreement has ended: {', '.join(told)}.")
    show.line("The police's duty to tell the school of harm does not rest on agreement, and is untouched.")


async def _proof(stage: RunningDemo, broker_name: str) -> None:
    seen = await watch.look(stage.connection)
    reader = RegisterReader(stage.connection, key=stage.settings.person_key())
    await reader.start()
    try:
        first = min(r.decided_at for r in seen.decisions.values())
        done = await verify(
            stage.connection,
            since=first.replace(year=first.year - 1),
            until=clock().replace(year=first.year + 1),
            register=reader,
            key=stage.settings.person_key(),
            schemas=event_schemas(),
            rules_digest=rules_digest(),
            progress=lambda _n: None,
        )
    finally:
        await reader.stop()
    held = await watch.bytes_with(stage.connection, NEEDLES)
    own = {"in.fordshire-police", "in.fordshire-housing"}
    elsewhere = {topic: n for topic, n in held.items() if n and topic not in own}
    in_logs = sum(needle in log.read_text("utf-8") for log in stage.processes.logs() for needle in NEEDLES)
    systems = [await stage.partners.received(p) for p in RECIPIENTS]
    in_systems = sum(needle in str(parcel) for parcels in systems for parcel in parcels for needle in NEEDLES)
    show.chapter("The proof", "")
    show.line(
        f"decisions made again from the topics: {done.identical} of {done.decisions} identical, byte for byte; "
        f"notifications: {done.outputs_identical} of {done.outputs}"
    )
    in_own = sum(held[t] for t in own)
    show.line(
        f"the refuge's address: in {in_own} messages of the publishers' own topics, in {sum(elsewhere.values())} of "
        f"all {len(held) - len(own)} other topics,\n  in {in_systems} messages at the partners, in {in_logs} log files"
    )
    show.line(f"requests turned away by a partner for a bad signature: {stage.partners.unsigned}")
    if done.differences or elsewhere or in_logs or in_systems or not in_own:
        raise BrokenPromise(
            "the demonstration found a disclosure or a decision that must not be; nothing it says may be trusted"
        )
    codes = stage.processes.stop()
    if any(codes.values()):
        raise BrokenPromise(f"a process did not end in order: {codes}")


def _what_next(
    begin: datetime, end: datetime, seen: watch.BusSoFar, lines: list[ImportedFile], keep: Path | None
) -> None:
    show.chapter("What to try next", "")
    for line in (
        "  .venv/bin/safebus up                                keeps a bus like this running; in a second terminal:",
        "  .venv/bin/python docs/examples/first_event.py       publishes an event of your own",
        "  .venv/bin/safebus explain EVENT_ID                  who got what, who did not, why, and each attempt",
        "  make demo BROKER=kafka                              the same on Apache Kafka",
        "  make test                                           everything that is promised, tested",
    ):
        show.line(line)
    if keep is not None:
        show.line(f"everything that was written is in {keep}")
    show.line(f"\nended after {(end - begin).total_seconds():.0f} s; nothing is left running")

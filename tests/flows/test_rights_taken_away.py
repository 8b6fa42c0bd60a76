"""
A whole bus on a broker that lets in by certificate and asks for rights: one right after another is taken away.

What lacks it says so, by name, within seconds; whoever does not need it goes on; and when it is given back nothing was
lost.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from a_bus import utc_now
from a_secured_bus import HAVEN, SCHOOL, SecuredBus, incident, open_secured_bus
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from safebus.deploy.local.demo import story
from safebus.schemas.kafka.admin import change_settings
from safebus.schemas.kafka.allowed import Of, Right
from safebus.streams.register.entries import Entry
from safebus.streams.register.governance import RegisteredDestination
from safebus.streams.register.write import as_records, write_records

pytestmark = pytest.mark.flow


def right(principal: str, operation: str, topic: str, *, prefixed: bool = False) -> Right:
    return Right(principal, operation, Of.TOPIC, topic, prefixed)


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBus]:
    with open_secured_bus(tmp_path_factory.mktemp("secured-bus")) as running:
        yield running


async def test_a_whole_bus_works_under_certificates_and_rights_alone(bus: SecuredBus) -> None:
    event_id = await bus.publish(incident())

    await bus.until_delivered(SCHOOL, event_id)
    await bus.until_delivered(HAVEN, event_id)

    async def passes() -> bool:
        return bool(json.loads(await bus.ask("readyz"))["status"] == "pass")

    await bus.until(passes, "everything to be as it should be")
    explained = bus.run("explain", event_id, "-o", "json", "--show-released", "--reason", "a complaint", name="op-anna")
    assert explained.returncode == 0, explained.stderr
    [row] = json.loads(bus.run("operations", "list", "-o", "json", name="auditor").stdout)
    assert (row["who"], row["proven"], row["what"], row["reason"]) == ("op-anna", "yes", "explain", "a complaint")


async def test_one_partners_topic_that_may_not_be_written_keeps_nobody_else_from_an_alert(bus: SecuredBus) -> None:
    """Its notifications are owed: said, counted, and sent when they can be."""
    since = utc_now()
    others = [right("worker", "WRITE", f"out.{p}") for p in bus.partners if p != HAVEN]
    async with bus.without(right("worker", "WRITE", "out.", prefixed=True), instead=others):
        took = await bus.named("WRITE on topic `out.haven`")
        event_id = await bus.publish(incident())
        await bus.until_delivered(SCHOOL, event_id)
        assert await bus.metric("safebus_rights_missing") == {("WRITE", "out.haven"): 1.0}
        owed = await bus.metric("safebus_notifications_owed_total")
        assert {who: number for who, number in owed.items() if number} == {(HAVEN,): 1.0}
        assert '"notification.owed"' in bus.log("worker") and '"right.missing"' in bus.log("worker")
        reconciled = json.loads(
            bus.run("reconcile", "--from", since.isoformat(), "--grace", "0", "-o", "json", name="auditor").stdout
        )
        assert not bus.delivered(HAVEN, event_id)
    again = ["deliveries", "again", HAVEN, "--from", since.isoformat(), "--to", "2099-01-01"]
    dry = bus.run(*again, "-o", "json", name="sb-admin")
    may_not = [bus.run(*again, *how, name="op-anna") for how in ((), ("--execute", "--reason", "x"))]
    done = bus.run(*again, "--execute", "--reason", "the right is back", name="sb-admin")
    await bus.until_delivered(HAVEN, event_id)
    nothing = bus.run(*again, "--execute", "--reason", "once more", name="sb-admin")
    after = bus.run("reconcile", "--from", since.isoformat(), "--grace", "0", "-o", "json", name="auditor")

    print(f"named after {took:.1f} s")
    assert [f["code"] for f in reconciled["findings"]] == ["NOT_SENT"]
    assert [row["event_id"] for row in json.loads(dry.stdout)] == [event_id]
    for each in may_not:  # whoever only looks hears it in the dry run, too
        assert "this certificate lacks WRITE on topic `out.haven`" in " ".join(each.stderr.split()), each.stderr
    assert {each.returncode for each in may_not} == {4}
    assert (done.returncode, "1 notifications are on the topic of haven" in done.stderr) == (0, True), done.stderr
    assert (nothing.returncode, "nothing is owed to haven" in nothing.stderr) == (0, True)
    assert (after.returncode, json.loads(after.stdout)["findings"]) == (0, []), after.stdout
    listed = json.loads(
        bus.run("operations", "list", "--what", "deliveries again", "-o", "json", name="auditor").stdout
    )
    assert [(row["who"], row["reason"], row["number"]) for row in listed] == [("sb-admin", "the right is back", 1)]


async def test_a_right_that_comes_and_goes_under_traffic_stops_nobody(bus: SecuredBus) -> None:
    """A batch that is refused leaves a hole in the producer's sequence; the next must not be refused for that."""
    since, taken = utc_now(), right("worker", "WRITE", "out.", prefixed=True)
    others = [right("worker", "WRITE", f"out.{p}") for p in bus.partners if p != HAVEN]
    published: list[str] = []
    stop = asyncio.Event()

    async def traffic() -> None:
        while not stop.is_set():
            published.append(await bus.publish(incident()))

    publishing = asyncio.create_task(traffic())
    bus.secured.give(*others)
    for _ in range(5):
        for change in (bus.secured.take, bus.secured.give):
            await asyncio.to_thread(change, taken)
            count = len(published)
            await bus.until(lambda count=count: len(published) > count + 1, "two more events")  # type: ignore[misc]
    stop.set()
    await publishing
    bus.secured.take(*others)
    for event_id in published:
        await bus.until_delivered(SCHOOL, event_id)
    again = ["deliveries", "again", HAVEN, "--from", since.isoformat(), "--to", "2099-01-01"]
    done = bus.run(*again, "--execute", "--reason", "it came and went", name="sb-admin")
    for event_id in published:
        await bus.until_delivered(HAVEN, event_id)
    after = bus.run("reconcile", "--from", since.isoformat(), "--grace", "0", "-o", "json", name="auditor")

    assert done.returncode == 0, done.stderr
    assert (after.returncode, json.loads(after.stdout)["findings"]) == (0, []), after.stdout


async def test_one_agencys_topic_that_may_not_be_read_keeps_nobody_else_waiting(bus: SecuredBus) -> None:
    others = [right("worker", "READ", f"in.{p}") for p in bus.partners if p != "fordshire-housing"]
    async with bus.without(right("worker", "READ", "in.", prefixed=True), instead=others):
        took = await bus.named("READ on topic `in.fordshire-housing`")
        waiting = await bus.publish(
            story.moved_to_temporary_accommodation(1).model_copy(update={"event_id": str(uuid.uuid4())})
        )
        event_id = await bus.publish(incident())
        await bus.until_delivered(SCHOOL, event_id)
        assert waiting not in bus.log("worker")
    await bus.until(lambda: waiting in bus.log("worker"), "what waited to be decided")
    print(f"named after {took:.1f} s")


async def test_one_partners_delivery_that_lacks_a_right_keeps_no_other_waiting(bus: SecuredBus) -> None:
    for taken in (
        right("adapter-both", "WRITE", "receipts.haven"),
        right("adapter-both", "READ", "receipts.haven"),
        right("adapter-both", "READ", "out.haven"),
        Right("adapter-both", "READ", Of.GROUP, "adapter-haven"),
    ):
        begins = len(bus.log("deliver"))
        async with bus.without(taken):
            event_id = await bus.publish(incident())
            await bus.until_delivered(SCHOOL, event_id)
            await bus.until(
                lambda begins=begins, name=taken.name: any(  # type: ignore[misc]
                    json.loads(line).get("topic") == name
                    for line in bus.log("deliver")[begins:].splitlines()
                    if '"right.missing"' in line
                ),
                f"{taken} to be named",
            )
        await bus.until_delivered(HAVEN, event_id)


async def test_one_partners_topic_that_takes_nothing_keeps_no_other_waiting(bus: SecuredBus) -> None:
    """Whatever the broker minds about one partner's topics is that partner's trouble, not only a missing right."""
    client = bus.secured.admin.admin_client()
    change_settings(client, {"receipts.haven": {"max.message.bytes": "1"}})
    try:
        event_id = await bus.publish(incident())
        await bus.until_delivered(SCHOOL, event_id)
        await bus.until(lambda: "`receipts.haven`" in bus.log("deliver"), "it to be named")
    finally:
        change_settings(client, {"receipts.haven": {"max.message.bytes": "1048576"}})
    later = await bus.publish(incident())
    await bus.until_delivered(HAVEN, later)
    await bus.until_delivered(SCHOOL, later)


async def test_a_destination_that_is_another_by_now_keeps_no_other_waiting(bus: SecuredBus) -> None:
    """Whoever begins again asks the register where; one partner's answer ends nobody else's deliveries."""
    registrar = bus.secured.settings("registrar", home=bus.home)

    async def registered(place: Path) -> None:
        body = RegisteredDestination(partner=HAVEN, transport="folder", place=str(place.resolve()))
        records = as_records(
            [Entry("destination/haven", "destination", body, "test")], at=utc_now(), by="t", reason="t"
        )
        await write_records(registrar.connection(), records, key=registrar.person_key())

    await registered(bus.folder / "elsewhere")
    begins = len(bus.log("deliver"))
    async with bus.without(right("adapter-both", "READ", "out.haven")):
        # Not allowed, or, where it was beginning anew just then, at once refused.
        said = ('"courier.not_allowed"', '"courier.not_begun"')
        await bus.until(lambda: any(s in bus.log("deliver")[begins:] for s in said), "it to be waited for")
    await bus.until(lambda: '"courier.not_begun"' in bus.log("deliver")[begins:], "its destination to be refused")
    event_id = await bus.publish(incident())
    await bus.until_delivered(SCHOOL, event_id)
    assert not bus.delivered(HAVEN, event_id)
    await registered(bus.folder / HAVEN)
    await bus.until_delivered(HAVEN, event_id)
    redrive = ("deliveries", "redrive", HAVEN, "--destinations", str(bus.folder / "destinations.yaml"))
    dry, refused = bus.run(*redrive, name="op-anna"), bus.run(*redrive, name="auditor")
    assert (dry.returncode, "dry run: 0 parked" in dry.stderr) == (0, True), dry.stderr
    assert (refused.returncode, "lacks WRITE on topic `" in refused.stderr) == (4, True), refused.stderr


async def test_what_an_auditor_may_not_see_is_said(bus: SecuredBus) -> None:
    """A broker hides what may not be described: half an answer must not look like a whole one."""
    event_id = await bus.publish(incident())
    await bus.until_delivered(SCHOOL, event_id)
    others = [right("auditor", "READ", f"in.{p}") for p in bus.partners if p != "fordshire-police"]
    async with bus.without(right("auditor", "READ", "in.", prefixed=True), instead=others):
        done = {
            words: bus.run(*words.split(), name="auditor")
            for words in ("reconcile", "replay verify", f"explain {event_id}", "doctor")
        }

    for words in ("reconcile", "replay verify"):
        assert done[words].returncode == 3, done[words].stderr
    for words in ("reconcile", "replay verify", f"explain {event_id}"):
        assert "not shown to this certificate, and so not looked at: in.fordshire-police" in done[words].stderr
    assert "NO_ORIGIN" not in done["reconcile"].stdout  # it rests on what we do not see
    assert "rights of `auditor`: lacks READ on topic `in.fordshire-police`" in done["doctor"].stdout


async def test_an_auditor_and_an_operator_see_how_each_partner_stands(bus: SecuredBus) -> None:
    event_id = await bus.publish(incident())
    await bus.until_delivered(SCHOOL, event_id)
    for name in ("auditor", "op-anna"):
        done = bus.run("partners", "list", "-o", "json", name=name)
        rows = {row["partner"]: row for row in json.loads(done.stdout or "[]")}

        assert done.returncode == 0, done.stderr
        assert rows[SCHOOL]["last_handed_over"]


async def test_a_worker_without_what_every_event_needs_says_what_and_ends(bus: SecuredBus) -> None:
    bus.end("worker")
    for taken in (
        right("worker", "WRITE", "quarantine"),
        right("worker", "READ", "register"),
        Right("worker", "READ", Of.GROUP, "safebus-worker"),
        Right("worker", "WRITE", Of.TRANSACTIONAL_ID, "safebus-decisions-", prefixed=True),
    ):
        async with bus.without(taken):
            began = time.monotonic()
            done = bus.run("worker", name="worker")
            took = time.monotonic() - began
        assert done.returncode == 4, done.stderr
        assert taken.name in done.stderr.splitlines()[-1], done.stderr
        print(f"{taken}: ended after {took:.1f} s")
    bus.start_worker()


async def test_no_record_no_sight_where_the_right_to_write_it_is_missing(bus: SecuredBus) -> None:
    event_id = await bus.publish(incident())
    await bus.until_delivered(SCHOOL, event_id)
    words = ["explain", event_id, "-o", "json", "--show-released", "--reason", "curious"]
    async with bus.without(right("op-anna", "WRITE", "operations")):
        done = bus.run(*words, name="op-anna")
    entries = json.loads(bus.run("operations", "list", "--who", "op-anna", "-o", "json", name="auditor").stdout)

    assert (done.returncode, done.stdout) == (4, "")
    assert "nothing was done, because it could not be put on record" in done.stderr
    assert "curious" not in {row["reason"] for row in entries}


async def test_rights_are_planned_and_mended_by_the_command(bus: SecuredBus) -> None:
    stray = right("auditor", "WRITE", "register")
    lost = right("registrar", "WRITE", "register")
    bus.secured.give(stray, right("op-gone", "READ", "register"))
    bus.secured.take(lost)
    mine = ["--operator", "op-anna", "--adapter", f"adapter-both={SCHOOL},{HAVEN}"]
    planned = bus.run("rights", "plan", *mine, "-o", "json", name="sb-admin")
    refused = bus.run("rights", "apply", *mine, "--execute", "--reason", "x", name="op-anna")
    others = bus.run("rights", "apply", *mine, "--execute", "--reason", "as it should be", name="sb-admin")
    done = bus.run("rights", "apply", *mine, "--take-from", "op-gone", "--execute", "--reason", "left", name="sb-admin")
    after = bus.run("rights", "plan", *mine, "-o", "json", name="sb-admin")
    nobodys = {
        name: bus.run("rights", "plan", "--operator", name, name="sb-admin")
        for name in ("*", "worker", "fordshire-police", "adapter-haven", "op anna")
    }
    admin = AdminClient(bus.secured.admin.admin_client())
    for_all = (ResourceType.TOPIC, "register", ResourcePatternType.LITERAL, "User:*", "*")
    [made] = admin.create_acls([AclBinding(*for_all, AclOperation.WRITE, AclPermissionType.ALLOW)]).values()
    made.result(30)

    async def is_named() -> bool:
        found = await asyncio.to_thread(lambda: bus.run("rights", "plan", *mine, name="sb-admin"))
        return found.returncode == 3 and "ALLOW User:* WRITE on TOPIC `register` from host *" in found.stderr

    await bus.until(is_named, "a right for everybody to be named")
    admin.delete_acls([AclBindingFilter(*for_all, AclOperation.WRITE, AclPermissionType.ALLOW)])

    shown = {(r["principal"], r["right"], r["name"]): r["state"] for r in json.loads(planned.stdout)}
    assert planned.returncode == 3
    assert shown["auditor", "WRITE", "register"] == "take"
    assert shown["registrar", "WRITE", "register"] == "give"
    assert shown["adapter-both", "READ", "out.haven"] == "same"
    assert shown["op-gone", "READ", "register"] == "not ours"
    assert (others.returncode, "in no plan, and have rights: op-gone;" in others.stderr) == (3, True)
    assert (refused.returncode, done.returncode, after.returncode) == (4, 0, 0), (refused.stderr, done.stderr)
    assert "gave 1 rights, took 1" in others.stderr and "gave 0 rights, took 1" in done.stderr
    for name, refused in nobodys.items():
        assert (refused.returncode, "is no person's name" in refused.stderr) == (1, True), name

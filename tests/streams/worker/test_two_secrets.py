"""A worker knows what was decided, and whose notifications go where, across a change of the bus's secret."""

from __future__ import annotations

import pytest
from a_register import KEY as FIRST
from a_register import NOON, ORIGIN, demo
from as_a_worker import write_as_worker
from unchecked import unchecked

from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.demo import story
from safebus.schemas import codec, tokens, topics
from safebus.schemas.bus_records import DecisionRecord, Origin
from safebus.schemas.errors import SecretNotHeld
from safebus.schemas.events import Event, Lifecycle
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import partition_of
from safebus.schemas.keys import PersonKey
from safebus.streams.register.write import switching_record
from safebus.streams.rules import episode, sharing
from safebus.streams.rules.sharing import Shared
from safebus.streams.worker import messages
from safebus.streams.worker.dedupe import Dedupe
from safebus.streams.worker.remembered import KnownDecision

KEY = PersonKey(FIRST.secret, (b"l" * 32,))
POLICE = "fordshire-police"


def decide(event: Event, generation: int, *, offset: int = 7) -> Shared:
    register = demo()
    if generation == 2:
        register.apply(register.offset + 1, switching_record(register, KEY, at=NOON, by="x", reason="x"))
    received = codec.decode(codec.encode(event))
    origin = Origin(topic=ORIGIN.topic, partition=1, offset=offset)
    found = sharing.share(received, register, origin=origin, now=NOON, key=KEY, rules_digest="r")
    assert isinstance(found, Shared)
    return found


def known(record: DecisionRecord) -> KnownDecision:
    return KnownDecision.of(record, "digest")


RETRACTION = unchecked(
    story.incident(), {"lifecycle": Lifecycle.RETRACT, "supersedes_event_id": story.incident().event_id}
)


@pytest.fixture
def connection(broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """Decisions on a topic of this test's own."""
    monkeypatch.setattr(topics, "DECISIONS", f"decisions-{fresh}")
    broker.create_topics({topics.DECISIONS: 4})
    return Connection(broker.bootstrap)


@pytest.mark.parametrize("generation", [1, 2])
async def test_what_is_remembered_is_the_same_whichever_secret_it_was_written_under(
    connection: Connection, generation: int
) -> None:
    """Read again from the topic or kept since it was decided: the suspect, the episode, and who was sent what."""
    event = story.incident()
    record = decide(event, generation).record
    value = codec.encode_record(record)
    dedupe, other = Dedupe(connection, key=KEY), Dedupe(connection, key=KEY)
    await dedupe.read_tails([1])
    dedupe.add(1, record, known(record))
    await write_as_worker(connection, messages.decision(record, value, known(record)))
    await other.read_tails([1])

    as_of_the_first = tokens.plain(decide(event, 1).record, KEY)
    assert as_of_the_first.episode is not None and as_of_the_first.episode.accused
    for each in (dedupe, other):
        before = each.before(1, POLICE, await each.holders([(1, RETRACTION)]))
        earlier = episode.earlier(RETRACTION, KEY, before)
        assert earlier.tokens == as_of_the_first.episode.tokens
        assert earlier.accused == as_of_the_first.episode.accused
        assert earlier.original == event.event_id
        assert [h.subject_token for h in earlier.holders] == [
            h.subject_token for h in episode.holders_of(as_of_the_first)
        ]
        found = each.find(1, POLICE, event.event_id)
        assert found is not None and KEY.agrees(found.input_digest, codec.encode(event))
    again = await other.on_record([record.origin])
    assert again == {record.origin: record}  # as it was written, to be carried out as it was decided


def test_a_child_keeps_its_partition_and_its_key_is_the_token_as_it_is_written() -> None:
    before, after = (decide(story.incident(), generation).outputs for generation in (1, 2))
    sent = [(messages.notification(a, KEY), messages.notification(b, KEY)) for a, b in zip(before, after, strict=True)]

    assert sent and all(one.partition == other.partition == partition_of(one.key or b"") for one, other in sent)
    assert all((other.key or b"").startswith(b"2.") for _, other in sent)
    assert [KEY.plain((other.key or b"").decode()).encode() for _, other in sent] == [one.key for one, _ in sent]


async def test_a_worker_that_was_not_given_the_secret_in_use_says_so_and_accuses_nobody(connection: Connection) -> None:
    """Whoever takes over a partition reads what was decided before it asks the register."""
    record = decide(story.incident(), 2).record
    await write_as_worker(connection, messages.decision(record, codec.encode_record(record), known(record)))

    with pytest.raises(SecretNotHeld, match="generation 2 of the bus's secret is not here, only those up to 1"):
        await Dedupe(connection, key=FIRST).read_tails([1])

"""
Who holds something on a consent that has ended, and was not told?

What a partner was handed on somebody's consent, its receipts tell; whether that consent still stands, the register.
Where it ended and no receipt says that the partner was told, or refused to hear it, nobody knows that it stopped using
it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from safebus.consumers.delivery.ledger import Ledger, Receipts
from safebus.schemas import topics
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.topic_list import topics_there
from safebus.schemas.keys import DigestKey


@dataclass(frozen=True)
class Untold:
    """
    A notice that is owed.

    Attributes:
        notification_id, event_id: Of what the partner holds.
        how: The consent ended, as `withdrawn`.
    """

    partner: str
    notification_id: str
    event_id: str
    how: str


class ConsentEnded(Protocol):
    """Says how a consent has ended, for long enough that the partner would have been told."""

    def __call__(self, *, person: str, meaning: str, purpose: str, partner: str) -> str | None:
        """None: it has not, or the partner must not hear of the person any more."""
        ...


async def untold(
    connection: Connection, partners: Collection[str], *, ended: ConsentEnded, key: DigestKey
) -> list[Untold]:
    """
    Every notice that is owed and of which no receipt tells, by partner. All receipts are read.

    Raises:
        NotReachable: They cannot be read.
    """
    there = await topics_there(connection)
    found: list[Untold] = []
    receipts = Receipts(connection)
    mine = sorted(partner for partner in partners if topics.receipts_from(partner) in there)
    ledgers = [Ledger(connection, None, partner=p, transport="", receipts=receipts) for p in mine]
    for partner, ledger in zip(mine, ledgers, strict=True):
        await ledger.load()
        await ledger.load_older_consents()
        held = ledger.on_consent()
        for voice in held.voices():
            # A receipt that the bus did not write may have what is no token.
            if not key.reads(voice.subject_token):
                continue
            person, meaning = key.plain(voice.subject_token), voice.consent_meaning or ""
            if how := ended(person=person, meaning=meaning, purpose=voice.purpose, partner=partner):
                event_id = held[voice.notification_id].event_id
                found.append(Untold(partner, voice.notification_id, event_id, how))
    return found

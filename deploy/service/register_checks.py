"""
How do adapters ask the register, without importing the rules?

This joins the two: the reader that follows the register, and the pure rules that answer from its state.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from safebus.consumers.adapters.destinations import Opened
from safebus.consumers.delivery.recheck import Word
from safebus.schemas.bus_records import Notification, Reason
from safebus.schemas.errors import BadInput
from safebus.schemas.uk_day import uk_day
from safebus.streams.register.follow import RegisterReader
from safebus.streams.register.store import Register
from safebus.streams.rules import asked_again, consent_voice
from safebus.streams.rules.consent import ASKING, HOLDS, Meaning, State, standing


class RegisterRecheck:
    """`consumers.delivery.recheck.Recheck`, answered from the register as of now."""

    def __init__(self, reader: RegisterReader) -> None:
        self._reader = reader

    async def refresh(self) -> int:
        """Wait until everything acknowledged before this call counts."""
        return (await self._reader.catch_up()).offset

    def why_not(self, notification: Notification, now: datetime) -> Reason | None:
        """Why a notification may no longer be handed over."""
        return asked_again.still_permitted(notification, self._reader.now, now)

    def view(self, notification: Notification) -> dict[str, Any] | None:
        """The released fields."""
        return asked_again.read_view(notification, self._reader.now)

    def word(self, partner: str, now: datetime) -> Word | None:
        """What an operator last said of the deliveries to this partner."""
        found = self._reader.now.deliveries_word(partner)
        return None if found is None else Word(found.said_at, found.pauses(now))

    def consent_ended(self, *, person: str, meaning: str, purpose: str, partner: str, now: datetime) -> str | None:
        """How the consent ended, when it did and the partner may hear of it."""
        return consent_ended(
            self._reader.now, person=person, meaning=meaning, purpose=purpose, partner=partner, now=now
        )


def consent_ended(
    register: Register, *, person: str, meaning: str, purpose: str, partner: str, now: datetime
) -> str | None:
    """How a consent had ended by this register, when it had and the partner may hear of it."""
    on = uk_day(now)
    if meaning not in set(Meaning):  # a receipt that the bus did not write ends nothing
        return None
    if asked_again.is_kept_out(person, partner, register, on):
        return None
    who = consent_voice.around_without_event(person, register, suspects=(), on=on)
    entries = register.consents(person, Meaning(meaning), purpose)
    said = consent_voice.heard(entries, who, recipient=partner, unsure_yes=True)
    state = standing(said.entries, recipient=partner, now=now).state
    # Unknown would mean that the register lost an entry; it says nothing about the person's wish.
    return None if state in HOLDS | ASKING or state is State.UNKNOWN else state.value


def check_destination(register: Register, partner: str, there: Opened, *, must: bool) -> None:
    """
    Is this where the register sends a partner's notifications?

    Args:
        must: A partner whose destination is not registered has none.

    Raises:
        BadInput: It is not, or that cannot be told: whoever writes the file would have a child's data sent to a place
            of their own choice.
    """
    registered = register.destination(partner)
    row = f"{{partner: {partner}, transport: {there.transport}, place: {there.place!r}}}"
    if registered is None and not must:
        return
    if there.unclear:
        raise BadInput(f"where `{partner}` would be delivered cannot be told from its DSN: {there.unclear}")
    if registered is None:
        raise BadInput(
            f"no destination is registered for `{partner}`, so nothing is sent again to one that a file names; if "
            f"it is right, load this in a register folder, under `destinations`: {row}"
        )
    if (registered.transport, registered.place) != (there.transport, there.place):
        raise BadInput(
            f"`{partner}` would be delivered to {there.transport} `{there.place}`, and the register has "
            f"{registered.transport} `{registered.place}`; mend the file, or, if the partner has moved, load this in a "
            f"register folder, under `destinations`: {row}"
        )

"""
Whom must we tell that the consent they received something on has ended, and were they told?

The notice names only the notification that the partner already holds, so it discloses nothing new (rule R12). It goes
out beside the alerts, never before them: a partner that refuses or does not answer notices still gets its alerts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from safebus.consumers.adapters.adapter import Adapter, PartnerAnswer, Reply, hand_over
from safebus.consumers.delivery import retry, stages
from safebus.consumers.delivery.ledger import Ledger
from safebus.consumers.delivery.measures import CourierFacts, Told
from safebus.consumers.delivery.outstanding import Delivered, Outstanding, Voice
from safebus.consumers.delivery.parcels import notice_of
from safebus.consumers.delivery.recheck import Recheck
from safebus.schemas.keys import DigestKey

log = structlog.get_logger()

LOOK_EVERY = timedelta(seconds=2)
#: Some consents end by their date, without any change of the register.
LOOK_AT_ALL_EVERY = timedelta(minutes=1)
#: How long it may take until this process knows what an operator handed over beside it.
LOOK_FOR_OTHERS_EVERY = timedelta(minutes=1)
#: So many are looked at in one go, some milliseconds, before whatever else is to be done gets its turn.
LOOKED_AT_ONCE = 200
#: Of the time at most one part in so many goes into looking at them, however many there are.
ONE_PART_IN = 5


class Notices:
    """One partner's notices. `round` is called again and again, never twice at once."""

    def __init__(
        self,
        *,
        partner: str,
        adapter: Adapter,
        ledger: Ledger,
        recheck: Recheck,
        key: DigestKey,
        facts: CourierFacts,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self._partner, self._adapter, self._ledger, self._recheck = partner, adapter, ledger, recheck
        self._key, self._facts, self._clock, self._jitter = key, facts, clock, jitter
        self._not_before: datetime | None = None
        self._looked: tuple[int, int, datetime] | None = None  # register offset, how many had come, when

    def due(self, now: datetime) -> bool:
        """There may be somebody to tell."""
        if self._not_before is not None and now < self._not_before:
            return False
        return bool(self._ledger.on_consent()) or self._others_may_have_written(now)

    def _others_may_have_written(self, now: datetime) -> bool:
        """An operator hands over by hand what is parked, and this process hears of it by its receipts alone."""
        return not self._ledger.loaded_since(now - LOOK_FOR_OTHERS_EVERY)

    async def round(self) -> None:
        """Look whose consent has ended, and tell the partner."""
        now = self._clock()
        self._not_before = now + LOOK_EVERY
        if self._others_may_have_written(now):
            await self._ledger.look_for_others(now)
        register_offset = await self._recheck.refresh()
        there, seen = self._ledger.on_consent(), self._ledger.consents
        if self._looked is not None:
            offset, count, at = self._looked
            if (offset, count) == (register_offset, seen) and now - at < LOOK_AT_ALL_EVERY:
                return
        ended = await self._ended(there, now)
        # Where there are very many, there would be time for nothing else.
        self._not_before = now + max(LOOK_EVERY, ONE_PART_IN * (self._clock() - now))
        if ended:
            await self._ledger.load()  # another process of this partner, or an operator, may have told it
        for notification_id, how in ended.items():
            found = self._ledger.on_consent().get(notification_id)
            # One that does not answer must not be asked again for each of the others.
            if found is not None and not await self._tell(notification_id, found, how, self._clock()):
                return
        self._looked = register_offset, seen, now  # what came meanwhile is looked at in the next round

    async def _ended(self, there: Outstanding, now: datetime) -> dict[str, str]:
        """Whose consent has ended, and how. There may be very many, and alerts do not wait until all are looked at."""
        ended: dict[str, str] = {}
        for number, voice in enumerate(there.voices()):
            if number % LOOKED_AT_ONCE == LOOKED_AT_ONCE - 1:
                await asyncio.sleep(0)
            # A receipt that the bus did not write, with what is no token, ends nothing.
            if self._key.reads(voice.subject_token) and (how := self._how_ended(voice, now)):
                ended[voice.notification_id] = how
        return ended

    def _how_ended(self, voice: Voice, now: datetime) -> str | None:
        return self._recheck.consent_ended(
            person=self._key.plain(voice.subject_token),
            meaning=voice.consent_meaning or "",
            purpose=voice.purpose,
            partner=self._partner,
            now=now,
        )

    async def _tell(self, notification_id: str, ended: Delivered, how: str, now: datetime) -> bool:
        """Send one notice; False: it waits."""
        notice = notice_of(notification_id, ended, how, case=self._key.plain(ended.subject_token))
        answer = await hand_over(self._adapter, notice, may_go=self._may_go)
        again_at = self._again_at(answer, now)
        if again_at is not None:
            self._not_before = again_at
            self._facts.noticed(Told.WAITS)
            log.warning("notice.waits", partner=self._partner, notification_id=notification_id, answer=answer.code)
            return False
        refused = answer.reply is not Reply.ACCEPTED
        reason = stages.reason_of(answer.reply) if refused else stages.ended_how(how)
        await self._ledger.write_notice(notification_id, ended, at=now, answer=answer.code, reason=reason)
        self._facts.noticed(Told.REFUSED if refused else Told.TOLD)
        if refused:
            # Asking again cannot help, and the others must be told: a person has to tell this partner.
            log.error("notice.refused", partner=self._partner, notification_id=notification_id, answer=answer.code)
        return True

    async def _may_go(self) -> bool:
        """It names only what the partner holds, so nothing but a pause can forbid it."""
        word = self._recheck.word(self._partner, self._clock())
        return word is None or not word.paused

    def _again_at(self, answer: PartnerAnswer, now: datetime) -> datetime | None:
        """When it is told again; None: never, for it was told, or does not take this one."""
        match answer.reply:
            case Reply.BUSY | Reply.UNKNOWN | Reply.HELD_BACK:
                return retry.next_try(
                    attempt=1, first_sent=now, now=now, retry_after_s=answer.retry_after_s, jitter=self._jitter()
                )
            case Reply.NOT_LET_IN | Reply.GONE:
                return now + max(retry.held_for(0), retry.asked_for(answer.retry_after_s))
            case _:
                return None

"""
May a destination be asked now, with which message, and whose fault is it when one is refused?

The code of a refusal does not say: a firewall that dislikes one message, and a table to which somebody added a column,
answer alike. What others are answered does:

    - one is refused: the next to be asked is another one
    - what is refused three times, while others were taken between each, is at fault itself: it is parked
    - what is refused and has nobody beside it, where others were taken after it, says nothing yet of the destination
      until it was refused four times, which takes five minutes; where one was taken less than a minute before it, three
      times, which takes 35 s
    - where three in a row are refused, or all there are, it is the destination: it is held, asked again and again with
      one message at a time, another each time, and nothing is parked for it; where one was taken less than a minute ago
      it takes ten in a row, for of many that are bad three often come together
    - where ten attempts in a row come to nothing it is silent, and one at a time is enough to see whether it is back

One that was held or silent and takes a message gets all that wait for it, oldest first. Where what was refused is taken
a little later, one server of several is at fault: nothing is parked for an hour, and what is refused is tried again. A
partner that asks for a pause gets it for everything, not for the one message that it said it of.

While others are under way when one is refused, their answers are waited for.

Pure: times are arguments. What it knows is on each receipt, as a `DestinationState`: whoever looks from outside sees
what the courier goes by, and a process that starts goes on from it, but for whom it suspects.

Sources: GOV.UK Notify and Svix, for probing with one message; RFC 9110, 10.2.3 (Retry-After).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from safebus.consumers.adapters.adapter import PartnerAnswer
from safebus.consumers.delivery import retry
from safebus.schemas.bus_records import DestinationStanding as State
from safebus.schemas.bus_records import DestinationState

AT_ONCE: Final = 8  # cases of one partner under way at the same time
#: So many different messages in a row that are refused speak against the destination.
REFUSED_IN_A_ROW: Final = 3
#: And so many where what was refused is taken a little later, or another one was taken less than `TAKEN_LATELY` ago.
REFUSED_IN_A_ROW_FLAKY: Final = 10
TAKEN_LATELY: Final = timedelta(minutes=1)
#: So often one is refused, others taken between, until it is parked.
REFUSALS_TO_PARK: Final = 3
#: So long after the last refusal that counted another one does, though nobody else was asked meanwhile.
ALONE_FOR: Final = timedelta(minutes=5)
#: So many attempts in a row that come to nothing make a destination silent.
SILENT_AFTER: Final = 10
#: So long after one that was refused was taken after all, a refusal says nothing of a message.
FLAKY_FOR: Final = timedelta(hours=1)
#: After so long without a success, one shows that what waited before need not wait any more.
BACK_AFTER: Final = timedelta(minutes=1)
#: A pause that is longer is told to a person.
LONG_PAUSE: Final = timedelta(minutes=5)
#: Of these, in percent, a person is told: something is about to go wrong.
TOLD_AT: Final = (50, 70, 90, 100)


class Fault(StrEnum):
    """Who is to blame for a refusal."""

    NOT_KNOWN = "not_known"
    MESSAGE = "message"
    DESTINATION = "destination"


class Head(NamedTuple):
    """The first of a case. `due`: by its own time it may be tried; where one is asked for all, that does not matter."""

    key: str
    due: bool


class Verdict(NamedTuple):
    """Whose fault a refusal is, when to ask again, and whether a receipt says already that the destination is held."""

    fault: Fault
    again_at: datetime | None = None
    known: bool = False


class News(NamedTuple):
    """What a person is told of a destination: an event's name and its facts."""

    event: str
    facts: dict[str, str | int]


@dataclass
class _Suspect:
    """
    One that was refused.

    Attributes:
        times: How often that counts; `asked`: how often it was, all in all; `alone`: since this process knows of it and
            another was last taken.
        others_taken: Since then, and had begun since then.
        beside: Others were taken after it was first refused; they may have begun before.
        soon_after: One was taken less than `TAKEN_LATELY` before it was first refused.
        of_a_hold: Everything was refused then, or something was mended since.
    """

    refused_at: datetime
    counted_at: datetime
    times: int = 0
    asked: int = 0
    alone: int = 0
    others_taken: bool = False
    beside: bool = False
    soon_after: bool = False
    of_a_hold: bool = False


@dataclass
class Circuit:
    """
    One destination.

    Attributes:
        since: When it came to this state; None: it is in it since the process began.
        ask_at: When it is asked next, while it is held or silent.
        slowed_until: Before that nothing is asked, for the partner said so.
        opened_at: When it last began to let in again: what waited since before is due.
        news: What happened and was not told yet; whoever tells it takes it out.
        unsaid: One of which a receipt has to say that the destination is held, for none was written as it came to that.
    """

    state: State = State.LETS_IN
    since: datetime | None = None
    ask_at: datetime | None = None
    slowed_until: datetime | None = None
    opened_at: datetime | None = None
    news: list[News] = field(default_factory=list)
    unsaid: str | None = None
    _suspects: dict[str, _Suspect] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)  # different ones, since one was last taken
    _asked_at: dict[str, datetime] = field(default_factory=dict)  # while one at a time is asked
    _in_this_round: int = 0
    _rounds: int = 0
    _failed: int = 0  # attempts in a row that came to nothing
    _failing_since: datetime | None = None
    _slowed_at: datetime | None = None
    _taken_at: datetime | None = None  # when one was last taken that had begun since the last hold
    _flaky_at: datetime | None = None  # when one that was refused was last taken
    _on_record: bool = False  # that it is held
    _now: datetime | None = None  # when it was last asked what to do
    _answer: str = ""  # to the last one that was refused

    @property
    def next_at(self) -> datetime | None:
        """When anything may be asked, as far as it depends on the destination; None: now."""
        one_by_one = self.ask_at if self.state in (State.HELD, State.SILENT) else None
        return max((at for at in (one_by_one, self.slowed_until) if at is not None), default=None)

    def says(self) -> DestinationState:
        """How it stands now, for a receipt."""
        one_by_one = self.ask_at if self.state in (State.HELD, State.SILENT) else None
        flaky_until = None if self._flaky_at is None else self._flaky_at + FLAKY_FOR
        return DestinationState(
            standing=self.state,
            since=self.since,
            asked_at=one_by_one,
            left_alone_until=self.slowed_until,
            flaky_until=flaky_until,
        )

    def go_on_from(self, said: DestinationState, now: datetime, *, taken_at: datetime | None = None) -> None:
        """
        As a process before this one left it: a pause that the partner asked for holds, and what was held or silent is
        asked with one message at a time, the first of them now, for a start is often the mend.

        Args:
            taken_at: When it last took one; None: that is not on record.
        """
        if said.standing is State.LETS_IN and taken_at is not None and taken_at <= now:
            self._taken_at = taken_at
        if said.left_alone_until is not None and now < said.left_alone_until <= now + retry.LONGEST_RETRY_AFTER:
            self.slowed_until, self._slowed_at = said.left_alone_until, now
        if said.flaky_until is not None and now < said.flaky_until <= now + FLAKY_FOR:
            self._flaky_at = said.flaky_until - FLAKY_FOR
        if said.standing in (State.HELD, State.SILENT):
            self.state, self.since, self._on_record = said.standing, said.since, True

    def choose(self, heads: Sequence[Head], *, now: datetime, under_way: int) -> list[str]:
        """
        Which of these are asked now.

        Args:
            heads: The first of each case that is not being tried, oldest first.
            under_way: How many are being tried.
        """
        self._follow_the_clock(now)
        if self.slowed_until is not None and now < self.slowed_until:
            return []
        if self.state is State.LETS_IN:
            at_once = AT_ONCE if self.slowed_until is None else 1  # it has to say first that it is ready again
            due = [head.key for head in heads if head.due]
            return sorted(due, key=self._suspects.__contains__)[: max(0, at_once - under_way)]
        return [] if under_way or not heads else self._one(heads, now)

    def _one(self, heads: Sequence[Head], now: datetime) -> list[str]:
        new = sorted((head.key for head in heads if self._is_new(head.key)), key=self._suspects.__contains__)
        if self.state is State.DOUBTED and not new:  # whoever else there was has ended meanwhile, or waits
            if self._say_nothing_yet():
                self._become(State.LETS_IN, now)
                return []
            self._hold(now)
            self.unsaid = next((head.key for head in heads if head.key in self._refused), None)
            self._on_record = self.unsaid is not None
        elif new and self.state is State.HELD and self._in_this_round < REFUSED_IN_A_ROW:
            return self._asked(self._unlike(new), now)
        if self.ask_at is not None and now < self.ask_at:
            return []
        if self.state is State.DOUBTED:
            return self._asked(self._unlike(new), now)
        if self._in_this_round:
            self._in_this_round, self._rounds = 0, self._rounds + 1
        before = datetime.min.replace(tzinfo=UTC)
        longest_ago = min(
            heads,
            key=lambda head: (
                head.key in self._refused,
                head.key in self._suspects,
                self._asked_at.get(head.key, before),
            ),
        )
        return self._asked(longest_ago.key, now)

    def _unlike(self, new: Sequence[str]) -> str:
        """Of the oldest, the newest and the one between in turn: many that are bad came together, and are alike."""
        fresh = [key for key in new if key not in self._suspects] or new
        return (fresh[0], fresh[-1], fresh[len(fresh) // 2])[(self._in_this_round - 1) % 3]

    def _asked(self, key: str, now: datetime) -> list[str]:
        self._asked_at[key] = now
        return [key]

    def taken(self, key: str, *, effect: bool, began: datetime, now: datetime) -> None:
        """
        The partner has this one, or something of its id.

        Args:
            effect: It took it now; False: it was there already, which shows that somebody answers and no more.
            began: When the attempt began: what it shows of a refusal, it shows of one before that.
        """
        suspect = self._suspects.get(key)
        if effect and suspect is not None and not suspect.of_a_hold:
            self._flaky(now)
        self.ended(key)
        if self._slowed_at is None or began >= self._slowed_at:
            self.slowed_until = self._slowed_at = None
        if not effect and self.state in (State.DOUBTED, State.HELD):
            self.ask_at = None  # nothing was tried that might have been refused
            return
        if self.state is State.HELD and self.since is not None and began < self.since:
            return  # it had begun when everything began to be refused
        if effect:
            self._taken_at = now
            for each in self._suspects.values():
                each.others_taken |= each.refused_at <= began
                each.beside, each.alone = True, 0
        self._let_in(now)

    def _flaky(self, now: datetime) -> None:
        if self._flaky_at is None or now - self._flaky_at >= FLAKY_FOR:
            self.news.append(News("destination.flaky", {"answer": self._answer}))
        self._flaky_at = now

    def ended(self, key: str) -> None:
        """This one has ended, whatever became of it."""
        self._suspects.pop(key, None)
        self._refused.discard(key)
        self._asked_at.pop(key, None)

    def failed(self, answer: PartnerAnswer, *, now: datetime) -> None:
        """It was busy, or nobody knows: the same is sent again."""
        self._slow_down(answer, now)
        self._failed += 1
        self._failing_since = self._failing_since or now
        percent = self._failed * 100 // SILENT_AFTER
        if self.state in (State.LETS_IN, State.DOUBTED):
            if percent in TOLD_AT:
                self.news.append(News("destination.failing", {"percent": percent, "answer": answer.code}))
            if self._failed >= SILENT_AFTER:
                self._become(State.SILENT, now)
                self.since = self._failing_since
                self.news.append(News("destination.silent", {"answer": answer.code}))
        elif self.ask_at is not None and now < self.ask_at:
            return  # it was under way when this was known already
        else:
            self._rounds += 1
        self.ask_at = now + retry.silent_for(self._rounds)

    def refused(
        self, key: str, answer: PartnerAnswer, *, others: bool, now: datetime, refused_before: int = 0
    ) -> Verdict:
        """
        The partner, or something before it, does not take this one.

        Args:
            others: Another one is there that could be asked now, or is being asked.
            refused_before: How often a process before this one was refused it, while its destination let others in.
        """
        self._slow_down(answer, now)
        self._failed, self._failing_since = 0, None  # it answers
        self._answer = answer.code
        suspect = self._suspects.get(key)
        if suspect is None:
            suspect = self._suspects[key] = _Suspect(
                now, now, asked=refused_before, beside=refused_before > 0, soon_after=self._taken_lately(now)
            )
        if counts := self._counts(suspect, now):
            suspect.times, suspect.counted_at, suspect.others_taken = suspect.times + 1, now, False
        suspect.asked, suspect.alone = suspect.asked + 1, suspect.alone + 1
        suspect.refused_at, suspect.of_a_hold = now, False
        flaky = self._flaky_at is not None and now - self._flaky_at < FLAKY_FOR
        if suspect.times >= REFUSALS_TO_PARK and not flaky:
            self.ended(key)
            return Verdict(Fault.MESSAGE)
        # Where others are taken it is judged soon, however often it was asked while nobody else was, or by others.
        again_at = now + retry.refused_for(suspect.times if counts else suspect.alone)
        again = suspect.asked > 1 and self._says_nothing_yet(suspect)
        if (suspect.times > 1 or again) and self.state is State.LETS_IN:
            return Verdict(Fault.NOT_KNOWN, again_at)  # others were taken since it was first refused
        self._refused.add(key)
        if flaky and self.state is State.LETS_IN and len(self._refused) < REFUSED_IN_A_ROW_FLAKY:
            return Verdict(Fault.NOT_KNOWN, again_at)
        self._asked_at[key] = now
        if self.state in (State.LETS_IN, State.SILENT):
            self._become(State.DOUBTED, now)
            self._in_this_round = 0
        self._in_this_round += 1
        enough = max(self._in_this_round, len(self._refused)) >= self._speak_against_it(now)
        if self.state is not State.HELD and not enough and (others or self._say_nothing_yet()):
            if not others:
                self._become(State.LETS_IN, now)
            return Verdict(Fault.NOT_KNOWN, again_at)
        self._hold(now)
        known, self._on_record = self._on_record, True
        return Verdict(Fault.DESTINATION, self.next_at, known)

    def _speak_against_it(self, now: datetime) -> int:
        """How many different ones in a row."""
        return REFUSED_IN_A_ROW_FLAKY if self._taken_lately(now) else REFUSED_IN_A_ROW

    def _taken_lately(self, now: datetime) -> bool:
        return self._taken_at is not None and now - self._taken_at < TAKEN_LATELY

    def _says_nothing_yet(self, suspect: _Suspect) -> bool:
        """Nobody is beside it, and others were, or were a moment before; or it was refused again once others were."""
        if suspect.times > 1:
            return True
        if suspect.beside:
            return suspect.alone <= REFUSALS_TO_PARK
        return suspect.soon_after and suspect.alone < REFUSALS_TO_PARK

    def _say_nothing_yet(self) -> bool:
        """None of those that were refused since one was last taken does."""
        return all(self._says_nothing_yet(self._suspects[key]) for key in self._refused & self._suspects.keys())

    def others(self, key: str, heads: Iterable[Head]) -> bool:
        """Another one is there that can show whose fault it is; it need not be due to be asked."""
        return any(head.key != key and self._is_new(head.key) for head in heads)

    def _is_new(self, key: str) -> bool:
        """It was not asked since the destination came into doubt."""
        return key not in self._refused and key not in self._asked_at

    def mended(self, now: datetime) -> None:
        """
        The next round is due, and so is all that waits for a time of its own; a pause it asked for holds.

        What was refused before and is taken now shows that it was mended, and not that one server of several is wrong.
        """
        self.ask_at, self.opened_at = None, now
        self._rounds = self._in_this_round = 0
        self._flaky_at = None
        for each in self._suspects.values():
            each.of_a_hold = True

    def try_now(self, now: datetime) -> None:
        """As `mended`, whatever the partner asked for: a person says so."""
        self.mended(now)
        self.slowed_until = None

    def _counts(self, suspect: _Suspect, now: datetime) -> bool:
        if not suspect.times or suspect.others_taken:
            return True
        return suspect.times > 1 and self.state is State.LETS_IN and now - suspect.counted_at >= ALONE_FOR

    def _hold(self, now: datetime) -> None:
        if self.state is not State.HELD:
            self._become(State.HELD, now)
            self.news.append(News("destination.held", {"answer": self._answer}))
        for key in self._refused & self._suspects.keys():
            self._suspects[key].of_a_hold = True
        self.ask_at = now + retry.held_for(self._rounds)

    def _let_in(self, now: datetime) -> None:
        if self.state in (State.HELD, State.SILENT):
            self.opened_at = now
            self.news.append(News("destination.recovered", {"state": self.state.lower()}))
        elif self._failing_since is not None and now - self._failing_since >= BACK_AFTER:
            self.opened_at = now
        self._failed, self._failing_since = 0, None
        self._refused.clear()
        self._asked_at.clear()
        self.ask_at = None
        if self.state is not State.LETS_IN:
            self._become(State.LETS_IN, now)

    def _become(self, state: State, now: datetime) -> None:
        self.state, self.since, self._rounds, self.ask_at, self._on_record = state, now, 0, None, False

    def _slow_down(self, answer: PartnerAnswer, now: datetime) -> None:
        if answer.retry_after_s is None:
            return
        until = now + retry.asked_for(answer.retry_after_s)
        if self.slowed_until is not None and until <= self.slowed_until:
            return  # it asked for more before
        self._slowed_at, self.slowed_until = now, until
        if until - now >= LONG_PAUSE:
            seconds = round((until - now).total_seconds())
            self.news.append(News("destination.slowed", {"seconds": seconds, "answer": answer.code}))

    def _follow_the_clock(self, now: datetime) -> None:
        """Where it was set back, what was to come at a time comes as much earlier."""
        if self._now is not None and now < self._now:
            back = self._now - now
            self.ask_at = None if self.ask_at is None else self.ask_at - back
            self.slowed_until = None if self.slowed_until is None else self.slowed_until - back
        self._now = now

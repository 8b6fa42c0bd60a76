"""
What is done to the bus, with all its safeguards or with one of them taken out?

The same scenario serves twice: with every safeguard nothing may be found; without the one it leans on, something must.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from a_ground import Ground
from a_supervisor import wait_until
from a_world import HAVEN, RECIPIENTS, Story

EVENTS = 100


def plain(ground: Ground, story: Story, mutation: Sequence[str] = ()) -> None:
    """Nothing happens."""
    ground.worker(always=mutation)
    ground.deliver()
    ground.feed(story, EVENTS)
    ground.come_to_rest()


def worker_ends_at(*places: str) -> Callable[..., None]:
    """The worker ends at one place, the next one at the next, until all were passed."""

    def scenario(ground: Ground, story: Story, mutation: Sequence[str] = ()) -> None:
        ground.worker("worker-1", *(("--crash", place) for place in places), always=mutation)
        ground.deliver()
        _feed_until_ended(ground, story, "worker-1", len(places))
        ground.come_to_rest()

    return scenario


def worker_ends_in_a_rebalance(ground: Ground, story: Story, mutation: Sequence[str] = ()) -> None:
    """A second worker comes, and the first ends while it lets go of its partitions."""
    # With sessions of 3 s a machine that stands still would let one overtake the other, and nobody would let go.
    longer = ("--session", "10")
    ground.worker("worker-1", ("--crash", "revoked:1"), always=(*longer, *mutation))
    ground.deliver()
    # Two that join at the same time have nothing to let go of.
    ground.feed_until(story, lambda: ground.at_the_hub() > 0, "`worker-1` to be at work")
    ground.worker("worker-2", always=(*longer, *mutation))
    _feed_until_ended(ground, story, "worker-1", 1)
    ground.come_to_rest()


def adapter_ends_at(*places: str) -> Callable[..., None]:
    """The delivery process ends at one place, the next one at the next, until all were passed."""

    def scenario(ground: Ground, story: Story, mutation: Sequence[str] = ()) -> None:
        ground.worker()
        ground.deliver("deliver-1", *(("--crash", place) for place in places), always=mutation)
        _feed_until_ended(ground, story, "deliver-1", len(places))
        ground.come_to_rest()

    return scenario


def worker_sleeps_past_its_session(ground: Ground, story: Story, mutation: Sequence[str] = ()) -> None:
    """It has decided a batch and is halted; another does its work; it wakes up and goes on where it was."""
    ground.worker("worker-1", ("--pause", "decided:2"), always=mutation)
    ground.worker("worker-2", always=mutation)
    ground.deliver()
    ground.feed(story, EVENTS)
    ground.feed_until(story, lambda: ground.processes.paused("worker-1"), "`worker-1` to be halted")
    ground.come_to_rest()
    ground.processes.resume("worker-1")
    ground.feed(story, EVENTS // 2)
    ground.come_to_rest()


def adapter_sleeps_past_its_session(ground: Ground, story: Story, mutation: Sequence[str] = ()) -> None:
    """
    It is halted with a queue in hand; another hands all of it over; it wakes up and goes on where it was.

    At the partner that does not drop repeats: it alone would show a second effect.
    """
    ground.partners.haven.takes_s = 0.1  # so that a queue forms
    ground.worker()
    ground.deliver("deliver-1", to=[partner for partner in RECIPIENTS if partner != HAVEN])
    ground.deliver("deliver-2", ("--pause", "receipt-written:20"), to=[HAVEN], always=mutation)
    ground.deliver("deliver-3", to=[HAVEN])
    ground.feed(story, EVENTS)
    ground.feed_until(story, lambda: ground.processes.paused("deliver-2"), "`deliver-2` to be halted")
    ground.come_to_rest()
    ground.processes.resume("deliver-2")
    ground.feed(story, EVENTS // 2)
    ground.come_to_rest()


def partner_is_busy(ground: Ground, story: Story, mutation: Sequence[str] = ()) -> None:
    """A partner answers 503 for a while, after it was well and before it is again."""
    haven = ground.partners.haven
    ground.worker()
    ground.deliver(always=mutation)
    ground.feed(story, EVENTS // 4)
    haven.mode = "busy"
    ground.feed(story, EVENTS // 2)
    wait_until(lambda: haven.turned_away >= 20, f"`{HAVEN}` to turn some away")
    haven.mode = "answer"
    ground.feed(story, EVENTS // 4)
    ground.come_to_rest()


def _feed_until_ended(ground: Ground, story: Story, name: str, times: int) -> None:
    """Events keep coming until a process has ended at its places, and some after."""

    def ended() -> int:
        return len([end for end in ground.processes.by("place") if end.name == name])

    for number in range(1, times + 1):
        ground.feed_until(story, lambda wanted=number: ended() >= wanted, f"`{name}` to end at {number} of its places")
    ground.feed(story, 40)

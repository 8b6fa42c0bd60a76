"""
How does a delivery go from stage to stage?
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from safebus.consumers.delivery.stages import ENDED, FOLLOWS, TABLE, Phase
from safebus.schemas.bus_records import Stage

_INTRO: Final = """\
# What becomes of a delivery

Made from `consumers/delivery/stages.py` by `python -m docs.generate`: change it there, then make
this page again.

A delivery is one notification on its way into one partner's own system. The courier tries it until it has ended; a
person sends a parked one again with `safebus parked redrive`. Each step is one receipt, which `safebus explain` shows.

Whatever the partner may have seen is on record, whether it took it or not: that each notification was tried, and each
other answer. Only where a destination is held, and answers for one as it did the time before, no receipt says so once
more (it may be held for days), unless a consent stands on it. `attempt` counts all attempts, those without a receipt
and those that a person made, too; a process that ends in good order writes down how many there were, and after one that
was killed it may be less than there were.
"""
_BEGUN: Final = """"""
_AFTER_TABLE: Final = """\
Where the register no longer permits it, the reason is the register's: a code and its rule. `BEGUN` is written before a
notification goes out on a consent; whoever later finds that the consent has ended then knows that the partner may hold
it. Of any other it is written where the first attempt lasts longer than 2 seconds, or breaks off without an answer: a
process that is killed within these leaves no receipt, and so what has none may have been tried once all the same.

What a person sends again has their words at the end of its reason. A notice that a consent has ended is answered by
the same lines: taken or refused, a receipt with the stage NOTICE_HANDED_OVER says so; else it is sent again later.

A redrive is one attempt more, and counts on; what was tried before stands in the receipts above it.
"""
_ASKED: Final = {Phase.OPEN: "asked", Phase.REDRIVEN: "redriven"}


def page() -> str:
    """The whole page, as Markdown."""
    parts = [_INTRO, "```mermaid", *diagram(), "```", "", *_stages(), "", *_table(), "", _AFTER_TABLE]
    return "\n".join(parts)


def diagram() -> Iterator[str]:
    """A state diagram in Mermaid: from each stage, what is met, to which stage."""
    yield "stateDiagram-v2"
    yield from (f"    state {name} <<choice>>" for name in _ASKED.values())
    yield "    [*] --> asked: new"
    for stage in FOLLOWS:
        if stage not in ENDED:
            yield f"    {stage} --> asked: its time has come"
    yield f"    {Stage.PARKED} --> redriven: a person sends it again"
    for phase, asked in _ASKED.items():
        for stage in FOLLOWS:
            met = [line.met.value for line in TABLE if line.to(phase) is stage]
            if met:
                yield f"    {asked} --> {stage}: {', '.join(met)}"
    for line in TABLE:
        if line.ended is not None:
            yield from (f"    {stage} --> {line.ended}: {line.met}" for stage in FOLLOWS if stage in ENDED)
    yield from (f"    {stage} --> [*]" for stage in FOLLOWS if stage in ENDED)


def _stages() -> Iterator[str]:
    yield from _row("stage", "ended", "what follows")
    yield from _row("---", "---", "---")
    for stage, follows in FOLLOWS.items():
        yield from _row(f"`{stage}`", "yes" if stage in ENDED else "no", follows)


def _table() -> Iterator[str]:
    yield from _row("what it meets", "which means", "reason on the receipt", *(str(phase) for phase in Phase))
    yield from _row(*["---"] * (3 + len(Phase)))
    for line in TABLE:
        to = [str(line.to(phase) or "-") for phase in Phase]
        yield from _row(f"`{line.met}`", line.means, f"`{line.reason}`" if line.reason else "-", *to)


def _row(*cells: str) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"

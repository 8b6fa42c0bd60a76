"""
What can go wrong, as one tree.

    SafebusError
    ├── BadInput              what we were given cannot be used; the message says what to mend
    │   ├── BadIdentifier     an NHS number, UPN or agency id that fails its own check
    │   │   └── SecretNotHeld  written under a generation of the bus's secret that this process was not given
    │   ├── BadSchema         a schema that may not be loaded (unclassified leaf, recursion, ...)
    │   ├── BadRegister       an agreement, partner, basis, consent ... that does not hold together
    │   └── Refused           bytes that the gate does not let in; carries a reason code
    ├── NotReachable          a broker, database or partner that does not answer
    │   ├── NotAllowed        a broker that answers and does not let us: a right is missing
    │   ├── NoTopic           a broker that answers and has no such topic
    │   └── SomeNotAccepted   of several events some were accepted and some were not; says which
    ├── WrongUse              a publisher that is called before it is started, from another loop or process
    ├── WrongPartitions       a topic has another number of partitions than it must have
    ├── Overtaken             another process does our work now; ours must not go on
    └── BrokenPromise         something that must never happen did; the process stops

A refusal to share is an answer, not an error: it is returned, see `streams.rules.decision`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class SafebusError(Exception):
    """Every error that is raised on purpose."""


class BadInput(SafebusError):
    """What we were given cannot be used."""


class BadIdentifier(BadInput, ValueError):
    """
    An identifier that fails its own check. The message never repeats it: it may be a person's.

    A ValueError too: only so does pydantic name the field, and `codec.decode` refuse the event it stands in.
    """


class SecretNotHeld(BadIdentifier):
    """It was written under a generation of the bus's secret that this process was not given."""


class BadSchema(BadInput):
    """A schema that may not be loaded."""


class BadRegister(BadInput):
    """
    Register entries that do not hold together.

    Attributes:
        problems: One line each, "`file` line 4: what was found, what was expected".
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


class Refused(BadInput):
    """
    Bytes that the gate does not let in.

    Attributes:
        reason: A `schemas.gate.Reason` code, safe to log and to count.
        detail: Where and what, without any value of the event.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.detail)


class NotReachable(SafebusError):
    """A broker, database or partner that does not answer."""


class NotAllowed(NotReachable):
    """A right on a topic, group or id of the broker is missing. Whatever needs it waits; its neighbours go on."""


class NoTopic(NotReachable):
    """The broker has no such topic, or does not show it to us; that was asked first, so nothing was written."""


class SomeNotAccepted(NotReachable):
    """
    Of several events some were not acknowledged, each for its own reason.

    Attributes:
        accepted: Those that the broker has, in the order given (`safebus.Accepted`).
        not_accepted: (event id, why) of the others, in the order given. One that was not acknowledged in time may be
            there all the same; published again it counts once.
    """

    def __init__(self, accepted: Sequence[Any], not_accepted: Sequence[tuple[str, SafebusError]]) -> None:
        first, why = not_accepted[0]
        rest = f"; and {len(not_accepted) - 1} more" if len(not_accepted) > 1 else ""
        super().__init__(
            f"{len(accepted)} of {len(accepted) + len(not_accepted)} events were accepted; not {first}: {why}{rest}"
        )
        self.accepted = tuple(accepted)
        self.not_accepted = tuple(not_accepted)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.accepted, self.not_accepted)  # between processes, too


class WrongUse(SafebusError):
    """A program calls what it has not started, or what lives in another event loop or process. Nothing was sent."""


class WrongPartitions(SafebusError):
    """A topic has another number of partitions than was asked for."""


class Overtaken(SafebusError):
    """Another process does our work now. Whoever sees this stops; nothing is lost by it."""


class BrokenPromise(SafebusError):
    """An invariant of the bus does not hold. Whoever sees this stops."""

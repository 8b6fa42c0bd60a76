"""What callers rely on when they catch an error by its place in the tree."""

import inspect
import pickle

import pytest

from safebus.schemas import errors
from safebus.schemas.errors import (
    BadIdentifier,
    BadInput,
    BadRegister,
    BadSchema,
    NotReachable,
    Refused,
    SafebusError,
    SomeNotAccepted,
)


def test_every_error_is_one_of_ours() -> None:
    """So that the command line can say it plainly, and let everything else show as the bug it is."""
    ours = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__}

    assert all(issubclass(cls, SafebusError) for cls in ours)
    assert {cls for cls in ours if cls.__doc__ is None} == set()


@pytest.mark.parametrize("kind", [BadIdentifier, BadSchema, BadRegister, Refused])
def test_what_can_be_mended_by_whoever_sent_it_is_bad_input(kind: type[SafebusError]) -> None:
    assert issubclass(kind, BadInput)
    assert not issubclass(NotReachable, BadInput)


def test_a_refusal_says_its_reason_first() -> None:
    refused = Refused("TRUNCATED", "the record ends at byte 7")

    assert (str(refused), refused.reason, refused.detail) == (
        "TRUNCATED: the record ends at byte 7",
        "TRUNCATED",
        "the record ends at byte 7",
    )


def test_a_bad_register_says_each_problem_on_its_own_line() -> None:
    bad = BadRegister(["`a` line 1: x", "`b` line 2: y"])

    assert (str(bad), bad.problems) == ("`a` line 1: x\n`b` line 2: y", ["`a` line 1: x", "`b` line 2: y"])


@pytest.mark.parametrize(("refused", "rest"), [(1, ""), (3, "; and 2 more")])
def test_of_several_some_were_accepted_and_some_were_not(refused: int, rest: str) -> None:
    why = NotReachable("no broker answers")
    told = SomeNotAccepted(["a", "b"], [(f"event-{n}", why) for n in range(refused)])

    assert str(told) == f"2 of {2 + refused} events were accepted; not event-0: no broker answers{rest}"
    assert (told.accepted, told.not_accepted[0]) == (("a", "b"), ("event-0", why))
    assert isinstance(told, NotReachable)


@pytest.mark.parametrize(
    "error",
    [
        SomeNotAccepted(["a"], [("b", NotReachable("x"))]),
        Refused("TOO_LARGE", "found 9"),
        BadRegister(["one", "two"]),
        NotReachable("x"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_an_error_goes_from_one_process_to_another(error: SafebusError) -> None:
    """Otherwise a pool of processes waits for ever."""
    again = pickle.loads(pickle.dumps(error))

    assert (type(again), str(again), {**vars(again)}.keys()) == (type(error), str(error), vars(error).keys())

"""Two streams that belong together: whatever meets its like is forgotten, whatever does not is handed back."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from safebus.consumers.audit.replay.pairing import Key, Pairing, Permit, SeenOnTopic

KEYS = [Key("ash-primary", f"n-{i}", digest) for i in range(4) for digest in ("right", "other")]
PERMIT = Permit(event_id="e", made_again=True)

#: Each step: a decision permits a notification, or one stands on a topic.
STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from(KEYS)), max_size=40)


def standing(at_ms: int = 0) -> SeenOnTopic:
    return SeenOnTopic(b"value", at_ms)


def run(steps: list[tuple[bool, Key]]) -> Pairing:
    matching = Pairing()
    for is_permit, key in steps:
        if is_permit:
            matching.permitted(key, PERMIT)
        else:
            matching.stands(key, standing())
    return matching


@given(st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)), st.randoms(use_true_random=False))
def test_any_interleaving_finds_exactly_what_one_side_lacks(
    permitted: set[Key], there: set[Key], chance: object
) -> None:
    steps = [(True, key) for key in sorted(permitted)] + [(False, key) for key in sorted(there)]
    chance.shuffle(steps)  # type: ignore[attr-defined]
    matching = run(steps)

    assert matching.agreed == len(permitted & there)
    assert {key for key, _ in matching.strays()} == there - permitted
    assert set(matching.missing()) == permitted - there
    assert matching.held == 0


@given(STEPS)
def test_no_more_is_held_than_one_stream_is_ahead_of_the_other(steps: list[tuple[bool, Key]]) -> None:
    """Repeats count once: the same key waits in one place only, however often it came."""
    ahead: Counter[Key] = Counter()
    for end, (is_permit, key) in enumerate(steps, start=1):
        before = ahead[key]
        ahead[key] = max(-1, min(1, before + (1 if is_permit else -1)))

        assert run(steps[:end]).held == sum(abs(n) for n in ahead.values())


@given(st.integers(1, 500), st.integers(0, 20))
def test_memory_does_not_grow_with_how_much_there_is(count: int, lag: int) -> None:
    """A topic that follows `lag` behind the decisions costs `lag`, whatever the span."""
    matching, most = Pairing(), 0
    for i in range(count + lag):
        if i < count:
            matching.permitted(Key("p", str(i), "d"), PERMIT)
        if i >= lag:
            matching.stands(Key("p", str(i - lag), "d"), standing())
        most = max(most, matching.held)

    assert (matching.agreed, matching.held) == (count, 0)
    assert most <= lag + 1


def test_what_was_sent_before_a_time_is_let_go_and_the_rest_may_still_meet_its_permit() -> None:
    old, new = Key("p", "old", "d"), Key("p", "new", "d")
    matching = Pairing()
    matching.stands(old, standing(at_ms=999))
    matching.stands(new, standing(at_ms=1000))
    let_go = matching.strays(before_ms=1000)
    matching.permitted(new, PERMIT)

    assert let_go == [(old, standing(at_ms=999))]
    assert (matching.agreed, matching.held) == (1, 0)


def test_one_that_could_not_be_made_again_does_not_agree_though_it_is_there() -> None:
    matching = Pairing()
    matching.permitted(KEYS[0], Permit(event_id="e", made_again=False))
    matching.stands(KEYS[0], standing())

    assert (matching.agreed, matching.held) == (0, 0)

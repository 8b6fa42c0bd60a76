"""Whatever can be wrong with a topic, the judge of these tests says."""

from __future__ import annotations

from a_judge import Found, Told, Verdict, judged

TOLD = [Told("a", "case 1", 0, 4), Told("b", "case 1", 0, 5), Told("c", "case 2", 1, 7)]
PUBLISHED = {"a": 1, "b": 2, "c": 1, "given up": 1}
A, B, C = Found("a", 0, 4, b"A"), Found("b", 0, 5, b"B"), Found("c", 1, 7, b"C")


def verdict(*found: Found) -> Verdict:
    return judged(TOLD, published=PUBLISHED, found=found)


def test_what_was_told_and_no_more_is_right() -> None:
    assert verdict(A, B, C) == Verdict([], [], [], [], [], [])


def test_whether_an_event_is_there_that_nobody_was_told_of_is_open() -> None:
    assert verdict(A, B, C, Found("given up", 1, 9, b"G")) == Verdict([], [], [], [], [], [])


def test_what_was_published_twice_may_be_there_twice() -> None:
    assert verdict(A, B, C, Found("b", 0, 6, b"B")) == Verdict([], [], [], [], [], [])


def test_what_was_told_and_is_not_there_is_lost() -> None:
    assert verdict(A, C).lost == ["b"]


def test_what_is_not_where_it_was_told_is_elsewhere() -> None:
    assert verdict(A, Found("b", 0, 6, b"B"), C).elsewhere == ["b"]


def test_what_was_published_once_and_is_there_twice_is_doubled() -> None:
    assert verdict(A, Found("a", 0, 9, b"A"), B, C).doubled == ["a"]


def test_what_nobody_published_is_unknown() -> None:
    assert verdict(A, B, C, Found("z", 0, 9, b"Z")).unknown == ["z"]


def test_a_repeat_that_says_something_else_is_changed() -> None:
    assert verdict(A, B, C, Found("b", 0, 6, b"B'")).changed == ["b"]


def test_what_was_told_later_and_stands_before_is_out_of_order() -> None:
    assert verdict(A, B, C, Found("b", 0, 3, b"B")).out_of_order == ["b"]


def test_a_case_on_two_partitions_is_out_of_order() -> None:
    assert verdict(A, Found("b", 1, 5, b"B"), C).out_of_order == ["b"]

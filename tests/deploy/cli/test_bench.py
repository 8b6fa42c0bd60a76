"""A benchmark that is told to stop says so by its exit code, whatever the signal met."""

import signal

import pytest

from safebus.deploy.cli.bench import ending_in_order


def test_it_ends_with_the_code_of_a_signal_and_says_what_else_breaks_on_the_way_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended, ending_in_order():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise RuntimeError("cannot release un-acquired lock")

    assert ended.value.code == 143
    assert "RuntimeError: cannot release un-acquired lock" in capsys.readouterr().err


def test_a_second_request_does_not_meet_the_tidying_up(capsys: pytest.CaptureFixture[str]) -> None:
    tidied = False
    with pytest.raises(SystemExit) as ended, ending_in_order():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            tidied = True

    assert (ended.value.code, tidied) == (143, True)
    assert capsys.readouterr().err == ""


def test_what_breaks_by_itself_stays_what_it_is_and_the_handler_is_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(RuntimeError), ending_in_order():
        raise RuntimeError

    assert signal.getsignal(signal.SIGTERM) is before

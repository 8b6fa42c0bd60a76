"""
How does a process of the bus run with a fault in it, when the bus holds no test switch?

    python a_process.py [--crash PLACE:N] [--pause PLACE:N] [--mutate NAME] [--session S] ... -- worker

wraps functions of the product in this process, and then is that `safebus` command. A crash is `os._exit` in the
middle of things: nothing is flushed, committed or said, as with SIGKILL, but the exit code tells whose hand it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import timedelta
from functools import partial

import a_mutation
import a_place

from safebus.deploy.cli import main


def be(words: list[str]) -> None:
    """Put the faults in, and run the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--crash", help="PLACE:N: end at the n-th pass of this place")
    parser.add_argument("--pause", help="PLACE:N: stop there as by SIGSTOP, until somebody sends SIGCONT")
    parser.add_argument("--mutate", choices=sorted(a_mutation.MUTATIONS), help="take a safeguard out")
    parser.add_argument("--session", type=float, help="seconds until a silent member's partitions go to another")
    parser.add_argument("--look", type=float, help="seconds until a worker looks for new topics")
    parser.add_argument("--wait", type=float, help="seconds between attempts, instead of the product's long ones")
    parser.add_argument("--answer-within", type=float, help="seconds a partner has to answer")
    parser.add_argument("--says", default="info", help="log level")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(words)
    for place, does in ((given.crash, a_place.crash), (given.pause, a_place.pause)):
        if place:
            name, _, number = place.partition(":")
            a_place.PLACES[name](a_place.nth(int(number), does))
    if given.mutate:
        a_mutation.MUTATIONS[given.mutate]()
    _shorten(given.command[0], given.session, given.look, given.wait, given.answer_within)
    os.environ["SAFEBUS_LOG"] = given.says
    sys.argv = ["safebus", *given.command]
    main()


def _shorten(
    command: str, session_s: float | None, look_s: float | None, wait_s: float | None, answer_within_s: float | None
) -> None:
    """Waiting that is minutes in service is seconds here; what is waited for stays the same."""
    if command == "worker":
        import safebus.streams.worker.process as run

        if session_s is not None:
            run.WorkerSettings = partial(run.WorkerSettings, session_timeout_s=session_s)
        if look_s is not None:
            run.WorkerSettings = partial(run.WorkerSettings, look_every_s=look_s)
        return
    import safebus.consumers.adapters.webhook as webhook
    import safebus.consumers.delivery.courier as courier
    from safebus.consumers.delivery import retry as delivery

    if session_s is not None:
        courier.Source = partial(courier.Source, session_s=session_s)
    if wait_s is not None:
        delivery.WAITS = delivery.HELD_FOR = delivery.SILENT_FOR = (timedelta(seconds=wait_s),)
    if answer_within_s is not None:
        webhook.WebhookSettings = partial(webhook.WebhookSettings, total_s=answer_within_s)


if __name__ == "__main__":
    be(sys.argv[1:])

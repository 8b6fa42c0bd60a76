"""
May this agency publish on this bus, from here?

A dry run asks all that the execution asks: is the agency's topic there, are the keys here that its events need. On a
desk without a broker nobody can be asked, and that is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safebus.deploy.cli.event_loop import run
from safebus.deploy.service.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from safebus.deploy.service.settings import Settings


def ask_in_a_dry_run(found: Settings, agency: str, *keys: Callable[[], object]) -> None:
    """
    What the execution would ask, where there is a broker to ask.

    Args:
        keys: Each reads one that the execution needs.

    Raises:
        BadInput: The execution would refuse; says what to mend.
    """
    from safebus.schemas.errors import BadInput, NotReachable

    try:
        found.bootstrap()
    except BadInput as exc:
        say(f"not asked whether `{agency}` may publish on this bus: {exc}")
        return
    try:
        has_its_topic(found, agency)
    except NotReachable as exc:
        say(f"not asked whether `{agency}` may publish on this bus: {exc}")
    for key in keys:
        key()


def has_its_topic(found: Settings, agency: str) -> None:
    """
    Is the agency's topic there?

    Raises:
        BadInput: It is not, or this certificate may not see it.
        NotReachable: No broker answers.
    """
    from safebus.schemas import topics
    from safebus.schemas.errors import BadInput
    from safebus.schemas.kafka.topic_list import topics_there
    from safebus.schemas.nearest import did_you_mean

    there = run(lambda: topics_there(found.connection()))
    if (topic := topics.published_by(agency)) not in there:
        known = [name.removeprefix(topic.removesuffix(agency)) for name in there if topics.is_published(name)]
        raise BadInput(
            f"`{agency}` does not publish on this bus: it has no topic `{topic}`, or this "
            f"certificate may not see it{did_you_mean(agency, known)}; `safebus topics apply` makes it for a partner "
            "of the register"
        )

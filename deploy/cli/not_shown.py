"""What of the bus may this command not see?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from safebus.deploy.cli.event_loop import run
from safebus.deploy.service.terminal import say

if TYPE_CHECKING:
    from safebus.deploy.service.settings import Settings


def not_shown(found: Settings, partners: Iterable[str]) -> list[str]:
    """Names of the topics of the register that are not there, or that this certificate is not shown."""
    from safebus.deploy.service.topic_plan import wanted
    from safebus.schemas.kafka.topic_list import topics_there

    there = run(lambda: topics_there(found.connection()))
    return [topic.name for topic in wanted(partners) if topic.name not in there]


def say_what_is_not_shown(found: Settings, partners: Iterable[str]) -> bool:
    """
    Say which topics of the register this certificate is not shown: nothing that stands there is counted.

    A broker hides what may not be described, so nothing else would tell a whole answer from half of one.

    Args:
        partners: All of the register.

    Returns:
        Whether there are any.
    """
    hidden = not_shown(found, partners)
    if hidden:
        more = f" and {len(hidden) - 20} more" if len(hidden) > 20 else ""
        say(f"not there, or not shown to this certificate, and so not looked at: {', '.join(hidden[:20])}{more}")
    return bool(hidden)

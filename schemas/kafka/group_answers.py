"""
What if the broker refuses to say how far a group has got?

While a group's coordinator wakes up, as after a broker's restart, it answers with an error for the answer as a whole.
aiokafka 0.14.0 looks at the errors of single partitions only, finds none, and takes the answer for `nothing was
committed`: the group would begin at the beginning of its topics, everything would be done again, and what was decided
longer ago than anyone remembers would be decided a second time. Here such an answer is an error; it is asked again.

Source: aiokafka 0.14.0, `_do_fetch_commit_offsets` in consumer/group_coordinator.py; Kafka protocol guide, OffsetFetch
from version 2 on. Guarded by tests/schemas/kafka/test_group_answers.py, which fails when an upgrade changes these.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import NotCoordinatorForGroupError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest

_send = GroupCoordinator._send_req


async def send_and_look(self: Any, request: Any) -> Any:
    """In place of `GroupCoordinator._send_req`: the same, and an answer that is an error as a whole is one."""
    response = await _send(self, request)
    code = response.error_code if isinstance(request, OffsetFetchRequest) and response.API_VERSION >= 2 else 0
    if not code:
        return response
    error = for_code(code)
    if error is NotCoordinatorForGroupError:
        self.coordinator_dead()  # it is looked for anew
    raise error(f"the answer as a whole is error {code}")


def install() -> None:
    """From now on, in this process."""
    GroupCoordinator._send_req = send_and_look


def installed() -> bool:
    """It is so in this process."""
    return GroupCoordinator._send_req is send_and_look

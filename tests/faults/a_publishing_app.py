"""
An application that publishes so many events a second and keeps each until it is acknowledged, as an outbox does.

    python a_publishing_app.py BOOTSTRAP EVENTS_A_SECOND FILE

It ends at SIGTERM, once nothing is left, and says how many events it began. FILE gets a line for each acknowledgement:
time, event id, at which try.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
import uuid
from pathlib import Path

from safebus import Connection, NotReachable, Publisher
from safebus.deploy.local.demo import story

TEMPLATE = story.incident()


async def keep_trying(publisher: Publisher, number: int, file: Path) -> None:
    event = TEMPLATE.with_(event_id=str(uuid.uuid4()))
    for tries in range(1, 1_000):
        try:
            await publisher.publish(event, case=f"case {number % 50}")
        except NotReachable:
            await asyncio.sleep(0.2)
            continue
        with file.open("a") as out:
            out.write(f"{time.time()} {event.event_id} {tries}\n")
        return


async def main(bootstrap: str, rate: float, file: Path) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    publisher = Publisher(Connection(bootstrap), agency="fordshire-police", case_secret=b"s" * 32, timeout_s=5)
    async with publisher, asyncio.TaskGroup() as tasks:
        number, begun = 0, time.monotonic()
        while not ended.is_set():
            number += 1
            tasks.create_task(keep_trying(publisher, number, file))
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
    print(f"began {number}", flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])))

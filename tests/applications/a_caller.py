"""
Who calls a web application: for each case one who waits for an answer before the next request, but not always.

    python a_caller.py URL CASES EVENTS EVERY FILE

Of every EVERY events the connection for one is dropped before the answer, in the middle of whatever the application
then does; every other of these is asked for again, the rest is left. What was broken off by the application is asked
for again, word for word, until there is an answer. It goes on until it is ended; FILE gets a line for each of these:

    asked EVENT_ID CASE                     told EVENT_ID CASE PARTITION OFFSET
    cancelled EVENT_ID CASE                 broken EVENT_ID CASE WHY
    enough CASE                             EVENTS of this case are told or left
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random

import aiohttp
from yarl import URL


class Caller:
    def __init__(self, url: URL, case: str, every: int, file: Path, session: aiohttp.ClientSession) -> None:
        self._url, self._case, self._every, self._file, self._session = url, case, every, file, session
        self._chance = Random(case)

    async def call(self, events: int) -> None:
        for number in count(1):
            told_at = datetime.now(UTC).isoformat()
            incident = {"id": str(uuid.uuid4()), "case": self._case, "reference": f"{number}", "told_at": told_at}
            dropped = number % self._every == 0
            if dropped:
                await self._drops(incident)
            if not dropped or number % (2 * self._every) == 0:
                await self._insists(incident)
            if number == events:
                self._note("enough", self._case)

    async def _insists(self, incident: dict[str, str]) -> None:
        for _ in count():
            self._note("asked", incident["id"], self._case)
            try:
                async with self._session.post(self._url, json=incident) as answer:
                    if answer.status == 200:
                        told = await answer.json()
                        self._note("told", incident["id"], self._case, told["partition"], told["offset"])
                        return
                    why = str(answer.status)
            except aiohttp.ClientError as exc:
                why = type(exc).__name__
            self._note("broken", incident["id"], self._case, why)
            await asyncio.sleep(0.05)

    async def _drops(self, incident: dict[str, str]) -> None:
        """Somewhere in the first five milliseconds, which is how long an event takes here."""
        body = json.dumps(incident).encode()
        try:
            _, out = await asyncio.open_connection(self._url.host, self._url.port)
        except OSError:
            return
        self._note("asked", incident["id"], self._case)
        about = f"Host: {self._url.host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        out.write(f"POST {self._url.path} HTTP/1.1\r\n{about}\r\n\r\n".encode() + body)
        await asyncio.sleep(self._chance.uniform(0, 0.005))
        out.transport.abort()
        self._note("cancelled", incident["id"], self._case)

    def _note(self, *words: object) -> None:
        with self._file.open("a") as out:
            out.write(" ".join(map(str, words)) + "\n")


async def main(url: str, cases: int, events: int, every: int, file: Path) -> None:
    patience = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(timeout=patience) as session, asyncio.TaskGroup() as tasks:
        for at in range(cases):
            tasks.create_task(Caller(URL(url), f"case-{at}", every, file, session).call(events))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:5]), Path(sys.argv[5])))

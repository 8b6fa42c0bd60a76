"""
What not to do: it answers when it has the event in its memory. It publishes the first ten, and the others when it ends.

    uvicorn hasty:app
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import app as as_it_should_be
from fastapi import FastAPI

import deploy
import producers
import schemas

kept: list[schemas.Incident] = []


async def publish_what_is_kept() -> None:
    await producers.publisher.publish_all([(each.event(), each.case) for each in kept])
    kept.clear()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with as_it_should_be.lifespan(app):
        yield
        await publish_what_is_kept()


app = FastAPI(lifespan=lifespan)
first = True


@app.post("/incidents")
async def tell(incident: schemas.Incident) -> dict[str, int]:
    global first
    deploy.note("began", incident.id)
    kept.append(incident)
    if first and len(kept) == 10:
        first = False
        await publish_what_is_kept()
    return {"partition": 0, "offset": 0}

"""
A web application with an event loop, in two processes: it answers when the broker has the event.

    uvicorn app:app --workers 2

Whoever does not wait for the answer takes the request back, and what was begun for it is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response

import deploy
import producers
import safebus
import schemas
from safebus import NotReachable


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with producers.publisher:
        deploy.note("stands", schemas.__file__, deploy.__file__, producers.__file__, safebus.__file__)
        yield
    deploy.note("stopped")


app = FastAPI(lifespan=lifespan)


@app.post("/incidents")
async def tell(incident: schemas.Incident, request: Request) -> Any:
    telling = asyncio.create_task(published(incident))
    leaving = asyncio.create_task(gone(request))
    await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
    if not telling.done():
        telling.cancel()
    leaving.cancel()
    await asyncio.wait({telling, leaving})
    if telling.cancelled():
        return Response(status_code=499)
    try:
        return telling.result()
    except NotReachable:
        return Response(status_code=503)


async def published(incident: schemas.Incident) -> dict[str, int]:
    deploy.note("began", incident.id)
    became = "cancelled"
    try:
        accepted = await producers.publisher.publish(incident.event(), case=incident.case)
        became = "ended"
    finally:
        deploy.note(became, incident.id)
    return {"partition": accepted.partition, "offset": accepted.offset}


async def gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

"""
A web application with threads, in three processes that are forked from one that has published already.

    gunicorn app:app --preload --workers 3 --threads 4
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response, request

import deploy
import producers
import safebus
import schemas
from safebus import NotReachable

app = Flask(__name__)
deploy.note("stands", schemas.__file__, deploy.__file__, producers.__file__, safebus.__file__)

# Before the fork: each child has the memory of a publisher that is connected.
_first = schemas.Incident(os.environ["FIRST"], "the application", "started", "2026-03-02T08:00:00+00:00")
_accepted = producers.publish(_first)
deploy.note("told", _first.id, _accepted.partition, _accepted.offset)


@app.post("/incidents")
def tell() -> Any:
    try:
        accepted = producers.publish(schemas.Incident(**request.get_json()))
    except NotReachable:
        return Response(status=503)
    return {"partition": accepted.partition, "offset": accepted.offset}

"""
Tasks in three processes, forked from one that has published already; each is done when the broker has the event.

    celery --app tasks worker --pool prefork --concurrency 3
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

import deploy
import producers
import safebus
import schemas

app = Celery("tasks")
app.conf.update(deploy.CELERY)


@worker_init.connect
def before_the_fork(**_: Any) -> None:
    deploy.note("stands", schemas.__file__, deploy.__file__, producers.__file__, safebus.__file__)
    first = schemas.Incident(os.environ["FIRST"], "the application", "started", "2026-03-02T08:00:00+00:00")
    accepted = producers.publish(first)
    deploy.note("told", first.id, accepted.partition, accepted.offset)


@app.task
def tell(**incident: str) -> dict[str, int]:
    accepted = producers.publish(schemas.Incident(**incident))
    return {"partition": accepted.partition, "offset": accepted.offset}

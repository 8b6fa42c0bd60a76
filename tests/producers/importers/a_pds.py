"""A server on 127.0.0.1 that answers like the sandbox of PDS, and like what goes wrong between it and us."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

REAL = Path(__file__).parents[2] / "data" / "real" / "pds"
#: Two of the service's own examples.
PATIENT: dict[str, Any] = json.loads((REAL / "Patient.json").read_text("utf-8"))
RESTRICTED: dict[str, Any] = json.loads((REAL / "Sensitive_Patient.json").read_text("utf-8"))
JANE, JANET, AVA, BEN = "9000000009", "9000000025", "9990079196", "9990237573"
FHIR = "application/fhir+json"
TOKEN = "token-of-this-test"


@dataclass
class Say:
    """One answer. `silent`: none ever comes; `cut`: the connection ends in the middle of it."""

    status: int = 200
    body: bytes = b""
    kind: str = FHIR
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    cut: bool = False


@dataclass
class Pds:
    """
    Attributes:
        url: Of its FHIR API.
        answers: NHS number -> what it says, one after another; the last one from then on.
        asked: The numbers that it was asked for.
        request_ids: Of those requests.
    """

    url: str = ""
    answers: dict[str, list[Say]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)

    def says(self, number: str, *answers: Say) -> None:
        self.answers[number] = list(answers)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        number = request.match_info["number"]
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _sent(outcome(401, "ACCESS_DENIED"))
        if "X-Request-ID" not in request.headers:
            return _sent(outcome(400, "MISSING_VALUE"))
        self.asked.append(number)
        self.request_ids.append(request.headers["X-Request-ID"])
        waiting = self.answers.get(number) or [outcome(404, "RESOURCE_NOT_FOUND")]
        said = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if said.silent:
            await asyncio.Event().wait()
        if said.cut:
            response = web.StreamResponse(headers={"Content-Length": "9999", "Content-Type": FHIR})
            await response.prepare(request)
            await response.write(said.body)
            assert request.transport is not None
            request.transport.close()
            return response
        return _sent(said)


def _sent(said: Say) -> web.Response:
    return web.Response(status=said.status, body=said.body, headers={"Content-Type": said.kind, **said.headers})


def record(base: dict[str, Any] = PATIENT, *, number: str = AVA, drop: Iterable[str] = (), **changes: Any) -> Say:
    """A patient's record under this number, with other parts."""
    identifier = [{**base["identifier"][0], "value": number}]
    whole = {**base, "id": number, "identifier": identifier, **changes}
    return Say(body=json.dumps({name: part for name, part in whole.items() if name not in drop}).encode())


def outcome(status: int, code: str, **headers: str) -> Say:
    """An OperationOutcome, as the service gives it."""
    coding = {"system": "https://fhir.hl7.org.uk/CodeSystem/Spine-ErrorOrWarningCode", "version": "1", "code": code}
    issue = {"severity": "error", "code": "processing", "details": {"coding": [coding]}}
    body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
    return Say(status, body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def html(status: int = 200) -> Say:
    """What a proxy, a gateway or a maintenance page says."""
    return Say(status, b"<!doctype html><title>Sign in</title>", "text/html; charset=utf-8")


@asynccontextmanager
async def a_pds() -> AsyncIterator[Pds]:
    """The server, while it runs."""
    pds = Pds()
    app = web.Application()
    app.router.add_get("/personal-demographics/FHIR/R4/Patient/{number}", pds.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    [(host, port)] = [address[:2] for address in runner.addresses]
    pds.url = f"http://{host}:{port}/personal-demographics/FHIR/R4"
    try:
        yield pds
    finally:
        await runner.cleanup()

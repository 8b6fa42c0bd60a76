"""What PDS answers, what it does not, and what is asked again: against a server that behaves like it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from a_pds import AVA, BEN, JANET, RESTRICTED, TOKEN, Pds, Say, a_pds, html, outcome, record

from safebus.producers.importers.pds import PdsRecord
from safebus.producers.importers.pds_client import ATTEMPTS, MOST_PATIENCE_S, Endpoint, NotAnswered, PdsClient
from safebus.schemas.errors import BadInput, Refused
from safebus.schemas.events import Confidentiality

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
async def pds() -> AsyncIterator[Pds]:
    async with a_pds() as server:
        yield server


class Asked:
    """Asks, and notes how long it would have waited."""

    def __init__(self, url: str, *, token: str = TOKEN, timeout_s: float = 10.0) -> None:
        self.waits: list[float] = []
        self._endpoint = Endpoint(url, lambda: token, timeout_s=timeout_s)

    async def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def about(self, number: str) -> PdsRecord:
        async with PdsClient(self._endpoint, pause=self._pause, now=lambda: NOON) as client:
            return await client.ask(number)


async def test_a_record_is_read(pds: Pds) -> None:
    pds.says(AVA, record())
    found = await Asked(pds.url).about(AVA)

    assert (found.number, found.version, found.confidentiality) == (AVA, "2", Confidentiality.N)
    assert [each.name.family for each in found.names] == ["Smith"]
    assert [len(each.lines) for each in found.addresses] == [5, 5]


async def test_each_request_has_an_id_of_its_own(pds: Pds) -> None:
    pds.says(AVA, outcome(503, "SERVICE_UNAVAILABLE"), record())
    await Asked(pds.url).about(AVA)

    assert len(set(pds.request_ids)) == 2


async def test_of_a_restricted_record_no_place_is_taken_even_where_one_stands(pds: Pds) -> None:
    """The service leaves it out; a cache in between that mixes two answers does not."""
    pds.says(JANET, record(RESTRICTED, number=JANET), record(number=JANET, meta=RESTRICTED["meta"]))
    asked = Asked(pds.url)
    as_published, with_places = await asked.about(JANET), await asked.about(JANET)

    assert as_published.left_out == ()
    assert with_places.left_out == (
        "home address of `person`: the record is restricted",
        "GP practice of `person`: the record is restricted",
    )
    for each in (as_published, with_places):
        assert (each.is_restricted(), each.addresses, each.practices) == (True, (), ())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (outcome(404, "RESOURCE_NOT_FOUND"), "NOT_AT_SOURCE: PDS answers 404 RESOURCE_NOT_FOUND"),
        (outcome(404, "INVALIDATED_RESOURCE"), "NOT_AT_SOURCE: PDS answers 404 INVALIDATED_RESOURCE"),
        (outcome(400, "INVALID_RESOURCE_ID"), "NOT_AT_SOURCE: PDS answers 400 INVALID_RESOURCE_ID"),
        (record(id=BEN), "IDENTITY_CONFLICT: `Patient.id` and `Patient.identifier`"),
        (record(identifier=[]), "IDENTITY_CONFLICT: `Patient.id` and `Patient.identifier`"),
        (record(active=False), "UNVERIFIED_IDENTITY: `Patient.active` is false"),
        (record(modifierExtension=[{"url": "https://example.com/not"}]), "UNKNOWN_MODIFIER"),
        (record(meta={"security": [{"system": "https://example.com", "code": "X"}]}), "UNKNOWN_LABEL"),
        (record(birthDate="2015-03-02T10:00:00"), "BAD_TIME: `Patient.birthDate` is a time without a zone"),
        (record(birthDate="2015-02-30"), "BAD_TIME: `Patient.birthDate` names a day that does not exist"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
async def test_an_answer_that_settles_it_is_asked_for_once(pds: Pds, said: Say, expected: str) -> None:
    pds.says(AVA, said)
    asked = Asked(pds.url)

    with pytest.raises(Refused) as exc:
        await asked.about(AVA)
    assert str(exc.value).startswith(expected)
    assert (pds.asked, asked.waits) == ([AVA], [])


@pytest.mark.parametrize(
    ("said", "expected", "for_all"),
    [
        (html(), "PDS answers 200 with HTML; expected a FHIR R4 Patient", False),
        (html(404), "PDS answers 404, which says nothing of this number; look at the URL", True),
        (html(403), "PDS answers 403: it does not take the token", True),
        (outcome(401, "ACCESS_DENIED"), "PDS answers 401: it does not take the token", True),
        (outcome(400, "MISSING_VALUE"), "PDS answers 400 MISSING_VALUE, which says nothing of this number", True),
        (Say(302, headers={"Location": "https://example.com/login"}), "PDS answers 302, which says nothing", True),
        (Say(body=b"{"), "PDS answers 200 with something else: this is not JSON", False),
        (Say(body=b"[]"), "PDS answers 200 with something else: it is no FHIR R4 Patient", False),
        (Say(body=b"{}" + b" " * 2_000_000), "PDS answers 200 with something else: found", False),
        (record(resourceType="Bundle"), "PDS answers 200 with something else: it is no FHIR R4 Patient", False),
        (record(drop=["meta"]), "PDS answers 200 with something else: it is no FHIR R4 Patient", False),
        (record(meta={"versionId": "2", "security": []}), "it is no FHIR R4 Patient as PDS gives it: `meta.", False),
        (record(name="Ava Hart"), "it is no FHIR R4 Patient as PDS gives it: `name`", False),
        (Say(200, b'{"id": "1", "id": "2"}'), "`id` stands twice in one object", False),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
async def test_what_is_no_answer_about_anybody_is_no_answer(pds: Pds, said: Say, expected: str, for_all: bool) -> None:
    """A mistyped URL must not put forty signals into quarantine as "no such patient"."""
    pds.says(AVA, said)

    with pytest.raises(NotAnswered) as exc:
        await Asked(pds.url).about(AVA)
    assert expected in str(exc.value)
    assert exc.value.for_all is for_all
    assert AVA not in str(exc.value)
    assert TOKEN not in str(exc.value)


async def test_a_redirect_is_not_followed(pds: Pds) -> None:
    """The token and the number go where they were meant for."""
    pds.says(AVA, Say(307, headers={"Location": f"{pds.url}/Patient/{BEN}"}))

    with pytest.raises(NotAnswered):
        await Asked(pds.url).about(AVA)
    assert pds.asked == [AVA]


@pytest.mark.parametrize(
    ("busy", "waits"),
    [
        ([outcome(429, "TOO_MANY_REQUESTS", Retry_After="5")], [5.0]),
        ([outcome(429, "TOO_MANY_REQUESTS", Retry_After="Fri, 27 Nov 2026 12:00:07 GMT")], [7.0]),
        ([outcome(429, "TOO_MANY_REQUESTS", Retry_After="Fri, 27 Nov 2026 11:00:00 GMT")], [0.0]),
        ([outcome(429, "TOO_MANY_REQUESTS", Retry_After="soon")], [1.0]),
        ([outcome(429, "TOO_MANY_REQUESTS")], [1.0]),
        ([outcome(503, "SERVICE_UNAVAILABLE", Retry_After="3"), html(502), html(504)], [3.0, 2.0, 4.0]),
        ([outcome(408, "UNABLE_TO_CALL_SERVICE")], [1.0]),
        ([Say(cut=True)], [1.0]),
        ([Say(silent=True)], [1.0]),
    ],
    ids=str,
)
async def test_who_is_busy_is_asked_again_after_as_long_as_they_say(
    pds: Pds, busy: list[Say], waits: list[float]
) -> None:
    pds.says(AVA, *busy, record())
    asked = Asked(pds.url, timeout_s=2.0 if busy[0].silent else 10.0)

    assert (await asked.about(AVA)).number == AVA
    assert asked.waits == waits


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (html(500), "it answers 500; import this again later"),
        (outcome(503, "SERVICE_UNAVAILABLE"), "it answers 503; import this again later"),
        (Say(silent=True), "no answer within 0.3 s; import this again later"),
        (Say(cut=True, body=b'{"resourceType"'), "the connection broke off, or what came is not HTTP"),
    ],
    ids=["500", "503", "silence", "cut"],
)
async def test_who_stays_busy_is_asked_four_times(pds: Pds, said: Say, expected: str) -> None:
    pds.says(AVA, said)

    with pytest.raises(NotAnswered, match="PDS cannot be asked") as exc:
        await Asked(pds.url, timeout_s=0.3 if said.silent else 10.0).about(AVA)
    assert expected in str(exc.value)
    assert len(pds.asked) == ATTEMPTS


async def test_who_asks_for_an_hour_is_not_waited_for(pds: Pds) -> None:
    pds.says(AVA, outcome(429, "TOO_MANY_REQUESTS", Retry_After="3600"))
    asked = Asked(pds.url)

    with pytest.raises(NotAnswered, match=r"it answers 429; it asks to wait 3600; import this again later"):
        await asked.about(AVA)
    assert sum(asked.waits) <= MOST_PATIENCE_S
    assert pds.asked == [AVA]


async def test_nobody_at_the_address_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        port = taken.getsockname()[1]

        with pytest.raises(NotAnswered, match="nothing answers at its address"):
            await Asked(f"http://127.0.0.1:{port}/FHIR/R4").about(AVA)


async def test_what_is_not_http_is_said() -> None:
    import asyncio

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(NotAnswered, match="the connection broke off, or what came is not HTTP"):
            await Asked(f"http://127.0.0.1:{port}/FHIR/R4").about(AVA)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://pds.example.com/FHIR/R4", "does not begin with `https://`"),
        ("ftp://127.0.0.1/FHIR/R4", "does not begin with `https://`"),
        ("https://user:secret@pds.example.com/FHIR/R4", "more than a host and a path"),
        ("https://pds.example.com/FHIR/R4?key=1", "more than a host and a path"),
        ("https:///FHIR/R4", "more than a host and a path"),
        ("https://[", "is none"),
        ("pds.example.com", "does not begin with `https://`"),
    ],
)
def test_a_url_that_would_send_a_token_astray_is_refused(url: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Endpoint(url, lambda: TOKEN)

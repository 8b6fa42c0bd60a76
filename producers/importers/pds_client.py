"""
What does PDS answer about an NHS number, and what if it does not answer?

    200                     the record, if it is one
    400 of this number,     the number is none, or no such record: what became of the message is settled
    404 by PDS itself
    408 425 429 5xx,        asked again, after as long as it says (`Retry-After`) or a little longer each time
    no connection, silence
    the rest                a wrong token, URL or proxy in between: no other number would be answered either

A 404 of a web server that is not PDS (a mistyped URL, a gateway) is no answer about anybody. Redirects are not
followed, and nothing that a message says becomes part of the URL but ten digits: the token goes where it was meant for.

Source: NHSDigital/personal-demographics-service-api, specification/components/paths/patient-get.yaml; RFC 9110, 10.2.3.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final

import aiohttp
from yarl import URL

from safebus.producers.importers.outcome import ImportReason
from safebus.producers.importers.pds import NotAPatient, PdsRecord, read_patient
from safebus.schemas import strict_json
from safebus.schemas.errors import BadInput, NotReachable, Refused
from safebus.schemas.strict_json import MAX_BYTES

ATTEMPTS: Final = 4
_PAUSES_S: Final = (1.0, 2.0, 4.0)  # before the second, third, fourth attempt, where the answer does not say
MOST_PATIENCE_S: Final = 60.0  # for one number; who is asked to wait longer comes again later
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_OF_THIS_NUMBER: Final = ("INVALID_RESOURCE_ID", "RESOURCE_NOT_FOUND", "INVALIDATED_RESOURCE")
_AGAIN: Final = (408, 425, 429)


class NotAnswered(NotReachable):
    """
    PDS could not be asked, or did not answer.

    Attributes:
        for_all: Nor would it about another number: the token, the URL, the whole service.
    """

    def __init__(self, detail: str, *, for_all: bool = False) -> None:
        super().__init__(detail)
        self.for_all = for_all


@dataclass(frozen=True)
class Endpoint:
    """
    Where PDS is, and by what right it is asked.

    Attributes:
        url: Of the FHIR API, such as `https://api.service.nhs.uk/personal-demographics/FHIR/R4`.
        token: Gives the access token. Asked for before each request: tokens last minutes, and are renewed in place.
        timeout_s: For one attempt, seconds.
    """

    url: str
    token: Callable[[], str]
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        try:
            url = URL(self.url)
        except ValueError:
            raise BadInput("the URL of PDS is none; expected `https://HOST/.../FHIR/R4`") from None
        if url.scheme != "https" and not (url.scheme == "http" and url.host in _LOOPBACK):
            raise BadInput("the URL of PDS does not begin with `https://`; no token and no NHS number go in the clear")
        if not url.host or url.user or url.password or url.query_string or url.fragment:
            raise BadInput("the URL of PDS holds more than a host and a path; expected `https://HOST/.../FHIR/R4`")

    @property
    def host(self) -> str:
        """Its name, for the record of who was asked."""
        return URL(self.url).host or ""


@dataclass(frozen=True)
class _Answer:
    """`retry_after`: as the header says it."""

    status: int
    kind: str
    body: bytes
    retry_after: str | None


class PdsClient:
    """
    Asks PDS about one number after another.

    Args:
        pause: Waits so many seconds.
        now: The time, for a `Retry-After` that names one.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._endpoint = endpoint
        self._pause = pause
        self._now = now
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> PdsClient:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._endpoint.timeout_s), cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self, _t: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None
    ) -> None:
        assert self._session is not None  # it was entered
        await self._session.close()

    async def ask(self, number: str) -> PdsRecord:
        """
        The record under this NHS number.

        Raises:
            NotAnswered: It could not be asked; says what to do.
            Refused: It answered that there is no such record (NOT_AT_SOURCE), or one that cannot be used.
        """
        waited, said = 0.0, ""
        for attempt in range(ATTEMPTS):
            if attempt:
                wait = self._wait_s(said, attempt)
                waited += wait
                if waited > MOST_PATIENCE_S:
                    break
                await self._pause(wait)
            try:
                answer = await self._get(number)
            except (aiohttp.ClientError, OSError, UnicodeError) as exc:
                problem, said = _no_connection(exc, self._endpoint.timeout_s), ""
                continue
            if answer.status not in _AGAIN and answer.status < 500:
                return _read(answer)
            problem, said = f"it answers {answer.status}", answer.retry_after or ""
        asked = f"; it asks to wait {said}" if said else ""
        raise NotAnswered(f"PDS cannot be asked: {problem}{asked}; import this again later")

    def _wait_s(self, retry_after: str, attempt: int) -> float:
        if retry_after.isascii() and retry_after.isdecimal():
            return float(retry_after[:9])
        with suppress(ValueError, TypeError, OverflowError):
            at = parsedate_to_datetime(retry_after)
            return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - self._now()).total_seconds())
        return _PAUSES_S[attempt - 1]

    async def _get(self, number: str) -> _Answer:
        assert self._session is not None  # it was entered
        headers = {
            "Authorization": f"Bearer {self._endpoint.token()}",
            "Accept": "application/fhir+json",
            "X-Request-ID": str(uuid.uuid4()),
        }
        url = f"{self._endpoint.url.rstrip('/')}/Patient/{number}"
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            body = b""
            while len(body) <= MAX_BYTES and (part := await response.content.readany()):
                body += part
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return _Answer(response.status, kind, body, response.headers.get("Retry-After"))


def _read(answer: _Answer) -> PdsRecord:
    """
    What an answer says that will not change by asking again.

    Raises:
        NotAnswered, Refused: As `ask`.
    """
    codes = _outcome_codes(answer)
    if answer.status == 200:
        try:
            return read_patient(answer.body)
        except NotAPatient as exc:
            what = "HTML" if "html" in answer.kind else f"something else: {exc}"
            raise NotAnswered(
                f"PDS answers 200 with {what}; expected a FHIR R4 Patient; look at the URL and what stands in between"
            ) from None
    for code in _OF_THIS_NUMBER:
        if code in codes:
            raise Refused(
                ImportReason.NOT_AT_SOURCE, f"PDS answers {answer.status} {code}: it holds no record under this number"
            )
    if answer.status in (401, 403):
        raise NotAnswered(
            f"PDS answers {answer.status}: it does not take the token; put a new one into the token's file, then "
            "import this again",
            for_all=True,
        )
    raise NotAnswered(
        f"PDS answers {' '.join([str(answer.status), *codes])}, which says nothing of this number; look at the URL (it "
        "ends in `/FHIR/R4`) and at what stands in between, then import this again",
        for_all=True,
    )


def _outcome_codes(answer: _Answer) -> list[str]:
    """The codes of a FHIR OperationOutcome, those of them that are codes."""
    with suppress(strict_json.BadJson, TypeError, KeyError, AttributeError):
        document = strict_json.parse(answer.body)
        if document["resourceType"] == "OperationOutcome":
            found = [coding["code"] for issue in document["issue"] for coding in issue["details"]["coding"]]
            return [code for code in found[:3] if code.isascii() and code.replace("_", "").isupper() and len(code) < 40]
    return []


def _no_connection(exc: Exception, timeout_s: float) -> str:
    """In words that hold neither number nor token: a library's own may quote the URL."""
    match exc:
        case TimeoutError():
            return f"no answer within {timeout_s:g} s"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "its certificate is not trusted here, or TLS failed"
        case aiohttp.ClientConnectorDNSError():
            return "its name is not found"
        case aiohttp.ClientConnectorError():
            return "nothing answers at its address"
        case _:
            return "the connection broke off, or what came is not HTTP"

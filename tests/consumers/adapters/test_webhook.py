"""A partner's web server gets each parcel signed, once by its id, and nobody else gets it."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from a_listener import listening
from a_parcel import ALERT, ID, WITHDRAWAL, handed, parcel
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook, WebhookVerificationError

from safebus.consumers.adapters.adapter import HELD_BACK, PartnerAnswer, Reply, hand_over
from safebus.consumers.adapters.addresses import may_connect
from safebus.consumers.adapters.http_answers import answer_of, retry_after_s
from safebus.consumers.adapters.webhook import WebhookAdapter, WebhookSettings, envelope
from safebus.schemas.errors import BadInput

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OLD, NEW = "whsec_" + "b2xk" * 8, "whsec_" + "bmV3" * 8
Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Partner:
    """A partner's receiver on loopback: it takes what carries a good signature, and keeps what it took by id."""

    port: int = 0
    secret: str = NEW
    respond: Respond | None = None
    asked: list[str] = field(default_factory=list)  # webhook-id of every attempt
    taken: dict[str, Any] = field(default_factory=dict)
    bytes_taken: set[bytes] = field(default_factory=set)

    async def hook(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers["webhook-id"])
        content = await request.read()
        try:
            self.taken[self.asked[-1]] = Webhook(self.secret).verify(content, dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=401)
        self.bytes_taken.add(content)
        return await self.respond(request) if self.respond else web.Response(status=202)


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Partner]:
    partner = Partner()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", partner.hook)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    partner.port = runner.addresses[0][1]
    try:
        yield partner
    finally:
        await runner.cleanup()


@pytest.fixture
async def partner() -> AsyncIterator[Partner]:
    async with receiving() as found:
        yield found


def settings(port: int, **changes: Any) -> WebhookSettings:
    return replace(WebhookSettings(f"http://127.0.0.1:{port}/hook", (NEW,), allow_private=True), **changes)


@asynccontextmanager
async def adapter(found: WebhookSettings, **more: Any) -> AsyncIterator[WebhookAdapter]:
    opened = WebhookAdapter(found, **{"clock": now, **more})
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


async def once(found: WebhookSettings, **more: Any) -> PartnerAnswer:
    async with adapter(found, **more) as opened:
        return await handed(opened, ALERT)


def answering(status: int, body: bytes = b"", **headers: str) -> Respond:
    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return respond


# What the partner gets


async def test_a_partner_that_checks_signatures_takes_it(partner: Partner) -> None:
    made_at = datetime(2026, 3, 2, 11, 59, 58, 123000, tzinfo=UTC)
    async with adapter(settings(partner.port)) as opened:
        answer = await handed(opened, parcel(made_at=made_at))

    assert answer == PartnerAnswer(Reply.ACCEPTED, "202")
    assert partner.taken == {
        ID: {"type": "child.missing", "timestamp": "2026-03-02T11:59:58.123000Z", "data": ALERT.body}
    }


async def test_a_repeat_carries_the_same_id_and_the_same_bytes(partner: Partner) -> None:
    """So a partner that keeps what it has seen acts on it once."""
    async with adapter(settings(partner.port)) as opened:
        for _ in range(3):
            await handed(opened, parcel(made_at=NOON))

    assert partner.asked == [ID, ID, ID]
    assert partner.bytes_taken == {envelope(parcel(made_at=NOON), now=now())}


async def test_one_that_a_person_sends_once_more_is_marked_beside_what_is_signed(partner: Partner) -> None:
    """So the partner files it under the same id, and can see that it is none of today's."""
    marks: list[str | None] = []

    async def note(request: web.Request) -> web.StreamResponse:
        marks.append(request.headers.get("safebus-repeated"))
        return web.Response(status=202)

    partner.respond = note
    made = {"made_at": NOON}
    async with adapter(settings(partner.port)) as opened:
        for each in (parcel(**made), parcel(**made, repeated=True)):
            assert (await handed(opened, each)).reply is Reply.ACCEPTED

    assert marks == [None, "true"]
    assert partner.asked == [ID, ID]
    assert len(partner.bytes_taken) == 1


async def test_a_withdrawal_is_not_taken_for_a_repeat_of_the_alert(partner: Partner) -> None:
    """It has the alert's notification id; under the same webhook-id a partner would drop it."""
    async with adapter(settings(partner.port)) as opened:
        answers = [await handed(opened, p) for p in (ALERT, WITHDRAWAL, WITHDRAWAL)]

    assert {answer.reply for answer in answers} == {Reply.ACCEPTED}
    assert {key: value["type"] for key, value in partner.taken.items()} == {
        ID: "child.missing",
        f"{ID}-withdrawn": "consent.withdrawn",
    }


@pytest.mark.parametrize(
    ("ours", "theirs", "answer"),
    [
        ((OLD,), OLD, PartnerAnswer(Reply.ACCEPTED, "202")),
        ((NEW, OLD), OLD, PartnerAnswer(Reply.ACCEPTED, "202")),
        ((NEW, OLD), NEW, PartnerAnswer(Reply.ACCEPTED, "202")),
        ((NEW,), NEW, PartnerAnswer(Reply.ACCEPTED, "202")),
        ((NEW,), OLD, PartnerAnswer(Reply.NOT_LET_IN, "401")),
    ],
    ids=["before", "we sign with both", "they have changed", "after", "we dropped the old one too early"],
)
async def test_a_secret_is_changed_without_a_lost_message(
    partner: Partner, ours: tuple[str, ...], theirs: str, answer: PartnerAnswer
) -> None:
    partner.secret = theirs

    assert await once(settings(partner.port, secrets=ours)) == answer


async def test_a_clock_in_british_summer_time_signs_the_right_time(partner: Partner) -> None:
    """`standardwebhooks` takes any time for UTC; an hour off, every message would be refused from March to October."""
    summer = timezone(timedelta(hours=1), "BST")

    assert (await once(settings(partner.port), clock=lambda: now().astimezone(summer))).code == "202"


async def test_a_clock_without_a_time_zone_is_a_bug(partner: Partner) -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        await once(settings(partner.port), clock=lambda: now().replace(tzinfo=None))


# What its answers mean


@pytest.mark.parametrize(
    ("status", "reply"),
    [
        *((s, Reply.ACCEPTED) for s in (200, 201, 202, 204)),
        *((s, Reply.NOT_LET_IN) for s in (401, 403, 404, 405, 407)),
        *((s, Reply.REFUSED) for s in (400, 409, 413, 415, 418, 422, 451)),
        (425, Reply.BUSY),
        *((s, Reply.UNKNOWN) for s in (408, 500, 502, 503, 504, 599)),
        (410, Reply.GONE),
        (999, Reply.UNKNOWN),
    ],
)
async def test_a_status_means_what_the_standard_says(partner: Partner, status: int, reply: Reply) -> None:
    partner.respond = answering(status)

    assert await once(settings(partner.port)) == PartnerAnswer(reply, str(status))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_a_person_is_told(partner: Partner, status: int) -> None:
    partner.respond = answering(status, Location=f"http://127.0.0.1:{partner.port}/elsewhere")

    assert await once(settings(partner.port)) == PartnerAnswer(Reply.NOT_LET_IN, f"redirect_{status}")
    assert len(partner.asked) == 1


@pytest.mark.parametrize(("status", "reply"), [(429, Reply.BUSY), (503, Reply.UNKNOWN)])
async def test_a_partner_says_when_to_come_back_in_seconds_or_as_a_date(
    partner: Partner, status: int, reply: Reply
) -> None:
    partner.respond = answering(status, Retry_After="120")
    assert await once(settings(partner.port)) == PartnerAnswer(reply, str(status), 120.0)

    # The clock stands within the five minutes that signatures are good for.
    start = now().replace(microsecond=0)
    partner.respond = answering(status, Retry_After=f"{start + timedelta(minutes=7):%a, %d %b %Y %H:%M:%S} GMT")
    assert await once(settings(partner.port), clock=lambda: start) == PartnerAnswer(reply, str(status), 420.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 30 ", 30.0),
        ("Mon, 02 Mar 2026 12:00:30 GMT", 30.0),
        ("Monday, 02-Mar-26 12:00:30 GMT", 30.0),
        ("Mon Mar  2 12:00:30 2026", 30.0),
        ("Mon, 02 Mar 2026 12:00:30 -0000", 30.0),
        ("Mon, 02 Mar 2020 12:00:30 GMT", 0.0),
        *((nonsense, None) for nonsense in ("", "-5", "1.5", "soon", "nan", "inf", "9" * 400, "٣", "Mon, 99 Mar 2026")),
    ],
)
def test_a_time_to_come_back_is_read_in_every_form_or_not_at_all(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, now=NOON) == seconds


def test_a_date_to_come_back_means_nothing_with_success() -> None:
    assert answer_of(200, "120", now=NOON) == PartnerAnswer(Reply.ACCEPTED, "200")


async def test_an_answer_of_a_gigabyte_is_not_read(partner: Partner) -> None:
    """The status is what counts; we hang up after the first 4 kB."""
    sent = 0

    async def respond(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(status=202)
        await response.prepare(request)
        for _ in range(1024):
            await response.write(bytes(1 << 20))
            sent += 1
        return response

    partner.respond = respond

    assert await once(settings(partner.port)) == PartnerAnswer(Reply.ACCEPTED, "202")
    assert sent < 64


async def test_an_answer_that_does_not_end_is_an_answer(partner: Partner) -> None:
    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=202)
        await response.prepare(request)
        await response.write(b"one moment")
        await asyncio.Event().wait()
        return response

    partner.respond = respond

    assert await once(settings(partner.port, total_s=0.3)) == PartnerAnswer(Reply.ACCEPTED, "202")


async def test_a_partner_that_takes_it_and_says_nothing_leaves_it_unknown(partner: Partner) -> None:
    async def respond(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    partner.respond = respond

    assert await once(settings(partner.port, total_s=0.3)) == PartnerAnswer(Reply.UNKNOWN, "timeout")
    assert list(partner.taken) == [ID]  # it was there


def test_one_that_is_asked_too_much_gets_a_pause_though_it_names_none() -> None:
    assert answer_of(429, None, now=NOON) == PartnerAnswer(Reply.BUSY, "429", 5.0)
    assert answer_of(429, "90", now=NOON) == PartnerAnswer(Reply.BUSY, "429", 90.0)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\n\r\n{}",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\r\n\r\n<!-- cached -->",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 Internal Server Error\r\n\r\n",
    ],
    ids=["a body after 204", "a body after 204, counted", "longer than it says", "a second answer"],
)
async def test_what_a_server_says_too_much_is_no_answer_to_the_next_one(answer: bytes) -> None:
    """Read as the answer to the one after, it made every second delivery a failure that had taken effect."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
            await reader.readexactly(int(length.split()[1]))
            writer.write(answer)

    async with listening(say) as port, adapter(settings(port)) as opened:
        answers = [await handed(opened, p) for p in (ALERT, WITHDRAWAL) * 2]

    assert [a.reply for a in answers] == [Reply.ACCEPTED] * 4


# What networks do


async def test_a_server_that_goes_away_before_anything_was_sent_has_nothing(partner: Partner) -> None:
    """It hangs up while the register is asked: that is known, so it is no reason to doubt."""
    hung_up = asyncio.Event()

    async def hang_up_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        hung_up.set()

    async def may_go() -> bool:
        await asyncio.wait_for(hung_up.wait(), 60)
        return False

    async with listening(hang_up_at_once) as port, adapter(settings(port)) as opened:
        assert await hand_over(opened, ALERT, may_go=may_go) in (
            HELD_BACK,
            PartnerAnswer(Reply.BUSY, "connection_lost"),
        )


async def test_a_server_that_has_hung_up_is_sent_nothing() -> None:
    """So nobody has to doubt whether it has what it was never sent."""
    hung_up = asyncio.Event()

    async def hang_up_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        hung_up.set()

    async with listening(hang_up_at_once) as port, adapter(settings(port)) as opened:

        async def may_go() -> bool:
            await asyncio.wait_for(hung_up.wait(), 60)
            for _ in range(3):  # what came to us before these connections is read by then
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                with suppress(OSError):
                    await reader.read()
                writer.close()
            return True

        answer = await hand_over(opened, ALERT, may_go=may_go)

    assert answer == PartnerAnswer(Reply.BUSY, "connection_failed")


async def test_a_connection_refused_is_tried_again() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert await once(settings(nobody.getsockname()[1])) == PartnerAnswer(Reply.BUSY, "connection_refused")


async def test_a_connection_that_is_not_taken_up_is_tried_again() -> None:
    """TLS that never answers: nothing of the parcel has left us."""

    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(say_nothing) as port:
        found = settings(port, url=f"https://127.0.0.1:{port}/", connect_s=0.2)
        assert await once(found) == PartnerAnswer(Reply.BUSY, "connect_timeout")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", "connection_lost"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "answer_not_http"),
        (b"HTTP/1.1 200" + b"x" * 100_000, "answer_not_http"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "answer_not_http"),
    ],
    ids=["hung up", "not HTTP", "a first line without end", "another protocol from here on"],
)
async def test_a_connection_that_breaks_after_we_sent_leaves_it_unknown(said: bytes, code: str) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    async with listening(break_off) as port:
        assert await once(settings(port)) == PartnerAnswer(Reply.UNKNOWN, code)


@pytest.mark.parametrize(
    "header",
    [
        b"Set-Cookie: " + b"x" * 100_000,
        b"X Name: with a space",
        b"a line that is no header",
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Transfer-Encoding: gzip, chunked",
    ],
    ids=["long", "a space", "no colon", "two lengths", "a coding that nobody asked for"],
)
@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"], ids=["", "after a hint"])
async def test_an_answer_is_known_by_its_first_line_whatever_its_headers_are(first: bytes, header: bytes) -> None:
    """Whoever took it for none would send the same for three days to a partner that has it, and then park it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first + b"HTTP/1.1 202 Accepted\r\n" + header + b"\r\n\r\n")

    async with listening(answer) as port:
        assert await once(settings(port)) == PartnerAnswer(Reply.ACCEPTED, "202")


async def test_an_answer_that_breaks_off_after_its_status_is_an_answer() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nshort")

    async with listening(break_off) as port:
        assert await once(settings(port)) == PartnerAnswer(Reply.ACCEPTED, "202")


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "partner")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "partner.pem").write_bytes(secret + signed.public_bytes(pem))
    return folder / "partner.pem"


async def test_a_certificate_that_nobody_vouches_for_holds_the_destination(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(file)
    async with receiving(theirs) as partner:
        found = settings(partner.port, url=f"https://127.0.0.1:{partner.port}/")

        assert await once(found) == PartnerAnswer(Reply.NOT_LET_IN, "certificate_not_trusted")
        assert partner.asked == []
        ours = ssl.create_default_context(cafile=str(file))
        assert await once(found, tls=ours) == PartnerAnswer(Reply.ACCEPTED, "202")


@contextmanager
def wanting_a_certificate(file: Path) -> Iterator[int]:
    """A server that wants a certificate of whoever connects, vouched for by this one; as TLS 1.3 has it."""
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(file))
    theirs.load_cert_chain(file)
    theirs.verify_mode, theirs.minimum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_3

    def serve() -> None:  # not asyncio's own, which hangs up and does not say why
        plain, _ = listener.accept()
        tls = theirs.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        with suppress(ssl.SSLError):
            tls.do_handshake()
        with socket.socket(fileno=tls.detach()) as left, suppress(OSError):
            while left.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(60)


@pytest.mark.parametrize("have", [False, True], ids=["none", "of nobody it knows"])
async def test_a_server_that_wants_another_certificate_of_ours_holds_the_destination(
    tmp_path: Path, have: bool
) -> None:
    """TLS 1.3 says so only after the handshake: no message gets through, so none may be parked for it."""
    file = certificate(tmp_path)
    ours = ssl.create_default_context(cafile=str(file))
    if have:
        (tmp_path / "ours").mkdir()
        ours.load_cert_chain(certificate(tmp_path / "ours"))

    with wanting_a_certificate(file) as port:
        answer = await once(settings(port, url=f"https://127.0.0.1:{port}/"), tls=ours)

    assert answer == PartnerAnswer(Reply.NOT_LET_IN, "our_certificate_not_taken")


async def test_a_server_that_does_not_speak_tls_is_tried_again(partner: Partner) -> None:
    found = settings(partner.port, url=f"https://127.0.0.1:{partner.port}/")

    assert await once(found) == PartnerAnswer(Reply.BUSY, "tls_failed")


# Where it must never go (threat 24)

HOSTILE = [
    # not a web address, or not only one
    "",
    "ftp://partner.example.org/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "//partner.example.org/hook",
    "partner.example.org/hook",
    "https:///hook",
    "https://",
    "http://partner.example.org/hook",
    "https://user@partner.example.org/",
    "https://user:secret@partner.example.org/",
    "https://partner.example.org@127.0.0.1/",
    "https://@127.0.0.1/",
    "https://partner.example.org\\@127.0.0.1/",
    "https://partner.example.org/\r\nHost: 127.0.0.1",
    "https://partner.example.org /",
    "https://partner.example.org#@127.0.0.1/",
    "https://partner.example.org:0/",
    "https://partner.example.org:99999/",
    "https://partner.example.org:x/",
    # this machine
    "https://127.0.0.1/",
    "https://127.8.9.1:8443/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://hook.localhost/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::]/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://%31%32%37.0.0.1/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:8.8.8.8]/",
    # networks of ours
    "https://10.0.0.7/",
    "https://172.16.3.4/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://[fd12:3456::1]/",
    "https://[fec0::1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://169.254.1.1/",
    "https://intranet/",
    "https://printer.local/",
    "https://vault.internal/",
    # metadata of clouds
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::169.254.169.254]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[fd00:ec2::254]/",
    "https://168.63.129.16/",
    "https://100.100.100.200/",
    "https://192.0.0.192/",
    "https://metadata.google.internal/",
    # nobody in particular
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://240.0.0.1/",
    "https://198.18.0.1/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[2001:0:5ef5:79fd::1]/",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_url_that_must_not_be_used_is_refused_when_it_is_configured(url: str) -> None:
    with pytest.raises(BadInput) as found:
        WebhookSettings(url, (NEW,))

    assert "secret@" not in str(found.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.example.org/hook?x=1",
        "https://partner.example.org:8443/",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
    ],
)
def test_a_public_url_may_be_used(url: str) -> None:
    """Withholding is as serious as leaking."""
    assert WebhookSettings(url, (NEW,)).url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/",
        "https://[fe80::1]/",
        "https://0.0.0.0/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::10.0.0.1]/",
        "https://100.100.100.200/",
        "https://[fd00:ec2::254]/",
        "https://224.0.0.1/",
        "http://10.0.0.7/",
        "http://8.8.8.8/",
    ],
)
def test_a_private_partner_opens_neither_metadata_nor_plain_http(url: str) -> None:
    with pytest.raises(BadInput):
        WebhookSettings(url, (NEW,), allow_private=True)


class Names:
    """A name server under someone else's control: its answers change from one question to the next."""

    def __init__(self, *addresses: str) -> None:
        self.answers = list(addresses)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[Any]:
        address = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"])
async def test_a_public_name_for_an_address_of_ours_is_not_connected_to(partner: Partner, address: str) -> None:
    names = Names(address)
    found = WebhookSettings(f"https://partner.example.org:{partner.port}/", (NEW,))

    assert await once(found, names=names) == PartnerAnswer(Reply.NOT_LET_IN, "address_not_allowed")
    assert (names.asked, partner.asked) == (1, [])


async def test_a_name_that_changes_after_it_was_looked_at_gains_nothing(partner: Partner) -> None:
    """DNS rebinding: public when somebody checks it, this machine when we connect."""
    names = Names("8.8.8.8", "127.0.0.1")
    [(*_, (checked, _))] = await names("partner.example.org", partner.port)
    assert may_connect(checked, allow_private=False, loopback_only=False)
    found = WebhookSettings(f"https://partner.example.org:{partner.port}/", (NEW,))

    assert await once(found, names=names) == PartnerAnswer(Reply.NOT_LET_IN, "address_not_allowed")
    assert partner.asked == []


async def test_a_name_is_looked_up_once_for_a_connection(partner: Partner) -> None:
    """What is connected to is what was judged; a second question could be answered otherwise."""
    names = Names("127.0.0.1", "10.0.0.1")
    found = settings(partner.port, url=f"http://partner.example.org:{partner.port}/")

    assert (await once(found, names=names)).code == "202"
    assert names.asked == 1


async def test_plain_http_leaves_this_machine_under_no_name() -> None:
    found = settings(80, url="http://partner.example.org/")

    assert await once(found, names=Names("10.0.0.1")) == PartnerAnswer(Reply.NOT_LET_IN, "address_not_allowed")


async def test_a_name_that_nobody_knows_is_tried_again() -> None:
    async def unknown(host: str, port: int) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    found = WebhookSettings("https://partner.example.org/", (NEW,))

    assert await once(found, names=unknown) == PartnerAnswer(Reply.BUSY, "name_not_found")


async def test_a_name_server_that_answers_nothing_holds_up_nobody_else(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up cannot be taken back, and what hangs would soon have all threads that a process shares."""
    look_up, given_up = socket.getaddrinfo, threading.Event()

    def hanging(host: Any, *args: Any, **more: Any) -> Any:
        if host == "dead.example.org":
            given_up.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "")
        return look_up(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    try:
        async with adapter(settings(1, url="https://dead.example.org/", connect_s=0.1)) as dead:
            answers = await asyncio.gather(*(handed(dead, ALERT) for _ in range(40)))

        assert set(answers) == {PartnerAnswer(Reply.BUSY, "connect_timeout")}
        assert await once(settings(partner.port)) == PartnerAnswer(Reply.ACCEPTED, "202")
    finally:
        given_up.set()


async def test_no_proxy_of_the_environment_is_used(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert (await once(settings(partner.port))).code == "202"
        assert proxy.asked == []


# Secrets


@pytest.mark.parametrize(
    "secrets",
    [(), ("",), ("whsec_",), ("b2xk" * 8,), ("whsec_" + "b2xk" * 7,), ("whsec_" + "!" * 32,), (NEW, "whsec_é")],
)
def test_a_secret_that_is_none_is_refused(secrets: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as found:
        WebhookSettings("https://partner.example.org/", secrets)

    assert not any(len(s) > 6 and s in str(found.value) for s in secrets)


def test_settings_show_neither_secrets_nor_paths() -> None:
    """Partners put tokens into paths and queries."""
    found = WebhookSettings("https://partner.example.org/t0ken?key=t0ken", (NEW, OLD))

    assert repr(found) == str(found) == "WebhookSettings(host='partner.example.org', secrets=2)"

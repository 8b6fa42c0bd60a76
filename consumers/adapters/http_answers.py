"""
What did a partner's web server, or the network before it, mean?

    2xx                          ACCEPTED
    3xx                          NOT_LET_IN  never followed: it would carry a child's details where no agreement says,
                                             and no message will get through until a person corrects the URL
    401 403 407, address not
    allowed, certificate: theirs
    not trusted, or ours refused NOT_LET_IN
    404 405                      NOT_LET_IN  the place is wrong, not the message: a partner that misdeploys for an hour
                                             must not have an hour of alerts parked
    410                          GONE
    425 429, no connection       BUSY        nothing was taken; 429: for as long as it says, or 5 s
    408 5xx                      UNKNOWN     a gateway that waited too long, or a server that stored it and then broke:
                                             whoever takes it back, or whose consent ends, must say so there
    other 4xx                    REFUSED
    the rest                     UNKNOWN     we had a connection: all of it may have arrived

Sources: RFC 9110, 10.2.3 and 15; Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import re
import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import h11

from safebus.consumers.adapters.adapter import PartnerAnswer, Reply
from safebus.consumers.adapters.addresses import AddressNotAllowed

#: OpenSSL's words for a server that wants a certificate of ours, or another one; TLS 1.3 says so after the handshake.
#: Source: RFC 8446, 6.2.
_OUR_CERTIFICATE: Final = re.compile(
    "_ALERT_(CERTIFICATE_[A-Z]+|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)"
)
_NOT_TAKEN: Final = PartnerAnswer(Reply.NOT_LET_IN, "our_certificate_not_taken")
#: The pause of a partner that says it is asked too much, and not for how long it wants none. Seconds.
TOO_MANY_S: Final = 5.0


def answer_of(status: int, retry_after: str | None, *, now: datetime) -> PartnerAnswer:
    """What an HTTP status means."""
    if 200 <= status < 300:
        return PartnerAnswer(Reply.ACCEPTED, str(status))
    if 300 <= status < 400:
        return PartnerAnswer(Reply.NOT_LET_IN, f"redirect_{status}")
    if status in (401, 403, 404, 405, 407):
        reply = Reply.NOT_LET_IN
    elif status == 410:
        reply = Reply.GONE
    elif status in (425, 429):
        reply = Reply.BUSY
        if status == 429 and retry_after_s(retry_after, now=now) is None:
            return PartnerAnswer(reply, "429", TOO_MANY_S)
    else:
        reply = Reply.REFUSED if 400 <= status < 500 and status != 408 else Reply.UNKNOWN
    return PartnerAnswer(reply, str(status), retry_after_s(retry_after, now=now))


def retry_after_s(header: str | None, *, now: datetime) -> float | None:
    """Seconds from now; None where there is nothing that can be read. Source: RFC 9110, 10.2.3."""
    if header is None:
        return None
    if re.fullmatch(r"[0-9]{1,12}", header.strip()):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:  # the old form "-0000", which means UTC
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def not_connected(error: OSError | UnicodeError) -> PartnerAnswer:
    """What it means that there is no connection: nothing of the parcel has left us."""
    match error:
        case UnicodeError():
            return PartnerAnswer(Reply.NOT_LET_IN, "name_not_usable")
        case AddressNotAllowed():
            return PartnerAnswer(Reply.NOT_LET_IN, "address_not_allowed")
        case ssl.SSLCertVerificationError():
            return PartnerAnswer(Reply.NOT_LET_IN, "certificate_not_trusted")
        case ssl.SSLError():
            return _NOT_TAKEN if _wants_another_certificate(error) else PartnerAnswer(Reply.BUSY, "tls_failed")
        case socket.gaierror():
            return PartnerAnswer(Reply.BUSY, "name_not_found")
        case ConnectionRefusedError():
            return PartnerAnswer(Reply.BUSY, "connection_refused")
        case TimeoutError():
            return PartnerAnswer(Reply.BUSY, "connect_timeout")
        case _:
            return PartnerAnswer(Reply.BUSY, "connection_failed")


def no_answer(error: OSError | h11.RemoteProtocolError) -> PartnerAnswer:
    """What it means that we sent and no answer came: it may be there, unless whoever was to read it was not reached."""
    match error:
        case ssl.SSLError() if _wants_another_certificate(error):
            return _NOT_TAKEN
        case TimeoutError():
            return PartnerAnswer(Reply.UNKNOWN, "timeout")
        case OSError():
            return PartnerAnswer(Reply.UNKNOWN, "connection_lost")
        case _:
            return PartnerAnswer(Reply.UNKNOWN, "answer_not_http")


def _wants_another_certificate(error: ssl.SSLError) -> bool:
    return _OUR_CERTIFICATE.search(error.reason or "") is not None

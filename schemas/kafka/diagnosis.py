"""
Why does a broker not answer: is nobody there, or do it and we not agree on certificates?

To a Kafka client each of these looks like a broker that is gone. So when it finds none, one connection is made by hand
and the TLS library is asked what it minds.

Source: RFC 8446, section 6.2 (what each side says before it hangs up), X509_V_ERR_* of OpenSSL.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from typing import Final

ANSWER_WITHIN_S: Final = 2.0

#: What is wrong with the broker's certificate. Source: openssl-verification-options(1), x509_vfy.h.
_OF_THEIRS: Final = {
    9: "its certificate is not valid yet: look at the clocks",
    10: "its certificate has expired: whoever runs it must renew it",
    18: "its certificate is signed by itself, and not by what SAFEBUS_TLS_CA trusts",
    19: "its certificate is not signed by what SAFEBUS_TLS_CA trusts: another CA, or another broker",
    20: "its certificate is not signed by what SAFEBUS_TLS_CA trusts: another CA, or another broker",
    21: "its certificate is not signed by what SAFEBUS_TLS_CA trusts: another CA, or another broker",
    62: "its certificate is for another host: name it as the certificate does",
    64: "its certificate is for another host: name it as the certificate does",
}
#: What the broker says of ours before it hangs up, or of TLS itself; parts of OpenSSL's names.
_SAID: Final = {
    "PROTOCOL_VERSION": "it takes no version of TLS that we do; safebus needs 1.3",
    "UNSUPPORTED_PROTOCOL": "it takes no version of TLS that we do; safebus needs 1.3",
    "WRONG_VERSION_NUMBER": "it does not speak TLS at this port: leave SAFEBUS_TLS_CA and _CERT out, or name another",
    "RECORD_LAYER_FAILURE": "it does not speak TLS at this port: leave SAFEBUS_TLS_CA and _CERT out, or name another",
    "UNEXPECTED_EOF": "it hangs up on TLS: it speaks none at this port (then leave SAFEBUS_TLS_CA and _CERT out), or "
    "no version that we do; safebus needs 1.3",
    "CERTIFICATE_EXPIRED": "it says that our certificate (SAFEBUS_TLS_CERT) has expired; renew it",
    "CERTIFICATE_REVOKED": "it says that our certificate (SAFEBUS_TLS_CERT) was revoked",
    "CERTIFICATE_REQUIRED": "it wants a certificate and SAFEBUS_TLS_CERT has none that it takes",
    "UNKNOWN_CA": "it does not know who issued our certificate (SAFEBUS_TLS_CERT)",
    "BAD_CERTIFICATE": "it does not take our certificate (SAFEBUS_TLS_CERT)",
    "CERTIFICATE_UNKNOWN": "it does not take our certificate (SAFEBUS_TLS_CERT): another CA, or expired",
    "HANDSHAKE_FAILURE": "it and we found no way of TLS in common",
}
#: ApiVersions, version 0, without a client id: what every Kafka answers. Source: the Kafka protocol.
_QUESTION: Final = b"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff"


def why_not(bootstrap: str, tls: ssl.SSLContext | None) -> str | None:
    """
    Why none of these addresses serves us, in words; None: nobody is there, or one of them does.

    It makes a connection to each, and takes up to a few seconds for each: not for a loop that does other work.
    """
    said = []
    for address in bootstrap.split(","):
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        try:
            with socket.create_connection((host, int(port)), timeout=ANSWER_WITHIN_S) as plain:
                why = _asked(plain) if tls is None else _asked_under_tls(plain, tls, host)
        except (OSError, ValueError):
            continue
        if why is None:
            return None
        said.append(why)
    return said[0] if said else None


def _asked(plain: socket.socket) -> str | None:
    plain.sendall(_QUESTION)
    answer = plain.recv(5)
    # A TLS server takes it for no greeting, says so in a TLS record (21: alert) and hangs up.
    if answer[:1] == b"\x15":
        return "it wants TLS at this port: set SAFEBUS_TLS_CA and SAFEBUS_TLS_CERT"
    if answer == b"":
        return "it hangs up: no Kafka, or one that has just begun, or a proxy whose broker is gone"
    return None


def _asked_under_tls(plain: socket.socket, tls: ssl.SSLContext, host: str) -> str | None:
    try:
        with tls.wrap_socket(plain, server_hostname=host) as secured:
            # In TLS 1.3 the broker looks at our certificate after we think that all is well.
            with contextlib.suppress(OSError):  # it may have hung up already; reading says why
                secured.sendall(_QUESTION)
            answer = secured.recv(1)
        return None if answer else "it hangs up once we have shown our certificate (SAFEBUS_TLS_CERT)"
    except ssl.SSLCertVerificationError as exc:
        return _OF_THEIRS.get(exc.verify_code, f"its certificate is not right: {_words(exc.verify_message)}")
    except ssl.SSLError as exc:
        reason = exc.reason or ""
        found = [words for name, words in _SAID.items() if name in reason]
        return found[0] if found else f"TLS fails: {_words(reason) or 'no reason given'}"


def _words(text: str) -> str:
    """What a library says, without what it might quote."""
    return re.sub(r"[^A-Za-z ]", " ", text).strip().lower()

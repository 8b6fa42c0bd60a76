"""
May the bus connect to this address?

A partner's URL is configuration, and configuration can be wrong or written by someone else: one that names the
bus's own network would make it a tool against itself, and send a child's details there.

    check_url     when it is configured: what can be seen from the text alone is refused with a reason
    may_connect   on every connection: the number that the socket is given is judged, and nothing is looked up after it
                  (`one_post`). So a name that changes its address between a check and a connection (DNS rebinding)
                  gains nothing: there is no earlier check to slip past.

Addresses are allowed by list, and what no list names is refused. Python's own `is_global` is not used: what it says
differs between its releases (3.11.7 calls ::ffff:10.0.0.1 and fec0::1 global).

Sources: IANA special-purpose address registries (RFC 6890), 2025; RFC 6052 (NAT64); OWASP, "Server-Side Request
Forgery Prevention".
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from yarl import URL

from safebus.schemas.errors import BadInput


def _networks(*texts: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)


# Allowed only when a partner's agreement says that it is reached on a private network.
_PRIVATE: Final = _networks(
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  # RFC 1918
    "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "::1/128",  # RFC 6598, 1122, 4193, 4291
)  # fmt: skip
# Never a partner.
_NEVER: Final = _networks(
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "198.18.0.0/15",  # this network, link-local, protocols, benchmarks
    "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20",  # documentation
    "192.88.99.0/24", "2002::/16", "2001::/23",  # 6to4, Teredo and other protocols: they hide another address
    "224.0.0.0/4", "240.0.0.0/4",  # multicast, reserved, broadcast
    "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128",  # metadata of four clouds
)  # fmt: skip
_GLOBAL_V6: Final = ip_network("2000::/3")  # all that IANA has given out
_NAT64: Final = ip_network("64:ff9b::/96")

# Backslash, space and what is not ASCII are read differently by different parsers; so none is let in.
_URL_SIGNS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]{1,2000}")
_NAME: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
# Never a public host. Sources: RFC 6761, 6762, 8375; ICANN's reservation of `internal`, 2024.
_LOCAL_NAMES: Final = ("localhost", "local", "internal", "home.arpa", "localdomain")


class AddressNotAllowed(OSError):
    """The name stands for an address that this destination may not have."""


def may_connect(address: str, *, allow_private: bool, loopback_only: bool) -> bool:
    """
    Whether a socket may be opened to this address (a number, never a name).

    Args:
        loopback_only: Nothing between us and it encrypts, so it must not leave this machine.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found in _NAT64:
        found, allow_private = IPv4Address(int(found) & 0xFFFFFFFF), False  # a gateway of the provider's, not ours
    if loopback_only:
        return allow_private and found.is_loopback
    if any(found in net for net in _NEVER):
        return False
    if any(found in net for net in _PRIVATE):
        return allow_private
    return isinstance(found, IPv4Address) or found in _GLOBAL_V6


def check_url(text: str, *, allow_private: bool) -> URL:
    """
    Read the URL of a partner's webhook.

    Raises:
        BadInput: It can be seen from the text that it must not be used. The message shows the host at most: partners
            put secrets into paths and queries.
    """
    if not _URL_SIGNS.fullmatch(text):
        raise BadInput("a webhook URL is up to 2000 signs of RFC 3986; write names as `xn--` and the rest with `%`")
    try:
        url = URL(text, encoded=True)  # letter for letter: a partner may have signed it
        host, port = (url.raw_host or "").removesuffix(".").lower(), url.port
    except ValueError:
        raise BadInput("this webhook URL cannot be read; expected `https://host/path`") from None
    if url.scheme not in ("https", "http"):
        raise BadInput("a webhook URL starts with `https://`; found another scheme")
    if "@" in url.raw_authority or "%" in url.raw_authority:
        raise BadInput("a webhook URL holds no user, password or `%` before its path; give secrets to the settings")
    if url.raw_fragment or not port:
        raise BadInput(f"webhook host `{host}`: a webhook URL has no `#` and no port 0; take it out")
    _check_host(host, allow_private=allow_private, loopback_only=url.scheme == "http")
    return url


def _check_host(host: str, *, allow_private: bool, loopback_only: bool) -> None:
    if loopback_only and not allow_private:
        raise BadInput(f"webhook host `{host}`: http is not encrypted; use `https://`")
    try:
        ip_address(host)
    except ValueError:
        _check_name(host, allow_private=allow_private)
    else:
        if not may_connect(host, allow_private=allow_private, loopback_only=loopback_only):
            raise BadInput(f"webhook address `{host}` is not one that a partner can have; use its public address")


def _check_name(host: str, *, allow_private: bool) -> None:
    # The last label starts with a letter and is not hexadecimal, so 127.1, 0x7f.1 and 2130706433 are no names.
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise BadInput("the host of this webhook URL is neither a name nor an address in its usual form")
    local = "." not in host or any(host == name or host.endswith(f".{name}") for name in _LOCAL_NAMES)
    if local and not allow_private:
        raise BadInput(f"webhook host `{host}` is a name of a local network; use a public one, or allow private ones")

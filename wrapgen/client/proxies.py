"""Which proxy an address is reached through: the rules of `requests`, which the vendor's client uses.

Reads the process's variables only; opens no connection.
"""

from __future__ import annotations

import base64
import os
import re
import socket
import struct
import urllib.request
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from wrapgen.errors import UsageError

_MASK = re.compile(r"0*(?:[1-9]|[12][0-9]|3[0-2])\Z")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proxy:
    """A proxy that speaks HTTP.

    Args:
        host, port: where it listens.
        secure: whether it is itself reached through TLS.
        authorization: value of the Proxy-Authorization header, or an empty string.
    """

    host: str
    port: int
    secure: bool
    authorization: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers for the proxy."""
        return {"Proxy-Authorization": self.authorization} if self.authorization else {}

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Reads a proxy's URL; without a scheme it is plain HTTP.

        Raises:
            UsageError: it is no URL, or of a kind that is not supported.
        """
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = (parts.port or _PORTS[parts.scheme]) if parts.scheme in _PORTS else 0
        except ValueError:
            parts, port = urlsplit("http://"), 0
        if not port or not parts.hostname:
            raise UsageError(
                f"can't use the {parts.scheme} proxy at {parts.hostname or '?'}, which the variables name",
                hint="set HTTP_PROXY, HTTPS_PROXY or ALL_PROXY to http://HOST:PORT, or use NO_PROXY",
            )
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        basic = f"Basic {base64.b64encode(secret.encode()).decode('ascii')}" if secret else ""
        return cls(parts.hostname, port, parts.scheme == "https", basic)


def proxy_url(address: str, default: str = "") -> str:
    """The URL of the proxy for an address, or an empty string; never one for this machine itself.

    Args:
        address: such as `https://api.example.com`.
        default: the proxy where this process's variables name none.
    """
    parts = urlsplit(address)
    if is_loopback(address) or bypasses_proxy(parts):
        return ""
    named = urllib.request.getproxies()
    return named.get(parts.scheme) or named.get("all") or default


def bypasses_proxy(address: SplitResult) -> bool:
    """Whether NO_PROXY names the host of an address, as `should_bypass_proxies` of `requests` reads it.

    An entry is a network (`10.0.0.0/8`) or an address for an IPv4 host, and a name or domain, with a port or
    without, for any other; `*` and the system's own settings come last.
    """
    host = address.hostname or ""
    entries = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").replace(" ", "").split(",")
    names = (host, f"{host}:{address.port}" if address.port else host)
    number = _ipv4(host)
    for entry in filter(None, entries):
        domain = entry.lstrip(".")
        if number is None and any(name == domain or name.endswith(f".{domain}") for name in names):
            return True
        if number is not None and (host == entry or _contains(entry, number)):
            return True
    try:
        return bool(urllib.request.proxy_bypass(host))
    except (TypeError, socket.gaierror):
        return False


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _contains(network: str, number: int) -> bool:
    base, slash, bits = network.partition("/")
    start = _ipv4(base)
    if start is None or not slash or not _MASK.match(bits):
        return False
    return (start ^ number) >> (32 - int(bits)) == 0


def _ipv4(host: str) -> int | None:
    try:
        return int(struct.unpack("!I", socket.inet_aton(host))[0])
    except (OSError, UnicodeError):
        return None

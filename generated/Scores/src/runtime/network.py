"""How an endpoint is reached: TLS with its certificates, and proxies by the rules of requests."""

from __future__ import annotations

import base64
import ipaddress
import os
import ssl
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from .connection import Server

BESIDE = "WRAPGEN_BESIDE"  # the variable that says where the spec is, in a run without a server
AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # variables that name a file or a folder


def server_of(url: str, tls: dict[str, Any] | None) -> Server:
    """The server of an address. Raises ``ValueError`` for a certificate or proxy that can't be used."""
    parts = urllib.parse.urlsplit(url)
    context = _context(tls or {}) if parts.scheme == "https" else None
    proxy = proxy_of(parts)
    where = urllib.parse.urlsplit(proxy)
    if proxy and (where.scheme != "http" or not where.hostname):
        raise ValueError(
            f"the proxy at {where.hostname} is of no kind that can be used: write http://HOST:PORT"
        )
    login = {}
    if where.username:
        secret = ":".join(urllib.parse.unquote(one or "") for one in (where.username, where.password))
        login["Proxy-Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode("ascii")
    return Server(f"{parts.scheme}://{parts.netloc}", {}, context, proxy or None, login)


def place_of(path: str) -> Path:
    """A file that the spec names: a relative path starts beside the spec, else at the wrapper."""
    return Path(os.environ.get(BESIDE) or Path(__file__).resolve().parents[2]) / path


def _context(tls: dict[str, Any]) -> ssl.SSLContext:
    own = {key: str(place_of(path)) for key, path in tls.items()}
    trusted = own.get("ca") or next(filter(None, map(os.environ.get, AUTHORITIES)), None)
    try:
        is_folder = bool(trusted) and Path(str(trusted)).is_dir()
        context = ssl.create_default_context(
            cafile=None if is_folder else trusted, capath=trusted if is_folder else None
        )
        if "certificate" in own:
            context.load_cert_chain(own["certificate"], own.get("key"))
    except OSError as error:
        said = error.strerror or str(error)
        raise ValueError(
            f"a certificate that target.tls or the environment names can't be used: {said}"
        ) from None
    return context


def proxy_of(address: urllib.parse.SplitResult) -> str:
    """The URL of the proxy for an address, or an empty text; never one for this machine itself."""
    host = address.hostname or ""
    number = _number(host)
    if host == "localhost" or (number and number.is_loopback) or _bypasses(address, host, number):
        return ""
    named = urllib.request.getproxies()
    found = named.get(address.scheme) or named.get("all") or ""
    return found if "://" in found or not found else f"http://{found}"


def _bypasses(address: urllib.parse.SplitResult, host: str, number: Any) -> bool:
    """Whether NO_PROXY names the host: by its network or address, or by its name, domain or port."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = (host, f"{host}:{address.port}" if address.port else host)
    if named.strip() == "*":
        return True
    for entry in filter(None, named.replace(" ", "").split(",")):
        domain = entry.lstrip(".")
        if number is None and any(name == domain or name.endswith(f".{domain}") for name in names):
            return True
        if number is not None and (host == entry or ("/" in entry and _contains(entry, number))):
            return True
    return False


def _number(host: str) -> Any:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _contains(network: str, number: Any) -> bool:
    try:
        return number in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False

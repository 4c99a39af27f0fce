"""What would fail of a wrapper that is served at a URL; sends no item."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from wrapgen.client.proxies import is_loopback
from wrapgen.doctor import algorithm
from wrapgen.doctor.finding import Finding, fault, ok, unchecked
from wrapgen.errors import NotAuthorized, WrapgenError
from wrapgen.run.hosts.description import Description
from wrapgen.run.hosts.http import HttpHost, service_at


def examine(url: str, token: str | None) -> Iterator[Finding]:
    """Whether it answers, to whom, and what it is.

    Args:
        url: of the wrapper.
        token: None takes that of the variable.

    Raises:
        UsageError: it is no URL of a wrapper.
    """
    connection = service_at(url, token)
    if connection.address.lower().startswith("https:") or is_loopback(connection.address):
        yield ok("transport", f"{connection.address} can't be listened to")
    else:
        yield unchecked("transport", f"{connection.address} sends the token unencrypted", "put TLS before it")
    began = time.monotonic()
    try:
        about = _description(HttpHost(connection))
    except WrapgenError as error:
        yield fault("wrapper", error.message, error.hint or "look into its log, and at /readyz")
        return
    name = f"{about.name or connection.address} answers after {(time.monotonic() - began) * 1000:,.0f} ms"
    yield ok("wrapper", f"{name}: mode {about.mode}, target {about.target}")
    try:
        _description(HttpHost(replace(connection, key="")))
        yield unchecked("token", "calls need none: everyone who reaches it may call", "see its WRAPPER_TOKEN")
    except NotAuthorized:
        yield ok("token", "it is required, and the right one")
    if about.datastore:
        yield unchecked(
            "records", f"{about.datastore}: only the wrapper itself reaches it", "call it and see"
        )
    yield algorithm.times(about.timeout, about.item_timeout)


def _description(host: HttpHost) -> Description:
    try:
        return host.describe()
    finally:
        host.close()

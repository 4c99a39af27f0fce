"""From what names a wrapper, a reference or a URL, to its host. Assembles only."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from wrapgen.client import Client
from wrapgen.errors import UsageError
from wrapgen.references import Number, Reference, is_service
from wrapgen.run.hosts.host import Host
from wrapgen.run.hosts.http import HttpHost, service_at
from wrapgen.run.hosts.patience import Patience
from wrapgen.run.hosts.platform import PlatformHost
from wrapgen.run.hosts.sideband import DataSideband

_EXACT = re.compile(r"\d+\.\d+\.\d+\Z|[0-9a-f]{40}\Z")


def find_host(
    connect: Callable[[], Client],
    reference: str,
    kept: str | None = None,
    patience: Patience = Patience(0),  # noqa: B008
    *,
    token: str | None = None,
    pool: int = 8,
) -> Host:
    """The host of the wrapper that a reference or a URL means; the wrapper has described itself.

    Args:
        connect: gives the client of a reference's platform; not called for a URL.
        reference: `owner/name`, with a version or without; or the URL of a served wrapper.
        kept: the exact version that a run's ledger keeps; None takes the newest that fits.
        patience: how long to wait for a host that is unavailable or still loading it.
        token: for a URL; None takes that of the variable `http.TOKEN`.
        pool: connections to a URL that are kept open.

    Raises:
        UsageError: there is no such version, or the reference is malformed.
        RunError: it is no wrapper, or speaks another protocol.
        PlatformError: it can't be reached.
    """
    if is_service(reference):
        host: Host = HttpHost(service_at(reference, token), pool=pool)
    else:
        client = connect()
        exact = kept or patience.ask(lambda: resolve(reference, client.released))
        host = PlatformHost(client, exact, DataSideband(client.data), client.connection.address)
    patience.ask(host.describe)
    return host


def resolve(reference: str, versions: Callable[[str], Sequence[str]]) -> str:
    """The exact version that a reference means, through the list of versions: private ones count too.

    Args:
        reference: `owner/name`, or with a full or partial version or a build's hash.
        versions: the versions of `owner/name`, newest first.

    Raises:
        UsageError: there is no such version, or the reference is malformed.
    """
    named = Reference.parse(reference)
    wanted = named.version or ""
    if _EXACT.match(wanted):
        return str(named)
    prefix = "" if wanted in ("", "latest", "latestPrivate") else re.sub(r"\.[*x]\Z", "", wanted) + "."
    found = [version for version in versions(named.path) if f"{version}.".startswith(prefix)]
    if not found:
        what = f"has no version {wanted}" if prefix else "has no released version"
        raise UsageError(f"{named.path} {what}", hint="publish it first, with: wrapgen publish DIR")
    return f"{named.path}/{max(found, key=Number.of)}"

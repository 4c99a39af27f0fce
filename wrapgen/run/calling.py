"""The way from a reference to a wrapper that can be called, over the client of its platform."""

from __future__ import annotations

from wrapgen.client import Client
from wrapgen.run.folder import Folder
from wrapgen.run.options import Wrapper
from wrapgen.run.patience import Patience
from wrapgen.run.process import Call
from wrapgen.run.sideband import DataSideband
from wrapgen.run.wrappers import describe, resolve


def find_wrapper(
    client: Client,
    reference: str,
    folder: Folder | None = None,
    patience: Patience = Patience(0),  # noqa: B008
) -> Wrapper:
    """The wrapper that a reference means, described by itself.

    Args:
        client: of its platform.
        reference: `owner/name`, with a version or without.
        patience: how long to wait for a platform that is away or still loading it.
        folder: of a run whose ledger may keep an exact version; else the newest is taken.

    Raises:
        UsageError: there is no such version, or the reference is malformed.
        RunError: it is no wrapper, or speaks another protocol.
        PlatformError: it can't be reached.
    """

    def versions(name: str) -> list[str]:
        return [version.version for version in client.versions(name) if version.version]

    kept = folder.kept_reference(reference) if folder is not None else None
    exact = kept or patience.ask(lambda: resolve(reference, versions))

    def called_in(run: str) -> Call:
        return lambda body, timeout: client.call_body(exact, body, timeout=timeout, run=run)

    call = called_in("")
    described = patience.ask(lambda: describe(call, exact))
    return Wrapper(exact, described, call, DataSideband(client.data), called_in, client.connection.address)

"""What executes the wrapper that a command names: a platform, a service, or processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from wrapgen.cli.options import PlatformChoice
from wrapgen.cli.terminal import err
from wrapgen.errors import AlgorithmFailed, NotFound, Unreachable
from wrapgen.references import is_path

if TYPE_CHECKING:
    from wrapgen.client import Client, DataCalls
    from wrapgen.local import LocalWrapper
    from wrapgen.protocol import Answer
    from wrapgen.run.hosts.host import Host
    from wrapgen.run.hosts.patience import Patience
    from wrapgen.run.hosts.processes import ProcessHost

processes_option = click.option(
    "--processes",
    type=click.IntRange(min=1),
    help="Processes that execute a spec here. [one per processor for a source, else one]",
)


class Hosting:
    """The wrapper that a command names, and the platform as far as it is needed; nothing is opened at first.

    Args:
        name: `owner/name` with or without a version, a spec's file, a folder with a spec, or a URL.
        platform: what the platform options say.
        pool: connections to the platform that are kept open.
        stack: closes what is opened.
    """

    def __init__(self, name: str, platform: PlatformChoice, pool: int, stack: ExitStack) -> None:
        self.name = name
        self._platform = platform
        self._pool = pool
        self._stack = stack

    @cached_property
    def client(self) -> Client:
        """The platform's client.

        Raises:
            NoCredentials: nothing names a platform or a key.
        """
        return self._stack.enter_context(self._platform.client(pool=self._pool))

    def data(self) -> DataCalls:
        """The platform's data service."""
        return self.client.data

    @cached_property
    def local(self) -> LocalWrapper | None:
        """The wrapper of a spec; None for one on a platform or at a URL.

        Raises:
            SpecError: the spec is wrong.
        """
        if not is_path(self.name):
            return None
        from wrapgen.local import local_wrapper

        return local_wrapper(self.name)

    def host(
        self,
        kept: Callable[[str], str | None],
        patience: Patience,
        *,
        processes: int | None = None,
        log: IO[bytes] | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Host:
        """What executes the wrapper; it has described itself.

        Args:
            kept: gives the exact version that a run's ledger keeps, for the reference of a platform.
            patience: how long to wait for a platform.
            processes: at most, of a spec.
            log: takes what processes print.
            meanwhile: called while a process of a spec's wrapper loads.
        """
        from wrapgen.run.hosts.lookup import find_host

        if self.local is None:
            token, pool = self._platform.key, self._pool
            host = find_host(
                lambda: self.client, self.name, kept(self.name), patience, token=token, pool=pool
            )
            self._stack.callback(host.close)
            return host
        if self.local.facts.url:
            from wrapgen.local.reach import watching

            self._stack.enter_context(watching(self.local.facts.url, _told_of_waiting))
        return self._processes(self.local, processes, log, meanwhile)

    def call(self, body: bytes, content_type: str, seconds: float, log: IO[bytes]) -> Answer:
        """One call of a spec's wrapper, or of one at a URL.

        Raises:
            AlgorithmFailed: it answered with an error, or not at all.
            PlatformError: the service can't be reached, or refuses the call.
        """
        if self.local is None:
            from wrapgen.run.hosts.http import HttpHost, service_at

            service = HttpHost(service_at(self.name, self._platform.key), pool=1)
            self._stack.callback(service.close)
            return service.answer(body, seconds, content_type)
        from wrapgen.local.spec_host import JsonText

        value: str | bytes = body
        if content_type != "application/octet-stream":
            value = (JsonText if content_type == "application/json" else str)(body.decode("utf-8"))
        return self._answer(self.local, self._processes(self.local, 1, log), value, seconds)

    def _answer(self, local: LocalWrapper, host: ProcessHost, value: str | bytes, seconds: float) -> Answer:
        """The answer of a spec's wrapper, unless nothing listens at its endpoint, which it would wait for."""
        if not local.facts.url:
            return local.call(host, value, seconds)
        from wrapgen.local.reach import watching

        missing: list[str] = []

        def end(reason: str) -> None:
            missing.append(reason)
            host.close()

        try:
            with watching(local.facts.url, end):
                return local.call(host, value, seconds)
        except AlgorithmFailed as error:
            if not missing:
                raise
            raise Unreachable(missing[0], hint="is it started, and the address right?") from error

    def _processes(
        self,
        local: LocalWrapper,
        processes: int | None,
        log: IO[bytes] | None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> ProcessHost:
        variables = self.client.connection.variables() if local.calls_platform else {}
        opened = local.host(processes, variables=variables, log=log, tell=err, meanwhile=meanwhile)
        return self._stack.enter_context(opened)


def _told_of_waiting(reason: str) -> None:
    err(f"{reason}; waiting for it, Ctrl-C stops")


@contextmanager
def hosting(name: str, platform: PlatformChoice, *, pool: int = 1) -> Iterator[Hosting]:
    """What a command's wrapper executes on, for as long as the context is open.

    Raises:
        NotFound: the platform has no such algorithm; its hint says what to do with a folder of that name.
    """
    with ExitStack() as stack:
        try:
            yield Hosting(name, platform, pool, stack)
        except NotFound as error:
            if Path(name).is_dir():
                error.hint = (
                    f"{name} is a folder here: `wrapgen publish {name}` releases it and prints the name"
                )
                error.hint += f" to call, and ./{name} executes it on this machine"
            raise

"""Calls of a wrapper from where nothing but Python's own library is: Spark's executors and Lambda functions.

Decides nothing. Address, key, certificates, proxies and limits are the client's own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from wrapgen.client.calls import AlgorithmCaller
from wrapgen.client.connection import Connection, ca_bundle, find, read_authorities
from wrapgen.client.data import FILE_LIMIT
from wrapgen.errors import NoCredentials
from wrapgen.run.hosts.http import HttpHost, service_at
from wrapgen.run.hosts.platform import PlatformHost
from wrapgen.run.hosts.sideband import DataSideband

POOL = 32
"""Connections that a process keeps open."""


@dataclass(frozen=True)
class PlainCalls:
    """One platform and one key; can be pickled and sent to another machine.

    Args:
        connection: where to and with which key; see `Connection.portable`.
    """

    connection: Connection

    @classmethod
    def of_environment(cls) -> PlainCalls:
        """The platform that the vendor's variables, its profile file or a local platform's home name.

        Raises:
            NoCredentials: there is no key.
            UsageError: what they name can't be read.
        """
        user_home = Path(os.path.expanduser("~"))  # noqa: PTH111  # Path.home() fails where there is none
        named = {"address": None, "key": None, "home": None, "profile": None}
        try:
            found = find(**named, environ=os.environ, user_home=user_home)
        except NoCredentials:  # its hints are of commands that are not here
            raise NoCredentials("there is no API key: ALGORITHMIA_API_KEY is not set") from None
        return cls(found.portable())

    def host(self, reference: str) -> PlatformHost:
        """The wrapper of an exact version, where it executes."""
        caller = _caller(self.connection)
        return PlatformHost(caller, reference, DataSideband(caller.data), self.connection.address)

    def read(self, url: str) -> bytes:
        """The file at a data or connector URL.

        Raises:
            PlatformError: of the class that fits.
        """
        return _caller(self.connection).data.read(url, limit=FILE_LIMIT)


@dataclass(frozen=True)
class ServiceCalls:
    """One wrapper that is served at a URL; can be pickled and sent to another machine.

    Args:
        connection: its URL and token; see `Connection.portable`.
    """

    connection: Connection

    @classmethod
    def at(cls, url: str, token: str | None = None) -> ServiceCalls:
        """The wrapper at a URL; see `service_at`.

        Raises:
            UsageError: it is no such URL.
        """
        return cls(service_at(url, token).portable())

    def host(self, reference: str) -> HttpHost:
        """The wrapper, where it executes."""
        del reference
        return _service(self.connection)


@cache
def _service(connection: Connection) -> HttpHost:
    return HttpHost(_with_own_authorities(connection), pool=POOL)


@cache
def _caller(connection: Connection) -> AlgorithmCaller:
    """One pool of connections for all calls of a process."""
    return AlgorithmCaller(_with_own_authorities(connection), pool=POOL)


def _with_own_authorities(connection: Connection) -> Connection:
    """The connection with the certificate authorities of this process too."""
    own = ca_bundle(os.environ)
    if own and Path(own).exists():
        texts = [read_authorities(each) for each in (own, connection.ca_cert) if each]
        connection = replace(connection, ca_cert="\n".join(texts))
    return connection

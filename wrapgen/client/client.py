"""The client: calls of algorithms, and the way to everything else that a platform offers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from wrapgen import protocol
from wrapgen.client import statuses
from wrapgen.client.accounts import AccountCalls
from wrapgen.client.algorithms import AlgorithmCalls, HostedVersion
from wrapgen.client.calls import AlgorithmCaller
from wrapgen.client.connection import Connection, find
from wrapgen.errors import AlgorithmFailed, ServerFault, UsageError

DEFAULT_TIMEOUT = 300.0
"""Seconds that a platform gives a call by default (platform contract, section 9)."""


class Client(AlgorithmCaller):
    """Everything that one key may do on one platform. Safe to share between threads.

    Args:
        connection: where to and with which key.
        pool: connections kept open; as many as calls are made at once.

    Attributes:
        connection, data: as of `AlgorithmCaller`.
        algorithms: management calls.
        accounts: users, organizations, keys and failed calls.
    """

    def __init__(self, connection: Connection, *, pool: int = 8) -> None:
        super().__init__(connection, pool=pool)
        self.algorithms = AlgorithmCalls(self._transport)
        self.accounts = AccountCalls(self._transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def account(self) -> str | None:
        """The name of the account that the key belongs to; asks the platform where it is not known."""
        return self.connection.account or self.data.account()

    def versions(self, algorithm: str) -> list[HostedVersion]:
        """The released versions of `owner/name`, newest first."""
        return self.algorithms.versions(algorithm)

    def released(self, algorithm: str) -> list[str]:
        """The numbers of the released versions of `owner/name`, newest first."""
        return [each.version for each in self.versions(algorithm) if each.version]

    def newest(self, algorithm: str) -> HostedVersion | None:
        """The released version of `owner/name` with the highest number; None if there is none."""
        return max(self.versions(algorithm), key=lambda each: each.number, default=None)

    def call(
        self,
        reference: str,
        value: Any,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        stdout: bool = False,
        content_type: str | None = None,
    ) -> protocol.Answer:
        """Calls an algorithm with one value: text, bytes, or anything JSON.

        Args:
            reference: `owner/name/version`.
            value: the input; with `content_type` it must be bytes, which are sent as they are.
            timeout: seconds the algorithm gets.
            stdout: ask for what the algorithm prints.
            content_type: of an input that is encoded already.

        Returns:
            The decoded result and the platform's metadata.

        Raises:
            AlgorithmFailed: the algorithm was reached and failed.
            PlatformError: as `call_body`.
            UsageError: the value is not JSON.
        """
        if content_type is None:
            try:
                body, content_type = protocol.encode_input(value)
            except protocol.ProtocolError as error:
                raise UsageError(f"the input is {error}") from error
        else:
            body = bytes(value)
        answer = self.call_body(reference, body, content_type=content_type, timeout=timeout, stdout=stdout)
        return decode(reference, answer)


def decode(reference: str, body: bytes) -> protocol.Answer:
    """The result in a call's 200 answer.

    Raises:
        AlgorithmFailed: the answer reports an error of the algorithm.
        ServerFault: it is no answer of a call.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise statuses.not_json(f"calling {reference}", body) from error
    try:
        read = protocol.decode_answer(content)
    except (ValueError, RecursionError) as error:
        raise ServerFault(
            f"calling {reference}: {error}", hint="is this the platform's API address?"
        ) from error
    if isinstance(read, protocol.Answer):
        return read
    inner = content["error"] if isinstance(content["error"], dict) else {}
    trace = inner.get("stacktrace") or inner.get("stack_trace")
    raise AlgorithmFailed(
        read.message,
        error_type=read.type,
        stacktrace=trace if isinstance(trace, str) else "",
        retryable=read.retryable,
    )


def connect(
    *,
    address: str | None = None,
    key: str | None = None,
    home: str | Path | None = None,
    profile: str | None = None,
    pool: int = 8,
) -> Client:
    """A client for the platform that flags, variables, the profile file or the local home name.

    Args:
        address, key: of the platform, where they are given outright.
        home: folder of a local platform.
        profile: name in the vendor's profile file.
        pool: connections kept open; as many as calls are made at once.

    Raises:
        NoCredentials: nothing names a platform or a key.
        UsageError: a named home or profile is missing, or a file can't be read.
    """
    connection = find(
        address=address,
        key=key,
        home=None if home is None else Path(home),
        profile=profile,
        environ=os.environ,
        user_home=Path.home(),
    )
    return Client(connection, pool=pool)

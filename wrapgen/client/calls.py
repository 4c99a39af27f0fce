"""The client: calls of algorithms, and the way to everything else that a platform offers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wrapgen import wire
from wrapgen.client.accounts import Accounts
from wrapgen.client.algorithms import Algorithms, Reference, Version
from wrapgen.client.connection import Connection, find
from wrapgen.client.data import Data
from wrapgen.client.organizations import Organizations
from wrapgen.client.transport import Transport
from wrapgen.errors import AlgorithmFailed, ServerFault, UsageError

READ_MARGIN = 30.0
"""Seconds that an answer may take beyond the call's own timeout."""

DEFAULT_TIMEOUT = 300.0
"""Seconds that a platform gives a call by default (platform contract, section 9)."""


class Client:
    """Everything that one key may do on one platform. Safe to share between threads.

    Args:
        connection: where to and with which key.
        pool: connections kept open; as many as calls are made at once.

    Attributes:
        connection: as given.
        algorithms: management calls.
        data: files and collections.
        organizations: owners that are no user; a local platform's only.
        accounts: users, keys and failed calls.
    """

    def __init__(self, connection: Connection, *, pool: int = 8) -> None:
        self.connection = connection
        self._transport = Transport(connection, pool=pool)
        self.algorithms = Algorithms(self._transport)
        self.data = Data(self._transport)
        self.organizations = Organizations(self._transport)
        self.accounts = Accounts(self._transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the kept connections; the client may still be used and opens new ones."""
        self._transport.close()

    def account(self) -> str | None:
        """The name of the account that the key belongs to; asks the platform where it is not known."""
        return self.connection.account or self.data.account()

    def versions(self, algorithm: str) -> list[Version]:
        """The released versions of `owner/name`, newest first."""
        return self.algorithms.versions(algorithm)

    def call_body(
        self,
        reference: str,
        body: bytes,
        *,
        content_type: str = "application/json",
        timeout: float,
        stdout: bool = False,
        run: str = "",
    ) -> bytes:
        """Calls an algorithm with an encoded input; returns the body of the 200 answer as it came.

        The answer may still report an error of the algorithm: see `wire.decode_answer`.

        Args:
            reference: `owner/name/version`.
            body: the encoded input.
            content_type: `application/json`, `text/plain` or `application/octet-stream`.
            timeout: seconds the algorithm gets; whole ones, 1 to 3000. The answer may take 30 s more.
            stdout: ask for what the algorithm prints; only its owner is told.
            run: id of the run that the call is part of, for whoever watches the platform.

        Raises:
            Throttled: with `retry_after` where the platform says it.
            Unreachable: no answer, or one that was cut off.
            ServerFault, NotAuthorized, PaymentRequired, TooLarge, BadRequest, NotFound: by status.
        """
        seconds = int(timeout)
        if not 1 <= seconds <= wire.MAX_TIMEOUT:
            raise UsageError(f"a timeout of {timeout:g} s is not possible", hint="1 to 3000 seconds")
        query = {"timeout": seconds, "stdout": "true" if stdout else None}
        path = f"/v1/algo/{quote(str(Reference.parse(reference)), safe='/*')}"
        return self._transport.request(
            "POST",
            path,
            body=body,
            content_type=content_type,
            query=query,
            timeout=seconds + READ_MARGIN,
            headers={wire.RUN_HEADER: run} if run else None,
        )

    def call(
        self,
        reference: str,
        value: Any,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        stdout: bool = False,
        content_type: str | None = None,
    ) -> wire.Answer:
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
                body, content_type = wire.encode_input(value)
            except wire.WireError as error:
                raise UsageError(f"the input is {error}") from error
        else:
            body = bytes(value)
        answer = self.call_body(reference, body, content_type=content_type, timeout=timeout, stdout=stdout)
        return decode(reference, answer)


def decode(reference: str, body: bytes) -> wire.Answer:
    """The result in a call's 200 answer.

    Raises:
        AlgorithmFailed: the answer reports an error of the algorithm.
        ServerFault: it is no answer of a call.
    """
    try:
        content = json.loads(body)
        read = wire.decode_answer(content)
    except (ValueError, RecursionError) as error:
        raise ServerFault(
            f"calling {reference}: {error}", hint="is this the platform's API address?"
        ) from error
    if isinstance(read, wire.Answer):
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

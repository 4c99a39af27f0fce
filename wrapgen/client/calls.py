"""Calls of algorithms and the data beside them, with nothing but Python's own library.

What Spark's executors and Lambda functions call with too; all else that a platform offers is in `client`.
"""

from __future__ import annotations

from urllib.parse import quote

from wrapgen import protocol
from wrapgen.client.connection import Connection
from wrapgen.client.data import DataCalls
from wrapgen.client.transport import Transport
from wrapgen.errors import UsageError
from wrapgen.references import Reference

_RESULT = b'{"result":'
"""How an answer with a result begins: data, which is handed on as it came."""


class AlgorithmCaller:
    """Calls with one key on one platform. Safe to share between threads.

    Args:
        connection: where to and with which key.
        pool: connections kept open; as many as calls are made at once.

    Attributes:
        connection: as given.
        data: files and collections.
    """

    def __init__(self, connection: Connection, *, pool: int = 8) -> None:
        self.connection = connection
        self._transport = Transport(connection, pool=pool)
        self.data = DataCalls(self._transport)

    def close(self) -> None:
        """Closes the kept connections; new ones are opened when they are needed."""
        self._transport.close()

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

        The answer may still report an error of the algorithm: see `protocol.decode_answer`.

        Args:
            reference: `owner/name/version`.
            body: the encoded input.
            content_type: `application/json`, `text/plain` or `application/octet-stream`.
            timeout: seconds the algorithm gets; whole ones, 1 to 3000. The answer may take 30 s more.
            stdout: ask for what the algorithm prints; only its owner is told.
            run: id of the run that the call is part of, for those who watch the platform.

        Raises:
            Throttled: with `retry_after` where the platform says it.
            Unreachable: no answer, or one that was cut off.
            ServerFault, NotAuthorized, PaymentRequired, TooLarge, BadRequest, NotFound: by status.
        """
        seconds = int(timeout)
        if not 1 <= seconds <= protocol.MAX_TIMEOUT:
            raise UsageError(f"a timeout of {timeout:g} s is not possible", hint="1 to 3000 seconds")
        query = {"timeout": seconds, "stdout": "true" if stdout else None}
        path = f"/v1/algo/{quote(str(Reference.parse(reference)), safe='/*')}"
        answer = self._transport.request(
            "POST",
            path,
            body=body,
            content_type=content_type,
            query=query,
            timeout=seconds + protocol.TIMEOUT_MARGIN,
            headers={protocol.RUN_HEADER: run} if run else None,
        )
        return answer if answer.startswith(_RESULT) else self._transport.hidden(answer)

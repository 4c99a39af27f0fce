"""Answers that come before the platform has read the whole request."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator

import pytest
from runtime import algorithm_lists, exchange, protocol
from runtime import platform as api
from runtime.items import Item
from standins import Platform

SMALL, LARGE = b"x", b"x" * 20_000_000
ANSWERS = {
    413: b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 9\r\n\r\ntoo large",
    401: b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
    0: b"",
}


class Hasty:
    """Answers small requests; hangs up on large ones after reading their heads, with or without an answer."""

    def __init__(self, status: int) -> None:
        self.status, self.heads, self.connections = status, 0, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rb", buffering=0) as stream:
                while self._answer(connection, stream):
                    pass

    def _answer(self, connection: socket.socket, stream: io.RawIOBase) -> bool:
        length = 0
        for line in iter(stream.readline, b"\r\n"):
            if not line:
                return False
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        self.heads += 1
        if length > len(SMALL):
            connection.sendall(ANSWERS[self.status])
            return False
        stream.read(length)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return True


@pytest.fixture(params=[413, 401, 0])
def hasty(request: pytest.FixtureRequest) -> Iterator[Hasty]:
    """A server in a hurry, for each answer that it may give."""
    server = Hasty(request.param)
    yield server
    server.socket.close()


@pytest.mark.parametrize("used", [False, True])
def test_an_answer_before_all_was_sent_counts(platform: Platform, hasty: Hasty, used: bool) -> None:
    """The status that is waiting is the outcome, on a new connection or a used one, which is then closed."""
    client = platform.client()
    client.apiAddress = f"http://127.0.0.1:{hasty.socket.getsockname()[1]}"
    sender = exchange.Transport(api.connect(client))
    if used:
        assert sender.send("PUT", "/v1/data/a/b/c", SMALL).status == 200
    if hasty.status:
        assert sender.send("PUT", "/v1/data/a/b/c", LARGE).status == hasty.status
        assert hasty.heads == 1 + used
    else:
        with pytest.raises(protocol.Failure):
            sender.send("PUT", "/v1/data/a/b/c", LARGE)
    connections = hasty.connections
    assert sender.send("PUT", "/v1/data/a/b/c", SMALL).status == 200
    assert hasty.connections == connections + 1


def test_a_target_that_refuses_a_large_input_unread_says_so(platform: Platform) -> None:
    """It is a final TooLargeError, not a lost connection that is tried again."""
    server, client = Hasty(413), platform.client()
    client.apiAddress = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
    called = algorithm_lists.Target(
        api.connect(client), {"reference": "o/t/1.0.0"}, {"request_bytes": 2 * len(LARGE)}
    )
    with pytest.raises(protocol.Failure, match="status 413: too large") as caught:
        called.call(Item(0, 0, LARGE), 60)
    server.socket.close()
    assert (caught.value.error_type, caught.value.retryable) == ("TooLargeError", False)

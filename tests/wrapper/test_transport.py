"""Requests as they go over the wire, and answers in every shape, each over a real socket."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest
from runtime import connection, exchange, items, protocol


@contextlib.contextmanager
def scripted(reply: bytes, heard: list[bytes] | None = None) -> Iterator[Callable[[], exchange.Transport]]:
    """A server that reads a request's head and body and says always the same, then hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
                head = b"".join(iter(stream.readline, b"\r\n"))
                size = next(
                    (
                        int(line[15:])
                        for line in head.splitlines()
                        if line.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                body = stream.read(size)
                if heard is not None:
                    heard.extend((head, body))
                connection.sendall(reply)

    threading.Thread(target=serve, daemon=True).start()
    address = f"http://127.0.0.1:{server.getsockname()[1]}"
    yield lambda headers=None, tls=None: exchange.Transport(  # type: ignore[misc]
        connection.Server("https://platform.invalid" if tls else address, headers or {}, tls, tls and address)
    )
    server.close()


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2", True),
        (b"HTTP/1.1 200 OK\r\nX: y", False),
        (b"HTTP/1.0 200 OK", False),
    ],
)
def test_a_connection_stays_open_where_the_other_side_keeps_it(head: bytes, stays: bool) -> None:
    """What is closed, or has no end but that of the connection, is not used again."""
    body = b"2\r\nok\r\n0\r\n\r\n" if b"chunked" in head else b"ok"
    with scripted(head + b"\r\n\r\n" + body) as client:
        sender = client()
        assert sender.send("GET", "/").body == b"ok"
        assert bool(sender._idle) is stays


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfour",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 25\r\n\r\n"
        + gzip.compress(b"body")[:-1]
        + b"++",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"
        + gzip.compress(b"body")[:20],
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 30\r\n\r\n"
        + gzip.compress(b"body")[:10]
        + b"\xff" * 20,
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_what_is_no_whole_answer_is_a_lost_connection(reply: bytes) -> None:
    """Cut off anywhere, damaged, or another protocol: one error, whatever Python's library makes of it."""
    with scripted(reply) as client, pytest.raises(protocol.Failure) as caught:
        client().send("GET", "/")
    assert caught.value.error_type == "ConnectionError" and caught.value.effect == protocol.ATTEMPT
    assert str(caught.value)


def test_headers_are_told() -> None:
    """They are found in any case."""
    with scripted(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n") as client:
        response = client().send("GET", "/")
    assert (response.status, response.headers.get("retry-after")) == (429, "7")


@pytest.mark.parametrize("size", [0, 5, exchange.BLOCK, 3 * exchange.BLOCK + 1])
def test_a_request_is_whole(size: int) -> None:
    """Request line, headers, a length and every byte of the body."""
    content = bytes(number % 251 for number in range(size))
    heard: list[bytes] = []
    with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", heard) as client:
        client({"Authorization": "simKey"}).send("PUT", "/v1/x", content)  # type: ignore[call-arg]
    head, received = heard
    lines = head.split(b"\r\n")
    assert lines[0] == b"PUT /v1/x HTTP/1.1"
    assert b"Authorization: simKey" in lines
    assert lines.count(b"Content-Length: %d" % size) == 1
    assert received == content


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\rb", "a\r\n\r\nGET /"])
def test_no_header_breaks_a_request_up(value: str) -> None:
    """A key that holds a line break is refused before anything leaves."""
    heard: list[bytes] = []
    with scripted(b"", heard) as client, pytest.raises(ValueError, match="line break"):
        client({"Authorization": value}).send("GET", "/v1/x")  # type: ignore[call-arg]
    assert heard == []


def test_a_request_without_an_answer_leaves_no_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many items fail, and while their failures are kept, no descriptor is held for them."""
    opened: list[socket.socket] = []

    def connect(server: connection.Server) -> socket.socket:
        opened.append(connection.connect(server))
        return opened[-1]

    monkeypatch.setattr(exchange, "connect", connect)
    kept = []
    for reply in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", b"junk\r\n"):
        with scripted(reply) as client, pytest.raises(protocol.Failure) as caught:
            client().send("POST", "/")
        kept.append(caught.value)
    assert [sock.fileno() for sock in opened] == [-1] * len(kept)


def test_an_outcome_keeps_nothing_of_how_its_failure_came_about() -> None:
    """Neither the frames that it was raised in, with requests and answers, nor what it was raised for."""
    with scripted(b"junk\r\n") as client, pytest.raises(protocol.Failure) as caught:
        client().send("POST", "/")
    failure = items.Outcome(caught.value, None, 0.0, 1).failure
    assert failure is caught.value
    assert (failure.__traceback__, failure.__context__, failure.__cause__) == (None, None, None)


def test_what_is_no_proxy_is_a_server_that_is_not_reached() -> None:
    """An answer to CONNECT that is no HTTP is the network's trouble, to be tried again, no fault of ours."""
    with (
        scripted(b"garbage\r\n\r\n") as client,
        pytest.raises(protocol.Failure, match="the answer is no HTTP") as caught,
    ):
        client(None, ssl.create_default_context()).send("GET", "/")  # type: ignore[call-arg]
    assert (caught.value.effect, caught.value.retryable) == (protocol.UNREACHABLE, True)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_an_answer_that_never_ends_is_given_up_in_time(start: bytes, piece: bytes) -> None:
    """The time counts for head and body as a whole, not from one piece to the next."""
    server, is_over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        with server.accept()[0] as accepted, contextlib.suppress(OSError):
            accepted.sendall(start)
            for _ in range(600):
                if is_over.wait(0.1):
                    return
                accepted.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    client = exchange.Transport(connection.Server(f"http://127.0.0.1:{server.getsockname()[1]}", {}))
    with server, pytest.raises(protocol.Failure, match="no answer in time") as caught:
        client.send("POST", "/", timeout=0.4)
    is_over.set()
    thread.join()
    assert caught.value.error_type == "TimeoutError"

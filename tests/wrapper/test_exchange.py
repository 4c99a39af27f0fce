"""Requests as they go over the wire; answers in every shape and any pieces, beside Python's own reader."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import select
import socket
import threading
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from runtime import exchange
from runtime.connection import Server, incoming
from runtime.protocol import Failure

PIECES = st.lists(st.integers(1, 40), max_size=6)
LENGTHS = ("right", "none", "twice", "less", "more", "words", "negative", "huge", "padded")


def played(reply: bytes, pieces: list[int], read: Any) -> Any:
    """What `read(socket)` makes of a reply that comes in such pieces and is followed by the end."""
    here, there = socket.socketpair()

    def play() -> None:
        at = 0
        with contextlib.suppress(OSError):  # whoever reads may have heard enough
            for size in [*pieces, len(reply)]:
                there.sendall(reply[at : at + size])
                at += size
            there.shutdown(socket.SHUT_WR)

    with here, there:
        player = threading.Thread(target=play)
        player.start()
        here.settimeout(30)
        try:
            return read(here)
        except (http.client.HTTPException, ValueError, MemoryError) as error:
            return type(error)
        finally:
            player.join()


def by_library(sock: socket.socket) -> Any:
    response = http.client.HTTPResponse(sock)
    response.begin()
    lengths = set(response.headers.get_all("Content-Length", ()))
    if len(lengths) > 1 or not all(map(str.isdecimal, lengths)):  # the library takes what it can use
        raise http.client.HTTPException
    try:
        return response.status, response.read()
    except MemoryError:  # the library makes room for a length that no body has
        raise http.client.IncompleteRead(b"") from None


def by_us(sock: socket.socket) -> Any:
    answer, _ = exchange.read(sock, incoming(sock), "POST")
    return answer.status, answer.body


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """An answer: mostly what servers send, each part sometimes broken."""
    body = draw(st.binary(max_size=90))
    status = draw(
        st.sampled_from([b"200 OK", b"200 ", b"200", b"404 Not Found", b"204 No Content", b"500 Oh"])
    )
    version = draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2", b"junk"]))
    size = str(len(body)).encode()
    length = {
        "right": [b"Content-Length: " + size],
        "none": [],
        "twice": [b"Content-Length: " + size, b"content-length: " + size],
        "less": [b"Content-Length: " + str(len(body) // 2).encode()],
        "more": [b"Content-Length: " + str(len(body) + 3).encode()],
        "words": [b"Content-Length: many"],
        "negative": [b"Content-Length: -1"],
        "huge": [b"Content-Length: " + b"9" * 13],
        "padded": [b"CONTENT-length:   " + size + b"  "],
    }[draw(st.sampled_from(LENGTHS))]
    others = draw(
        st.lists(
            st.sampled_from(
                [
                    b"Content-Type: application/json",
                    b"Connection: close",
                    b"Connection: Keep-Alive",
                    b"X-Folded: one\r\n two",
                    b"Date: Thu, 26 Nov 2026 10:00:00 GMT",
                    b"no colon here",
                ]
            ),
            max_size=3,
        )
    )
    if draw(st.integers(0, 4)) == 0:
        others.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    first = b"HTTP/1.1 100 Continue\r\n\r\n" if draw(st.integers(0, 6)) == 0 else b""
    lines = [version + b" " + status, *draw(st.permutations([*length, *others]))]
    reply = first + b"\r\n".join(lines) + b"\r\n\r\n" + body
    return reply[: draw(st.integers(0, len(reply)))] if draw(st.integers(0, 5)) == 0 else reply


@example(b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 3\r\n\r\n", [])
@given(replies(), PIECES)
def test_an_answer_is_read_as_pythons_own_library_reads_it(reply, pieces):
    """Status and body, or the kind of failure, are the same in whatever shape and pieces it comes."""
    assert played(reply, pieces, by_us) == played(reply, pieces, by_library)


@pytest.mark.parametrize(
    ("headers", "stays"),
    [
        (b"Content-Length: 2", True),
        (b"Content-Length: 2\r\nConnection: keep-alive", True),
        (b"Content-Length: 2\r\nConnection: close", False),
        (b"Transfer-Encoding: chunked", True),
        (b"X: y", False),
    ],
)
def test_a_connection_stays_open_where_the_other_side_keeps_it(headers, stays):
    """What is closed, or has no end but that of the connection, is not used again."""
    body = b"2\r\nok\r\n0\r\n\r\n" if b"chunked" in headers else b"ok"
    seen = []

    def read(sock: socket.socket) -> Any:
        answer, stream = exchange.read(sock, incoming(sock), "POST")
        seen.append(stream is not None)
        return answer.body

    assert played(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n" + body, [], read) == b"ok"
    assert seen == [stays]


def test_headers_of_other_answers_are_told():
    """What is no plain answer keeps its headers, found in any case."""
    reply = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    answer = played(reply, [], lambda sock: exchange.read(sock, incoming(sock), "POST")[0])
    assert (answer.status, answer.headers.get("retry-after")) == (429, "7")


BOMB = gzip.compress(bytes(100_000))


@pytest.mark.parametrize(
    "reply",
    [
        b"Content-Length: 100000\r\n\r\n" + bytes(100_000),
        b"\r\n" + bytes(100_000),
        b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n%s\r\n" % bytes(1024) * 100,
        b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(BOMB), BOMB),
    ],
    ids=["length", "until it ends", "chunks", "gzip"],
)
def test_an_answer_without_end_is_none(reply):
    """Whatever a target answers, a wrapper holds no more of it in memory than a limit, packed or not."""
    answer = played(
        b"HTTP/1.1 200 OK\r\n" + reply,
        [],
        lambda sock: exchange.read(sock, incoming(sock), "POST", 10_000),
    )
    assert issubclass(answer, http.client.HTTPException)


def test_no_room_is_made_for_more_than_comes(monkeypatch):
    """Python before 3.10 fills as many bytes as it is asked to read: an answer of four took 128 MiB."""
    asked = []

    class Watching(http.client.HTTPResponse):
        def read(self, amt=None):
            asked.append(amt)
            return super().read(amt)

    monkeypatch.setattr(http.client, "HTTPResponse", Watching)
    assert played(b"HTTP/1.1 429 Slow\r\nContent-Length: 4\r\n\r\nslow", [], by_us) == (429, b"slow")
    assert asked and max(asked) <= exchange.BLOCK


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints\r\nLink: </a>"])
def test_an_interim_answer_is_not_the_answer(status):
    """What a server says before its answer is passed over: no later request gets that answer."""
    interim = b"HTTP/1.1 %b\r\n\r\n" % status
    assert played(3 * interim + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n17", [], by_us) == (200, b"17")


@pytest.mark.parametrize(
    "head",
    [
        b"200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        b"200 OK\r\nContent-Length: -2",
        b"200 OK\r\nContent-Length: 2, 2",
        b"101 Switching Protocols\r\nUpgrade: x",
    ],
)
def test_an_answer_of_unknown_length_is_none(head):
    """Of two lengths neither is believed: the shorter one would cut a result, 17 to 1, without a trace."""
    assert played(b"HTTP/1.1 " + head + b"\r\n\r\n17", [], by_us) is http.client.HTTPException


def served(answer: Any, seconds: float, **headers: str) -> Any:
    """What a request gets of a server that `answer(connection, request)` plays."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def play() -> None:
            connection = listener.accept()[0]
            with connection, contextlib.suppress(OSError):
                answer(connection, connection.recv(65536))

        player = threading.Thread(target=play)
        player.start()
        transport = exchange.Transport(Server(f"http://127.0.0.1:{listener.getsockname()[1]}", {}))
        try:
            return transport.send("POST", "/", b"1", headers, seconds)
        finally:
            player.join()


@pytest.mark.parametrize(
    ("first", "part"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"T: x\r\n"),
    ],
    ids=["interim", "header", "length", "until it ends", "trailer"],
)
def test_an_answer_that_comes_slowly_has_its_time_too(first, part):
    """The time is for the whole answer: a server that always sends a little more holds no thread for ever."""

    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(part)
            select.select([connection], [], [], 0.02)

    with pytest.raises(Failure, match="no answer in time") as failed:
        served(drip, 0.3)
    assert failed.value.error_type == "TimeoutError"


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 ", b"HTTP/", b"HTTP/9.1 "])
def test_what_is_no_answer_is_not_repeated(before):
    """A server that sends credentials back where its status belongs gets them into no message."""

    def repeat(connection: socket.socket, request: bytes) -> None:
        connection.sendall(before + request[request.index(b"SECRET") :])

    with pytest.raises(Failure) as failed:
        served(repeat, 30, Authorization="Bearer SECRET")
    assert "SECRET" not in failed.value.message and failed.value.error_type == "ConnectionError"


def test_a_chunk_of_less_than_nothing_is_no_answer():
    """What Python's reader can't read is an answer that was lost, not an error of the algorithm's."""
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n"
    with pytest.raises(Failure, match="no HTTP") as failed:
        served(lambda connection, _request: connection.sendall(reply), 30)
    assert failed.value.error_type == "ConnectionError" and failed.value.retryable

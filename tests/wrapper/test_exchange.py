"""Requests as they go over the wire; answers in every shape and any pieces, beside Python's own reader."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
import threading
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from runtime import exchange

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
    try:
        return response.status, response.read()
    except MemoryError:  # the library makes room for a length that no body has
        raise http.client.IncompleteRead(b"") from None


def by_us(sock: socket.socket) -> Any:
    answer, _ = exchange.read(sock, sock.makefile("rb"), "POST")
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
        answer, stream = exchange.read(sock, sock.makefile("rb"), "POST")
        seen.append(stream is not None)
        return answer.body

    assert played(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n" + body, [], read) == b"ok"
    assert seen == [stays]


def test_headers_of_other_answers_are_told():
    """What is no plain answer keeps its headers, found in any case."""
    reply = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    answer = played(reply, [], lambda sock: exchange.read(sock, sock.makefile("rb"), "POST")[0])
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
        lambda sock: exchange.read(sock, sock.makefile("rb"), "POST", 10_000),
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

"""Clients that are slow, oversize or broken: each gets a clear end, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn

from wrapgen.platform.api.protocol import BODY_SECONDS, HEAD_SECONDS, LEAST, GuardedProtocol


def talk(server, *pieces):
    """Sends raw bytes and reads until the server closes or has answered."""
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        with contextlib.suppress(OSError):  # the server may close before it has read everything
            connection.sendall(b"".join(pieces))
        answer = b""
        try:
            while b"\r\n\r\n" not in answer and (data := connection.recv(65536)):
                answer += data
        except OSError:
            pass
        return answer


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"b" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n", b"431"),
        (b"GET /" + b"x" * 80_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
        (b"POST /v1/algo/a/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", b"40"),
        (b"POST /v1/algo/a/b HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x00", b"400"),
    ],
)
def test_malformed_requests_are_refused(server, request_bytes, status):
    """Oversize heads get 431, what isn't HTTP 400, with a message in body and header; the server goes on."""
    head, _, body = talk(server, request_bytes).partition(b"\r\n\r\n")
    assert status in head.partition(b"\r\n")[0]
    message = json.loads(body)["error"]["message"]
    assert f"x-error-message: {message}\r\n".encode() in head + b"\r\n"
    assert server.request("GET", "/health").status_code == 200


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/data/.my", "DELETE, GET, HEAD, PATCH, POST, PUT"),
        ("/v1/algorithms/local/Any/versions", "GET, HEAD, POST"),
        ("/v1/algo/local/Any", "POST"),
        ("/health", "GET, HEAD"),
        ("/web/data/delete", "GET, HEAD, POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(server, path, allowed):
    """The Allow header of a 405 has every method that the address answers, not only those of one route."""
    answer = server.request("TRACE", path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


def test_conflicting_lengths_are_refused(server):
    """A request with both Content-Length and chunks can't be smuggled past anybody."""
    head = b"POST /v1/algo/a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"400" in talk(server, head + b"0\r\n\r\n").partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Host: x", "Host: y"],
        ["Host: x", "Authorization: other", "Authorization: %"],
        ["Host: x", "Authorization: %", "Content-Type: text/plain", "content-type: application/json"],
        ["Host: x", "Authorization: %", "Transfer-Encoding: gzip, chunked"],
        ["Host: x", "Authorization: %", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ],
)
def test_a_head_that_a_proxy_could_read_differently_is_refused(server, lines):
    """No host, two of what a request has one of, or codings around the chunks: 400, whatever the key."""
    head = "\r\n".join(["POST /v1/data/.my HTTP/1.1", *lines, "", ""]).replace("%", server.key)
    assert b" 400 " in talk(server, head.encode() + b"0\r\n\r\n").partition(b"\r\n")[0]
    old = f"POST /v1/data/.my HTTP/1.0\r\nAuthorization: {server.key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 400 " in talk(server, old.encode() + b"0\r\n\r\n").partition(b"\r\n")[0]


@pytest.mark.parametrize("wish", ["h2c", "websocket", "TLS/1.0"])
@pytest.mark.parametrize("parts", [1, 2, 50])
def test_a_request_to_upgrade_is_an_ordinary_request(server, zoo, wish, parts):
    """Java's own client wishes for HTTP/2 in its first request: its input arrives, and what follows, too."""
    head = f"POST /v1/algo/{zoo}?output=raw HTTP/1.1\r\nHost: x\r\nAuthorization: {server.key}\r\n"
    wishes = f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {wish}\r\nHTTP2-Settings: AAMA\r\n"
    text = '{"op":"echo","value":["a b"]}'
    head += "Content-Type: application/json\r\n"
    length = f"Content-Length: {len(text)}\r\n\r\n{text}"
    chunks = f"Transfer-Encoding: chunked\r\n\r\n{len(text):x}\r\n{text}\r\n0\r\n\r\n"
    sent = "".join(head + wishes + body for body in (length, chunks)) + head + length
    size = -(-len(sent) // parts)
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 60) as connection:
        for start in range(0, len(sent), size):
            connection.sendall(sent[start : start + size].encode())
        answers = b""
        while answers.count(b"HTTP/1.1 200 OK") < 3 or not answers.endswith(b'["a b"]'):
            more = connection.recv(65536)
            assert more, answers
            answers += more
    assert answers.count(b'["a b"]') == 3


def test_a_large_report_is_refused_before_it_is_read(server):
    """Insights need no key: more than 25 KB of them are never waited for."""
    head = b"POST /v1/insights HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"
    assert b"413" in talk(server, head + b" " * 30_000).partition(b"\r\n")[0]


def test_compressed_bodies_are_never_unpacked(server, zoo):
    """A compressed bomb is only the bytes that were sent."""
    import gzip

    bomb = gzip.compress(b"0" * 50_000_000)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert server.request("POST", f"/v1/algo/{zoo}", data=bomb, headers=headers).status_code == 400


def guarded(written=0, unsent=0, cycle=None):
    """A connection made at 100 s, with a reply of so many bytes of which so many are not sent yet."""
    found = SimpleNamespace(
        _waiting_since=None,
        _received=0,
        _seen=(0, 100.0),
        _sent=(0, 100.0),
        _held=SimpleNamespace(written=written, get_write_buffer_size=lambda: unsent),
        cycle=cycle,
        flow=SimpleNamespace(read_paused=False),
    )
    found.overdue = partial(GuardedProtocol.overdue, found)
    return found


def test_slow_clients_run_out_of_time():
    """A head may take 20 s, a piece of a body 60 s; a client that waits for us is never overdue."""
    waits = guarded()
    waits._waiting_since = 100.0
    assert not waits.overdue(100.0 + HEAD_SECONDS)
    assert waits.overdue(100.1 + HEAD_SECONDS)
    cycle = SimpleNamespace(more_body=True, response_complete=False)
    stopped = guarded(cycle=cycle)
    assert not stopped.overdue(100.0 + BODY_SECONDS)
    assert stopped.overdue(100.1 + BODY_SECONDS)
    dribbles, sends = guarded(cycle=cycle), guarded(cycle=cycle)
    for second in range(1, 61):
        dribbles._received += LEAST // 100
        sends._received += LEAST // 10
        assert not dribbles.overdue(100.0 + second)
        assert not sends.overdue(100.0 + second)
    assert dribbles.overdue(100.1 + BODY_SECONDS)
    assert not sends.overdue(100.1 + BODY_SECONDS)
    cycle.more_body = False
    assert not stopped.overdue(1e9)


def test_a_client_that_does_not_read_runs_out_of_time():
    """Nothing of a reply taken in 60 s ends the connection; taken slowly, a reply may take for ever."""
    stuck, slow = guarded(written=1000, unsent=900), guarded(written=1000, unsent=900)
    for second in range(1, 61):
        slow._held.written += 1
        assert not stuck.overdue(100.0 + second)
        assert not slow.overdue(100.0 + second)
    assert stuck.overdue(101.1 + BODY_SECONDS)
    assert not slow.overdue(101.1 + BODY_SECONDS)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n"),
        (b"GET /", b"x"),
        (b"POST /v1/algo/a/b HTTP/1.1\r\nHost: x\r\nAuthorization: KEY\r\n"
         b"Content-Length: 9999\r\n\r\n", b"x"),
        (b"PUT /v1/data/.my/col/f HTTP/1.1\r\nHost: x\r\nAuthorization: KEY\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"POST /v1/insights HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"x"),
    ],
)  # fmt: skip
def test_dribbling_clients_are_ended(impatient, head, piece):
    """A head or a body that comes in by bytes, never a pause in it, holds a connection only so long."""
    impatient.request("POST", "/v1/data/.my", json={"name": "col"})
    host, port = impatient.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=0.1) as connection:
        connection.sendall(head.replace(b"KEY", impatient.key.encode()))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                connection.sendall(piece)
                assert connection.recv(1024) == b""
            except TimeoutError:
                continue
            except OSError:
                pass
            break
        else:
            pytest.fail("the server waited for a minute")
    assert impatient.request("GET", "/health").status_code == 200


def test_a_reply_that_is_never_read_is_given_up(impatient):
    """The connection ends with what was not read; one that reads gets all."""
    host, port = impatient.address.removeprefix("http://").split(":")
    impatient.request("POST", "/v1/data/.my", json={"name": "col"})
    assert impatient.request("PUT", "/v1/data/.my/col/large", data=b"x" * 50_000_000).status_code == 200
    sockets = Path(f"/proc/{impatient.process.pid}/fd")
    before = len(list(sockets.iterdir()))
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        head = f"GET /v1/data/.my/col/large HTTP/1.1\r\nHost: x\r\nAuthorization: {impatient.key}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        eventually(lambda: len(list(sockets.iterdir())) <= before)
        got = 0
        with contextlib.suppress(OSError):
            while data := connection.recv(1 << 20):
                got += len(data)
        assert got < 50_000_000
    assert len(impatient.request("GET", "/v1/data/.my/col/large").content) == 50_000_000


def test_many_open_connections_do_not_stop_others(server, zoo):
    """A thousand clients that only connect take nothing from the one that calls."""
    host, port = server.address.removeprefix("http://").split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(1000)]
    try:
        assert server.call(zoo, "you").json()["result"] == "hello you"
    finally:
        for connection in idle:
            connection.close()


def send(server, zoo, value):
    """Sends a whole call; the connection, from which nobody reads the reply."""
    host, port = server.address.removeprefix("http://").split(":")
    body = json.dumps(value).encode()
    head = f"POST /v1/algo/{zoo} HTTP/1.1\r\nHost: x\r\nAuthorization: {server.key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head.encode() + body)
    return connection


def eventually(condition):
    """Waits for a fact that has to come."""
    deadline, never = time.monotonic() + 120, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        never.wait(0.01)


def test_a_client_that_hangs_up_does_not_stop_its_call(server, zoo, tmp_path):
    """A call that has begun runs to its end; one that still waits for a worker is not begun for nobody."""
    gate, first = tmp_path / "gate", tmp_path / "first"
    wait = {"op": "wait", "path": str(gate)}
    connection = send(server, zoo, {**wait, "mark": str(first)})
    eventually(first.with_suffix(".begun").exists)
    connection.close()
    with ThreadPoolExecutor(15) as threads:
        slow = [threads.submit(server.call, zoo, wait) for _ in range(15)]
        eventually(lambda: open_calls(server) == 16)
        for number in range(4):
            send(server, zoo, {"op": "write", "path": str(tmp_path / f"late{number}")}).close()
        eventually(lambda: open_calls(server) == 20)
        gate.touch()
        assert all(call.result().status_code == 200 for call in slow)
    eventually(lambda: open_calls(server) == 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.begun", "first.ended", "gate"]
    assert server.call(zoo, "you").json()["result"] == "hello you"


def open_calls(server):
    """How many calls the server has open, by its own account."""
    lines = server.request("GET", "/metrics").text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("wrapgen_calls_open ")))


def test_a_connection_whose_address_is_not_told_is_ended():
    """Where the system has no memory left for it, its client would never get an answer."""
    ended = []

    def told(_name):
        raise OSError(12, "Cannot allocate memory")

    transport = SimpleNamespace(is_closing=bool, get_extra_info=told, abort=lambda: ended.append(True))
    settings = uvicorn.Config(lambda: None)
    settings.load()
    state = SimpleNamespace(connections=set(), tasks=set(), default_headers=[])

    async def connect():
        GuardedProtocol(config=settings, server_state=state, app_state={}).connection_made(transport)

    asyncio.run(connect())
    assert ended

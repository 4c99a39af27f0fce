"""Clients that are slow, oversize or broken: each gets a clear end, and nobody else notices."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from wrapgen.platform.http.protocol import BODY_SECONDS, HEAD_SECONDS, GuardedProtocol


def talk(server, *pieces):
    """Sends raw bytes and reads until the server closes or has answered."""
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
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
    """Oversize heads get 431, what isn't HTTP 400; the server goes on."""
    assert status in talk(server, request_bytes).partition(b"\r\n")[0]
    assert server.request("GET", "/health").status_code == 200


def test_conflicting_lengths_are_refused(server):
    """A request with both Content-Length and chunks can't be smuggled past anybody."""
    head = b"POST /v1/algo/a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"400" in talk(server, head + b"0\r\n\r\n").partition(b"\r\n")[0]


def test_compressed_bodies_are_never_unpacked(server, zoo):
    """A compressed bomb is only the bytes that were sent."""
    import gzip

    bomb = gzip.compress(b"0" * 50_000_000)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert server.request("POST", f"/v1/algo/{zoo}", data=bomb, headers=headers).status_code == 400


def test_slow_clients_run_out_of_time():
    """A head may take 20 s, a pause in a body 60 s; a client that waits for us is never overdue."""
    from types import SimpleNamespace

    waits = SimpleNamespace(_waiting_since=100.0)
    assert not GuardedProtocol.overdue(waits, 100.0 + HEAD_SECONDS)
    assert GuardedProtocol.overdue(waits, 100.1 + HEAD_SECONDS)
    cycle = SimpleNamespace(more_body=True, response_complete=False)
    stopped = SimpleNamespace(
        _waiting_since=None, _moved=100.0, cycle=cycle, flow=SimpleNamespace(read_paused=False)
    )
    assert not GuardedProtocol.overdue(stopped, 100.0 + BODY_SECONDS)
    assert GuardedProtocol.overdue(stopped, 100.1 + BODY_SECONDS)
    cycle.more_body = False
    assert not GuardedProtocol.overdue(stopped, 1e9)


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

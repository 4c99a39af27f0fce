"""Heavy loads, for `make soak`: thousands of connections, many of them hostile, and hours of calls."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

CONNECTIONS = 10_000

HOURS = float(os.environ.get("WRAPGEN_SOAK_HOURS", "2"))


def resident(server: Any) -> int:
    """Bytes of the server process that are in memory."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


def connect(server: Any) -> tuple[str, int]:
    host, _, port = server.address.removeprefix("http://").partition(":")
    return host, int(port)


def test_ten_thousand_connections_do_not_stop_others(
    serve: Any, publish: Any, zoo_folder: Path, tmp_path: Path
) -> None:
    """Half of them idle, half never finishing a head: calls are answered, and the slow ones are ended."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(CONNECTIONS, hard - 1000)
    if count < 1000:
        pytest.skip(f"only {hard} open files are allowed here")
    server = serve(tmp_path / "home", "--workers", "2")
    reference = publish(server, "Zoo", zoo_folder)
    links: list[socket.socket] = []
    try:
        for number in range(count):
            links.append(socket.create_connection(connect(server), timeout=120))
            if number % 2:
                links[-1].sendall(b"POST /v1/algo/a/b HTTP/1.1\r\nHost: x\r\nA: ")
        for _ in range(20):
            assert server.call(reference, "you").json()["result"] == "hello you"
        assert resident(server) < 400_000_000
        deadline = time.monotonic() + 300
        for link in links[1::2]:
            link.settimeout(max(1.0, deadline - time.monotonic()))
            with contextlib.suppress(ConnectionResetError):
                assert link.recv(1024) == b""
        assert server.call(reference, "you").json()["result"] == "hello you"
    finally:
        for link in links:
            link.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"\n{count} connections of {hard} open files allowed")


def test_hours_of_good_and_bad_calls_leave_nothing_behind(
    serve: Any, publish: Any, zoo_folder: Path, tmp_path: Path
) -> None:
    """Results, errors, crashes, floods, timeouts and void calls by turns: memory and open files stay flat."""
    server = serve(tmp_path / "home", "--workers", "4")
    zoo = publish(server, "Zoo", zoo_folder)
    files = Path(f"/proc/{server.process.pid}/fd")

    def turn() -> None:
        for _ in range(50):
            assert server.call(zoo, "you").json()["result"] == "hello you"
        nested = {"op": "pipe", "algorithm": zoo, "value": "you"}
        assert server.call(zoo, nested).json()["result"] == "hello you"
        assert "error" in server.call(zoo, {"op": "refuse"}).json()
        assert "error" in server.call(zoo, {"op": "exit", "code": 3}).json()
        assert "error" in server.call(zoo, {"op": "stall"}, timeout="1").json()
        assert server.call(zoo, {"op": "flood", "kilobytes": 500}).json()["result"] == "done"
        assert server.call(zoo, {"op": "keep", "file": "data://.session/x"}).json()["result"] == "x"
        assert server.call(zoo, "you", output="void").json()["async"] == "void"

    for _ in range(5):
        turn()
    held, opened, deadline = resident(server), len(list(files.iterdir())), time.monotonic() + HOURS * 3600
    while time.monotonic() < deadline:
        turn()
    assert resident(server) < held + 40_000_000
    assert len(list(files.iterdir())) < opened + 20
    assert list((server.home / "data" / "sessions").iterdir()) == []

"""The server's own memory: large bodies pass through, and leave nothing behind."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

MOST = 120_000_000
"""Bytes that the server itself may hold when all is done."""

BODY = b"x" * 10_000_000

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def resident(server: Any) -> int:
    """Bytes of the server process that are in memory."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


def echo(server: Any, publish: Any, folder: Path) -> str:
    """An algorithm that gives back what it gets."""
    (folder / "src").mkdir(parents=True)
    (folder / "algorithmia.conf").write_text('{"algoname": "Echo"}')
    (folder / "src" / "__init__.py").write_text("")
    (folder / "src" / "Echo.py").write_text("def apply(input):\n    return input\n")
    return str(publish(server, "Echo", folder))


def pass_bodies(server: Any, reference: str, *, rounds: int) -> None:
    """Sends a body of 10 MB so many times as a call, and up and down as a file, several at once."""
    server.request("POST", "/v1/data/.my", json={"name": "large"})

    def one(number: int) -> None:
        place, text = f"/v1/data/.my/large/{number % 8}", {"Content-Type": "text/plain"}
        called = server.request("POST", f"/v1/algo/{reference}", data=BODY, headers=text)
        assert len(called.content) > len(BODY), called.text[:200]
        assert server.request("PUT", place, data=BODY).status_code == 200
        assert len(server.request("GET", place).content) == len(BODY)

    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(one, range(rounds)):
            pass


@linux
def test_large_bodies_leave_nothing_behind(serve: Any, publish: Any, tmp_path: Path) -> None:
    """After bodies of 10 MB, four at once, the server holds less than 120 MB."""
    server = serve(tmp_path / "home", "--workers", "2")
    pass_bodies(server, echo(server, publish, tmp_path / "echo"), rounds=6)
    assert resident(server) < MOST


@linux
@pytest.mark.soak
def test_thousands_of_calls_and_hundreds_of_large_bodies(serve: Any, publish: Any, tmp_path: Path) -> None:
    """After 5,000 calls, 300 bodies of 10 MB each way and 20 builds too."""
    server = serve(tmp_path / "home", "--workers", "2")
    reference = echo(server, publish, tmp_path / "echo")
    pass_bodies(server, reference, rounds=100)
    with ThreadPoolExecutor(8) as threads:
        calls = threads.map(lambda number: server.call(reference, number).json()["result"], range(5000))
        assert list(calls) == list(range(5000))
    for _ in range(20):
        built = server.request("POST", f"/v1/algorithms/{reference}/compile").json()
        assert built["compilation"]["successful"]
    assert resident(server) < MOST

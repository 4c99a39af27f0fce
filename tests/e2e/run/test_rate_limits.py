"""A run whose endpoint puts everything off for longer than a call lasts waits, and gives up for now."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


class Server(ThreadingHTTPServer):
    """Answers the first requests, and then what is said of the others.

    Attributes:
        left: how many requests it answers still.
        refusal: status and headers of the others.
        announces: headers of the last good answer.
        requests: how many came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.left, self.refusal, self.announces, self.requests = 0, (429, {}), {}, 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.requests += 1
            self.server.left -= 1
            left = self.server.left
        status, headers = (
            self.server.refusal if left < 0 else (200, self.server.announces if not left else {})
        )
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The endpoint, with a spec of it and 60 items in the test's folder."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        (tmp_path / "spec.yaml").write_text(
            f"version: 1\ntarget: {{endpoint: '{url}'}}\nwrapper: {{name: acme/Rated, mode: batch}}\n"
        )
        (tmp_path / "in.jsonl").write_text("".join(f"{number}\n" for number in range(60)))
        yield server
        server.shutdown()


def run(folder: Path, code: int) -> dict[str, Any]:
    """The summary of a run that gives up after three seconds without success."""
    words = ["run", "spec.yaml", "in.jsonl", "-o", "out.jsonl", "--patience", "3", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "wrapgen", *words],
        cwd=folder,
        env={**os.environ, "WRAPGEN_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("status", "headers", "announces"),
    [
        (429, {"Retry-After": "4000"}, {}),
        (429, {"Retry-After": "4000"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4000"}),
        (503, {"Retry-After": "4000"}, {}),
    ],
    ids=["429", "announced", "503"],
)
def test_what_is_put_off_for_long_is_neither_hammered_nor_failed(
    server, tmp_path, status, headers, announces
):
    """The run stops for now after its patience, with few requests and no failed item; later it finishes."""
    server.left, server.refusal, server.announces = 20, (status, headers), announces
    stopped = run(tmp_path, 12)
    assert (stopped["succeeded"], stopped["failed"]) == (20, 0)
    assert "nothing worked for" in stopped["reason"]
    assert server.requests < 300
    server.left = 1000
    done = run(tmp_path, 0)
    assert done["succeeded"] == 60
    results = [json.loads(line)["result"] for line in (tmp_path / "out.jsonl").open()]
    assert results == list(range(60))

"""An endpoint at which nothing listens: `call` ends within seconds, and `run` says what it waits for."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wrapgen.local.reach import why_unreachable


@pytest.fixture
def dead(tmp_path: Path, monkeypatch: Any) -> Iterator[str]:
    """The address of a port that nothing listens at, with a spec of it in the folder that we are in."""
    monkeypatch.setenv("WRAPGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "spec.yaml").write_text(
            f"version: 1\ntarget: {{endpoint: '{url}/predict'}}\nwrapper: {{name: acme/Dead, mode: batch}}\n"
        )
        (tmp_path / "in.txt").write_text("a\nb\n")
        yield url


def test_a_call_ends_with_what_is_wrong(dead):
    """Long before its 300 seconds are over, with the address, the reason and an exit code of its own."""
    began = time.monotonic()
    command = [sys.executable, "-m", "wrapgen", "call", "spec.yaml", "a"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert time.monotonic() - began < 120
    assert done.returncode == 5
    assert f"error: {dead} can't be reached: Connection refused" in done.stderr


def test_a_run_says_what_it_waits_for(dead):
    """It goes on waiting, as the endpoint may be about to start, and says so."""
    command = [sys.executable, "-m", "wrapgen", "run", "spec.yaml", "in.txt", "-o", "out.jsonl"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as running:
        told = next(line for line in running.stderr if "can't be reached" in line)
        running.kill()
    assert told == f"{dead} can't be reached: Connection refused; waiting for it, Ctrl-C stops\n"


def test_only_a_refused_connection_is_a_finding(dead, monkeypatch):
    """What listens is reachable, whatever it answers; through a proxy, the proxy's answer tells."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert why_unreachable(dead) == "Connection refused"
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert why_unreachable(f"http://127.0.0.1:{server.getsockname()[1]}/x?y=z") == ""
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    assert why_unreachable("http://model.example/predict") == ""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "http://127.0.0.1:9")
    assert why_unreachable("https://runtime.sagemaker.nowhere.amazonaws.com/endpoints/x/invocations") == ""

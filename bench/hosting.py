"""Servers, ours and the peers': started on a free port, ready once they answer, ended with all of theirs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import Failed, end, environment
from bench.trees import Tree

NEWEST = f"python{sys.version_info[0]}{sys.version_info[1]}"
PATIENCE = 120.0


@dataclass
class Server:
    """A server that answers.

    Attributes:
        pid: its first process; everything else of it is below.
        address: `http://host:port`.
        seconds: from its start to its first answer.
        key: what it wants as API key, if anything.
    """

    pid: int
    address: str
    seconds: float = 0.0
    key: str = ""

    @property
    def place(self) -> str:
        """`host:port`."""
        return self.address.partition("//")[2]


@contextmanager
def served(
    command: Sequence[str],
    probe: tuple[str, Any],
    *,
    port: int,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
    accepted: bool = False,
) -> Iterator[Server]:
    """A peer's server while the block runs.

    Args:
        command: its words.
        probe: path and JSON of a request; once that is answered with 200 it is up.
        port: where it listens.
        folder: where it runs.
        variables: environment variables on top of ours.
        accepted: any answer will do, whatever its status.

    Raises:
        Failed: it ended, or did not answer in time.
    """
    began = time.perf_counter()
    log = Path(os.devnull) if folder is None else folder / "server.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Server(process.pid, f"http://127.0.0.1:{port}")
    try:
        _wait(process, server.address + probe[0], probe[1], began, accepted=accepted)
        server.seconds = time.perf_counter() - began
        yield server
    finally:
        end(process)


@contextmanager
def platform(tree: Tree, home: Path, *words: str) -> Iterator[Server]:
    """A tree's platform while the block runs; `words` are further ones for `wrapgen serve`."""
    began = time.perf_counter()
    command = tree.command("serve", "--home", str(home), "--port", "0", "--json", *words)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment(), start_new_session=True, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise Failed("wrapgen serve did not start")
        seconds = time.perf_counter() - began
        key = json.loads((home / "credentials.json").read_text("utf-8"))["api_key"]
        yield Server(process.pid, json.loads(line)["address"], seconds, key)
    finally:
        end(process)


def publish(tree: Tree, home: Path, folder: Path, *words: str) -> str:
    """Publishes an algorithm on a tree's platform; its reference."""
    words = (str(folder), "--environment", NEWEST, *words, "--home", str(home), "--json")
    done = called(tree.command("publish", *words), env=environment())
    if done.returncode:
        raise Failed(f"wrapgen publish: {(done.stdout + done.stderr).strip()[:200]}")
    return str(json.loads(done.stdout)["reference"])


def build(tree: Tree, spec: Path, folder: Path) -> Path:
    """Generates a wrapper, as a tree does it."""
    command = tree.command("build", str(spec), "--output", str(folder))
    done = called(command)
    if done.returncode:
        raise Failed(f"wrapgen build: {done.stderr.strip()[:160]}")
    return folder


def called(command: Sequence[str], **given: Any) -> subprocess.CompletedProcess[str]:
    """A command's end and what it wrote.

    Raises:
        Failed: it takes too long.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **given)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command[:2])}: not done after {PATIENCE:g} s") from None


def free_port() -> int:
    """One that nobody listens on at present."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def post(url: str, value: Any, key: str = "", timeout: float = 30) -> Any:
    """The JSON that a server answers to some JSON."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Simple {key}"} if key else {})}
    request = urllib.request.Request(url, json.dumps(value).encode(), headers)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.loads(answer.read())


def _wait(process: subprocess.Popen[bytes], url: str, value: Any, began: float, *, accepted: bool) -> None:
    said = "nothing"
    while time.perf_counter() - began < PATIENCE:
        if process.poll() is not None:
            raise Failed(f"the server ended with exit code {process.returncode}")
        try:
            post(url, value, timeout=10)
        except urllib.error.HTTPError as error:
            if accepted:
                return
            said = f"status {error.code}"
        except (OSError, ValueError) as error:
            said = str(error)[:80]
        else:
            return
        time.sleep(0.05)
    raise Failed(f"no answer within {PATIENCE:g} s: {said}")

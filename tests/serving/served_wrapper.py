"""A wrapper under a real uvicorn: built from a spec, in a process of its own, on a free port."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wrapgen.build import Placement, generate
from wrapgen.spec import load

TOKEN = "the-token-of-these-tests"
SECONDS = 60.0

SPEC = """\
version: 1
target: {source: ./echo}
wrapper: {name: acme/Echo, mode: batch}
dispatch: {parallel: 4}
"""

ECHO = """\
import os

def load():
    if "ECHO_LOAD" in os.environ:  # the test says when loading may end, and how
        with open(os.environ["ECHO_LOAD"]) as fifo:
            if fifo.read():
                raise ImportError("there is no model")

def apply(value, state):
    if isinstance(value, dict) and "begun" in value:  # the test learns that this call has begun, and ends it
        open(value["begun"], "w").close()
        with open(value["end"]) as fifo:
            return fifo.read()
    if isinstance(value, dict) and "note" in value:
        open(value["note"], "a").close()
    if isinstance(value, dict) and "result" in value:
        return value["result"]
    if value == "bad":
        raise ValueError("it is bad")
    return value[::-1] if isinstance(value, bytes) else value
"""


def built(folder: Path, spec: str = SPEC, source: str = ECHO, kinds: frozenset[str] = frozenset()) -> Path:
    """The folder of a wrapper with what serves it; `source` is the code in ./echo."""
    (folder / "echo").mkdir(parents=True)
    (folder / "echo" / "__init__.py").write_text(source)
    (folder / "spec.yaml").write_text(spec)
    wrapper = generate(load(folder / "spec.yaml"), None, kinds or frozenset({"container"}))
    Placement.of(wrapper, folder / "wrapper").write()
    return folder / "wrapper"


@dataclass
class Reply:
    """What came back: its status, its headers by lower-case name, its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


@dataclass
class Served:
    """A server that runs.

    Args:
        port: on 127.0.0.1.
        process: of uvicorn.
        log: what it printed.
    """

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Where the wrapper is."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str = "POST",
        path: str = "/",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = TOKEN,
    ) -> Reply:
        """One request; a body that is no bytes goes as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        sent = {"Content-Type": "application/json"} if method == "POST" else {}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if method == "POST" else None
        try:
            connection.request(method, path, content, {**sent, **(headers or {})})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def wait_until(self, metric: str) -> None:
        """Waits until /metrics has a line, such as `wrapper_waiting 1`."""
        while metric not in self.ask("GET", "/metrics").body.decode().splitlines():
            threading.Event().wait(0.01)

    def state(self) -> str:
        """What /readyz says."""
        return str(self.ask("GET", "/readyz").json()["status"])


class HeldCall:
    """A call that the server has begun to execute; it ends when the test says so.

    Args:
        server: where it is made, by a thread.
        folder: for two named pipes.
    """

    def __init__(self, server: Served, folder: Path) -> None:
        names = [folder / f"{kind}-{uuid.uuid4().hex}" for kind in ("begun", "end")]
        for name in names:
            os.mkfifo(name)
        self._end = names[1]
        body = {"begun": str(names[0]), "end": str(names[1])}
        self._call = ThreadPoolExecutor(1).submit(server.ask, body=body)
        names[0].open().close()

    def reply(self) -> Reply:
        """What comes back."""
        return self._call.result(SECONDS)

    def release(self, result: str = "ended") -> None:
        """Lets the call end with a result."""
        self._end.write_text(result)

    def end(self, result: str = "ended") -> Reply:
        """Lets the call end with a result; the reply that came back."""
        self.release(result)
        return self.reply()


def command(folder: Path, options: tuple[str, ...] = ()) -> list[str]:
    """What starts a server of a folder on descriptor 3, with the options of the Dockerfile."""
    given = ["--fd", "3", "--http", "h11", "--ws", "none", "--no-access-log", "--no-server-header", *options]
    return [sys.executable, "-m", "uvicorn", "serve:app", "--app-dir", str(folder), *given]


@contextmanager
def served(
    folder: Path,
    variables: Mapping[str, str] | None = None,
    options: tuple[str, ...] = (),
    listening: socket.socket | None = None,
    *,
    loaded: bool = True,
) -> Iterator[Served]:
    """uvicorn with the wrapper in a folder, loaded when the context opens unless that is not wanted.

    Args:
        folder: of the wrapper.
        variables: besides the token and those of this process.
        options: of uvicorn.
        listening: a socket to serve on, so that another server can take its place.
        loaded: whether to wait until it takes calls.
    """
    listener = listening or socket.create_server(("127.0.0.1", 0))
    log = folder.parent / f"uvicorn-{listener.getsockname()[1]}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{listener.fileno()}', "uvicorn", *command(folder, options)],
            cwd=folder,
            env={**os.environ, "WRAPPER_TOKEN": TOKEN, **(variables or {})},
            stdout=out,
            stderr=out,
            pass_fds=[listener.fileno()],
        )
    server = Served(listener.getsockname()[1], process, log)
    if listening is None:
        listener.close()
    try:
        while loaded and server.state() != "ready":
            threading.Event().wait(0.02)
        yield server
    finally:
        process.kill()
        process.wait()

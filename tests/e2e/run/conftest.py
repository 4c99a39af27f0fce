"""A loopback server that speaks as much of the platform's API as a run needs, over the wrapper in memory."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import commands
import pytest

from wrapgen.errors import PlatformError

sys.path.insert(0, str(Path(__file__).parent))  # what the tests of this folder share
_spec = importlib.util.spec_from_file_location(
    "run_conftest", Path(__file__).parents[2] / "unit" / "run" / "conftest.py"
)
assert _spec is not None and _spec.loader is not None
_shared = importlib.util.module_from_spec(_spec)
sys.modules["run_conftest"] = _shared
_spec.loader.exec_module(_shared)


class Platform:
    """A server with one algorithm, `acme/SentimentBatch`.

    Attributes:
        wrapper: answers the calls.
        versions: what the list of versions holds.
        gate: called with the number of a call before it is answered; may block or raise.
        files: the data service's files by path.
    """

    def __init__(self, wrapper: Any) -> None:
        self.wrapper = wrapper
        self.versions = ["1.1.0", "1.0.0"]
        self.gate: Callable[[int], None] = lambda _: None
        self.files: dict[str, bytes] = {}
        self.called: list[str] = []
        self.address = ""

    def hold_from(self, number: int) -> tuple[threading.Event, threading.Event]:
        """Calls from this one on wait for the second event; the first says that one does."""
        reached, go_on = threading.Event(), threading.Event()

        def gate(call: int) -> None:
            if call >= number:
                reached.set()
                go_on.wait(120)

        self.gate = gate
        return reached, go_on

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """A call of the algorithm."""
        self.called.append(path)
        if body != b'{"$batch":[]}':
            self.gate(len(self.called))
        try:
            return 200, self.wrapper.call(body, 300)
        except PlatformError as error:
            return error.status or 500, json.dumps({"error": {"message": error.message}}).encode()

    def get(self, path: str) -> tuple[int, bytes]:
        """The list of versions, or a file."""
        if path.startswith("/v1/algorithms/acme/SentimentBatch/versions"):
            results = [{"version_info": {"semantic_version": v, "git_hash": "a" * 40}} for v in self.versions]
            return 200, json.dumps({"marker": None, "next_link": None, "results": results}).encode()
        if path in self.files:
            return 200, self.files[path]
        return 404, b'{"error":{"message":"not there"}}'


@pytest.fixture
def memory_wrapper() -> Any:
    """The class of wrappers in memory."""
    return _shared.MemoryWrapper


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for the platform of its server."""

    server: Server
    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self) -> None:
        self.reply(*self.server.platform.get(self.path))

    def do_POST(self) -> None:
        body = self.body()
        if self.path.startswith("/v1/data/"):
            self.reply(200, b'{"result":"made"}')
            return
        answer = self.server.platform.post(self.path, body)
        if answer is None:
            self.close_connection = True  # the reply is dropped
            return
        self.reply(*answer)

    def do_PUT(self) -> None:
        self.server.platform.files[self.path] = self.body()
        self.reply(200, b'{"result":"put"}')

    def do_DELETE(self) -> None:
        self.server.platform.files.pop(self.path, None)
        self.reply(200, b'{"result":{"deleted":1}}')

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Threads that don't outlive the test, and no complaints about runners that were killed."""

    daemon_threads = True

    def __init__(self, platform: Platform, *, listening: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=listening)
        self.platform = platform
        if not listening:
            self.server_bind()  # its port is taken, but nobody answers there

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Answers for as long as the context is open, if it does not yet."""
        self.server_activate()
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@pytest.fixture
def platform(memory_wrapper: Any) -> Iterator[Platform]:
    """The server, on a free port."""
    platform = Platform(memory_wrapper())
    server = Server(platform, listening=False)
    platform.address = f"http://127.0.0.1:{server.server_address[1]}"
    with server.answering():
        yield platform


@pytest.fixture
def later(platform: Platform) -> Server:
    """The same platform at an address where nobody answers until it is told to."""
    return Server(platform, listening=False)


class Command:
    """The wrapgen command against that server, in a folder of its own."""

    def __init__(self, folder: Path, platform: Platform) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA")},
            "ALGORITHMIA_API": platform.address,
            "ALGORITHMIA_API_KEY": "simABCDEFGHIJKLMNOPQRSTUVWXY",
            "HOME": str(folder),
        }

    def start(self, *words: str, program: Any = ("-m", "wrapgen"), **options: Any) -> subprocess.Popen[str]:
        """Starts `wrapgen WORDS`."""
        return subprocess.Popen(
            [sys.executable, *program, *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def __call__(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs `wrapgen WORDS` to its end."""
        return commands.run(*words, cwd=self.folder, env=self.environment, text=text or "", timeout=120)


@pytest.fixture
def wrapgen(tmp_path: Path, platform: Platform) -> Command:
    """The command."""
    return Command(tmp_path, platform)

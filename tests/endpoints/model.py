"""A small model server over real HTTP, and the wrapper of a spec, built and loaded."""

from __future__ import annotations

import importlib
import itertools
import json
import ssl
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from wrapgen.build import generate
from wrapgen.spec import load

_NUMBERS = itertools.count()


class Reply:
    """One answer: a status, a body as JSON or bytes, headers; `drop` hangs up instead."""

    def __init__(self, body: Any = None, status: int = 200, drop: bool = False, **headers: str) -> None:
        self.status, self.drop = status, drop
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class ModelServer:
    """Answers each POST with what `answer(request)` says; keeps the requests."""

    def __init__(self) -> None:
        self.answer: Callable[[Any], Reply] = lambda request: Reply(request.json)
        self.requests: list[Any] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ModelServer:
        serve = self._server.serve_forever
        threading.Thread(target=serve, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def use_tls(self, context: ssl.SSLContext) -> None:
        """From now on connections are encrypted."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    @property
    def bodies(self) -> list[Any]:
        """What was sent, as JSON."""
        return [request.json for request in self.requests]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen = SimpleNamespace(path=self.path, headers=self.headers, body=body)
                try:
                    seen.json = json.loads(body)
                except ValueError:
                    seen.json = None
                with model._lock:
                    model.requests.append(seen)
                reply = model.answer(seen)
                if reply.drop:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

        return Handler


def spec_text(target: str, url: str, sections: dict[str, str]) -> bytes:
    """The spec of a target, with `URL` as the server's address, and of other sections."""
    lines = ["version: 1", "target:", *(f"  {line}" for line in target.strip().splitlines())]
    wrapper = {"wrapper": "{name: acme/Scorer, mode: batch}", **sections}
    lines += [f"{key}: {value}" for key, value in wrapper.items()]
    return ("\n".join(lines).replace("URL", url) + "\n").encode()


def wrapper_of(folder: Path, target: str, files: dict[str, str], sections: dict[str, str]) -> Any:
    """Builds the wrapper of a target, loads it as a package of its own, and gives it with `call`."""
    name = f"endpoint_wrapper_{next(_NUMBERS)}"
    where = folder / name
    where.mkdir()
    for path, text in files.items():
        (where / path).write_text(text, "utf-8")
    (where / "spec.yaml").write_bytes(spec_text(target, "", sections))
    made = generate(load(where / "spec.yaml"))
    made.write(where)
    (where / "__init__.py").touch()
    sys.path.insert(0, str(folder))
    try:
        main = importlib.import_module(f"{name}.src.Scorer")
    finally:
        sys.path.remove(str(folder))
    main.state = main.load()
    work = sys.modules[f"{name}.src.runtime.work"]
    work.PAUSES = work.THROTTLED_PAUSES = (0.001, 0.002)
    main.call = lambda value: main.apply(value, main.state)
    main.batch = lambda items, **given: main.call({"$batch": items, **given})
    return main

"""A tiny platform over real HTTP, and short ways to run the wrapper's parts against it."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import requests

KEY = "simTestKeyTestKeyTestKeyTest"


class Reply:
    """One HTTP answer; `drop` closes the connection instead, `cut` promises more bytes than it sends."""

    def __init__(
        self,
        status: int = 200,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        drop: bool = False,
        cut: int = 0,
    ) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = headers or {}
        self.drop = drop
        self.cut = cut


def result(value: Any) -> Reply:
    """A successful call's envelope."""
    if isinstance(value, bytes):
        value, kind = base64.b64encode(value).decode(), "binary"
    else:
        kind = "text" if isinstance(value, str) else "json"
    return Reply(body={"result": value, "metadata": {"content_type": kind, "duration": 0.001}})


def error(error_type: str, message: str = "no good") -> Reply:
    """What the platform answers when the algorithm raised."""
    return Reply(
        body={"error": {"message": message, "error_type": error_type}, "metadata": {"duration": 0.001}}
    )


class Server(ThreadingHTTPServer):
    """Says nothing of clients that hang up."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Platform:
    """The server. `target(value)` answers calls; `files` is the data API's content by path."""

    def __init__(self) -> None:
        self.target: Callable[[Any], Reply] = lambda value: result(value)
        self.data: Callable[[str, str], Reply | None] = lambda method, path: None
        self.files: dict[str, bytes] = {}
        self.collections: set[str] = set()
        self.requests: list[SimpleNamespace] = []
        self._lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Platform:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def use_tls(self, context: ssl.SSLContext) -> None:
        """From now on connections are encrypted."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def calls(self) -> list[SimpleNamespace]:
        """The calls of the target so far."""
        with self._lock:
            return [request for request in self.requests if request.path.startswith("/v1/algo/")]

    def client(self) -> SimpleNamespace:
        """What the wrapper uses of the vendor's client."""
        session = requests.Session()
        session.trust_env = False
        return SimpleNamespace(apiAddress=self.address, apiKey=KEY, bearerToken=None, requestSession=session)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urllib.parse.urlsplit(self.path)
                path = urllib.parse.unquote(parts.path)
                seen = SimpleNamespace(
                    method=self.command, path=path, query=parts.query, headers=self.headers, body=body
                )
                with platform._lock:
                    platform.requests.append(seen)
                reply = platform._reply(seen)
                if reply.drop:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body) + reply.cut))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body)
                if reply.cut:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_HEAD = _serve  # noqa: N815

        return Handler

    def _reply(self, seen: SimpleNamespace) -> Reply:
        if seen.path.startswith("/v1/algo/"):
            return self.target(decode(seen))
        return self.data(seen.method, seen.path) or self._file(seen)

    def _file(self, seen: SimpleNamespace) -> Reply:
        path = seen.path.replace("/v1/data/", "").replace("/v1/connector/", "")
        with self._lock:
            if seen.method == "GET":
                if path in self.files:
                    return Reply(body=self.files[path])
                return Reply(404, {"error": {"message": "no such file"}})
            if seen.method == "POST":
                self.collections.add("{}/{}".format(path, json.loads(seen.body)["name"]))
                return Reply(body={"result": "made"})
            if not path.startswith((".algo", "s3/")) and path.rpartition("/")[0] not in self.collections:
                return Reply(404, {"error": {"message": "no such collection"}})
            self.files[path] = seen.body
            return Reply(body={"result": "data://" + path})


def decode(seen: SimpleNamespace) -> Any:
    """The input that a call carries, as an algorithm gets it."""
    kind = seen.headers["Content-Type"]
    if kind == "application/octet-stream":
        return seen.body
    return seen.body.decode() if kind == "text/plain" else json.loads(seen.body)

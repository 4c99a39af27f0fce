"""The model servers that the pages say are the reader's: one small server for each of their addresses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OPENAPI = {"paths": {"/predict": {"post": {}}, "/batch": {"post": {}}}}


def fastapi(path: str, body: Any) -> Any:
    """Labels for one text, or for a list."""
    if path == "/openapi.json":
        return OPENAPI
    return (
        {"labels": [len(text) for text in body["texts"]]}
        if path == "/batch"
        else {"label": len(body["text"])}
    )


def mlflow(_: str, body: Any) -> Any:
    """A prediction for each row of the frame."""
    return {"predictions": [0.5 for _ in body["dataframe_split"]["data"]]}


def openai(path: str, body: Any) -> Any:
    """A model, and its completions."""
    if path == "/v1/models":
        return {"data": [{"id": "qwen3-32b"}]}
    message = {"role": "assistant", "content": "praise"}
    return {"model": body["model"], "choices": [{"message": message, "finish_reason": "stop"}]}


def start(answer: Callable[[str, Any], Any]) -> ThreadingHTTPServer:
    """A server on a free port, until its `shutdown`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            self.reply(None)

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: Any) -> None:
            try:
                status, found = 200, answer(self.path, body)
            except (KeyError, TypeError):
                status, found = 404, {"detail": "Not Found"}
            text = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server

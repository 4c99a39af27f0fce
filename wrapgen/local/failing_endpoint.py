"""An endpoint that misbehaves as real ones do, for `wrapgen demo`: always in the same places."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zlib import crc32

WAYS = ("429", "503", "HTML with 200", "no answer")
"""What the first request for some texts gets; the next one for the same text is answered."""

POISON = "poison"
"""A text with this word is always refused."""

_PAGE = b"<html><body>Down for maintenance</body></html>"


class _Answering(BaseHTTPRequestHandler):
    """One connection; keeps it open between requests."""

    server: MisbehavingEndpoint
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for an answer, not two

    def do_POST(self) -> None:
        """Scores a text, or does something else."""
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        way = self.server.way(text)
        if way == "no answer":
            self.server.stopped.wait(60)
            self.close_connection = True
        elif way == "429":
            self._send(429, b'{"detail":"slow down"}', ("Retry-After", "0.05"))
        elif way == "503":
            self._send(503, b'{"detail":"starting"}', ("Retry-After", "0.05"))
        elif way == POISON:
            self._send(400, b'{"detail":"this text can\'t be scored"}')
        elif way:
            self._send(200, _PAGE, kind="text/html")
        else:
            score = round(crc32(text.encode()) / 2**32, 4)
            self._send(200, json.dumps({"score": score}).encode())

    def _send(
        self, status: int, body: bytes, *headers: tuple[str, str], kind: str = "application/json"
    ) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Type", kind), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Nothing: the demo says what happens."""


class MisbehavingEndpoint(ThreadingHTTPServer):
    """Scores texts at a free port of this machine.

    Attributes:
        requests: how many there were of each kind, `answered` for those that got a score.
        stopped: set when it ends.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.requests: Counter[str] = Counter()
        self.stopped = threading.Event()
        self._texts: set[str] = set()
        self._change = threading.Condition()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/score"

    def way(self, text: str) -> str:
        """What a request for a text gets; empty for its score. Counts it."""
        number = crc32(text.encode()) % 400
        with self._change:
            first = text not in self._texts
            self._texts.add(text)
            way = ""
            if POISON in text:
                way = POISON
            elif first and (number < 12 or number == 399):
                way = WAYS[3] if number == 399 else WAYS[number % 3]
            self.requests[way or "answered"] += 1
            self._change.notify_all()
        return way

    def wait_for(self, count: int, seconds: float) -> bool:
        """Waits until so many requests were answered; False if that takes longer."""
        with self._change:
            return self._change.wait_for(lambda: self.requests["answered"] >= count, seconds)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is part of the demo."""


@contextmanager
def misbehaving() -> Iterator[MisbehavingEndpoint]:
    """The endpoint, for as long as the context is open."""
    with MisbehavingEndpoint() as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.stopped.set()
            endpoint.shutdown()
            thread.join()

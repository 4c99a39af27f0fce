"""A server that speaks S3, and a proxy before it that is slow, refuses, and loses answers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "runs"


class S3:
    """moto's server with one bucket; requests go through a proxy.

    moto looks whether an object is there and then writes it; two requests at once could both write. The proxy
    passes writes on one after the other, so that a conditional write is one step, as it is in S3.

    Attributes:
        address: of the proxy.
        fault: asked of every request with its method and path: seconds to wait, then what happens: `refuse`
            (503), `lose` (done, and 503), or an empty string.
        requests: how many there were.
    """

    def __init__(self) -> None:
        self.fault: Callable[[str, str], tuple[float, str]] = lambda method, path: (0.0, "")
        self.requests = 0
        self.lock = threading.Lock()
        self.behind = ""
        self.address = ""

    @property
    def environment(self) -> dict[str, str]:
        """What makes a program use it."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.address, "AWS_CONFIG_FILE": os.devnull}

    def client(self) -> Any:
        """boto3's, for looking at what is there."""
        import boto3

        names = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=f"http://{self.behind}", **names)

    def names(self, prefix: str) -> list[str]:
        """The objects below a prefix."""
        found = self.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", ())]

    def get(self, name: str) -> bytes:
        """The content of an object."""
        return self.client().get_object(Bucket=BUCKET, Key=name)["Body"].read()

    def put(self, name: str, content: bytes) -> None:
        """Writes an object."""
        self.client().put_object(Bucket=BUCKET, Key=name, Body=content)


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: object) -> None:
        pass

    def answer(self) -> None:
        """Passes a request on."""
        s3: S3 = self.server.s3
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        s3.requests += 1
        seconds, what = s3.fault(self.command, self.path)
        if seconds:
            threading.Event().wait(seconds)
        status, headers, content = 503, [], b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>"
        if what != "refuse":
            with s3.lock:
                connection = HTTPConnection(s3.behind, timeout=60)
                connection.request(self.command, self.path, body, dict(self.headers))
                reply = connection.getresponse()
                told = (reply.status, reply.getheaders(), reply.read())
                connection.close()
            status, headers, content = told if what != "lose" else (status, headers, content)
        self.send_response(status)
        length = next((value for name, value in headers if name.lower() == "content-length"), None)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that were killed are no error here."""


@contextmanager
def s3_server() -> Iterator[S3]:
    """The server, while the block runs; what s3fs keeps of the one before in this process is dropped."""
    S3FileSystem.clear_instance_cache()
    s3, behind = S3(), ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    behind.start()
    host, port = behind.get_host_and_port()
    s3.behind = f"{host}:{port}"
    proxy = _Server(("127.0.0.1", 0), _Proxy)
    proxy.s3 = s3
    s3.address = f"http://127.0.0.1:{proxy.server_address[1]}"
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        s3.client().create_bucket(Bucket=BUCKET)
        yield s3
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
        behind.stop()

"""Requests without end, most of them without a key: each is ended early, and the server's memory stays."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

MIB = 1 << 20
CHUNKED = (
    "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n{}\r\n"
)


def memory(server: Any) -> int:
    """Bytes that the server has in memory, and the most it ever had."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) * 1024


@pytest.fixture(scope="module")
def flooded(server: Any) -> Any:
    """Sends a beginning, then a part again and again: how much went out until it was ended, the reply."""

    def flood(beginning: bytes, part: bytes, most: int = 24 * MIB) -> tuple[int, bytes]:
        host, port = server.address.removeprefix("http://").split(":")
        block, sent, answer = part * max(1, 65536 // len(part)), 0, b""
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(beginning)
            with contextlib.suppress(OSError):
                while sent < most:
                    connection.sendall(block)
                    sent += len(block)
            connection.settimeout(30)
            with contextlib.suppress(OSError):
                answer = connection.recv(65536)
        return sent, answer

    return flood


def browser(server: Any) -> tuple[requests.Session, str]:
    """A session of the web page that is signed in, and its form token."""
    session = requests.Session()

    def token(path: str) -> str:
        return re.findall(r'name="token" value="(\w+)"', session.get(server.address + path).text)[0]

    form = {"token": token("/web/sign-in"), "key": server.key}
    assert session.post(f"{server.address}/web/sign-in", data=form).ok
    return session, token("/web/data")


def multipart(server: Any, path: str, cookies: str = "", length: int = 64 * MIB) -> bytes:
    """The head of a form that is on its way for long."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {server.address.partition('://')[2]}", f"Cookie: {cookies}"]
    lines += ["Content-Type: multipart/form-data; boundary=b", f"Content-Length: {length}", "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("beginning", "part"),
    [
        (CHUNKED.format("/v1/insights", "") + "2\r\n[]\r\n0\r\n", b"Trailer: " + b"x" * 1000 + b"\r\n"),
        (CHUNKED.format("/v1/insights", "") + "2\r\n[]\r\n0\r\nTrailer: ", b"x" * 1000),
        (CHUNKED.format("/v1/insights", "") + "2;extension=", b"x" * 1000),
        (CHUNKED.format("/v1/algo/local/Zoo", ""), b"1;" + b"x" * 1000 + b"\r\n[\r\n"),
        ("GET /health HTTP/1.1\r\n", b"a:b\r\n"),
        ("", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"),
        (CHUNKED.format("/v1/data/.my/a/b", "Authorization: wrong\r\n"), b"400\r\n" + b"x" * 1024 + b"\r\n"),
    ],
    ids=["trailers", "trailer", "extension", "extensions", "headers", "pipeline", "body"],
)
def test_a_stranger_fills_no_memory(server: Any, zoo: str, flooded: Any, beginning: str, part: bytes) -> None:
    """Whatever of a request never ends, without a good key it is refused, or read and forgotten."""
    before = memory(server)
    flooded(beginning.encode(), part)
    assert memory(server) - before < 8 * MIB
    assert server.request("GET", "/health").json() == {"status": "ok"}


def test_a_request_has_so_many_headers(server: Any) -> None:
    """A hundred are plenty; one more is refused with the API's error."""
    for count, status in ((90, 200), (101, 431)):
        headers = {f"X-{number}": "x" for number in range(count)}
        assert server.request("GET", "/health", headers=headers).status_code == status
    assert server.request("GET", "/health", headers=headers).json()["error"]["message"]


def test_nobody_uploads_to_the_sign_in_form(server: Any, flooded: Any) -> None:
    """Before there is a session, a form is read as far as a key and a token reach, and no further."""
    before = memory(server)
    field = b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n'
    for _ in range(4):
        sent, answer = flooded(multipart(server, "/web/sign-in") + field, b"x" * 1000)
        assert b" 413 " in answer or b" 403 " in answer or sent < 8 * MIB
    assert memory(server) - before < 8 * MIB
    sent, answer = flooded(multipart(server, "/web/data/create") + field, b"x" * 1000)
    assert b" 401 " in answer or sent < 8 * MIB


PARTS: list[Callable[[str], tuple[bytes, bytes]]] = [
    lambda token: (b"", b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n\r\n'),
    lambda token: (b"--b\r\nContent-Disposition: form-data; name=", b"x" * 1000),
    lambda token: (b"--b\r\n", b"A: " + b"x" * 1000 + b"\r\n"),
    lambda token: (
        f'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\n{token}\r\n'.encode(),
        b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n\r\n',
    ),
]


@pytest.mark.parametrize("path", ["/web/data/upload", "/web/data/create"])
@pytest.mark.parametrize("parts", PARTS, ids=["fields", "name", "headers", "after the token"])
def test_a_form_has_an_end(server: Any, flooded: Any, path: str, parts: Any) -> None:
    """Who is signed in can't fill the memory either, with fields, their names or their headers."""
    session, token = browser(server)
    cookies = "; ".join(f"{each.name}={each.value}" for each in session.cookies)
    before = memory(server)
    beginning, part = parts(token)
    sent, answer = flooded(multipart(server, path, cookies) + beginning, part)
    assert memory(server) - before < 8 * MIB
    assert re.search(rb"HTTP/1.1 4(00|03|13) ", answer) or sent < 16 * MIB, answer
    assert server.request("GET", "/health").json() == {"status": "ok"}


def test_a_form_is_read_only_behind_its_token(server: Any) -> None:
    """The token of the session stands at the beginning of a form; without it the rest is not waited for."""
    session, token = browser(server)
    cookies = "; ".join(f"{each.name}={each.value}" for each in session.cookies)
    host, port = server.address.removeprefix("http://").split(":")
    field = b'--b\r\nContent-Disposition: form-data; name="input"\r\n\r\n' + b"x" * 20000
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(multipart(server, "/web/data/create", cookies) + field)
        assert b" 403 " in connection.recv(65536)  # though the form says that there is more
    form = {"token": token, "owner": "data://local", "name": "x" * 300, "audience": "nobody"}
    assert session.post(f"{server.address}/web/data/create", data=form).status_code == 400


def test_connections_have_a_limit(serve: Any, tmp_path: Path) -> None:
    """Of many connections that send nothing the oldest ends for each new one; requests in progress stay."""
    server = serve(tmp_path / "home", "--limit", "connections=20")
    host, port = server.address.removeprefix("http://").split(":")
    head = f"PUT /v1/data/local/c/f HTTP/1.1\r\nHost: x\r\nAuthorization: {server.key}\r\n"
    head += "Content-Length: 10\r\n\r\n12345"
    assert server.request("POST", "/v1/data/local", json={"name": "c"}).ok
    with contextlib.ExitStack() as held:
        upload = held.enter_context(socket.create_connection((host, int(port)), timeout=60))
        upload.sendall(head.encode())
        idle = [socket.create_connection((host, int(port)), timeout=60) for _ in range(100)]
        for each in idle:
            held.enter_context(each)
        assert idle[0].recv(1) == b""  # ended
        assert server.request("GET", "/health").ok
        upload.sendall(b"67890")
        assert upload.recv(1000).startswith(b"HTTP/1.1 200")


def test_connections_that_all_send_leave_no_room(serve: Any, tmp_path: Path) -> None:
    """Where each has a request in progress one more is refused, in words, until one of them has ended."""
    server = serve(tmp_path / "home", "--limit", "connections=5")
    host, port = server.address.removeprefix("http://").split(":")
    assert server.request("POST", "/v1/data/local", json={"name": "c"}).ok
    head = f"PUT /v1/data/local/c/f HTTP/1.1\r\nHost: x\r\nAuthorization: {server.key}\r\n"
    with contextlib.ExitStack() as held:
        sending = [
            held.enter_context(socket.create_connection((host, int(port)), timeout=60)) for _ in range(5)
        ]
        for each in sending:
            each.sendall((head + "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n").encode())
            assert each.recv(1000).startswith(b"HTTP/1.1 100")
        refused = requests.get(server.address + "/health", timeout=60)
        assert refused.status_code == 503
        assert "as many connections as it may" in refused.json()["error"]["message"]
        sending[0].close()
        while requests.get(server.address + "/health", timeout=60).status_code == 503:
            pass


def test_an_account_sends_so_many_large_inputs(server: Any, zoo: str) -> None:
    """As many as it may have open calls; one more is refused before it is read, small ones are not."""
    host, port = server.address.removeprefix("http://").split(":")
    name, key = server.user("sender")
    head = f"POST /v1/algo/{zoo} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nExpect: 100-continue\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 9000000\r\n\r\n"
    with contextlib.ExitStack() as held:
        for _ in range(80):
            each = held.enter_context(socket.create_connection((host, int(port)), timeout=60))
            each.sendall(head.encode())
            assert each.recv(1000).startswith(b"HTTP/1.1 100")
        more = held.enter_context(socket.create_connection((host, int(port)), timeout=60))
        more.sendall(head.encode())
        answer = b"".join(iter(partial(more.recv, 1000), b""))  # until it is closed
        assert answer.startswith(b"HTTP/1.1 429"), answer
        assert f"{name} is sending 80 large inputs".encode() in answer
        assert server.call(zoo, {"op": "value", "value": 1}, key).status_code == 200

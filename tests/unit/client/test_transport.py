"""The one transport: proxies as `requests` chooses them, no redirects, limits on what is read, gzip."""

from __future__ import annotations

import gzip
import itertools
import json
import pickle
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from requests.utils import get_environ_proxies, select_proxy, should_bypass_proxies

from wrapgen.client import Client, Connection, exchange
from wrapgen.client.proxies import bypasses_proxy, proxy_url
from wrapgen.client.transport import ANSWER_LIMIT, ERROR_LIMIT
from wrapgen.errors import (
    NotFound,
    PlatformError,
    ServerFault,
    TooLarge,
    Unreachable,
    UsageError,
    WrapgenError,
)
from wrapgen.run.integrations.plain_calls import PlainCalls
from wrapgen.run.scheduling.replies import Lost

HOSTS = (
    "http://10.1.2.3:8080",
    "https://10.1.2.3",
    "http://192.168.7.9",
    "https://api.acme.example",
    "https://api.acme.example:8443",
    "http://badacme.example",
    "http://[fd00::1]:80",
    "http://2130706433",
    "https://API.Acme.example",
)
NO_PROXY = (
    "",
    "*",
    "10.0.0.0/8",
    "10.0.0.0/33",
    "10.0.0.0/0",
    "10.0.0.0/08",
    "10/8",
    "10.1.2.3",
    "10.1.2.3:8080",
    "192.168.0.0/16,10.1.2.3/32",
    " .acme.example , localhost",
    "acme.example",
    "api.acme.example:8443",
    "fd00::/8",
    "fd00::1",
    "example,,",
    "127.0.0.0/8",
    "nonsense/8/8",
)
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy is set but by a test."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that says whatever a test makes it say, once a request's head has come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(65_536)
                        answer(connection)
                    except OSError:
                        pass

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def endless(head: bytes) -> Callable[[socket.socket], None]:
    """An answer whose body does not end until the client hangs up."""
    piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"

    def answer(connection: socket.socket) -> None:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(ANSWER_LIMIT // 65_536 * 4):
            connection.sendall(piece)

    return answer


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_means_what_it_means_to_requests(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every host with every NO_PROXY, networks among them, goes where the vendor's client goes."""
    for host, entries in itertools.product(HOSTS, NO_PROXY):
        monkeypatch.setenv(name, entries)
        theirs = should_bypass_proxies(host, no_proxy=None)
        assert bypasses_proxy(urlsplit(host)) == theirs, (host, entries)


def test_the_proxy_is_the_one_that_requests_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY, HTTPS_PROXY and ALL_PROXY in every combination."""
    for chosen in itertools.product((None, "http://one:1"), (None, "http://two:2"), (None, "http://three:3")):
        for name, value in zip(("http_proxy", "HTTPS_PROXY", "ALL_PROXY"), chosen, strict=True):
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        for host in HOSTS:
            theirs = select_proxy(host, get_environ_proxies(host)) or ""
            assert proxy_url(host) == theirs, (host, chosen)


def test_this_machines_own_address_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local platform's key never leaves the machine, whatever the variables say."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    assert [proxy_url(f"http://{host}:8080") for host in ("127.0.0.1", "localhost", "[::1]")] == ["", "", ""]


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:1080", "http://:3128", "http://proxy:port", "ftp://proxy:1", "http://[::1"]
)
def test_a_proxy_that_cant_be_used_is_one_clear_error(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of another kind is spoken to as if it were HTTP; its password is not shown."""
    monkeypatch.setenv("ALL_PROXY", proxy.replace("//", "//user:secret@"))
    with pytest.raises(UsageError) as caught:
        Client(Connection("https://api.acme.example", "k", "a test"))
    assert "http://HOST:PORT" in caught.value.hint
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_proxy_gets_the_whole_address_and_its_own_login(web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP goes to the proxy with an absolute address."""
    monkeypatch.setenv("HTTP_PROXY", web.address.replace("//", "//user:pass%21@"))
    web.say(200, b'{"files": []}')
    client = Client(Connection("http://platform.example:8080/base", "k", "a test"))
    assert list(client.data.files("data://acme/x")) == []
    (request,) = web.requests
    assert request.path == "http://platform.example:8080/base/v1/data/acme/x"
    assert request.headers["Host"] == "platform.example:8080"
    assert request.headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNzIQ=="


def test_a_proxy_that_refuses_a_tunnel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key does not reach the proxy, and the error says which proxy it was."""
    heard: queue.Queue[bytes] = queue.Queue()

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        heard.put(connection.recv(1000))

    with raw_server(refuse) as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        with pytest.raises(Unreachable, match=f"proxy {address[7:]}.*407"):
            Client(Connection("https://platform.example", "k", "a test")).call("a/B/1.0.0", "x")
    assert heard.get(timeout=30) == b""


def plain(address: str) -> PlainCalls:
    """What a Spark task has: pickled on one machine, unpickled on another."""
    made: PlainCalls = pickle.loads(pickle.dumps(PlainCalls(Connection(address, "sim", "a test").portable())))
    return made


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_follows_a_redirect(web, status: int) -> None:
    """Calls, reads and uploads of every caller stay at the address that the key is for."""
    web.say(status, b"", Location=f"{web.address}/login")
    host = plain(web.address).host("acme/Batch/1.0.0")
    sideband = host.sideband
    assert sideband is not None
    client = Client(Connection(web.address, "sim", "a test"))
    for lost in (host.call(b"[]", 5), sideband.fetch("data://acme/x/y"), sideband.upload(b"[]")):
        assert isinstance(lost, Lost) and "redirects to" in lost.message
    for ask in (
        lambda: client.call("acme/Batch/1.0.0", 1),
        lambda: list(client.data.files("data://acme/x")),
    ):
        with pytest.raises(PlatformError, match="redirects to"):
            ask()
    assert not [request for request in web.requests if request.path == "/login"]


def test_a_task_goes_through_the_proxy_of_the_machine_that_made_it(web, monkeypatch) -> None:
    """The driver's proxy is used where an executor's own variables name none; its own NO_PROXY counts."""
    monkeypatch.setenv("HTTP_PROXY", web.address)
    calls = plain("http://platform.example")
    monkeypatch.delenv("HTTP_PROXY")
    web.say(200, b"{}")
    assert calls.host("acme/Batch/1.0.0").call(b"[]", 5) == b"{}"
    assert web.requests[0].path.startswith("http://platform.example/v1/algo/")
    monkeypatch.setenv("NO_PROXY", "platform.example")
    lost = plain("http://platform.example").host("acme/Batch/1.0.0").call(b"[]", 5)
    assert isinstance(lost, Lost) and "does not answer" in lost.message


def test_an_endless_answer_ends_at_the_limit() -> None:
    """Neither a call nor a listing nor a file is read into memory without end."""
    with raw_server(endless(b"HTTP/1.1 200 OK\r\n")) as address:
        client = Client(Connection(address, "k", "a test"))
        for ask in (
            lambda: client.call("a/B/1.0.0", "x"),
            lambda: list(client.data.files("data://acme/x")),
            lambda: client.data.read("data://acme/x/y"),
        ):
            with pytest.raises(TooLarge, match="more than"):
                ask()


@pytest.mark.parametrize("part", [b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, b"HTTP/1.1 200 OK\r\nA: b\r\n"])
def test_a_head_without_end_ends(part: bytes) -> None:
    """Interim answers may come before the one that counts, headers with it, but not for ever."""

    def answer(connection: socket.socket) -> None:
        while True:
            connection.sendall(part)

    with raw_server(answer) as address, pytest.raises(Unreachable, match=r"no end|more than 100 headers"):
        Client(Connection(address, "k", "a test")).call("a/B/1.0.0", "x")


@pytest.mark.parametrize("status", [b"102 Processing", b"103 Early Hints"])
def test_an_interim_answer_is_not_the_answer(status: bytes) -> None:
    """What comes before the answer is passed over, so that no later call gets this one's result."""
    body = b'{"result": 17, "metadata": {"content_type": "json", "duration": 0}}'
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    heads = b"HTTP/1.1 %b\r\n\r\nHTTP/1.1 200 OK\r\n" % status
    with raw_server(lambda connection: connection.sendall(heads + length + body)) as address:
        assert Client(Connection(address, "k", "a test")).call("a/B/1.0.0", "x").result == 17


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 KEY-THAT-WAS-SENT\r\n\r\n",
        b"HTTP/KEY-THAT-WAS-SENT 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n17",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_not_repeated(answer: bytes) -> None:
    """An answer whose length or status can't be read is none, and no message has what it says of the key."""
    server = raw_server(lambda connection: connection.sendall(answer))
    with server as address, pytest.raises(Unreachable) as failed:
        Client(Connection(address, "KEY-THAT-WAS-SENT", "a test")).call("a/B/1.0.0", "x")
    assert "KEY-THAT-WAS-SENT" not in str(failed.value)


@pytest.mark.parametrize(
    "answer",
    [
        (b"401 No", b"", b'{"error":{"message":"bad key %b","error_type":"%b"}}'),
        (b"500 No", b"", b"%b"),
        (b"404 No", b"X-Error-Message: no %b\r\n", b""),
        (b"302 No", b"Location: http://other.example/?key=%b\r\n", b""),
        (b"200 OK", b"", b'{"error":{"message":"bad key %b"}}'),
        (b"200 OK", b"", b"<html>%b</html>"),
    ],
)
def test_a_key_that_an_error_repeats_is_in_no_message(answer: tuple[bytes, bytes, bytes]) -> None:
    """A platform, or what stands in its place, may send the key back in errors: calls and others hide it."""
    key = b"sim-key-that-was-sent"
    status, header, body = (part.replace(b"%b", key) for part in answer)
    head = b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n" % (status, header, len(body))
    with raw_server(lambda connection: connection.sendall(head + body)) as address:
        client = Client(Connection(address, key.decode(), "a test"))
        for ask in (lambda: client.call("a/B/1.0.0", "x"), lambda: client.algorithms.get("a/B")):
            with pytest.raises(WrapgenError) as failed:
                ask()
            assert key.decode() not in f"{failed.value} {vars(failed.value)}", status
            assert "***" in str(failed.value)


def test_an_answer_that_trickles_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends a byte now and then can't keep a client for longer than a minute."""
    monkeypatch.setattr(exchange, "SLOWEST", (1024, 0.2))

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            threading.Event().wait(0.02)

    with raw_server(answer) as address, pytest.raises(Unreachable, match="no answer in time"):
        Client(Connection(address, "k", "a test")).call("a/B/1.0.0", "x")


def test_an_answer_that_says_it_is_too_large_is_not_read() -> None:
    """The length alone is enough."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (ANSWER_LIMIT + 1)
    with raw_server(lambda connection: connection.sendall(head)) as address, pytest.raises(TooLarge):
        Client(Connection(address, "k", "a test")).call("a/B/1.0.0", "x")


def test_an_endless_error_is_still_that_error() -> None:
    """Of an answer outside 2xx only the beginning is read."""
    with raw_server(endless(b"HTTP/1.1 404 Not Found\r\n")) as address, pytest.raises(NotFound) as caught:
        Client(Connection(address, "k", "a test")).call("a/B/1.0.0", "x")
    assert len(caught.value.message) < ERROR_LIMIT


def test_a_small_answer_that_unpacks_to_a_large_one_is_refused(web) -> None:
    """The limit is of what an answer unpacks to."""
    web.say(200, gzip.compress(b"x" * (ANSWER_LIMIT + 1)), Content_Encoding="gzip")
    with pytest.raises(TooLarge):
        Client(Connection(web.address, "k", "a test")).call("a/B/1.0.0", "x")


def test_a_packed_answer_is_unpacked(client: Client, web) -> None:
    """A proxy that compresses without being asked does no harm; neither does an error, nor a stream."""
    answer = json.dumps({"result": "ok", "metadata": {"content_type": "text", "duration": 0}}).encode()
    web.say(200, gzip.compress(answer), Content_Encoding="gzip")
    assert client.call("a/B/1.0.0", "x").result == "ok"
    web.say(200, gzip.compress(b"a" * 300_000) + gzip.compress(b"b"), Content_Encoding="x-gzip")
    with client.data.stream("data://acme/x/y") as pieces:
        assert b"".join(pieces) == b"a" * 300_000 + b"b"
    web.say(404, gzip.compress(b'{"error": "no such thing"}'), Content_Encoding="gzip")
    with pytest.raises(NotFound, match="no such thing"):
        client.call("a/B/1.0.0", "x")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("br", b"whatever"), ("gzip", b"no gzip"), ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9])],
    ids=["unknown", "none", "cut off"],
)
def test_an_answer_that_cant_be_unpacked_is_no_answer(
    client: Client, web, encoding: str, body: bytes
) -> None:
    """It can be asked for again."""
    web.say(200, body, Content_Encoding=encoding)
    with pytest.raises(Unreachable):
        client.call("a/B/1.0.0", "x")


def test_a_page_instead_of_json_is_shown_by_its_first_line(client: Client, web) -> None:
    """200 with HTML, or with nothing, says so."""
    web.say(200, b"\n  <html><head><title>Sign in to Acme</title>\n</head>")
    for ask in (lambda: client.call("a/B/1.0.0", "x"), lambda: list(client.data.files("data://acme/x"))):
        with pytest.raises(ServerFault, match="Sign in to Acme"):
            ask()
    web.say(200, b"")
    with pytest.raises(ServerFault, match="empty"):
        client.call("a/B/1.0.0", "x")


def test_a_key_that_no_header_can_hold_is_one_clear_error(web) -> None:
    """A key with a line break or a letter outside Latin-1 is told, not shown."""
    for key in ("sim\nsecret", "simsecret\u20ac"):
        with pytest.raises(UsageError, match="API key") as caught:
            Client(Connection(web.address, key, "a test")).call("a/B/1.0.0", "x")
        assert "secret" not in caught.value.message
    assert not web.requests


def test_an_early_answer_to_a_large_body_is_heard() -> None:
    """413 that comes before the body has left is that error, not a lost connection."""

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    with raw_server(refuse) as address, pytest.raises(TooLarge):
        Client(Connection(address, "k", "a test")).call_body("a/B/1.0.0", b"x" * 5_000_000, timeout=5)

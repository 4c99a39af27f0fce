"""Calls of the target over real HTTP: true outcomes, typed errors, connections."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from runtime import algorithm, algorithm_lists, protocol, sublists
from runtime import platform as api
from runtime.items import Item
from standins import KEY, Platform, Reply, error, result

TARGET = {"reference": "nlp/Sentiment/1.0.5"}
ATTEMPT, THROTTLED, STOP = protocol.ATTEMPT, protocol.THROTTLED, protocol.STOP


class Called:
    """The target as a vendor's client leads to it."""

    def __init__(self, client: Any) -> None:
        self.target = algorithm.Target(api.connect(client), TARGET, {"request_bytes": 1000})

    def call(self, value: Any, seconds: float) -> Any:
        return self.target.call(Item(0, 0, value), seconds)


@pytest.fixture
def called(platform: Platform) -> Called:
    """The target on the platform of the test."""
    return Called(platform.client())


@pytest.mark.parametrize(
    "value", [None, False, 0, "", "text", '{"a": 1}', {}, [[]], {"ü": "\U0001f600"}, b"\x00\xff"]
)
def test_any_value_reaches_the_target_and_comes_back(platform: Platform, called: Called, value: Any) -> None:
    """The target gets what a direct call would send, and its result keeps its kind."""
    seen = []
    platform.target = lambda given: (seen.append(given), result(given))[1]
    assert called.call(value, 60) == value
    assert seen == [value]


def test_a_call_names_its_time_and_its_key(platform: Platform, called: Called) -> None:
    """The platform is told how long the call may take, in whole seconds, at least one."""
    called.call("x", 12.7)
    called.call("x", 0.2)
    assert [request.query for request in platform.calls] == ["timeout=12", "timeout=1"]
    assert platform.calls[0].path == "/v1/algo/nlp/Sentiment/1.0.5"
    assert platform.calls[0].headers["Authorization"] == KEY


@pytest.mark.parametrize(
    ("reply", "kind", "retryable", "effect", "splits"),
    [
        (error("InputError"), "InputError", False, ATTEMPT, True),
        (error("AlgorithmError"), "AlgorithmError", False, ATTEMPT, True),
        (error("TimeoutError"), "TimeoutError", True, ATTEMPT, True),
        (error("LoadingError"), "LoadingError", True, ATTEMPT, False),
        (error("PaymentRequiredError"), "PaymentRequiredError", False, ATTEMPT, True),
        (error("AuthenticationError"), "AuthenticationError", False, ATTEMPT, True),
        (Reply(200, b"<html>"), "ParsingError", True, ATTEMPT, False),
        (Reply(200, b""), "ParsingError", True, ATTEMPT, False),
        (Reply(200, {"result": 1}), "ParsingError", True, ATTEMPT, False),
        (Reply(400, {"error": {"message": "bad"}}), "InputError", False, ATTEMPT, True),
        (
            Reply(400, {"error": {"message": "bad", "error_type": "TooLargeError"}}),
            "TooLargeError",
            False,
            ATTEMPT,
            True,
        ),
        (Reply(400, {"error": {"error_type": "TimeoutError"}}), "TimeoutError", True, ATTEMPT, True),
        (Reply(401, {"error": {"message": "who"}}), "AuthenticationError", True, STOP, False),
        (Reply(402, b""), "PaymentRequiredError", True, STOP, False),
        (Reply(403, b"no"), "AuthenticationError", True, STOP, False),
        (Reply(404, {"error": {"message": "no such algo"}}), "EntityNotFoundError", True, STOP, False),
        (Reply(408, b""), "TimeoutError", True, ATTEMPT, True),
        (Reply(413, b""), "TooLargeError", False, ATTEMPT, True),
        (Reply(429, b""), "TooManyRequests", True, THROTTLED, False),
        (Reply(500, {"error": "broken"}), "ServerError", True, ATTEMPT, False),
        (Reply(502, b"<html>bad gateway</html>"), "ServerError", True, ATTEMPT, False),
        (Reply(503, b"<html>"), "ServerError", True, THROTTLED, False),
        (
            Reply(503, {"error": {"message": "m", "error_type": "SystemError"}}),
            "ServerError",
            True,
            THROTTLED,
            False,
        ),
        (
            Reply(503, {"error": {"message": "m", "error_type": "LoadingError"}}),
            "LoadingError",
            True,
            THROTTLED,
            False,
        ),
        (Reply(504, b""), "TimeoutError", True, ATTEMPT, True),
        (Reply(drop=True), "ConnectionError", True, ATTEMPT, False),
        (Reply(200, {"result": 1}, cut=5), "ConnectionError", True, ATTEMPT, False),
        (Reply(301, b""), "ServerError", True, ATTEMPT, False),
    ],
)
def test_every_outcome_has_its_type(
    platform: Platform,
    called: Called,
    reply: Reply,
    kind: str,
    retryable: bool,
    effect: str,
    splits: bool,
) -> None:
    """Status and the platform's own taxonomy decide what a failed call means."""
    platform.target = lambda value: reply
    with pytest.raises(protocol.Failure) as caught:
        called.call("x", 60)
    failure = caught.value
    assert (failure.error_type, failure.retryable, failure.effect, sublists.splits(failure)) == (
        kind,
        retryable,
        effect,
        splits,
    )
    assert str(failure)


def test_a_late_504_splits_a_list_and_an_early_one_does_not(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After half of its time the list took too long; before that, what stands in between is down."""
    now = [0.0]
    monkeypatch.setattr(algorithm_lists, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def target(value: Any) -> Reply:
        now[0] += took
        return Reply(504, b"")

    platform.target = target
    sends_lists = algorithm_lists.Target(
        api.connect(platform.client()), {"reference": "o/t/1.0.0"}, {"request_bytes": 1000}
    )
    for took in (29.0, 31.0):
        with pytest.raises(protocol.Failure) as caught:
            sends_lists.call_list([Item(0, 0, "x")], 60)
        assert sublists.splits(caught.value) is (took > 30)


@pytest.mark.parametrize("value", ["x", {"a": "\u00e9"}, b"\x00"])
def test_an_answer_that_nobody_asked_to_be_compressed_is_read(
    platform: Platform, called: Called, value: Any
) -> None:
    """Something in between compressed it; the result is what the target said."""
    reply = result(value)
    platform.target = lambda _: Reply(200, gzip.compress(reply.body), {"Content-Encoding": "gzip"})
    assert called.call("x", 60) == value


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"\n <html>\n<p>Sign in</p>", "<html>"),
        (b"", "nothing"),
        (b"Welcome to nginx!", "Welcome to nginx!"),
        (b'{"score": 1}', '{"score": 1}'),
    ],
)
def test_the_first_line_of_what_is_no_answer_is_shown(
    platform: Platform, called: Called, body: bytes, shown: str
) -> None:
    """It says more than any guess about who answered in the target's place."""
    platform.target = lambda value: Reply(200, body)
    with pytest.raises(protocol.Failure, match=re.escape(f"it begins: {shown}") + "$"):
        called.call("x", 60)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("Wed, 21 Oct", None), (None, None)],
)
def test_throttling_says_how_long_to_wait(
    platform: Platform, called: Called, header: str | None, seconds: float | None
) -> None:
    """429 and 503 carry the seconds of Retry-After where they name any."""
    for status in (429, 503):
        platform.target = lambda value, status=status: Reply(
            status, b"", {"Retry-After": header} if header else {}
        )
        with pytest.raises(protocol.Failure) as caught:
            called.call("x", 60)
        assert caught.value.effect == THROTTLED
        assert caught.value.retry_after == seconds


def test_an_input_over_the_cap_is_not_sent(platform: Platform, called: Called) -> None:
    """What counts is the size on the wire, where one character may take twelve bytes."""
    called.call("x" * 1000, 60)
    for value in ("x" * 1001, ["\U0001f600" * 90], b"x" * 1001):
        with pytest.raises(protocol.Failure) as caught:
            called.call(value, 60)
        assert (caught.value.error_type, caught.value.effect) == ("TooLargeError", protocol.NOT_CALLED)
    assert len(platform.calls) == 1


def test_nobody_listening_is_a_connection_error(platform: Platform) -> None:
    """Refused connections are retryable."""
    client = platform.client()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client.apiAddress = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(protocol.Failure) as caught:
            Called(client).call("x", 60)
    assert caught.value.error_type == "ConnectionError"


def test_no_answer_in_time_is_a_timeout(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ends soon after the time that the platform was given."""
    release = threading.Event()
    platform.target = lambda value: (release.wait(60), result(1))[1]
    monkeypatch.setattr(algorithm, "READ_GRACE", -0.9)
    with pytest.raises(protocol.Failure) as caught:
        Called(platform.client()).call("x", 1)
    release.set()
    assert caught.value.error_type == "TimeoutError"


class Listener:
    """A server that counts its connections and hangs up after a number of answers on each."""

    def __init__(self, answers: int) -> None:
        self.answers, self.connections, self.requests = answers, 0, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.hung_up = threading.Semaphore(0)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def _serve(self) -> None:
        body = json.dumps({"result": 1, "metadata": {"content_type": "json", "duration": 0}}).encode()
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rb") as stream:
                for _ in range(self.answers):
                    length = 0
                    for line in iter(stream.readline, b"\r\n"):
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    stream.read(length)
                    self.requests += 1
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            self.hung_up.release()


def test_a_connection_is_used_again(platform: Platform) -> None:
    """One thread needs one connection for all its calls."""
    listener, client = Listener(50), platform.client()
    client.apiAddress = listener.address
    called = Called(client)
    assert [called.call("x", 60) for _ in range(50)] == [1] * 50
    assert listener.connections == 1
    listener.socket.close()


def test_a_connection_closed_meanwhile_is_replaced_and_nothing_runs_twice(platform: Platform) -> None:
    """A server that hangs up on idle connections costs no failure and no second execution."""
    listener, client = Listener(1), platform.client()
    client.apiAddress = listener.address
    called = Called(client)
    for number in range(1, 20):
        assert called.call("x", 60) == 1
        assert listener.hung_up.acquire(timeout=60)
        assert (listener.connections, listener.requests) == (number, number)
    listener.socket.close()


def test_proxies_of_the_environment_are_honoured(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain proxy gets the whole address and its login; no_proxy and an explicit no keep it out."""
    monkeypatch.setenv("http_proxy", platform.address.replace("http://", "http://me:s%40crt@"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    client = platform.client()
    client.apiAddress = "http://platform.invalid"
    client.requestSession.trust_env = True
    assert Called(client).call("x", 60) == "x"
    assert platform.requests[-1].path == "/v1/algo/nlp/Sentiment/1.0.5"
    assert platform.requests[-1].headers["Host"] == "platform.invalid"
    assert platform.requests[-1].headers["Proxy-Authorization"] == "Basic bWU6c0BjcnQ="
    monkeypatch.setenv("no_proxy", "platform.invalid")
    with pytest.raises(protocol.Failure, match="no connection"):
        Called(client).call("x", 60)


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("bypassed", ["127.0.0.0/8", "10.0.0.0/8,127.0.0.1", "127.0.0.1"])
def test_networks_that_need_no_proxy_are_called_directly(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, name: str, bypassed: str
) -> None:
    """The rules are those of requests, which the vendor's client uses: networks and hosts."""
    for variable in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    client = platform.client()
    client.requestSession.trust_env = True
    with pytest.raises(protocol.Failure, match="no connection"):
        Called(client).call("x", 60)
    monkeypatch.setenv(name, bypassed)
    assert Called(client).call("x", 60) == "x"


def test_a_proxy_needs_no_scheme(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Host and port alone name an HTTP proxy, as they do for requests."""
    monkeypatch.setenv("https_proxy", "me:secret@proxy.corp:3128")
    client = platform.client()
    client.apiAddress = "https://platform.invalid"
    client.requestSession.trust_env = True
    server = api.connect(client)
    assert server.proxy == "http://me:secret@proxy.corp:3128"
    assert list(server.proxy_headers) == ["Proxy-Authorization"]


def test_certificates_are_the_clients(platform: Platform) -> None:
    """The vendor's client decides what is trusted: a file, the usual authorities, or nothing checked."""
    client = platform.client()
    client.apiAddress = "https://platform.invalid"
    for verify, mode in ((True, ssl.CERT_REQUIRED), (False, ssl.CERT_NONE)):
        client.requestSession.verify = verify
        context = api.connect(client).tls
        assert context is not None and context.verify_mode == mode
    client.requestSession.verify = str(
        Path(__file__).parent
    )  # a folder of certificates, as OpenSSL keeps them
    assert api.connect(client).tls is not None
    client.requestSession.verify = "/no/such/file.pem"
    with pytest.raises(OSError, match="such file"):
        api.connect(client)


def test_a_platform_with_a_certificate_of_its_own(platform: Platform, tmp_path: Path) -> None:
    """Over TLS, the certificate must be one that the vendor's client was told to trust."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    made, key = tmp_path / "platform.pem", tmp_path / "platform.key"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        key,
        "-out",
        made,
    ]
    subprocess.run([*map(str, command), *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    platform.use_tls(context)
    client = platform.client()
    client.apiAddress = platform.address.replace("http://127.0.0.1", "https://localhost")
    with pytest.raises(protocol.Failure, match=r"(?i)certificate"):
        Called(client).call("x", 60)
    client.requestSession.verify = str(made)
    called = Called(client)
    assert [called.call("x", 60), called.call("y", 60)] == ["x", "y"]


@pytest.mark.parametrize(
    ("key", "token", "sent"),
    [("k", None, "k"), (None, "a.b.c", "Bearer a.b.c"), (None, None, None), ("k", "a.b.c", "k")],
)
def test_the_caller_is_named_as_the_vendors_client_does(
    platform: Platform, key: str | None, token: str | None, sent: str | None
) -> None:
    """A key goes bare, a token as Bearer; inside the platform there may be neither."""
    client = platform.client()
    client.apiKey, client.bearerToken = key, token
    Called(client).call("x", 60)
    assert platform.requests[-1].headers.get("Authorization") == sent

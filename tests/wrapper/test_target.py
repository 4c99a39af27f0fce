"""Calls of the target over real HTTP: true outcomes, typed errors, connections."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from runtime import batches, protocol, target, transport
from standins import KEY, Platform, Reply, error, result

TARGET = {"algorithm": "nlp/Sentiment/1.0.5", "request_bytes": 1000}


@pytest.fixture
def called(platform: Platform) -> target.Target:
    """The target on the platform of the test."""
    return target.Target(platform.client(), TARGET)


@pytest.mark.parametrize(
    "value", [None, False, 0, "", "text", '{"a": 1}', {}, [[]], {"ü": "\U0001f600"}, b"\x00\xff"]
)
def test_any_value_reaches_the_target_and_comes_back(
    platform: Platform, called: target.Target, value: Any
) -> None:
    """The target gets what a direct call would send, and its result keeps its kind."""
    seen = []
    platform.target = lambda given: (seen.append(given), result(given))[1]
    assert called.call(value, 60) == value
    assert seen == [value]


def test_a_call_names_its_time_and_its_key(platform: Platform, called: target.Target) -> None:
    """The platform is told how long the call may take, in whole seconds, at least one."""
    called.call("x", 12.7)
    called.call("x", 0.2)
    assert [request.query for request in platform.calls] == ["timeout=12", "timeout=1"]
    assert platform.calls[0].path == "/v1/algo/nlp/Sentiment/1.0.5"
    assert platform.calls[0].headers["Authorization"] == KEY


@pytest.mark.parametrize(
    ("reply", "kind", "retryable", "stops", "splits"),
    [
        (error("InputError"), "InputError", False, False, True),
        (error("AlgorithmError"), "AlgorithmError", False, False, True),
        (error("TimeoutError"), "TimeoutError", True, False, True),
        (error("LoadingError"), "LoadingError", True, False, False),
        (error("PaymentRequiredError"), "PaymentRequiredError", True, True, False),
        (Reply(200, b"<html>"), "ParsingError", False, False, True),
        (Reply(200, {"result": 1}), "ParsingError", False, False, True),
        (Reply(400, {"error": {"message": "bad"}}), "InputError", False, False, True),
        (
            Reply(400, {"error": {"message": "bad", "error_type": "TooLargeError"}}),
            "TooLargeError",
            False,
            False,
            True,
        ),
        (Reply(401, {"error": {"message": "who"}}), "AuthenticationError", True, True, False),
        (Reply(402, b""), "PaymentRequiredError", True, True, False),
        (Reply(403, b"no"), "AuthenticationError", True, True, False),
        (
            Reply(404, {"error": {"message": "algorithm algo://x not found"}}),
            "EntityNotFoundError",
            False,
            False,
            False,
        ),
        (Reply(408, b""), "TimeoutError", True, False, True),
        (Reply(413, b""), "TooLargeError", False, False, True),
        (Reply(500, {"error": "broken"}), "ServerError", True, False, False),
        (Reply(502, b"<html>bad gateway</html>"), "ServerError", True, False, False),
        (
            Reply(503, {"error": {"message": "m", "error_type": "LoadingError"}}),
            "LoadingError",
            True,
            False,
            False,
        ),
        (Reply(504, b""), "TimeoutError", True, False, True),
        (Reply(drop=True), "ConnectionError", True, False, False),
        (Reply(200, {"result": 1}, cut=5), "ConnectionError", True, False, False),
        (Reply(301, b""), "ServerError", True, False, False),
    ],
)
def test_every_outcome_has_its_type(
    platform: Platform,
    called: target.Target,
    reply: Reply,
    kind: str,
    retryable: bool,
    stops: bool,
    splits: bool,
) -> None:
    """Status and the platform's own taxonomy decide what a failed call means."""
    platform.target = lambda value: reply
    with pytest.raises(target.CallFailed) as caught:
        called.call("x", 60)
    failure = caught.value
    assert (failure.error_type, failure.retryable, failure.stops, batches.may_be_of_one(failure)) == (
        kind,
        retryable,
        stops,
        splits,
    )
    assert str(failure)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("Wed, 21 Oct", None), (None, None)],
)
def test_throttling_says_how_long_to_wait(
    platform: Platform, called: target.Target, header: str | None, seconds: float | None
) -> None:
    """429 carries the seconds of Retry-After where it names any."""
    platform.target = lambda value: Reply(429, b"", {"Retry-After": header} if header else {})
    with pytest.raises(target.CallFailed) as caught:
        called.call("x", 60)
    assert caught.value.throttled
    assert caught.value.retry_after == seconds


def test_an_input_over_the_cap_is_not_sent(platform: Platform, called: target.Target) -> None:
    """What counts is the size on the wire, where one character may take twelve bytes."""
    called.call("x" * 1000, 60)
    for value in ("x" * 1001, ["\U0001f600" * 90], b"x" * 1001):
        with pytest.raises(protocol.Failure) as caught:
            called.call(value, 60)
        assert (caught.value.error_type, caught.value.called) == ("TooLargeError", False)
    assert len(platform.calls) == 1


def test_nobody_listening_is_a_connection_error(platform: Platform) -> None:
    """Refused connections are retryable."""
    client = platform.client()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client.apiAddress = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(target.CallFailed) as caught:
            target.Target(client, TARGET).call("x", 60)
    assert caught.value.error_type == "ConnectionError"


def test_no_answer_in_time_is_a_timeout(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ends soon after the time that the platform was given."""
    release = threading.Event()
    platform.target = lambda value: (release.wait(10), result(1))[1]
    monkeypatch.setattr(transport, "READ_GRACE", -0.9)
    with pytest.raises(target.CallFailed) as caught:
        target.Target(platform.client(), TARGET).call("x", 1)
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
    called = target.Target(client, TARGET)
    assert [called.call("x", 60) for _ in range(50)] == [1] * 50
    assert listener.connections == 1
    listener.socket.close()


def test_a_connection_closed_meanwhile_is_replaced_and_nothing_runs_twice(platform: Platform) -> None:
    """A server that hangs up on idle connections costs no failure and no second execution."""
    listener, client = Listener(1), platform.client()
    client.apiAddress = listener.address
    called = target.Target(client, TARGET)
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
    assert target.Target(client, TARGET).call("x", 60) == "x"
    assert platform.requests[-1].path == "/v1/algo/nlp/Sentiment/1.0.5"
    assert platform.requests[-1].headers["Host"] == "platform.invalid"
    assert platform.requests[-1].headers["Proxy-Authorization"] == "Basic bWU6c0BjcnQ="
    monkeypatch.setenv("no_proxy", "platform.invalid")
    with pytest.raises(target.CallFailed, match="no connection"):
        target.Target(client, TARGET).call("x", 60)


def test_certificates_are_the_clients(platform: Platform) -> None:
    """The vendor's client decides what is trusted: a file, the usual authorities, or nothing checked."""
    assert transport._tls(True).verify_mode == ssl.CERT_REQUIRED
    assert transport._tls(False).verify_mode == ssl.CERT_NONE
    with pytest.raises(OSError, match="such file"):
        transport._tls("/no/such/file.pem")


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
    with pytest.raises(target.CallFailed, match=r"(?i)certificate"):
        target.Target(client, TARGET).call("x", 60)
    client.requestSession.verify = str(made)
    called = target.Target(client, TARGET)
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
    target.Target(client, TARGET).call("x", 60)
    assert platform.requests[-1].headers.get("Authorization") == sent

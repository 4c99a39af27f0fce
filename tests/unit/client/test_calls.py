"""Calls over a real socket: what goes out, what comes back, and which error each failure is."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from wrapgen import errors
from wrapgen.client import Client, Connection
from wrapgen.client.algorithms import Reference


def envelope(result: object, kind: str = "json", **metadata: object) -> bytes:
    return json.dumps(
        {"result": result, "metadata": {"content_type": kind, "duration": 0.1, **metadata}}
    ).encode()


@pytest.mark.parametrize(
    ("value", "body", "content_type"),
    [
        ("Zürich", "Zürich".encode(), "text/plain"),
        ("", b"", "text/plain"),
        (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
        ({"a": [1, None]}, b'{"a":[1,null]}', "application/json"),
        (None, b"null", "application/json"),
        (False, b"false", "application/json"),
    ],
)
def test_a_value_travels_as_its_kind(client: Client, web, value, body, content_type) -> None:
    """Text goes as text, bytes as octet-stream, everything else as JSON."""
    web.say(200, envelope("ok", "text"))
    assert client.call("nlp/Echo/1.0.0", value, timeout=60).result == "ok"
    (request,) = web.requests
    assert (request.method, request.path) == ("POST", "/v1/algo/nlp/Echo/1.0.0?timeout=60")
    assert (request.body, request.headers["Content-Type"]) == (body, content_type)
    assert request.headers["Authorization"] == "Simple sim-secret-key"


def test_results_come_back_as_their_kind(client: Client, web) -> None:
    """Binary results are bytes, void ones None; the metadata comes along."""
    web.say(200, envelope("AP8=", "binary", stdout="said"))
    answer = client.call("nlp/Echo/1.0.0", "x", stdout=True)
    assert answer.result == b"\x00\xff"
    assert answer.metadata["stdout"] == "said"
    assert web.requests[-1].path.endswith("?timeout=300&stdout=true")
    web.say(200, envelope(None, "void"))
    assert client.call("nlp/Echo/1.0.0", "x").result is None


def test_call_body_hands_the_answer_through_untouched(client: Client, web) -> None:
    """The runner gets the bytes of a 200 answer, an algorithm's error included."""
    body = b'{"error": {"message": "no", "error_type": "InputError"}, "metadata": {"duration": 0}}'
    web.say(200, body)
    assert client.call_body("nlp/Echo/1.0.0", b"[]", timeout=3000) == body


def test_an_algorithms_error_carries_its_type_and_trace(client: Client, web) -> None:
    """An error of the algorithm is AlgorithmFailed with the platform's taxonomy."""
    error = {"message": "bad text", "error_type": "InputError", "stacktrace": "line 3"}
    web.say(200, json.dumps({"error": error, "metadata": {"duration": 1}}).encode())
    with pytest.raises(errors.AlgorithmFailed) as caught:
        client.call("nlp/Echo/1.0.0", "x")
    failed = caught.value
    assert (failed.error_type, failed.detail, failed.stacktrace) == ("InputError", "bad text", "line 3")
    assert not failed.retryable


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (401, errors.NotAuthorized),
        (402, errors.PaymentRequired),
        (403, errors.NotAuthorized),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.TooLarge),
        (418, errors.PlatformError),
        (429, errors.Throttled),
        (500, errors.ServerFault),
        (503, errors.ServerFault),
        (504, errors.ServerFault),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "the reason", "code": 9}}',
        b'{"error": "the reason"}',
        b'{"message": "the reason", "code": 9}',
        b"the reason",
    ],
)
def test_each_status_is_its_class_with_the_platforms_words(client: Client, web, status, kind, body) -> None:
    """Status decides the class; the message is found in every form that error bodies take."""
    web.say(status, body)
    with pytest.raises(errors.PlatformError) as caught:
        client.call_body("nlp/Echo/1.0.0", b"1", timeout=1)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert "the reason" in caught.value.message
    assert "sim-secret-key" not in caught.value.message


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"\xff\xfe", b"[1]", b"[" * 100_000])
def test_a_senseless_error_body_still_gives_the_status(client: Client, web, body: bytes) -> None:
    """A proxy's page, an empty or a broken body leave an error that names the status."""
    web.say(502, body)
    with pytest.raises(errors.ServerFault, match="502"):
        client.call_body("nlp/Echo/1.0.0", b"1", timeout=1)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("soon", None),
        ("-3", 0.0),
        ("inf", None),
    ],
)
def test_retry_after_is_kept(client: Client, web, value: str, seconds: float | None) -> None:
    """A number or a date in Retry-After becomes seconds; nonsense becomes nothing."""
    now = "Sun, 22 Nov 2026 12:00:00 GMT"
    web.answer = lambda _: (429, {"Retry-After": value, "Date": now}, b"{}")
    with pytest.raises(errors.Throttled) as caught:
        client.call_body("nlp/Echo/1.0.0", b"1", timeout=1)
    assert caught.value.retry_after == seconds


def test_a_redirect_is_not_followed(client: Client, web) -> None:
    """A key never travels to where an answer points."""
    web.say(302, Location="http://elsewhere.example/v1")
    with pytest.raises(errors.PlatformError, match=r"elsewhere\.example"):
        client.call_body("nlp/Echo/1.0.0", b"1", timeout=1)
    assert len(web.requests) == 1


def test_a_truncated_answer_is_unreachable(client: Client, web) -> None:
    """An answer shorter than it announced is no answer."""
    web.answer = lambda _: (200, {"Content-Length": "500"}, b'{"result": 1')
    with pytest.raises(errors.Unreachable, match="cut off"):
        client.call_body("nlp/Echo/1.0.0", b"1", timeout=1)


def test_a_dropped_call_is_not_repeated(client: Client, web) -> None:
    """A call may have run although its answer is missing, so the client does not send it again."""
    web.answer = lambda _: None
    with pytest.raises(errors.Unreachable):
        client.call_body("nlp/Echo/1.0.0", b"1", timeout=1)
    assert len(web.requests) == 1


def test_a_read_on_a_closed_kept_connection_is_repeated(client: Client, web) -> None:
    """A GET whose kept connection was closed under it is sent once more."""
    answers = iter([None, (200, {}, b'{"files": []}')])
    web.answer = lambda _: next(answers)
    assert list(client.data.files("data://acme/x")) == []
    assert len(web.requests) == 2


def test_nobody_there_is_unreachable() -> None:
    """A refused connection says the address and where it was found."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(errors.Unreachable, match=address) as caught:
            Client(Connection(address, "k", "the flag")).call("a/B/1.0.0", "x")
    assert "the flag" in caught.value.hint
    assert caught.value.retryable


def test_a_success_that_is_no_answer_is_a_server_fault(client: Client, web) -> None:
    """200 with something else than an envelope hints at a wrong address."""
    for body in (b"<html>", b"[]", b'{"result": 1}', b"{}"):
        web.say(200, body)
        with pytest.raises(errors.ServerFault):
            client.call("nlp/Echo/1.0.0", "x")


@pytest.mark.parametrize(
    "text", ["Echo", "nlp/", "nlp/Echo/1.0/2", "", "nlp/E cho", "../x/y", "nlp/Echo?x=1"]
)
def test_a_reference_that_is_none_is_refused(client: Client, text: str) -> None:
    """What is not owner/name[/version] never becomes a request."""
    with pytest.raises(errors.UsageError):
        client.call(text, "x")


def test_references_are_read_in_every_spelling() -> None:
    """`algo://` and a leading slash are taken off."""
    for text in ("nlp/Echo/1.0.*", "/nlp/Echo/1.0.*", "algo://nlp/Echo/1.0.*"):
        assert Reference.parse(text) == Reference("nlp", "Echo", "1.0.*")


@pytest.mark.parametrize("timeout", [0, 3001])
def test_an_impossible_timeout_is_refused(client: Client, timeout: float) -> None:
    """The platform grants 1 to 3000 seconds."""
    with pytest.raises(errors.UsageError):
        client.call("nlp/Echo/1.0.0", "x", timeout=timeout)


def test_a_value_that_is_not_json_is_refused(client: Client) -> None:
    """NaN is no JSON."""
    with pytest.raises(errors.UsageError):
        client.call("nlp/Echo/1.0.0", [float("nan")])


def test_many_threads_share_one_client(client: Client, web) -> None:
    """Answers reach the thread that asked, more threads than pooled connections included."""
    gate: Callable[[], int] = threading.Barrier(16, timeout=60).wait

    def answer(request):
        gate()
        return 200, {}, envelope(json.loads(request.body))

    web.answer = answer
    with ThreadPoolExecutor(16) as threads:
        results = threads.map(lambda n: client.call("nlp/Echo/1.0.0", n).result, range(64))
        assert list(results) == list(range(64))

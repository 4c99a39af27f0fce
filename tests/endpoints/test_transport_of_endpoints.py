"""How requests reach an endpoint: bodies that are no JSON, compression, proxies, authorities, waits, keys."""

from __future__ import annotations

import gzip
import json
import ssl
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from model import ModelServer, Reply


def test_bytes_and_text_are_sent_as_they_are(model, build):
    """An image goes as bytes, rows of CSV as lines; the answer is read as the spec says."""
    model.answer = lambda request: Reply(b"cat" if request.body == b"\xff\xd8jpeg" else b"1\n2\n3\n")
    image = "endpoint: URL\ncontent_type: image/jpeg\nanswer: text"
    answered = build(image).batch([{"$binary": "/9hqcGVn"}, {"no": "image"}])["$results"]
    assert answered[0] == "cat" and answered[1]["$error"]["type"] == "InputError"
    table = """
endpoint: URL
content_type: text/csv
request: {$each: "${item.age},${item.bmi}"}
answer: lines
result: $[*]
batch_size: 10
"""
    assert build(table).call([{"age": 1, "bmi": 2.5}] * 3) == ["1", "2", "3"]
    assert model.requests[-1].body == b"1,2.5\n" * 3
    assert model.requests[-1].headers["Content-Type"] == "text/csv"
    assert build("endpoint: URL\nanswer: binary").batch([1])["$results"] == [{"$binary": "MQoyCjMK"}]


def test_bytes_inside_json_are_base64(model, build):
    """Bytes in a JSON request are written as base64, as KServe's `b64` wants them."""
    wrapper = build(
        "endpoint: URL\nrequest: {instances: {$each: {image: {b64: $item}}}}\nresult: '$.instances[*]'"
    )
    assert wrapper.batch([{"$binary": "/9g="}])["$results"] == [{"image": {"b64": "/9g="}}]


def test_requests_and_answers_are_compressed(model, build):
    """With gzip the body is compressed and a compressed answer asked for."""

    def answer(request: Any) -> Reply:
        assert request.headers["Accept-Encoding"] == "gzip"
        return Reply(gzip.compress(gzip.decompress(request.body)), Content_Encoding="gzip")

    model.answer = answer
    assert build("endpoint: URL\ngzip: true").call({"a": "b" * 1000}) == {"a": "b" * 1000}
    assert len(model.requests[0].body) < 100


def test_a_request_that_is_too_large_is_refused_unsent(model, build):
    """A request over limits.request_bytes is that item's error, and costs no call."""
    wrapper = build("endpoint: URL", limits="{request_bytes: 1000}")
    answered = wrapper.batch(["x" * 2000, "y"])["$results"]
    assert answered[0]["$error"]["type"] == "TooLargeError" and answered[1] == "y"
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"retry_after_ms": "250"}, 0.25),
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "1m30s"}, 90.0),
        ({"x_ratelimit_remaining_requests": "5", "x_ratelimit_reset_requests": "9s"}, None),
        ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "120ms"}, 0.12),
        ({"Retry_After": "soon"}, None),
    ],
)
def test_a_429_says_how_long_to_wait(model, build, headers, seconds):
    """Retry-After and the usual rate-limit headers are heard; the wait is no attempt."""
    model.answer = lambda request: (
        Reply("slow down", 429, **headers) if len(model.requests) == 1 else Reply(request.json)
    )
    wrapper = build("endpoint: URL")
    waits: list[float] = []
    failures: list[Any] = []
    target = wrapper.state.target
    send = target.call

    def call(item: Any, left: float) -> Any:
        try:
            return send(item, left)
        except Exception as failure:
            failures.append(failure)
            failure.retry_after, waited = 0.0, failure.retry_after
            waits.append(waited)
            raise

    target.call = call
    answered = wrapper.batch(["x"])
    assert answered["$results"] == ["x"] and answered["$summary"]["attempts"] == 1
    assert waits == [seconds] and failures[0].effect == "throttled"


def test_redirects_are_refused(model, build):
    """A redirect is not followed, as the credentials would go along; the message says where it leads."""
    model.answer = lambda request: Reply("", 308, Location="https://elsewhere.example/x")
    (answered,) = build("endpoint: URL").batch([1])["$results"]
    assert "https://elsewhere.example/x" in answered["$error"]["message"]
    assert len(model.requests) == 1


RULES = """
endpoint: URL
result: $.score
errors:
  - {status: [418, 451], means: final, type: TeapotError, message: $.why}
  - {status: 500, path: $.code, value: [OOM, GPU], means: stop, type: OutOfMemory}
  - {status: 200, path: $.error.code, value: 17, means: retryable}
  - {status: 200, path: $.error, status_in: $.error.status, message: $.error.text, means: final}
  - {status: 400, path: $.loading, means: busy}
"""


@pytest.mark.parametrize(
    ("reply", "error_type", "retryable", "stops"),
    [
        (Reply({"why": "short and stout"}, 451), "TeapotError", False, False),
        (Reply({"code": "GPU"}, 500), "OutOfMemory", True, True),
        (Reply({"code": "other"}, 500), "ServerError", True, False),
        (Reply({"error": {"code": 17}}), "ServerError", True, False),
        (Reply({"error": {"status": 422, "text": "too long"}}), "InputError", False, False),
        (Reply({"error": {"status": 401, "text": "who"}}), "AuthenticationError", True, True),
        (Reply({"error": {"text": "odd"}}), "AlgorithmError", False, False),
    ],
)
def test_what_a_server_does_in_its_own_way(model, build, reply, error_type, retryable, stops):
    """`errors` maps status, path and value to retryable, busy, final or stop, and finds a hidden status."""
    model.answer = lambda request: reply
    answered = build(RULES, dispatch="{attempts: 1}").batch([{"x": 1}])
    (found,) = answered["$results"]
    assert (found["$error"]["type"], found["$error"]["retryable"]) == (error_type, retryable)
    assert (answered["$summary"]["stopped"] is not None) is stops


def test_a_server_that_is_loading_is_waited_for(model, build):
    """`busy` is waited out like 429."""
    replies = [Reply({"loading": True}, 400, Retry_After="0")] * 3
    model.answer = lambda request: replies.pop() if replies else Reply({"score": 2})
    answered = build(RULES).batch([{"x": 1}])
    assert answered["$results"] == [2] and answered["$summary"]["throttled"] in (0, 3)


@pytest.mark.parametrize("size", [1, 5])
def test_a_key_is_the_same_for_every_attempt_of_a_run(model, build, size):
    """A server that honours Idempotency-Key computes once what is asked again after a lost answer."""
    known: dict[str, Any] = {}
    computed: list[Any] = []
    lost = threading.Event()

    def answer(request: Any) -> Reply:
        key = request.headers["Idempotency-Key"]
        if key not in known:
            computed.extend(request.json if isinstance(request.json, list) else [request.json])
            known[key] = request.json
            if not lost.is_set() and len(known) % 2:
                return Reply(drop=True)
        return Reply(known[key])

    model.answer = answer
    target = f"endpoint: URL\nheaders: {{Idempotency-Key: $call.key}}\nbatch_size: {size}"
    items = [{"n": n} for n in range(20)]
    first, second = build(target), build(target)  # the process that is killed, and the one that resumes
    run = {"$run": "r1", "$ids": [f"{n}" for n in range(20)]}
    assert first.batch(items, **run)["$results"] == items
    assert second.batch(items, **run, **{"$try": 2})["$results"] == items
    assert sorted(one["n"] for one in computed) == list(range(20))
    lost.set()
    second.batch(items, **{**run, "$run": "r2"})
    second.batch(items)
    second.batch(items)
    assert len(computed) == 80  # other runs, and calls without one, are none of its attempts


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """An authority of one's own, a server's certificate and a client's."""
    folder = tmp_path_factory.mktemp("certificates")
    made = SimpleNamespace(folder=folder, ca=folder / "ca.pem")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=own")
    for name in ("server", "client"):
        (folder / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1")
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
        openssl(
            "x509", "-req", "-in", f"{name}.csr", *signed, "-extfile", f"{name}.ext", "-out", f"{name}.pem"
        )
    return made


def test_an_own_authority_and_a_client_certificate(build, certificates, tmp_path):
    """A server of an own authority that wants a client's certificate is reached with both, and only so."""
    folder = certificates.folder
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(certificates.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with ModelServer() as server:
        server.use_tls(context)
        start = f"endpoint: {server.url}\n"
        own = f"ca: {certificates.ca}"
        client = f"certificate: {folder / 'client.pem'}, key: {folder / 'client.key'}"
        assert build(start + f"tls: {{{own}, {client}}}").call(5) == 5
        limits = {"limits": "{timeout: 1}", "dispatch": "{item_timeout: 1}"}
        stranger = build(start + f"tls: {{{client}}}", **limits).batch([5])
        assert stranger["$summary"]["stopped"]["type"] == "ConnectionError"
        with pytest.raises(ValueError, match=r"target\.tls"):
            build(start + "tls: {ca: /nowhere.pem}")


def test_proxies_follow_the_rules_of_requests(monkeypatch):
    """A proxy for each scheme or for all; NO_PROXY by name, domain, port, address, network or `*`."""
    import importlib.util
    import sys

    import requests

    source = Path(__file__).parents[2] / "templates/algorithm/src/runtime"
    spec = importlib.util.spec_from_file_location(
        "endpoint_runtime", source / "__init__.py", submodule_search_locations=[str(source)]
    )
    sys.modules["endpoint_runtime"] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    from urllib.parse import urlsplit

    from endpoint_runtime import network

    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("https_proxy", "http://user:pw@proxy.example:3128")
    monkeypatch.setenv("all_proxy", "http://other.example:1")
    addresses = [
        "https://api.acme.internal/x",
        "http://api.acme.internal:8000",
        "https://10.1.2.3",
        "https://192.168.7.9:8443",
    ]
    for listed in (
        "",
        "acme.internal",
        ".acme.internal",
        "api.acme.internal:8000",
        "10.0.0.0/8",
        "other",
    ):
        monkeypatch.setenv("no_proxy", f"unrelated.example, {listed}, 192.168.7.9")
        for address in addresses:
            expected = requests.utils.select_proxy(address, requests.utils.get_environ_proxies(address))
            assert network.proxy_of(urlsplit(address)) == (expected or ""), (listed, address)
    monkeypatch.setenv("no_proxy", "*")
    assert network.proxy_of(urlsplit(addresses[0])) == ""
    monkeypatch.delenv("no_proxy")
    server = network.server_of("https://api.example", None)
    assert server.proxy_headers == {"Proxy-Authorization": "Basic dXNlcjpwdw=="}
    monkeypatch.setenv("https_proxy", "socks5://proxy.example:1080")
    with pytest.raises(ValueError, match=r"http://HOST:PORT"):
        network.server_of("https://api.example", None)


def test_a_header_can_not_break_a_request_up(model, build):
    """What an item puts into a header is one line of text, or the item's error."""
    model.answer = lambda request: Reply(request.headers["X-Tenant"])
    wrapper = build("endpoint: URL\nrequest: {a: 1}\nheaders: {X-Tenant: $item.tenant}")
    good, bad = wrapper.batch([{"tenant": "acme"}, {"tenant": "a\r\nX-Admin: 1"}])["$results"]
    assert good == "acme" and bad["$error"]["type"] == "InputError"
    assert json.loads(json.dumps(bad["$error"]["attempts"])) == 0

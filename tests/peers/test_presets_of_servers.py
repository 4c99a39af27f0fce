"""Presets against servers: a single item, a list, an error, a retry, a stop, a credential that expires.

Each case runs against the server's stand-in, and against the real server where `make peers` installed it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from model import wrapper_of
from stand_in_servers import Answer, Asked, forward, stand_in

NUMBERS = count()


def scored(text: str) -> dict[str, Any]:
    """What the model says of a text."""
    return {"label": "long" if len(text) > 12 else "short", "score": len(text) / 100}


@dataclass(frozen=True)
class Case:
    """A preset and a server.

    Args:
        preset: its name, and the form of it.
        server: a name of `real_servers`.
        target: the spec's target, with URL for the server's address.
        item: a text as an item.
        result: what the target's result of a text is.
        waits: whether the server can say that it is busy.
    """

    preset: str
    server: str
    target: str
    item: Callable[[str], Any] = lambda text: {"text": text}
    result: Callable[[str], Any] = scored
    waits: bool = True


COLUMNS = "columns: {text: $item.text}"
CASES = [
    Case("json", "fastapi", "endpoint: URL/one\nprotocol: json"),
    Case(
        "json, columns",
        "fastapi",
        "endpoint: URL/predict?version=2\nprotocol: json\nbatch_size: 4\n"
        'request: {texts: "$items[*].text", lang: en}\n'
        'result: {label: "$.labels[*]", score: "$.scores[*]"}\nitem_error: $.errors[*]',
    ),
    Case(
        "json, list",
        "bentoml",
        "endpoint: URL/many\nprotocol: json\nbatch_size: 4\n"
        'request: {texts: "$items[*].text"}\nresult: "$[*]"',
    ),
    Case(
        "kserve-v1",
        "kserve",
        "endpoint: URL\nprotocol: kserve-v1\nmodel: {name: sentiment}\nbatch_size: 4",
        item=str,
    ),
    Case(
        "open-inference",
        "mlserver",
        'endpoint: URL\nprotocol: open-inference\nmodel: {name: sentiment, version: "3"}\nbatch_size: 4\n'
        "inputs: [{name: text, datatype: BYTES, shape: [-1], value: $item.text, parameters: {content_type: str}}]\n"
        "result: {output: scores, parse: json}",
    ),
    Case(
        "mlflow, dataframe_split",
        "mlflow",
        f"endpoint: URL\nprotocol: mlflow\nformat: dataframe_split\n{COLUMNS}\nparams: {{bonus: 1.0}}\nbatch_size: 4",
        result=lambda text: {**scored(text), "score": scored(text)["score"] + 1.0},
        waits=False,
    ),
    Case(
        "mlflow, dataframe_records",
        "mlflow",
        "endpoint: URL\nprotocol: mlflow\nformat: dataframe_records\nbatch_size: 4",
        waits=False,
    ),
    Case(
        "mlflow, instances",
        "mlflow",
        "endpoint: URL\nprotocol: mlflow\nformat: instances\nbatch_size: 4",
        item=str,
        waits=False,
    ),
    Case(
        "openai-embeddings",
        "litserve",
        "endpoint: URL/v1\nprotocol: openai-embeddings\nmodel: lengths\nbatch_size: 4",
        item=str,
        result=lambda text: [len(text) / 100, float(len(text))],
    ),
]
CHAT = (
    'endpoint: URL/v1\nprotocol: openai-chat\nmodel: NAME\nrequest: {messages: [{role: user, content: "${item.text}"}], '
    "max_tokens: 50}\nauth: {bearer_env: PEERS_KEY}\nprice: {input: 1.0, output: 2.0}"
)

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.preset}-{case.server}")
kinds = pytest.mark.parametrize("kind", ["stand-in", "real"])


@pytest.fixture
def build(tmp_path: Path, address: Callable[[str, str], str]) -> Callable[..., Any]:
    """Builds and loads the wrapper of a case."""

    def made(case: Case, kind: str, where: str = "", more: str = "") -> Any:
        url = where or address(case.server, kind)
        return wrapper_of(tmp_path, f"{case.target.replace('URL', url)}\n{more}", {}, {})

    return made


@cases
@kinds
def test_single_and_list(build, case, kind):
    """One item, and a batch of ten in lists of four: each result in its place."""
    wrapper = build(case, kind)
    assert wrapper.call(case.item("fine")) == pytest.approx(case.result("fine"))
    texts = [f"text {'x' * number}" for number in range(10)]
    answered = wrapper.batch([case.item(text) for text in texts])["$results"]
    for text, found in zip(texts, answered, strict=True):
        assert found == pytest.approx(case.result(text))


@cases
@kinds
def test_error(build, case, kind):
    """A text that the model refuses, and one that it fails on, fail alone; the others have results."""
    texts = ["a", "poison", "b", "c", "crash", "d"]
    answered = build(case, kind).batch([case.item(text) for text in texts])["$results"]
    failed = {text: one["$error"] for text, one in zip(texts, answered, strict=True) if "$error" in one}
    assert set(failed) == {"poison", "crash"}
    assert failed["poison"]["retryable"] is False
    assert failed["crash"]["attempts"] >= 1


@cases
@kinds
def test_retry(build, case, kind):
    """A server that is busy once is waited for, which is no attempt; MLflow says 400, which is final."""
    text = f"busy {1 if case.waits else 99} {kind} {next(NUMBERS)}"
    answered = build(case, kind).batch([case.item(text), case.item("fine")])
    busy, fine = answered["$results"]
    assert fine == pytest.approx(case.result("fine"))
    if case.waits:
        assert busy == pytest.approx(case.result(text))
        assert answered["$summary"]["throttled"] == 1
    else:
        assert busy["$error"]["retryable"] is False


@contextmanager
def guarded(behind: str, token: Callable[[], str], bearer: str = "") -> Iterator[str]:
    """A gateway before a server that wants a bearer token, as there is one before each model in a cluster."""
    to = forward(behind, bearer)

    def handler(asked: Asked) -> Answer | None:
        if asked.headers.get("Authorization") != f"Bearer {token()}":
            return Answer(401, {"message": "token is expired"})
        return to(asked)

    with stand_in(handler) as address:
        yield address


@cases
@kinds
def test_stop_and_expiring_credential(build, address, case, kind, tmp_path):
    """A token that expired is read again once; one that stays refused stops the call, and items keep their attempts."""
    file, good = tmp_path / "token", ["one"]
    file.write_text("one\n")
    with guarded(address(case.server, kind), lambda: good[0]) as where:
        wrapper = build(case, kind, where, f"auth: {{bearer_file: {file}}}")
        items, expected = [case.item("a"), case.item("b")], [case.result("a"), case.result("b")]
        assert wrapper.batch(items)["$results"] == list(map(pytest.approx, expected))
        good[0] = "two"
        file.write_text("two\n")
        answered = wrapper.batch(items)
        assert answered["$results"] == list(map(pytest.approx, expected)), "the file was read again"
        good[0] = "three"
        answered = wrapper.batch(items)
        assert answered["$summary"]["stopped"]["type"] == "AuthenticationError"
        errors = [one["$error"] for one in answered["$results"]]
        assert all(error["retryable"] and not error["attempts"] for error in errors)
        assert "two" not in json.dumps(answered)


NGINX = {
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}


def nginx_page(status: int) -> Answer:
    """What nginx says for a server behind it, as it was recorded."""
    title = NGINX[status]
    text = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status, text.encode(), (("content-type", "text/html"),))


@pytest.mark.parametrize(("status", "attempts", "throttled"), [(502, 1, 0), (503, 0, 1), (504, 1, 0)])
def test_pages_of_a_gateway(tmp_path, status, attempts, throttled):
    """A page of nginx before the answer: 503 is waited out, 502 and 504 are attempts that are made again."""
    pages = [nginx_page(status)]

    def handler(asked: Asked) -> Answer:
        return pages.pop() if pages else Answer(200, scored(asked.value["text"]))

    with stand_in(handler) as url:
        wrapper = wrapper_of(tmp_path, f"endpoint: {url}/one\nprotocol: json", {}, {})
        answered = wrapper.batch([{"text": "fine"}])
    assert answered["$results"] == [scored("fine")]
    assert answered["$summary"]["throttled"] == throttled
    assert dict(answered["$summary"].get("retried") or []) == ({0: attempts + 1} if attempts else {})


@kinds
def test_openai_chat_on_litellm(address, tmp_path, monkeypatch, kind):
    """LiteLLM's proxy: a result with its tokens and cost, errors of the model, a 429, and a key that it refuses."""
    monkeypatch.setenv("PEERS_KEY", "sk-peers")
    url = address("litellm", kind)

    def wrapper(model):
        return wrapper_of(tmp_path, CHAT.replace("URL", url).replace("NAME", model), {}, {})

    answered = wrapper("mock").batch([{"text": "hi"}, {"text": "ho"}])
    assert answered["$results"] == ['{"label": "short"}'] * 2
    summary = answered["$summary"]
    tokens_in, tokens_out = summary["tokens_in"], summary["tokens_out"]
    assert summary["cost"] == pytest.approx((tokens_in + 2 * tokens_out) / 1e6)
    (long,) = wrapper("long").batch([{"text": "hi"}])["$results"]
    assert long["$error"]["retryable"] is False
    (failing,) = wrapper("failing").batch([{"text": "hi"}])["$results"]
    assert (failing["$error"]["retryable"], failing["$error"]["attempts"]) == (True, 3)
    limited = wrapper("limited").batch([{"text": "hi"}], **{"$timeout": 2})
    assert limited["$summary"]["throttled"] >= 1
    assert limited["$results"][0]["$error"]["retryable"] is True
    monkeypatch.setenv("PEERS_KEY", "sk-wrong")
    refused = wrapper("mock").batch([{"text": "hi"}, {"text": "ho"}])
    assert refused["$summary"]["stopped"]["type"] == "AuthenticationError"
    assert "sk-wrong" not in json.dumps(refused)


@kinds
def test_a_token_of_a_chat_that_expires(address, tmp_path, kind):
    """A gateway before LiteLLM's proxy: a token that expired is read again once, one that stays refused stops."""
    file, good = tmp_path / "token", ["one"]
    file.write_text("one\n")
    with guarded(address("litellm", kind), lambda: good[0], "sk-peers") as where:
        target = CHAT.replace("bearer_env: PEERS_KEY", f"bearer_file: {file}")
        wrapper = wrapper_of(tmp_path, target.replace("URL", where).replace("NAME", "mock"), {}, {})
        for token in ("one", "two"):
            good[0] = token
            file.write_text(token)
            assert wrapper.batch([{"text": "a"}] * 2)["$results"] == ['{"label": "short"}'] * 2
        good[0] = "three"
        answered = wrapper.batch([{"text": "a"}] * 2)
    assert answered["$summary"]["stopped"]["type"] == "AuthenticationError"
    assert [one["$error"]["attempts"] for one in answered["$results"]] == [0, 0]
    assert "two" not in json.dumps(answered)

"""A stand-in answers as the server that it stands in for: the same requests, put to both."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

import pytest


def v2(*texts):
    """A request of the Open Inference Protocol."""
    return {"inputs": [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}]}


def chat(model):
    """A request of OpenAI's protocol."""
    return {"model": model, "messages": [{"role": "user", "content": "hi"}]}


INFER, PREDICT, CHAT = "/v2/models/sentiment/infer", "/v1/models/sentiment:predict", "/v1/chat/completions"
KEY = {"Authorization": "Bearer sk-peers"}
REFUSED = r"not a text to score: 'poison'"
A = '{"label": "short", "score": 0.01}'
REQUESTS = [
    (
        "litserve",
        "/v1/embeddings",
        {"model": "m", "input": ["a", "bc"]},
        {},
        200,
        r'"embedding": \[0.02, 2.0\].*"usage": {"prompt_tokens": 6, "total_tokens": 6}',
    ),
    (
        "litserve",
        "/v1/embeddings",
        {"model": "m", "input": ["poison"]},
        {},
        400,
        rf'^{{"detail": "{REFUSED}"}}$',
    ),
    (
        "litserve",
        "/v1/embeddings",
        {"model": "m", "input": ["crash"]},
        {},
        500,
        r'^{"detail": "Internal Server Error"}$',
    ),
    (
        "mlserver",
        INFER,
        v2("a", "b"),
        {},
        200,
        r'"model_version": "3".*"shape": \[2, 1\].*"data": \["short", "short"\]',
    ),
    ("mlserver", INFER, v2("a", "poison"), {}, 400, rf'^{{"error": "{REFUSED}"}}$'),
    ("mlserver", INFER, v2("crash"), {}, 500, r"^Internal Server Error$"),
    ("mlserver", INFER, v2("busy 1 a"), {}, 503, r'^{"error": "try again"}$'),
    ("mlserver", "/v2/models/other/infer", v2("a"), {}, 404, r'^{"error": "Model other not found"}$'),
    (
        "mlserver",
        INFER,
        {"inputs": 5},
        {},
        422,
        r'^{"detail": \[{"type": "list_type", "loc": \["body", "inputs"\]',
    ),
    ("kserve", PREDICT, {"instances": ["a"]}, {}, 200, rf'^{{"predictions": \[{A}\]}}$'),
    ("kserve", PREDICT, {"instances": ["a", "poison"]}, {}, 400, rf'^{{"error": "{REFUSED}"}}$'),
    (
        "kserve",
        PREDICT,
        {"instances": ["crash"]},
        {},
        500,
        r'^{"error": "ZeroDivisionError : division by zero"}$',
    ),
    ("kserve", PREDICT, {"instances": ["busy 1 b"]}, {}, 503, r'^{"detail": "try again"}$'),
    (
        "kserve",
        "/v1/models/other:predict",
        {"instances": ["a"]},
        {},
        404,
        r"Model with name other does not exist",
    ),
    ("kserve", PREDICT, {"x": 1}, {}, 500, r"""^{"error": "KeyError : 'instances'"}$"""),
    (
        "mlflow",
        "/invocations",
        {"dataframe_records": [{"text": "a"}]},
        {},
        200,
        rf'^{{"predictions": \[{A}\]}}$',
    ),
    (
        "mlflow",
        "/invocations",
        {"dataframe_split": {"columns": ["text"], "data": [["a"]]}, "params": {"bonus": 1.0}},
        {},
        200,
        r'"score": 1.01',
    ),
    ("mlflow", "/invocations", {"instances": ["a"]}, {}, 200, rf'^{{"predictions": \[{A}\]}}$'),
    (
        "mlflow",
        "/invocations",
        {"instances": ["crash"]},
        {},
        400,
        r'^{"error_code": "BAD_REQUEST".*unexpected error',
    ),
    (
        "mlflow",
        "/invocations",
        {"dataframe_records": [{"x": "a"}]},
        {},
        400,
        r"INVALID_PARAMETER_VALUE.*missing inputs",
    ),
    ("bentoml", "/many", {"texts": ["a"]}, {}, 200, rf"^\[{A}\]$"),
    ("bentoml", "/one", {"text": "a"}, {}, 200, rf"^{A}$"),
    ("bentoml", "/many", {"texts": ["a", "poison"]}, {}, 400, rf'^\[{{"error": "{REFUSED}"}}\]$'),
    ("bentoml", "/one", {"text": "poison"}, {}, 400, rf'^\[{{"error": "{REFUSED}"}}\]$'),
    ("bentoml", "/one", {"text": "crash"}, {}, 500, r'^{"error": "An unexpected error has occurred'),
    ("bentoml", "/one", {"text": "busy 1 c"}, {}, 503, r'^{"error": "An unexpected error has occurred'),
    (
        "fastapi",
        "/predict?version=2",
        {"texts": ["a", "poison"]},
        {},
        200,
        r'"labels": \["short", null\].*"errors": \[null, {"type".*"version": 2',
    ),
    ("fastapi", "/one", {"text": "poison"}, {}, 422, rf'^{{"detail": "{REFUSED}"}}$'),
    ("fastapi", "/one", {"text": "crash"}, {}, 500, r"^Internal Server Error$"),
    ("fastapi", "/one", {"text": "busy 1 d"}, {}, 503, r'^{"detail": "try again"}$'),
    ("litellm", CHAT, chat("mock"), KEY, 200, r'"finish_reason": "stop".*"prompt_tokens": 10'),
    ("litellm", CHAT, chat("mock"), {}, 500, r"^Internal Server Error$"),
    (
        "litellm",
        CHAT,
        chat("mock"),
        {"Authorization": "Bearer no"},
        400,
        r'"type": "no_db_connection".*"code": "400"',
    ),
    ("litellm", CHAT, chat("other"), KEY, 400, r"Invalid model name.*invalid_request_error"),
    ("litellm", CHAT, chat("limited"), KEY, 429, r'"type": "throttling_error".*"code": "429"'),
    ("litellm", CHAT, chat("failing"), KEY, 500, r'"type": "internal_server_error".*"code": "500"'),
    ("litellm", CHAT, chat("long"), KEY, 400, r"ContextWindowExceededError"),
]


@pytest.mark.parametrize("kind", ["stand-in", "real"])
@pytest.mark.parametrize("name", sorted({row[0] for row in REQUESTS}))
def test_stand_in_and_server_answer_alike(address, name, kind):
    """Statuses and bodies are those that were recorded, of the stand-in and of the server."""
    where = address(name, kind)
    for _, path, body, headers, status, pattern in (row for row in REQUESTS if row[0] == name):
        got, text = answer(where + path, body, headers)
        assert (got, bool(re.search(pattern, text))) == (status, True), f"{path} {body}: {got} {text}"


def answer(url, body, headers):
    """Status and text of an answer, JSON of which is written as Python does."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as found:
            status, text = found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.dumps(json.loads(text))
    except ValueError:
        return status, text

"""`init`, `doctor`, `check` and `run` of a model behind HTTP, with no platform anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import commands
import pytest

Pages = dict[str, Any]


class Server(ThreadingHTTPServer):
    """Answers GET with pages, and POST with a function of the request's JSON; may want a token.

    Attributes:
        version: what answers report as the version of the model.
    """

    daemon_threads = True
    version = "1"

    def __init__(self, pages: Pages, answer: Callable[[Any], Any], token: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.answer, self.token = pages, answer, token

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        if self.path in self.server.pages:
            self._send(200, self.server.pages[self.path])
        else:
            self._send(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._send(401, {"detail": "who are you"})
        else:
            self._send(200, self.server.answer(body))

    def _send(self, status: int, value: Any) -> None:
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(
    pages: Pages, answer: Callable[[Any], Any] = lambda body: body, token: str = ""
) -> Iterator[Server]:
    """A server for as long as the context is open."""
    with Server(pages, answer, token) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def wrapgen(tmp_path):
    """The command, in an empty folder, without a platform."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA")}
    variables = {**kept, "WRAPGEN_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return commands.run(*words, cwd=tmp_path, env={**variables, **more})

    return run


FASTAPI = {
    "/openapi.json": {
        "paths": {
            "/health": {"get": {}},
            "/predict": {
                "post": {
                    "requestBody": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}
                    }
                }
            },
        },
        "components": {
            "schemas": {
                "In": {
                    "type": "object",
                    "properties": {"text": {"type": "string"}, "lang": {"type": "string", "default": "en"}},
                    "required": ["text"],
                }
            }
        },
    }
}
V2 = {
    "/v2": {"name": "mlserver", "version": "1.7.1", "extensions": []},
    "/v2/models/iris": {
        "name": "iris",
        "versions": ["3"],
        "platform": "sklearn",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1]}],
    },
}


def infer(body: Any) -> Any:
    """An answer of the Open Inference Protocol: the length of each row."""
    data = body["inputs"][0]["data"]
    count = body["inputs"][0]["shape"][0]
    output = {"name": "y", "datatype": "INT64", "shape": [count], "data": [len(data) // count] * count}
    return {"model_name": "iris", "model_version": "3", "outputs": [output]}


def chat(body: Any) -> Any:
    """An answer of a chat model."""
    message = {"role": "assistant", "content": body["messages"][-1]["content"].upper()}
    return {"model": body["model"], "choices": [{"message": message, "finish_reason": "stop"}]}


def embed(body: Any) -> Any:
    """An answer of a model of embeddings."""
    return {"data": [{"index": n, "embedding": [len(text)]} for n, text in enumerate(body["input"])]}


KINDS = {
    "fastapi": (FASTAPI, lambda body: {"label": body["text"].upper()}, "", "json", {"text": "hi"}),
    "open-inference": (V2, infer, "/v2/models/iris", "open-inference", {"x": [1.0, 2.0, 3.0, 4.0]}),
    "mlflow": (
        {"/version": "3.17.2"},
        lambda body: {"predictions": [row["age"] for row in body["dataframe_records"]]},
        "/invocations",
        "mlflow",
        {"age": 5},
    ),
    "openai": (
        {"/v1/models": {"object": "list", "data": [{"id": "qwen3-32b"}, {"id": "other"}]}},
        chat,
        "/v1",
        "openai-chat",
        {"text": "hi"},
    ),
    "embeddings": (
        {"/v1/models": {"object": "list", "data": [{"id": "e5"}]}},
        embed,
        "/v1/embeddings",
        "openai-embeddings",
        "hi",
    ),
    "bentoml": (
        {"/docs.json": FASTAPI["/openapi.json"]},
        lambda body: {"label": body["text"].upper()},
        "/predict",
        "json",
        {"text": "hi"},
    ),
    "kserve of both protocols": (
        {**V2, "/v1/models": {"models": ["iris"]}},
        lambda body: {"predictions": [1 for _ in body["instances"]]},
        "/v1/models/iris:predict",
        "kserve-v1",
        {"x": 1},
    ),
    "kserve": (
        {"/v1/models": {"models": ["flowers"]}},
        lambda body: {"predictions": [1 for _ in body["instances"]]},
        "",
        "kserve-v1",
        {"x": 1},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_init_asks_the_server_and_writes_a_spec_that_runs(wrapgen, tmp_path, kind):
    """The protocol, the model and the inputs are found; nothing is edited before the run."""
    pages, answer, path, protocol, item = KINDS[kind]
    with serving(pages, answer) as server:
        made = wrapgen("init", "--endpoint", server.url + path, "--mode", "batch", "--json")
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["target"]["protocol"] == protocol
        (tmp_path / "in.jsonl").write_text(json.dumps(item) + "\n")
        ran = wrapgen("run", "spec.yaml", "in.jsonl", "-o", "out.jsonl")
        assert ran.returncode == 0, ran.stdout + ran.stderr + (tmp_path / "out.jsonl").read_text()


def test_init_says_what_it_can_not_find(wrapgen, tmp_path):
    """A server that tells nothing gets a spec to complete; none at all is an error that says so."""
    with serving({}) as server:
        made = wrapgen("init", "--endpoint", server.url + "/score")
        assert made.returncode == 0 and "does not say what it is" in made.stdout
        assert wrapgen("check", "spec.yaml").returncode == 0
        gone = server.url
    refused = wrapgen("init", "--endpoint", gone, "other.yaml")
    assert refused.returncode == 5 and "can't be reached" in refused.stderr
    assert not (tmp_path / "other.yaml").exists()
    assert wrapgen("init", "--endpoint", "not a url", "other.yaml").returncode == 2


SPEC = """
version: 1
target: {{endpoint: {url}/predict, protocol: json, auth: {{bearer_env: MODEL_KEY}}}}
wrapper: {{name: acme/Scores, mode: both}}
datastore: {{url: ./records}}
publish: {{examples: [{{text: hi}}]}}
"""


def test_doctor_tries_server_credentials_records_and_one_item(wrapgen, tmp_path):
    """Right, with a wrong key, without a key, and with no server: each is a line that says what to do."""
    with serving(FASTAPI, lambda body: body, "secret") as server:
        (tmp_path / "spec.yaml").write_text(SPEC.format(url=server.url))
        right = wrapgen("doctor", "spec.yaml", MODEL_KEY="secret")
        assert right.returncode == 0, right.stdout + right.stderr
        assert all(
            words in right.stdout for words in ("server", "credentials", "records", "has a result after")
        )
        wrong = wrapgen("doctor", "spec.yaml", MODEL_KEY="guess")
        assert wrong.returncode == 1 and "AuthenticationError" in wrong.stdout
        assert "guess" not in wrong.stdout
        missing = wrapgen("doctor", "spec.yaml")
        assert missing.returncode == 1 and "MODEL_KEY is not set" in missing.stdout
    gone = wrapgen("doctor", "spec.yaml", MODEL_KEY="secret")
    assert gone.returncode == 1 and "can't be reached" in gone.stdout


PINNED = """
version: 1
target:
  endpoint: {url}/v1
  protocol: openai-chat
  model: m
  request: {{messages: [{{role: user, content: $item}}]}}
wrapper: {{name: acme/Chat, mode: both}}
datastore: {{url: ./records}}
dispatch: {{parallel: 1}}
"""


def test_a_version_that_changes_is_reported_and_pin_refuses_it(wrapgen, tmp_path):
    """The server is updated after 40 answers: with --pin no answer of the new version becomes an outcome."""
    answered: list[str] = []

    def chat_of_two(body: Any) -> Any:
        answered.append("v1" if len(answered) < 40 else version[0])
        return {**chat(body), "model": answered[-1]}

    version = ["v2"]
    (tmp_path / "in.jsonl").write_text("".join(f'"text {n}"\n' for n in range(60)))
    with serving({}, chat_of_two) as server:
        (tmp_path / "spec.yaml").write_text(PINNED.format(url=server.url))
        run = ("run", "spec.yaml", "in.jsonl", "-o", "out.jsonl", "--chunk", "10")
        pinned = wrapgen(*run, "--pin")
        assert pinned.returncode == 12, pinned.stdout + pinned.stderr
        assert "reports version v2, and this run began with v1" in pinned.stdout
        assert wrapgen(*run, "--pin").returncode == 12, "another session knows the version too"
        version[0] = "v1"
        done = wrapgen(*run, "--pin")
        assert done.returncode == 0, done.stdout + done.stderr
        assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 60
        del answered[:]
        version[0] = "v2"
        told = wrapgen(*run[:3], "-o", "other.jsonl", "--chunk", "10", "--run", "told")
        assert told.returncode == 0 and "v1 (40), v2 (20): it changed during the run" in told.stdout
        recorded = wrapgen("records", "spec.yaml", "--run", "told").stdout.splitlines()
        assert Counter(json.loads(line)["version"] for line in recorded) == {"v1": 40, "v2": 20}
        target = f"openai-chat:{server.url}/v1#m"
        assert {json.loads(line)["target"] for line in recorded} == {target}

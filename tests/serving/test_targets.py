"""Every kind of target is served: an endpoint, an algorithm of a platform, code that starts itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from served_wrapper import built, served

from wrapgen.records import open_records

ENDPOINT = """\
version: 1
target:
  endpoint: %s/score
  protocol: json
  auth: {bearer_env: MODEL_KEY}
wrapper: {name: acme/Scored, mode: both}
datastore: {url: "file://%s/records"}
"""
ALGORITHM = """\
version: 1
target: {algorithm: nlp/Sentiment/1.0.0}
wrapper: {name: acme/Called, mode: batch}
"""
VENDORS_WAY = """\
import Algorithmia

def apply(item, state):
    return [state["model"], item]

def load(_model_data):
    return {"model": "loaded"}

Algorithmia.ADK(apply, load).init("Algorithmia")
"""


@contextmanager
def server(answer: Callable[[str, str, Any], tuple[int, Any]]) -> Iterator[str]:
    """The address of a server that answers with a status and JSON by path, credentials and JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, content = answer(self.path, self.headers.get("Authorization", ""), value)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{found.server_address[1]}"
    finally:
        found.shutdown()
        thread.join()
        found.server_close()


def test_an_endpoint_is_served_with_its_own_credentials(tmp_path):
    """They come from the container's variables; a caller's token never gets to the endpoint."""

    def score(_path: str, key: str, value: Any) -> tuple[int, Any]:
        return (200, {"label": value["text"]}) if key == "Bearer model-key" else (401, {"error": "who?"})

    with server(score) as address:
        folder = built(tmp_path, ENDPOINT % (address, tmp_path))
        with served(folder, {"MODEL_KEY": "model-key"}) as right:
            answer = right.ask(body={"$batch": [{"text": "a"}], "$run": "r", "$ids": ["1"]}).json()
            assert answer["$results"] == [{"label": "a"}] and answer["$summary"]["recorded"] == 1
        with served(folder, {"MODEL_KEY": "other"}) as wrong:
            failed = wrong.ask(body={"text": "a"})
            assert failed.status == 502 and failed.json()["error"]["error_type"] == "AuthenticationError"
            stopped = wrong.ask(body={"$batch": [{"text": "a"}]}).json()["$summary"]["stopped"]
            assert stopped["type"] == "AuthenticationError"
            assert "other" not in wrong.log.read_text()
    with open_records(None, f"file://{tmp_path}/records") as collected:
        assert {record["id"] for record in collected if "result" in record} == {"1"}


def test_an_algorithm_of_a_platform_is_served(tmp_path):
    """It is called with the key of the container, and files of that platform are still refused."""
    called = []

    def platform(path: str, key: str, value: Any) -> tuple[int, Any]:
        called.append((path.partition("?")[0], key, value))
        return 200, {"result": {"said": value}, "metadata": {"content_type": "json", "duration": 0.1}}

    with server(platform) as address:
        variables = {"ALGORITHMIA_API": address, "ALGORITHMIA_API_KEY": "sim-key"}
        with served(built(tmp_path, ALGORITHM), variables) as wrapper:
            assert wrapper.ask(body=[1, {"a": 2}]).json() == [{"said": 1}, {"said": {"a": 2}}]
            for body in (
                {"$batch": "data://acme/in.jsonl"},
                {"$batch": [1], "$output": "data://acme/out.jsonl"},
            ):
                assert wrapper.ask(body=body).status == 400
    assert sorted(map(str, called)) == sorted(
        str(("/v1/algo/nlp/Sentiment/1.0.0", "sim-key", value)) for value in (1, {"a": 2})
    )


def test_code_that_starts_itself_with_the_vendor_s_kit_is_served(tmp_path):
    """What an author wrote for the platform is loaded once, and called as there."""
    spec = "version: 1\ntarget: {source: ./echo}\nwrapper: {name: acme/Kit, mode: batch}\n"
    with served(built(tmp_path, spec, VENDORS_WAY)) as wrapper:
        assert wrapper.ask(body=7).json() == ["loaded", 7]


@pytest.mark.parametrize("count", [1, 3])
def test_code_that_is_not_thread_safe_has_one_call_at_a_time(tmp_path, count):
    """Unless the spec says otherwise its calls are made one by one, by the thread that loaded it."""
    source = (
        "import threading\nHERE = threading.get_ident()\n"
        "def apply(item):\n    return threading.get_ident() == HERE\n"
    )
    spec = "version: 1\ntarget: {source: ./echo}\nwrapper: {name: acme/Kit, mode: batch}\n"
    with served(built(tmp_path, spec, source)) as wrapper:
        assert wrapper.ask(body=list(range(count))).json() == [True] * count

"""Stand-ins for the model servers of `real_servers`: the same model, the same statuses, headers and bodies.

Each answer was recorded from the real server (`bench/peers/*.txt` has its version); a test that runs on both
finds where they differ. Small, in threads of this process, so that every run of the tests has them.
"""

from __future__ import annotations

import hmac
import http.client
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent / "apps"))

from scoring import Busy, Poison, score


class Answer(NamedTuple):
    """Status, body (bytes as they are, text as plain text, else JSON) and further headers."""

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...] = ()


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    query: str
    headers: Any
    body: bytes

    @property
    def value(self) -> Any:
        """The JSON of its body."""
        return json.loads(self.body)


Handler = Callable[[Asked], Answer | None]
"""Answers a request; None hangs up."""

CRASHED = Answer(500, "Internal Server Error")


def v2_infer(texts: list[str]) -> Answer:
    """MLServer's answer: two outputs."""
    try:
        found = [score(text) for text in texts]
    except Poison as error:
        return Answer(400, {"error": str(error)})
    except Busy as error:
        return Answer(503, {"error": str(error)})
    except ZeroDivisionError:
        return CRASHED
    columns = {"labels": [each["label"] for each in found], "scores": [json.dumps(each) for each in found]}
    outputs = [
        {
            "name": name,
            "shape": [len(data), 1],
            "datatype": "BYTES",
            "parameters": {"content_type": "str"},
            "data": data,
        }
        for name, data in columns.items()
    ]
    facts = {"model_name": "sentiment", "model_version": "3", "id": "f41bc71e", "parameters": {}}
    return Answer(200, {**facts, "outputs": outputs})


def mlserver(asked: Asked) -> Answer:
    """MLServer 1.7."""
    if asked.method == "GET":
        names = {"name": "sentiment", "versions": [], "platform": "", "inputs": [], "outputs": []}
        return Answer(200, names) if asked.path == "/v2/models/sentiment" else Answer(200, {})
    if "/sentiment/" not in asked.path:
        name = asked.path.split("/")[3]
        return Answer(404, {"error": f"Model {name} not found"})
    inputs = asked.value["inputs"]
    if not isinstance(inputs, list):
        problem = {"type": "list_type", "loc": ["body", "inputs"], "msg": "Input should be a valid list"}
        return Answer(422, {"detail": [{**problem, "input": inputs}]})
    return v2_infer(inputs[0]["data"])


def kserve(asked: Asked) -> Answer:
    """KServe 0.21, V1 protocol."""
    name = asked.path.split("/")[3].partition(":")[0]
    if name != "sentiment":
        return Answer(404, {"error": f"Model with name {name} does not exist."})
    if "instances" not in asked.value:
        return Answer(500, {"error": "KeyError : 'instances'"})
    try:
        return Answer(200, {"predictions": [score(text) for text in asked.value["instances"]]})
    except Poison as error:
        return Answer(400, {"error": str(error)})
    except Busy as error:
        return Answer(503, {"detail": str(error)})
    except ZeroDivisionError as error:
        return Answer(500, {"error": f"ZeroDivisionError : {error}"})


MLFLOW_FAILED = {
    "error_code": "BAD_REQUEST",
    "message": "Encountered an unexpected error while evaluating the model. Verify that the serialized input "
    "Dataframe is compatible with the model for inference.",
    "sqlstate": "KAM00",
    "error_class": "INVALID_PARAMETER_VALUE",
    "stack_trace": "Traceback (most recent call last): ...",
}


def mlflow(asked: Asked) -> Answer:
    """MLflow 3.17's scoring server: whatever the model raises is a 400."""
    if asked.method == "GET":
        return Answer(200, b"3.17.2")
    body = asked.value
    if "dataframe_split" in body:
        split = body["dataframe_split"]
        rows = [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
    elif "dataframe_records" in body:
        rows = body["dataframe_records"]
    else:
        given = body.get("instances", body.get("inputs"))
        rows = [each if isinstance(each, dict) else {"text": each} for each in given]
    if missing := [row for row in rows if "text" not in row]:
        message = f"Failed to enforce schema of data. Error: Model is missing inputs ['text']: {missing[0]}"
        facts = {"error_code": "INVALID_PARAMETER_VALUE", "message": message, "sqlstate": "KAM01"}
        return Answer(400, {**facts, "error_class": "SCHEMA_ENFORCEMENT_FAILED"})
    bonus = (body.get("params") or {}).get("bonus", 0.0)
    try:
        found = [score(row["text"]) for row in rows]
    except (Poison, Busy, ZeroDivisionError):
        return Answer(400, MLFLOW_FAILED)
    return Answer(200, {"predictions": [{**each, "score": each["score"] + bonus} for each in found]})


def bentoml(asked: Asked) -> Answer:
    """BentoML 1.4: what the model raises is answered in a list, whatever the API's own answers are."""
    one = asked.path == "/one"
    texts = [asked.value["text"]] if one else asked.value["texts"]
    failed = {"error": "An unexpected error has occurred, please check the server log."}
    try:
        found = [score(text) for text in texts]
    except Poison as error:
        return Answer(400, [{"error": str(error)}])
    except Busy:
        return Answer(503, failed)
    except ZeroDivisionError:
        return Answer(500, failed)
    return Answer(200, found[0] if one else found)


class FastApi:
    """`apps/fastapi_app.py`: columns with errors in them, one text, keys that are honoured.

    Args:
        token: a file whose content is the bearer token that is asked for now; None asks for none.

    Attributes:
        executions: how often each text was scored under a key.
    """

    def __init__(self, token: Path | None = None) -> None:
        self._token = token
        self._known: dict[str, Answer] = {}
        self._lock = threading.Lock()
        self.executions: Counter[str] = Counter()

    def __call__(self, asked: Asked) -> Answer:
        """The answer to a request."""
        bearer = f"Bearer {self._token.read_text().strip()}" if self._token else ""
        if bearer and not hmac.compare_digest(asked.headers.get("Authorization", ""), bearer):
            return Answer(401, {"detail": "the token has expired"})
        try:
            if asked.path == "/once":
                return self._once(asked)
            return self._one(asked.value["text"]) if asked.path == "/one" else self._predict(asked)
        except Busy as error:
            return Answer(503, {"detail": str(error)}, (("retry-after", "0"),))
        except ZeroDivisionError:
            return CRASHED

    def _one(self, text: Any) -> Answer:
        try:
            return Answer(200, score(text))
        except Poison as error:
            return Answer(422, {"detail": str(error)})

    def _once(self, asked: Asked) -> Answer:
        key, text = asked.headers["Idempotency-Key"], asked.value["text"]
        with self._lock:
            if key not in self._known:
                self._known[key] = self._one(text)
                self.executions[text] += 1
            return self._known[key]

    def _predict(self, asked: Asked) -> Answer:
        columns: dict[str, list[Any]] = {"labels": [], "scores": [], "errors": []}
        for text in asked.value["texts"]:
            found: dict[str, Any] = {}
            error = None
            try:
                found = score(text)
            except Poison as reason:
                error = {"type": "InputError", "message": str(reason)}
            columns["labels"].append(found.get("label"))
            columns["scores"].append(found.get("score"))
            columns["errors"].append(error)
        version = int(asked.query.partition("version=")[2] or 1)
        return Answer(200, {**columns, "version": version})


def litserve(asked: Asked) -> Answer:
    """LitServe 0.2 with its embeddings of OpenAI's protocol."""
    body = asked.value
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    try:
        found = [[score(text)["score"], float(len(text))] for text in texts]
    except Poison as error:
        return Answer(400, {"detail": str(error)})
    except Busy as error:
        return Answer(503, {"detail": str(error)})
    except ZeroDivisionError:
        return Answer(500, {"detail": "Internal Server Error"})
    data = [{"index": n, "embedding": one, "object": "embedding"} for n, one in enumerate(found)]
    usage = {"prompt_tokens": 3 * len(data), "total_tokens": 3 * len(data)}
    return Answer(200, {"data": data, "model": body["model"], "object": "list", "usage": usage})


def litellm(asked: Asked) -> Answer:
    """LiteLLM's proxy 1.108 with `apps/litellm.yaml`: a master key and no database."""
    given = asked.headers.get("Authorization")
    if given is None:
        return CRASHED
    if given != "Bearer sk-peers":
        return _openai_error(400, "No connected db.", "no_db_connection")
    body = asked.value
    mock = "LiteLLM: model group '{}' failed with the error above. No fallback was attempted."
    known: dict[str, tuple[int, str, str]] = {
        "limited": (429, "litellm.RateLimitError: this is a mock rate limit error", "throttling_error"),
        "failing": (
            500,
            "litellm.InternalServerError: this is a mock internal error",
            "internal_server_error",
        ),
        "long": (400, "litellm.ContextWindowExceededError: litellm.BadRequestError", "invalid_request_error"),
    }
    name = body.get("model")
    if name in known:
        status, message, kind = known[name]
        return _openai_error(status, f"{message}\n\n{mock.format(name)}", kind)
    if name != "mock":
        return _openai_error(
            400, f"/chat/completions: Invalid model name passed in model={name}.", "invalid_request_error"
        )
    message = {"content": '{"label": "short"}', "role": "assistant", "tool_calls": None}
    return Answer(
        200,
        {
            "id": "chatcmpl-1",
            "created": 1796066359,
            "model": "mock",
            "object": "chat.completion",
            "choices": [{"finish_reason": "stop", "index": 0, "message": message}],
            "usage": {"completion_tokens": 20, "prompt_tokens": 10, "total_tokens": 30},
        },
    )


def _openai_error(status: int, message: str, kind: str) -> Answer:
    return Answer(status, {"error": {"message": message, "type": kind, "param": None, "code": str(status)}})


HANDLERS: dict[str, Handler] = {
    "mlserver": mlserver,
    "kserve": kserve,
    "mlflow": mlflow,
    "bentoml": bentoml,
    "litellm": litellm,
    "litserve": litserve,
}


def handler(name: str) -> Handler:
    """The stand-in of that name, with a state of its own."""
    return FastApi() if name == "fastapi" else HANDLERS[name]


def forward(to: str, bearer: str = "") -> Handler:
    """Puts each request to another server, with its content type and key, and gives its answer back.

    Args:
        to: the server's address.
        bearer: a token that it wants.
    """
    address = urlsplit(to)

    def handler(asked: Asked) -> Answer:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        names = ("Content-Type", "Idempotency-Key")
        headers = {name: asked.headers[name] for name in names if name in asked.headers}
        headers.update({"Authorization": f"Bearer {bearer}"} if bearer else {})
        connection.request(asked.method, f"{asked.path}?{asked.query}", asked.body, headers)
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        kept = [(name, reply.headers[name]) for name in ("Retry-After",) if name in reply.headers]
        is_json = reply.headers.get("Content-Type") == "application/json"
        return Answer(reply.status, json.loads(body) if is_json else body.decode(), tuple(kept))

    return handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of clients that hang up."""


@contextmanager
def stand_in(handler: Handler) -> Iterator[str]:
    """A handler's address while the block runs."""

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, parts.path, parts.query, self.headers, body)
            found = handler(asked)
            if found is None:
                self.close_connection = True
                return
            if isinstance(found.body, bytes):
                data, kind = found.body, "application/octet-stream"
            elif isinstance(found.body, str):
                data, kind = found.body.encode(), "text/plain; charset=utf-8"
            else:
                data, kind = json.dumps(found.body).encode(), "application/json"
            self.send_response(found.status)
            for name, value in (("content-type", kind), ("content-length", str(len(data))), *found.headers):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with _Server(("127.0.0.1", 0), Requests) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()

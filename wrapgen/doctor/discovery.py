"""What a server says of itself: the protocol it speaks, its models, and what a request looks like.

Only asks with GET, and never sends an item. Knows the pages by which servers tell what they are: metadata of
the Open Inference Protocol, lists of models, the version of an MLflow server, an OpenAPI document.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from wrapgen.errors import Unreachable

SECONDS = 10.0
"""How long one question may take."""

_MOST = 4 << 20


class ServerAnswer(NamedTuple):
    """An answer: its status, its body, and the seconds that it took."""

    status: int
    body: bytes
    seconds: float

    @property
    def value(self) -> Any:
        """The JSON in it; None for anything else, or another status than 200."""
        try:
            return json.loads(self.body) if self.status == 200 else None
        except (ValueError, RecursionError):
            return None


@dataclass
class Discovered:
    """What a server is.

    Args:
        target: keys of a spec's `target`, in their order.
        lines: what is known, a line each.
        example: an item that fits; None where nothing tells.
    """

    target: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    example: Any = None


Ask = Callable[[str], ServerAnswer]
"""Asks for a page by its URL."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A token must not go where a server points to."""


def asking(token: str = "", tls: ssl.SSLContext | None = None) -> Ask:
    """Asks with a bearer token, if one is given; what it gives raises Unreachable where no answer comes."""
    handlers: list[Any] = [_NoRedirect]
    if tls is not None:
        handlers.append(urllib.request.HTTPSHandler(context=tls))
    opener = urllib.request.build_opener(*handlers)

    def ask(url: str) -> ServerAnswer:
        headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        request, began = urllib.request.Request(url, headers=headers), time.monotonic()  # noqa: S310 - checked
        try:
            try:
                with opener.open(request, timeout=SECONDS) as answer:
                    return ServerAnswer(answer.status, answer.read(_MOST), time.monotonic() - began)
            except urllib.error.HTTPError as error:
                return ServerAnswer(error.code, error.read(_MOST), time.monotonic() - began)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            hint = "is the server started, and its address right?"
            raise Unreachable(f"{_shown(url)} can't be reached: {reason}", hint=hint) from error

    return ask


def discover(url: str, ask: Ask) -> Discovered:
    """The protocol of a server, found by asking.

    Args:
        url: of the server, or of the endpoint itself.
        ask: see `asking`.

    Raises:
        Unreachable: no answer came.
    """
    failures = []
    for find in _FINDERS:
        try:
            found = find(url, ask)
        except Unreachable as error:  # noqa: PERF203 - a server may drop what it does not know
            failures.append(error)
        else:
            if found is not None:
                return found
    if len(failures) == len(_FINDERS):
        raise failures[0]
    said = "the server does not say what it is: write what a request and an answer look like"
    return Discovered({"endpoint": url, "protocol": "json"}, [said])


def _open_inference(url: str, ask: Ask) -> Discovered | None:
    """The metadata of a model, from its own URL, or of the only model of a server."""
    root, path = _root(url), urlsplit(url).path
    name = unquote(path.partition("/v2/models/")[2].partition("/")[0])
    if path.startswith("/v1/"):  # which a server may have beside it
        return None
    if not name:
        server = ask(f"{root}/v2").value
        if not isinstance(server, dict) or "extensions" not in server:
            return None
        name = str(next(iter(_names(ask(f"{root}/v2/models").value)), "MODEL"))
    facts = ask(f"{root}/v2/models/{quote(name, safe='')}").value
    facts = facts if isinstance(facts, dict) else {}
    inputs = [_tensor(each) for each in facts.get("inputs") or [] if isinstance(each, dict)]
    lines = [
        f"open-inference: model {name}" + (f", platform {facts['platform']}" if facts.get("platform") else "")
    ]
    if name == "MODEL":
        lines.append("the server lists no models: name one, or give the URL of one, .../v2/models/NAME")
    if not inputs:
        lines.append("the server does not name its inputs: say what they are called, and of which type")
        inputs = [{"name": "input", "datatype": "BYTES", "shape": [-1], "value": "$item.text"}]
    target = {"endpoint": root, "protocol": "open-inference", "model": name, "inputs": inputs}
    outputs = [str(each["name"]) for each in facts.get("outputs") or [] if isinstance(each, dict)]
    if outputs:
        lines.append(f"outputs: {', '.join(outputs)}")
    return Discovered(target, lines)


def _tensor(facts: dict[str, Any]) -> dict[str, Any]:
    name, shape = str(facts.get("name")), [*(facts.get("shape") or [-1])]
    kind = str(facts.get("datatype"))
    return {"name": name, "datatype": kind, "shape": [-1, *shape[1:]], "value": f"$item.{name}"}


def _models(url: str, ask: Ask) -> Discovered | None:
    """A list of models: OpenAI's, or KServe's."""
    root, path = _root(url), urlsplit(url).path.rstrip("/")
    base = f"{root}{path.partition('/v1')[0]}/v1"
    page = ask(f"{base}/models")
    if page.status in (401, 403):
        said = "the list of models needs a key: --bearer-env NAME"
        return Discovered(_chat(base, "MODEL"), [said]) if b'"error"' in page.body else None
    value = page.value
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("data"), list):
        names = _names(value["data"])
        more = f" of {len(names):,}" if len(names) > 1 else ""
        model = names[0] if names else "MODEL"
        made = _embeddings(base, model) if path.endswith("/embeddings") else _chat(base, model)
        return Discovered(made, [f"openai: model {model}{more}"], _EMBEDDED.get(made["protocol"]))
    if isinstance(value.get("models"), list):
        named = unquote(path.partition("/v1/models/")[2].partition(":")[0])
        names = [*([named] if named else []), *(each for each in _names(value["models"]) if each != named)]
        target = {"endpoint": root, "protocol": "kserve-v1", "model": names[0] if names else "MODEL"}
        return Discovered(
            {**target, "request": {"instances": "$items"}}, [f"kserve-v1: models {', '.join(names)}"]
        )
    return None


def _chat(base: str, model: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": "${item.text}"}]
    request = {"messages": messages, "temperature": 0, "max_tokens": 200}
    return {"endpoint": base, "protocol": "openai-chat", "model": model, "request": request}


def _embeddings(base: str, model: str) -> dict[str, Any]:
    return {"endpoint": base, "protocol": "openai-embeddings", "model": model, "batch_size": 32}


_EMBEDDED = {"openai-embeddings": "a text"}
"""An item that fits, by protocol."""


def _names(value: Any) -> list[str]:
    """The names in a list of models, whatever each of them is."""
    value = value.get("models") if isinstance(value, dict) else value
    found = []
    for each in value if isinstance(value, list) else []:
        name = (each.get("id") or each.get("name")) if isinstance(each, dict) else each
        if isinstance(name, str):
            found.append(name)
    return found


def _mlflow(url: str, ask: Ask) -> Discovered | None:
    """MLflow's scoring server answers with its version as text."""
    page = ask(f"{_root(url)}/version")
    version = page.body[:40].decode("utf-8", "replace").strip().strip('"')
    if page.status != 200 or not version[:1].isdigit() or version.count(".") < 1:
        return None
    target = {
        "endpoint": f"{_root(url)}/invocations",
        "protocol": "mlflow",
        "format": "dataframe_records",
        "batch_size": 100,
    }
    return Discovered(target, [f"mlflow {version}: an item is an object with a value for each column"])


def _openapi(url: str, ask: Ask) -> Discovered | None:
    """The operation at the URL's path, or the only one that takes JSON."""
    pages = (ask(f"{_root(url)}/{name}").value for name in ("openapi.json", "docs.json"))  # BentoML's
    document = next((page for page in pages if isinstance(page, dict) and "paths" in page), {})
    paths = document.get("paths")
    if not isinstance(paths, dict):
        return None
    posts = {path: each["post"] for path, each in paths.items() if isinstance(each, dict) and "post" in each}
    path = urlsplit(url).path
    if path in ("", "/") and len(posts) == 1:
        path = next(iter(posts))
    lines = [f"openapi: {', '.join(f'POST {each}' for each in list(posts)[:8]) or 'no POST'}"]
    if path not in posts:
        return Discovered(
            {"endpoint": url, "protocol": "json"}, [*lines, "name one of these in the URL of the endpoint"]
        )
    if path.endswith("/embeddings"):
        made = _embeddings(f"{_root(url)}{path.removesuffix('/embeddings')}", "MODEL")
        return Discovered(made, [*lines, "embeddings as OpenAI has them: name the model"], "a text")
    query = f"?{urlsplit(url).query}" if urlsplit(url).query else ""
    example = _example(_body_schema(posts[path]), document)
    return Discovered({"endpoint": f"{_root(url)}{path}{query}", "protocol": "json"}, lines, example)


def _body_schema(operation: Any) -> Any:
    try:
        return operation["requestBody"]["content"]["application/json"]["schema"]
    except (KeyError, TypeError):
        return None


def _example(schema: Any, document: dict[str, Any], depth: int = 6) -> Any:
    """A value that a JSON Schema describes, as far as its types tell; None where they do not."""
    if not isinstance(schema, dict) or not depth:
        return None
    if "$ref" in schema:
        found: Any = document
        for step in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found.get(step) if isinstance(found, dict) else None
        return _example(found, document, depth - 1)
    if schema.get("examples") or "example" in schema:
        return schema["example"] if "example" in schema else schema["examples"][0]
    if "default" in schema:
        return schema["default"]
    if schema.get("type") == "object" or "properties" in schema:
        wanted = schema.get("required") or list(schema.get("properties") or {})
        return {
            name: _example((schema.get("properties") or {}).get(name), document, depth - 1) for name in wanted
        }
    if schema.get("type") == "array":
        return [_example(schema.get("items"), document, depth - 1)]
    plain: dict[Any, Any] = {"string": "a text", "integer": 1, "number": 0.5, "boolean": True}
    return plain.get(schema.get("type"))


def _root(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _shown(url: str) -> str:
    """A URL without its query, which may hold a key."""
    return url.partition("?")[0]


_FINDERS = (_open_inference, _models, _mlflow, _openapi)
"""Each finds one kind of server; the most particular first."""

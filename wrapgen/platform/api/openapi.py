"""The OpenAPI document, made from the endpoints and their types; only calls, with their own path, by hand."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct
from starlette.responses import Response

from wrapgen import __version__
from wrapgen.platform.api.endpoint import Ask, Endpoint, endpoint
from wrapgen.platform.calls.call import CallLimits

if TYPE_CHECKING:
    from wrapgen.platform import Platform

CALLS = ("/v1/algo/{id}", "/v1/algo/{owner}/{name}", "/v1/algo/{owner}/{name}/{version}")
"""Where algorithms are called."""

_PARAMETER = re.compile(r"{(\w+)(?::(\w+))?}")
_TEXT = {"type": "string"}
_REF = "#/components/schemas/{name}"


class ErrorObject(Struct):
    """What went wrong: the API's number, and a sentence."""

    code: int
    message: str


class ErrorBody(Struct):
    """The body of a refusal."""

    error: ErrorObject | str


class CallErrorObject(Struct):
    """Why a call has no result: a sentence, and its type in the platform's taxonomy."""

    message: str
    error_type: str
    stacktrace: str = ""


class CallErrorBody(Struct):
    """The body of a refused call."""

    error: CallErrorObject
    request_id: str = ""


class CallQuery(Struct):
    """What a query says of a call."""

    timeout: float | None = None
    stdout: bool | None = None
    output: str | None = None


class OpenApi:
    """The document of what a platform serves."""

    def __init__(self, platform: Platform) -> None:  # noqa: ARG002 - every API's signature
        self.endpoints: list[Endpoint] = []
        self._made = b""

    @endpoint("GET", "/v1/openapi.json", who=None)
    async def document(self, ask: Ask) -> Response:  # noqa: ARG002
        """Gives this document."""
        self._made = self._made or msgspec.json.encode(document(self.endpoints))
        return Response(self._made, media_type="application/json")


APIS = (OpenApi,)


def document(served: Iterable[Endpoint]) -> dict[str, Any]:
    """The document of some endpoints and of calls."""
    served = list(served)
    named = [each for place in served for each in _described(place)]
    every = [*named, ErrorBody, CallErrorBody]
    schemas, components = msgspec.json.schema_components(every, ref_template=_REF)
    known = dict(zip(map(str, every), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for place in served:
        path = _PARAMETER.sub(r"{\1}", place.path)
        paths.setdefault(path, {})[place.verb.lower()] = _operation(place, known)
    paths |= {path: {"post": _call(path, known)} for path in CALLS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The Algorithmia API, as wrapgen's local platform serves it",
            "version": __version__,
        },
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "Authorization"}},
            "schemas": components,
        },
        "paths": paths,
    }


def _described(place: Endpoint) -> list[Any]:
    """The types of an endpoint that make JSON."""
    return [kind for kind in map(_json_type, place.types.values()) if kind is not None]


def _json_type(kind: Any) -> Any:
    """A type, without what is no JSON of ours; None if nothing is left."""
    if get_origin(kind) in (Union, types.UnionType):
        kept = [each for each in get_args(kind) if each is not Response]
        return kept[0] if len(kept) == 1 else kind
    return None if kind in (Ask, Response, type(None)) else kind


def _operation(place: Endpoint, known: dict[str, Any]) -> dict[str, Any]:
    found = place.types
    described: dict[str, Any] = {
        "operationId": f"{place.verb.lower()} {place.path}",
        "summary": (place.do.__doc__ or "").strip().partition("\n")[0],
        "parameters": [*_parameters(place.path), *_query(found.get("query"))],
        "responses": _responses(known, ErrorBody, _json_type(found.get("return"))),
    }
    if "body" in found:
        content: dict[str, Any] = {"application/json": {"schema": known[str(found["body"])]}}
        described["requestBody"] = {"content": content}
    elif place.verb in ("PUT", "POST") and "path" in place.path:
        described["requestBody"] = {"content": {"application/octet-stream": {}, "text/plain": {}}}
    if place.who is None:
        described["security"] = []
    return described


def _parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {**_TEXT, "format": "uuid"} if kind == "uuid" else _TEXT,
        }
        for name, kind in _PARAMETER.findall(path)
    ]


def _query(kind: Any) -> list[dict[str, Any]]:
    """What a query may say, from the struct that reads it."""
    if kind is None:
        return []
    (schema,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    fields = components[schema["$ref"]]["properties"]
    for field in fields.values():
        field.pop("default", None)
        if "anyOf" in field:  # a parameter that says nothing is left out
            field |= next(each for each in field.pop("anyOf") if each != {"type": "null"})
    return [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]


def _responses(known: dict[str, Any], refusal: type, kind: Any = None) -> dict[str, Any]:
    error = {"application/json": {"schema": known[str(refusal)]}}
    done: dict[str, Any] = {"description": "done"}
    if kind is not None:
        done["content"] = {"application/json": {"schema": known[str(kind)]}}
    return {
        "2XX": done,
        "4XX": {"description": "refused, with the reason", "content": error},
        "5XX": {"description": "failed", "content": error},
    }


def _call(path: str, known: dict[str, Any]) -> dict[str, Any]:
    query = _query(CallQuery)
    for parameter in query:
        if parameter["name"] == "timeout":  # less than a second is granted too
            parameter["schema"] |= {"minimum": 1, "maximum": CallLimits.longest}
        elif parameter["name"] == "output":
            parameter["schema"] = {"enum": ["raw", "void"]}
    kinds: dict[str, Any] = {"application/json": {}, "text/plain": {}, "application/octet-stream": {}}
    return {
        "operationId": f"post {path}",
        "summary": "Calls an algorithm with one input.",
        "parameters": [*_parameters(path), *query],
        "requestBody": {"content": kinds},
        "responses": _responses(known, CallErrorBody),
    }

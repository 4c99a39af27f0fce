"""The OpenAPI document of everything that is served, made from the routes themselves so that it can't drift.

Only what a route can't say of itself stands here: the fields of request bodies, what a query may say, and
calls of algorithms, which take a path of their own.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen import __version__
from wrapgen.platform.api.exchange import reply
from wrapgen.platform.calls.call import Limits
from wrapgen.platform.domain.model import KEY_KINDS

if TYPE_CHECKING:
    from wrapgen.platform import Platform

OPEN = ("/health", "/v1/openapi.json", "/v1/insights")
"""What needs no key, beside environments' templates."""

_PARAMETER = re.compile(r"{(\w+)(?::(\w+))?}")
_TEXT, _OBJECT, _FLAG = {"type": "string"}, {"type": "object"}, {"type": "boolean"}
_NUMBER = {"type": "integer", "minimum": 1}
_ACL = {"type": "object", "properties": {"read": {"type": "array", "items": _TEXT, "maxItems": 1}}}

BODIES: dict[str, dict[str, Any]] = {
    "AlgorithmRoutes.create": {
        "name": _TEXT,
        "details": _OBJECT,
        "settings": _OBJECT,
        "version_info": _OBJECT,
    },
    "AlgorithmRoutes.update": {"details": _OBJECT, "settings": _OBJECT, "version_info": _OBJECT},
    "AlgorithmRoutes.publish": {"details": _OBJECT, "settings": _OBJECT, "version_info": _OBJECT},
    "AlgorithmRoutes.add_secret": {"short_name": _TEXT, "secret_key": _TEXT, "secret_value": _TEXT},
    "AlgorithmRoutes.update_secret": {"short_name": _TEXT, "secret_value": _TEXT, "description": _TEXT},
    "AccountRoutes.create_user": {"username": _TEXT, "email": _TEXT, "fullname": _TEXT},
    "AccountRoutes.update_user": {"email": _TEXT, "fullname": _TEXT},
    "AccountRoutes.add_member": {"role": _TEXT},
    "AccountRoutes.create_organization": {"org_name": _TEXT, "org_label": _TEXT, "type_id": _TEXT},
    "AccountRoutes.update_organization": {"org_label": _TEXT, "org_email": _TEXT, "type_id": _TEXT},
    "KeyRoutes.create": {"key_label": _TEXT, "key_type": {"enum": list(KEY_KINDS)}, "permissions": _OBJECT},
    "ConnectorRoutes.configure": {"bucket": _TEXT, "endpoint_url": _TEXT, "write": _FLAG},
    "ScmRoutes.create": {
        "id": _TEXT,
        "provider": _TEXT,
        "enabled": _FLAG,
        "oauth": {"type": "object", "properties": {"client_id": _TEXT}},
        "urls": {"type": "object", "properties": {"web": _TEXT, "api": _TEXT, "ssh": _TEXT}},
    },
    "ScmRoutes.update": {"enabled": _FLAG},
    "DataRoutes.post": {"name": _TEXT, "acl": _ACL},
    "DataRoutes.patch": {"acl": _ACL},
}
"""Fields of JSON bodies, by the method that answers; all are optional unless the answer says otherwise."""

ARRAYS: dict[str, dict[str, Any]] = {
    "report": {"insight_key": _TEXT, "insight_value": {}},
    "routes.<locals>.faults": {
        "algorithm": _TEXT,
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "times": _NUMBER,
        "latency": {"type": "number", "minimum": 0},
        "status": {"type": "integer", "minimum": 429, "maximum": 599},
        "reply": {"enum": ["whole", "dropped", "truncated"]},
        "limits": _OBJECT,
    },
}
"""Where the body is a list: the fields of one entry."""

_PAGE: dict[str, dict[str, Any]] = {"limit": _NUMBER, "marker": _TEXT}
QUERIES: dict[str, dict[str, dict[str, Any]]] = {
    "AccountRoutes.users": _PAGE,
    "AccountRoutes.organizations": _PAGE,
    "AccountRoutes.members": _PAGE,
    "AlgorithmRoutes.builds": _PAGE,
    "AlgorithmRoutes.versions": {**_PAGE, "published": _FLAG, "callable": _FLAG},
    "DataRoutes.get": {"marker": _TEXT, "acl": _FLAG},
    "DataRoutes.delete": {"force": _FLAG},
}
"""What a query may say."""

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "oneOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {"code": {"type": "integer"}, "message": _TEXT},
                },
            ]
        }
    },
}


def routes(platform: Platform) -> list[Route]:
    """The one route; needs no key."""
    made: list[bytes] = []  # once: whoever asks needs no key

    async def describe(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        """GET /v1/openapi.json: this document."""
        if not made:
            made.append(bytes(reply(document(_served(platform))).body))
        return Response(made[0], media_type="application/json")

    return [Route("/v1/openapi.json", describe, methods=["GET"])]


def document(served: Iterable[Route]) -> dict[str, Any]:
    """The document of some routes and of calls."""
    paths: dict[str, dict[str, Any]] = {}
    for route in served:
        place = paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})
        for method in sorted(route.methods or ()):
            if method != "HEAD" or "GET" not in (route.methods or ()):
                place[method.lower()] = _operation(route, method)
    for path in ("/v1/algo/{id}", "/v1/algo/{owner}/{name}", "/v1/algo/{owner}/{name}/{version}"):
        paths[path] = {"post": _call(path)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The Algorithmia API, as wrapgen's local platform serves it",
            "version": __version__,
        },
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "Authorization"}},
            "schemas": {"Error": _ERROR},
        },
        "paths": paths,
    }


def _served(platform: Platform) -> list[Route]:
    from wrapgen.platform.api.app import MODULES, OPERATIONS

    modules = (importlib.import_module(f"wrapgen.platform.api.{name}") for name in MODULES)
    found = [*(route for module in modules for route in module.routes(platform)), *OPERATIONS]
    return [route for route in found if is_api(route)]


def is_api(route: object) -> bool:
    """Whether the document describes a route; git's protocol and web pages are described elsewhere."""
    return isinstance(route, Route) and not route.path.startswith(("/git/", "/web"))


def _operation(route: Route, method: str) -> dict[str, Any]:
    endpoint: Callable[..., Any] = getattr(route.endpoint, "hosted", route.endpoint)
    described: dict[str, Any] = {
        "operationId": f"{method.lower()} {route.path}",
        "summary": (inspect.getdoc(endpoint) or "").partition("\n")[0],
        "parameters": _parameters(route.path),
        "responses": _responses(),
    }
    name = getattr(endpoint, "__qualname__", "")
    described["parameters"] += _query(QUERIES.get(name, {}))
    content = _content(name, method)
    if content:
        described["requestBody"] = {"content": content}
    if route.path in OPEN or route.path.endswith("/template"):
        described["security"] = []
    return described


def _parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"} if kind == "uuid" else _TEXT,
        }
        for name, kind in _PARAMETER.findall(path)
    ]


def _query(fields: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]


def _content(name: str, method: str) -> dict[str, Any]:
    """What the body of a request may be, by content type."""
    if name == "routes.<locals>.faults" and method != "PUT":
        return {}
    one = {"type": "object", "properties": BODIES.get(name) or ARRAYS.get(name)}
    if name in ARRAYS:
        return {"application/json": {"schema": {"type": "array", "items": one}}}
    if name in BODIES:
        found = {"application/json": {"schema": one}}
        return {**found, "text/plain": {}} if name == "DataRoutes.post" else found
    return {"application/octet-stream": {}} if method == "PUT" else {}


def _responses() -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "2XX": {"description": "done"},
        "4XX": {"description": "refused, with the reason", "content": error},
        "5XX": {"description": "failed", "content": error},
    }


def _call(path: str) -> dict[str, Any]:
    kinds: dict[str, Any] = {"application/json": {}, "text/plain": {}, "application/octet-stream": {}}
    query: dict[str, dict[str, Any]] = {
        "timeout": {"type": "number", "minimum": 1, "maximum": Limits.longest},  # less is granted too
        "stdout": _FLAG,
        "output": {"enum": ["raw", "void"]},
    }
    return {
        "operationId": f"post {path}",
        "summary": "Call an algorithm with one input.",
        "parameters": [
            *_parameters(path),
            *_query(query),
        ],
        "requestBody": {"content": kinds},
        "responses": _responses(),
    }

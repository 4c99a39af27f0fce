"""The OpenAPI document of the service."""

from __future__ import annotations

from typing import Any

from src import config
from src.runtime import VERSION

from .settings import Settings

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["error_type", "message", "retryable"],
            "properties": {
                "error_type": {"type": "string"},
                "message": {"type": "string"},
                "retryable": {"type": "boolean"},
            },
        }
    },
}
_BATCH = {
    "type": "object",
    "required": ["$batch"],
    "additionalProperties": False,
    "properties": {
        "$batch": {"type": "array", "items": {}},
        "$run": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "$ids": {"type": "array", "items": {"type": "string", "minLength": 1}},
        "$index": {
            "oneOf": [
                {"type": "integer", "minimum": 0},
                {"type": "array", "items": {"type": "integer", "minimum": 0}},
            ]
        },
        "$try": {"type": "integer", "minimum": 0},
        "$timeout": {"type": "number", "exclusiveMinimum": True, "minimum": 0},
        "$rate": {"type": "object"},
    },
}
_FAILURES = {
    "400": "The input does not follow the protocol.",
    "401": "The token is missing or wrong.",
    "408": "The body came too slowly.",
    "413": "The request or the answer is too large.",
    "415": "The content type is none of those that are taken.",
    "422": "The target refused the item for good.",
    "500": "The wrapper itself failed.",
    "502": "The target is unavailable, or refuses the wrapper's credentials.",
    "503": "No more calls are taken at present; see Retry-After.",
    "504": "The target took too long.",
}


def document(settings: Settings) -> dict[str, Any]:
    """The document, for the limits that hold in this process."""
    secured: list[dict[str, Any]] = [{"token": []}]
    limits = f"A request may have {settings.request_bytes} bytes, an answer {settings.response_bytes}."
    text = {"schema": {"type": "string"}}
    status = {"200": _said("It is so."), "503": _said("It is not.")}
    return {
        "openapi": "3.0.3",
        "info": {"title": config.WRAPPER, "version": VERSION, "description": limits},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR, "Batch": _BATCH},
        },
        "paths": {
            "/": {"post": {**_call(), "security": _needed("/", settings, secured)}},
            "/healthz": {
                "get": {"summary": "Whether the process answers.", "responses": {"200": status["200"]}}
            },
            "/readyz": {"get": {"summary": "Whether calls are taken.", "responses": status}},
            "/metrics": {
                "get": {
                    "summary": "Counts, for Prometheus.",
                    "security": _needed("/metrics", settings, secured),
                    "responses": {"200": {"description": "Counts.", "content": {"text/plain": text}}},
                }
            },
            "/openapi.json": {
                "get": {
                    "summary": "This document.",
                    "security": _needed("/openapi.json", settings, secured),
                    "responses": {"200": _said("The document.")},
                }
            },
        },
    }


def _call() -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    schema = {"anyOf": [{"$ref": "#/components/schemas/Batch"}, {"type": "array", "items": {}}, {}]}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    result = {"application/json": {"schema": {}}, "application/octet-stream": binary}
    return {
        "summary": "One item, a list of items, or an object with $batch.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schema},
                "text/plain": {"schema": {"type": "string"}},
                "application/octet-stream": binary,
            },
        },
        "responses": {
            "200": {
                "description": "The result, results in the same order, or results and summary.",
                "content": result,
            },
            **{status: {"description": said, "content": error} for status, said in _FAILURES.items()},
        },
    }


def _needed(path: str, settings: Settings, secured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [] if path in settings.open else secured


def _said(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": {"type": "object"}}}}

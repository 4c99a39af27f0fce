"""A dozen lines that call a wrapper with nothing but the vendor's client, or with curl."""

from __future__ import annotations

import json
from typing import Any

from wrapgen.build.header import header_of
from wrapgen.build.literals import Ready
from wrapgen.build.render import render
from wrapgen.build.templates import read_templates
from wrapgen.protocol import TIMEOUT_MARGIN, call_timeout
from wrapgen.spec import Spec

LANGUAGES = ("python", "curl", "node")
"""What a snippet can be written in."""


def snippet(spec: Spec, language: str, version: str | None = None) -> str:
    """A program that sends a few items through a wrapper and prints what becomes of each.

    Args:
        spec: the wrapper's; its `publish.examples` are the items, else two texts.
        language: one of `LANGUAGES`.
        version: of the wrapper; None means its newest release.
    """
    template = read_templates("client")[f"{language}.jinja"]
    return render(f"client/{language}.jinja", template, _context(spec, version)).decode("utf-8")


def program(spec: Spec, language: str) -> Ready:
    """A snippet without the line that says where it comes from, for a page that says so itself."""
    return Ready(snippet(spec, language).partition("\n")[2].strip())


def _context(spec: Spec, version: str | None) -> dict[str, Any]:
    items = list(spec.publish.examples) or ["the first item", "the second item"]
    newest = "/latestPrivate" if spec.publish.callability == "private" else ""
    timeout = int(call_timeout(spec.limits.timeout))
    body = {"$batch": items, "$timeout": timeout - TIMEOUT_MARGIN}
    return {
        "header": header_of(spec),
        "callable": Ready(f"{spec.wrapper.name}/{version}" if version else f"{spec.wrapper.name}{newest}"),
        "items": items,
        "body": json.dumps(body),
        "timeout": timeout,
        "inner_timeout": timeout - TIMEOUT_MARGIN,
        "patience": timeout + TIMEOUT_MARGIN,
    }

"""What a wrapper is served with outside of a platform: an ASGI application, a container, manifests. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wrapgen.build import plan, runtime
from wrapgen.build.header import header_of
from wrapgen.build.literals import Ready
from wrapgen.build.render import render_tree
from wrapgen.build.templates import read_templates
from wrapgen.spec import Spec

KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "container": ("serve.py", ("serve",)),
}
"""By what `build --serve` is given: the file by which a folder shows that it has it, and its templates."""

PYTHON = "3.12"
"""The Python of a container whose spec names none."""


def kinds_of(folder: str | os.PathLike[str]) -> frozenset[str]:
    """What an earlier build of a folder served its wrapper with."""
    noted = runtime.noted(Path(folder))
    return frozenset(kind for kind, (marker, _) in KINDS.items() if marker in noted)


def served_files(spec: Spec, kinds: frozenset[str]) -> dict[str, bytes]:
    """The files that serve a wrapper, beside its own."""
    parts = sorted({part for kind in kinds for part in KINDS[kind][1]})
    context = _context(spec) if parts else {}
    found: dict[str, bytes] = {}
    for part in parts:
        found |= render_tree(read_templates(part), context)
    return found


def _context(spec: Spec) -> dict[str, Any]:
    digits = re.search(r"3\D?(\d+)", spec.wrapper.environment or "")
    return {
        "header": header_of(spec),
        "image": Ready(_image(spec)),
        "python": Ready(f"3.{digits[1]}" if digits else PYTHON),
        "copied": [Ready(name) for name in ("src", *["inline"] * plan.inline(spec))],
        "calls_at_once": spec.calls_at_once,
        "waiting": spec.serve.waiting,
        "stop_seconds": spec.limits.timeout + 30,
    }


def _image(spec: Spec) -> str:
    """The image that the spec names, or one whose tag changes with what the spec means."""
    name = spec.wrapper.name.lower()
    return spec.serve.image or f"{name}:{spec.digest.removeprefix('sha256:')[:12]}"

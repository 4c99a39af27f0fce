"""What a wrapper is served with outside of a platform: an ASGI application, a container, manifests. Pure."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wrapgen.build import plan, runtime
from wrapgen.build.header import header_of
from wrapgen.build.literals import Ready, json_text, prose
from wrapgen.build.render import render_tree
from wrapgen.build.templates import read_templates
from wrapgen.errors import UsageError
from wrapgen.spec import Spec

KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "container": ("serve.py", ("serve",)),
    "kserve": ("kubernetes/inferenceservice.yaml", ("serve", "kserve")),
    "ray": ("ray_app.py", ("serve", "ray_serve")),
}
"""By what `build --serve` is given: the file by which a folder shows that it has it, and its templates."""

_VARIABLES = (
    "ALGORITHMIA_API",
    "ALGORITHMIA_API_KEY",
    "WRAPPER_CALLS",
    "WRAPPER_OPEN",
    "WRAPPER_REQUEST_BYTES",
    "WRAPPER_RESPONSE_BYTES",
    "WRAPPER_TOKEN",
    "WRAPPER_TOKEN_FILE",
    "WRAPPER_WAITING",
)
"""What a served wrapper may read, beside the variables that its spec names."""

PYTHON = "3.12"
"""The Python of a container whose spec names none."""

LONGEST_SERVICE = 45
"""Characters of a service's name: others put theirs behind it, and 63 is the limit of DNS."""


def kinds_of(folder: str | os.PathLike[str]) -> frozenset[str]:
    """What an earlier build of a folder served its wrapper with."""
    noted = runtime.noted(Path(folder))
    return frozenset(kind for kind, (marker, _) in KINDS.items() if marker in noted)


def served_files(spec: Spec, kinds: frozenset[str]) -> dict[str, bytes]:
    """The files that serve a wrapper, beside its own.

    Raises:
        UsageError: the spec asks for what can't be had there.
    """
    if "kserve" in kinds and spec.serve.gpus % 1:
        hint = "write a whole number, or use --serve ray"
        raise UsageError(f"serve.gpus is {spec.serve.gpus:g}: Kubernetes gives whole GPUs only", hint=hint)
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
        **_manifest(spec),
        **_ray(spec),
    }


def _manifest(spec: Spec) -> dict[str, Any]:
    """What manifests hold: names quoted, as a word like `on` is no text in YAML."""
    serve, name, secrets = spec.serve, _service(spec), _secrets(spec)
    given = {"cpu": f"{round(serve.cpus * 1000)}m", "memory": f"{serve.memory_mib}Mi"}
    most = {"memory": given["memory"], **({"nvidia.com/gpu": math.ceil(serve.gpus)} if serve.gpus else {})}
    return {
        "service": json_text(name),
        "service_name": Ready(name),
        "secrets": secrets,
        "literals": Ready(" ".join(f"--from-literal={secret}=..." for secret in secrets)),
        "notes": [prose(note) for note in _notes(spec)],
        "requests": json_text(given, None),
        "limits": json_text(most, None),
        "min_replicas": serve.min_replicas,
        "least_replicas": max(1, serve.min_replicas),
        "max_replicas": serve.max_replicas,
    }


def _ray(spec: Spec) -> dict[str, Any]:
    """The numbers of replicas, for Ray Serve."""
    serve = spec.serve
    return {
        "name": spec.wrapper.algorithm_name,
        "queued": max(1, serve.waiting * serve.max_replicas),
        "cpus": Ready(f"{serve.cpus:g}"),
        "gpus": Ready(f"{serve.gpus:g}"),
        "memory_bytes": serve.memory_mib << 20,
        "variables": [*_VARIABLES, *spec.variables],
    }


def _image(spec: Spec) -> str:
    """The image that the spec names, or one whose tag changes with what the spec means."""
    name = spec.wrapper.name.lower()
    return spec.serve.image or f"{name}:{spec.digest.removeprefix('sha256:')[:12]}"


def _service(spec: Spec) -> str:
    """The wrapper's name as a label of DNS: SentimentBatch is sentiment-batch."""
    name = spec.wrapper.algorithm_name
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", "-", name).lower().strip("-")
    words = re.sub(r"-+", "-", words)
    if len(words) <= LONGEST_SERVICE:
        return words
    digest = hashlib.sha256(name.encode("utf-8")).hexdigest()[:8]
    return f"{words[: LONGEST_SERVICE - 9].rstrip('-')}-{digest}"


def _secrets(spec: Spec) -> list[str]:
    """The variables that hold secrets: the service's token, and what the wrapper reads."""
    platform = ["ALGORITHMIA_API", "ALGORITHMIA_API_KEY"] if plan.calls_platform(spec) else []
    return list(dict.fromkeys(["WRAPPER_TOKEN", *platform, *spec.variables]))


def _notes(spec: Spec) -> list[str]:
    """What only an operator can give the container, a sentence each."""
    target, found = spec.target, []
    tls = target.tls.model_dump(exclude_none=True).values() if target.tls else ()
    files = [*([target.auth.bearer_file] if target.auth and target.auth.bearer_file else []), *tls]
    if files:
        found.append(f"The wrapper reads files, from /app on: mount {', '.join(files)} there.")
    if spec.datastore:
        folders = [store.where for store in (spec.datastore.store, *spec.datastore.copy_stores)]
        if any(store.traits.in_folder for store in plan.stores(spec)):
            found.append(f"Records go to {', '.join(folders)}: mount a volume there that all replicas share.")
    if target.auth and target.auth.aws:
        found.append("Requests are signed for AWS: give the ServiceAccount a role.")
    return found

"""The section `serve` of a spec: how many calls a served wrapper takes, and what a deployment gives it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from wrapgen.spec import names
from wrapgen.spec.section import Section, checked, sketch

CALLS = 4
"""Calls that a replica executes at once, but for a source that is not thread-safe."""

_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,299}\Z")


def _check_image(text: str) -> None:
    if not _IMAGE.match(text):
        raise names.Refused(
            f"{names.shown(text)} is not a container image",
            "write for example registry.example.com/acme/sentiment:1",
        )


class Serve(Section):
    """How `build --serve` has the wrapper deployed. Nothing else depends on it, the digest included."""

    calls: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Calls of the wrapper at once in a replica; default 4. With `source` the default is 1 "
        "unless `dispatch.parallel` says that it is thread-safe.",
    )
    waiting: int = Field(
        16, ge=0, le=10_000, description="Calls that may wait in a replica; the next gets 503."
    )
    min_replicas: int = Field(
        1, ge=0, le=10_000, description="Replicas at least; 0 where what scales can start one for a call."
    )
    max_replicas: int = Field(4, ge=1, le=10_000, description="Replicas at most.")
    cpus: float = Field(1, gt=0, le=1000, description="Processors of a replica.")
    gpus: float = Field(0, ge=0, le=100, description="GPUs of a replica; parts of one with Ray only.")
    memory_mib: int = Field(1024, ge=64, le=16_000_000, description="Memory of a replica, in MiB.")
    image: (
        Annotated[str, checked(_check_image), sketch("[a-z0-9].*", "registry.example.com/acme/sentiment:1")]
        | None
    ) = Field(None, description="The container image that manifests name; none: made from name and digest.")

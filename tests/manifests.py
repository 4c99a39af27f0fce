"""Manifests of Kubernetes and KServe against their published schemas, for the tests of what writes some."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

SCHEMAS = Path(__file__).parent / "schemas"


@cache
def schemas() -> dict[str, Any]:
    """The definitions of Kubernetes and KServe, and which of them is of a kind."""
    both = [json.loads((SCHEMAS / f"{name}.json").read_text("utf-8")) for name in ("kubernetes", "kserve")]
    return {part: {**both[0][part], **both[1][part]} for part in ("kinds", "$defs")}


def documents(text: str) -> list[dict[str, Any]]:
    """The objects of a manifest."""
    return [one for one in yaml.safe_load_all(text) if one is not None]


def faults(manifest: dict[str, Any]) -> list[str]:
    """What Kubernetes would refuse of an object, keys that it does not know included; each with its place."""
    kind = f"{manifest.get('apiVersion')} {manifest.get('kind')}"
    if kind not in schemas()["kinds"]:
        return [f"there is no schema of {kind}"]
    schema = {"$ref": schemas()["kinds"][kind], "$defs": schemas()["$defs"]}
    found = jsonschema.Draft7Validator(schema).iter_errors(manifest)
    return [f"{'.'.join(map(str, one.absolute_path))}: {one.message}" for one in found]

"""The JSON Schema of a spec, generated from the model, for editors and other validators."""

from __future__ import annotations

from typing import Any

from wrapgen.spec.model import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema as a JSON object: every key with type, default and meaning, and what belongs together."""
    made = Spec.model_json_schema()
    made.pop("description", None)
    return {"$schema": DIALECT, "title": "wrapgen spec", **{key: made[key] for key in made if key != "title"}}

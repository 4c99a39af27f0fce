"""Writes kserve.json from a wheel of KServe's own Python package: `python from_kserve.py kserve-*.whl`.

Its classes name every key of an InferenceService with its type. Types of Kubernetes are those of
kubernetes.json; what KServe's runtimes for single frameworks hold is not looked into.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OWN = ("V1beta1InferenceService", "V1beta1InferenceServiceSpec", "V1beta1PredictorSpec")
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
PLAIN = {"str": "string", "int": "integer", "bool": "boolean", "float": "number", "object": "object"}


def schema(kind: str, known: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type as the package writes it, such as `list[V1Container]`."""
    inner = re.fullmatch(r"(list\[|dict\(str, )(.+)[\])]", kind)
    if inner and inner[1] == "list[":
        return {"type": "array", "items": schema(inner[2], known)}
    if inner:
        return {"type": "object", "additionalProperties": schema(inner[2], known)}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    name = META if kind == "V1ObjectMeta" else f"io.k8s.api.core.v1.{kind.removeprefix('V1')}"
    if kind in OWN or name in known:
        return {"$ref": f"#/$defs/{kind if kind in OWN else name}"}
    return {"type": "object"}


def main(wheel: str) -> None:
    """Reads the classes without importing them, and writes the file."""
    known = json.loads((HERE / "kubernetes.json").read_text("utf-8"))["$defs"]
    found = {}
    with zipfile.ZipFile(wheel) as package:
        for kind in OWN:
            module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
            body = ast.parse(package.read(f"kserve/models/{module}.py")).body
            told = next(one for one in body if isinstance(one, ast.ClassDef)).body
            types, names = (
                ast.literal_eval(one.value)
                for wanted in ("openapi_types", "attribute_map")
                for one in told
                if isinstance(one, ast.Assign) and getattr(one.targets[0], "id", "") == wanted
            )
            properties = {names[key]: schema(types[key], known) for key in sorted(types)}
            found[kind] = {"type": "object", "additionalProperties": False, "properties": properties}
    kinds = {"serving.kserve.io/v1beta1 InferenceService": f"#/$defs/{OWN[0]}"}
    comment = f"Made by from_kserve.py of {Path(wheel).name}, Apache License 2.0"
    text = json.dumps({"$comment": comment, "kinds": kinds, "$defs": found}, indent=1)
    (HERE / "kserve.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])

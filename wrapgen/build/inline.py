"""An inline target's own module: which of the files in its folder holds the algorithm."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping

from wrapgen.errors import Problem, SpecError
from wrapgen.spec import Spec


def main_module(spec: Spec) -> str:
    """The name by which the wrapper imports an inline target, from inside the target's folder.

    The module that `algorithmia.conf` names, as the platform does; else the only one that defines `apply`.

    Raises:
        SpecError: there is none, or no telling which.
    """
    files = spec.source_files
    named = f"src/{_algorithm_name(files)}.py"
    if named in files:
        return _dotted(named)
    found = [path for path in _candidates(files) if _defines_apply(files[path])]
    if len(found) == 1:
        return _dotted(found[0])
    said = f"both {found[0]} and {found[1]} define" if found else "no module there defines"
    hint = "add an algorithmia.conf whose algoname names the module in src, as the platform needs it"
    problem = Problem(1, 1, f"target.source: {said} a function apply", hint)
    raise SpecError(path="spec.yaml", problems=[problem])


def _algorithm_name(files: Mapping[str, bytes]) -> str:
    try:
        return str(json.loads(files["algorithmia.conf"])["algoname"])
    except (KeyError, TypeError, ValueError):
        return ""


def _candidates(files: Mapping[str, bytes]) -> list[str]:
    """Modules at the top of the folder, or in its `src`; not tests."""
    return [
        path
        for path in files
        if path.endswith(".py") and path.removeprefix("src/").count("/") == 0 and "test" not in path.lower()
    ]


def _defines_apply(source: bytes) -> bool:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name == "apply" for node in tree.body)


def _dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")

"""An inline target's folder: its files in the wrapper, its main module, what is left out."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping

from wrapgen.build import requirements
from wrapgen.build.requirement_lines import FILE
from wrapgen.errors import Problem
from wrapgen.files import INLINE_FOLDER
from wrapgen.spec import Spec
from wrapgen.spec.load import source_error
from wrapgen.wrapper import Wrapper

_TEST = re.compile(r"(^|/)(test_[^/]*|[^/]*_test|tests?|conftest)\.py$")
_UNREAD = ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "environment.yml", "poetry.lock", "uv.lock")
"""Where requirements may stand that the platform, which installs requirements.txt, never reads."""


def main_module(spec: Spec) -> str:
    """The name by which the wrapper imports an inline target, from inside the target's folder.

    The module that `algorithmia.conf` names, as the platform does; else the only one that defines `apply`.

    Raises:
        SpecError: there is none, or no telling which.
    """
    files = spec.source_files
    named = f"src/{_algorithm_name(files)}"
    if f"{named}.py" in files or f"{named}/__init__.py" in files:
        return _dotted(named)
    faults: list[str] = []
    found = [path for path in _candidates(files) if _defines_apply(path, files[path], faults)]
    if len(found) == 1:
        return _dotted(found[0])
    if not found and faults:
        raise source_error(spec, ", ".join(faults), "fix it, so that the function apply can be found")
    said = f"both {found[0]} and {found[1]} define" if found else "no module there defines"
    hint = "add an algorithmia.conf whose algoname names the module in src, as the platform needs it"
    raise source_error(spec, f"{said} a function apply", hint)


def copied_files(spec: Spec) -> Wrapper:
    """An inline target's folder as the wrapper holds it.

    Raises:
        SpecError: a file there has a name that no wrapper can hold.
    """
    try:
        return Wrapper({f"{INLINE_FOLDER}/{path}": content for path, content in spec.source_files.items()})
    except ValueError as error:
        raise source_error(spec, f"no wrapper can hold its files: {error}", "rename the file") from None


def left_out(spec: Spec) -> list[Problem]:
    """What a wrapper leaves out of an inline target's folder, at the spec's line that names the folder.

    Raises:
        SpecError: what its author asks for can't be had beside what the wrapper needs.
    """
    _, line, column = spec.source_place
    told = [*spec.source_left_out, *requirements.replaced(spec)]
    if spec.source_files and FILE not in spec.source_files:
        unread = [name for name in _UNREAD if name in spec.source_files]
        told += [f"{name} is not read for requirements: a platform installs {FILE}" for name in unread]
    return [Problem(line, column, f"target.source: {said}") for said in told]


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
        if path.endswith(".py") and path.removeprefix("src/").count("/") == 0 and not _TEST.search(path)
    ]


def _defines_apply(path: str, source: bytes, faults: list[str]) -> bool:
    """Whether a module does; one that is not Python adds to the faults."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line, said = getattr(error, "lineno", None) or 1, getattr(error, "msg", error)
        faults.append(f"{path}:{line} is not Python: {said}")
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name == "apply" for node in tree.body)


def _dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")

"""What Spark jobs and Lambda functions carry along is whole: every name that a module imports is in there."""

from __future__ import annotations

import ast

import pytest

from wrapgen import vendored
from wrapgen.build.templates import read_templates


def defined(tree: ast.Module) -> set[str]:
    """The names that a module has."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("engine", ["SPARK", "RAY", "LAMBDA"])
def test_every_imported_name_is_there(engine: str) -> None:
    """No module of the package that is copied imports a module, or a name of one, that is not copied."""
    sources = {**read_templates("calls"), **vendored.flat(getattr(vendored, engine))}
    trees = {
        name.removesuffix(".py").replace("/", "."): ast.parse(source) for name, source in sources.items()
    }
    optional = {"fast_json"}  # `answers` does without it
    missing = []
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or node.level != 1:
                continue
            for alias in node.names:
                module = node.module or alias.name
                known = module in trees and (node.module is None or alias.name in defined(trees[module]))
                if not known and module not in optional:
                    missing.append(f"{name}: {module}.{alias.name}")
    assert not missing

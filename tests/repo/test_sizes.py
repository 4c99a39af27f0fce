"""Files and functions stay small, modules say what they are for, and no path of a machine is committed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "wrapgen").rglob("*.py"), *(ROOT / "templates").rglob("*.py")])
LONG = {".py", ".jinja", ".js", ".css", ".sh", ".toml"}
PLACE = re.compile(rb"(?<![\w.~-])/(?:work|root|home/\w+|Users/\w+)/[\w.]|(?<![\w.])/tmp/look")


def test_no_file_is_over_400_lines(tracked):
    """A file that grows past 400 lines holds two ideas."""
    sizes = {path: path.read_bytes().count(b"\n") for path in tracked if path.suffix in LONG}
    assert not {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 400}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_is_over_40_lines(path):
    """A function fits a screen; its docstring and signature don't count."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            assert node.end_lineno - first.lineno < 40, f"{path.name}:{node.lineno} {node.name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path):
    """Each module has a docstring, and so has each public function and class."""
    tree = ast.parse(path.read_bytes())
    assert not tree.body or ast.get_docstring(tree), path
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}:{node.lineno} {node.name}"


def test_no_path_of_a_machine_is_committed(tracked):
    """Nothing names a folder that only exists where it was written."""
    here = Path(__file__)
    found = [
        path
        for path in tracked
        if path != here and path.stat().st_size < 2_000_000 and PLACE.search(path.read_bytes())
    ]
    assert not [str(path.relative_to(ROOT)) for path in found]

"""The product does not know that it is tested."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = re.compile(r"pytest|unittest|hypothesis|greenlet|simulat|\btest(s|ing|ed)?\b", re.IGNORECASE)
"""What only tests have."""


def branches(source: str) -> list[str]:
    """The conditions and imports that ask for tests."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            found.append(ast.unparse(node.test))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.append(ast.unparse(node))
    return [one for one in found if TESTS.search(one)]


@pytest.mark.parametrize("folder", ["wrapgen", "templates/algorithm/src"])
def test_no_branch_is_there_for_tests(folder):
    """No condition and no import of the product names what only tests have."""
    sources = {path: path.read_text("utf-8") for path in sorted((ROOT / folder).rglob("*.py"))}
    assert len(sources) > 10
    assert not {path.name: found for path, source in sources.items() if (found := branches(source))}


def test_such_a_branch_is_noticed():
    """A condition on a variable of pytest, and an import of what tests bring, are found."""
    assert branches(
        "import os\nif 'PYTEST_CURRENT_TEST' in os.environ:\n    pass\nfrom greenlet import getcurrent\n"
    )
    assert not branches("from os import path\nif path:\n    latest = 'test'\n")

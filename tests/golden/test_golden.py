"""The golden cases hold: each spec generates the files beside it, each bad one says what stands beside it."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("golden", Path(__file__).with_name("golden.py"))
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)

from wrapgen.wrapper import Wrapper  # noqa: E402


@pytest.mark.parametrize("case", golden.CASES, ids=lambda case: case.name)
def test_a_spec_generates_the_files_beside_it(case):
    """Rendered files are byte for byte those that were reviewed; `make derived` writes new ones."""
    found = Wrapper.read(case / "wrapper").diff(golden.expected_wrapper(case))
    assert not found, "".join(change.unified("committed", "generated") for change in found)


@pytest.mark.parametrize("case", golden.CASES, ids=lambda case: case.name)
def test_generated_python_is_valid_on_the_oldest_environment(case):
    """Every Python file of a case parses as Python 3.7."""
    for path, text in Wrapper.read(case / "wrapper").items():
        if path.endswith(".py"):
            ast.parse(text, path, feature_version=(3, 7))


@pytest.mark.parametrize("path", golden.BAD, ids=lambda path: path.stem)
def test_a_bad_spec_says_what_is_wrong(path):
    """Every problem at once, each with line and column, exactly as reviewed."""
    assert golden.complaint(path) == path.with_suffix(".txt").read_text("utf-8")


@pytest.mark.parametrize("path", golden.BAD, ids=lambda path: path.stem)
def test_a_complaint_has_a_place_and_no_python(path):
    """Each line of a complaint starts with file, line and column, and speaks of the spec, not of Pydantic."""
    for line in golden.complaint(path).splitlines():
        name, number, column, said = line.split(":", 3)
        assert name == path.name
        assert int(number) >= 1 and int(column) >= 1
        assert said.strip() and not re.search(r"pydantic|Input should|NoneType|\bdict\b", said)


def test_there_are_at_least_sixty_bad_specs():
    """The folder of bad specs keeps its breadth, and none of its expectations is an orphan."""
    assert len(golden.BAD) >= 60
    assert {path.stem for path in (golden.HERE / "bad").glob("*.txt")} == {path.stem for path in golden.BAD}

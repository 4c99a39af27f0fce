"""What is made from something else is what it should be; `make derived` writes it."""

from __future__ import annotations

import re

import derived
import pytest

from wrapgen import errors


@pytest.mark.parametrize("placement", derived.placements(), ids=lambda placement: placement.folder.name)
def test_committed_wrappers_are_what_their_examples_generate(placement):
    """No byte of generated/ differs from what the spec of its example generates."""
    assert not placement.changes, placement.unified()


def test_there_is_a_committed_wrapper_for_each_mode():
    """generated/ shows modes batch, log and both, and holds nothing without an example."""
    assert {derived.load(path).wrapper.mode for path in derived.EXAMPLES} == {"batch", "log", "both"}
    folders = {path.name for path in (derived.ROOT / "generated").iterdir() if path.is_dir()}
    assert folders == {placement.folder.name for placement in derived.placements()}


@pytest.mark.parametrize("path", derived.pages(), ids=lambda path: path.name)
def test_generated_pages_are_current(path):
    """Command help, the error catalogue and the tables of keys and values are what the code says."""
    assert path.read_text("utf-8") == derived.pages()[path], "run: make derived"


def test_the_drawn_tree_is_true():
    """The error tree in the docstring has every class, under its base, with its exit code and code."""
    drawn = re.findall(r"(\w+) +(?:exit +code|(\d+) +([\w-]+)( +retryable)?)\s*$", derived.drawn_tree(), re.M)
    drawn_facts = {name: (exit_code, code, bool(again)) for name, exit_code, code, again in drawn}
    for error in derived.all_errors()[1:]:
        facts = (str(error.exit_code), error.code, error.retryable)
        assert drawn_facts.get(error.__name__) == facts, f"{error.__name__} is not drawn as it is"
    assert set(drawn_facts) == {error.__name__ for error in derived.all_errors()}
    assert len({error.code for error in derived.all_errors()}) == len(derived.all_errors())
    assert errors.__doc__ is not None and _parents(derived.drawn_tree()) == {
        error.__name__: error.__bases__[0].__name__ for error in derived.all_errors()[1:]
    }


def _parents(tree):
    """From each drawn class to the one that it is drawn under."""
    above, parents = [], {}
    for line in tree.splitlines():
        match = re.match(r"([│ ├└─]*)(\w+)", line)
        depth = len(match[1]) // 4
        above = [*above[:depth], match[2]]
        if depth:
            parents[match[2]] = above[depth - 1]
    return parents

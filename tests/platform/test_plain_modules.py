"""Modules that are no more than an `apply`: what of them is called, and with what."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from pools import answers, maker

from wrapgen.platform.building.sources import main_module
from wrapgen.platform.workers.pool import LoadFailed
from wrapgen.publish.project import Project


@pytest.fixture
def algorithm(tmp_path):
    """Makes an algorithm of a text; gives what runs it."""
    return maker(tmp_path)


@pytest.mark.parametrize(
    ("apply", "answer"),
    [
        ("def apply(input): return input", b"1"),
        ("def apply(input, state=None): return [input, state]", b"[1,null]"),
        ("def apply(input, *more, **named): return [input, more, named]", b"[1,[],{}]"),
        ("class Model:\n    def apply(self, input): return input\napply = Model().apply", b"1"),
        ("import functools\napply = functools.partial(lambda a, b: [a, b], 0)", b"[0,1]"),
        ("def apply(input, state): return [input, state]", b'[1,"loaded"]'),
    ],
)
def test_load_is_called_only_where_apply_needs_what_it_returns(algorithm, tmp_path, apply, answer):
    """The hosted runner calls `apply` alone: a module's own `load` is nobody's business otherwise."""
    harmful = "" if "state)" in apply else "    raise SystemExit('load was called')\n"
    text = f"def load():\n{harmful}    return 'loaded'\n\n\n{apply}\n"
    (result,) = answers(algorithm(text), tmp_path, 1)
    assert bytes(result.text) == answer


def test_a_state_that_counts_as_false_is_still_passed(algorithm, tmp_path):
    """What `load` returned is the second argument, whatever it is."""
    (result,) = answers(algorithm("load = dict\n\n\ndef apply(input, state): return state\n"), tmp_path, 1)
    assert bytes(result.text) == b"{}"


@pytest.mark.parametrize("adk", ["", "from Algorithmia import ADK\n\n\n"])
def test_a_plain_apply_beside_the_adks_marker_is_served(algorithm, tmp_path, adk):
    """Deployment plugins write the file `.adk` for modules that never start the ADK."""
    text = f"{adk}def apply(input):\n    return input + 1\n"
    (result,) = answers(algorithm(text, adk=True), tmp_path, 1)
    assert bytes(result.text) == b"2"


@pytest.mark.parametrize("adk", [False, True])
def test_a_module_without_apply_is_told(algorithm, tmp_path, adk):
    """What answers nothing says what is missing, and not that it exited with code 0."""
    with pytest.raises(LoadFailed) as caught:
        answers(algorithm("def predict(input):\n    return input\n", adk=adk), tmp_path, 1)
    ended = caught.value.worker and caught.value.worker.exited
    assert ended and "defines no function apply" in ended.output


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_does_not_hide_the_algorithm(tmp_path, mark):
    """algorithmia.conf as an editor of Windows saves it is read by the platform and by `wrapgen publish`."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "Test.py").write_text("def apply(input): return input\n")
    (tmp_path / "algorithmia.conf").write_text(f'{mark}{{"username": "me", "algoname": "Test"}}', "utf-8")
    assert main_module(tmp_path) == "src/Test.py"
    assert str(Project.read(tmp_path).reference) == "me/Test"

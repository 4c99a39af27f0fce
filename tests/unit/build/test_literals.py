"""Values as source text: whatever the value, the text evaluates to it and to nothing else."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wrapgen.build.literals import Ready, json_text, literal, prose, shell_word

hostile = st.text(max_size=60) | st.sampled_from(
    [
        '"""',
        "'''",
        "\\",
        '\\"',
        "{{ x }}",
        "{% x %}",
        "%s",
        "{0}",
        "\n",
        "\r",
        "\0",
        "\u2028",
        "\u202e",
        "😀",
        "\ud800",
        "#",
    ]
)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | hostile
)
values = st.recursive(
    scalars | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(hostile, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=1_000, deadline=None)
@given(values)
def test_a_literal_evaluates_to_its_value(value):
    """Any value survives the way through source text, which is plain ASCII."""
    text = literal(value)
    assert isinstance(text, Ready) and text.isascii()
    assert repr(ast.literal_eval(text)) == repr(value)


@settings(max_examples=500, deadline=None)
@given(hostile)
def test_a_string_is_one_token(text):
    """A string's literal is one expression on one line, and stays so inside a longer one."""
    node = ast.parse(f"x = [{literal(text)}, 1]").body[0].value
    assert "\n" not in literal(text)
    assert [element.value for element in node.elts] == [text, 1]


@settings(max_examples=500, deadline=None)
@given(
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hostile, inner, max_size=4)
    )
)
def test_json_survives(value):
    """JSON text reads back to the value, and is ASCII."""
    assert json.loads(json_text(value)) == json.loads(json.dumps(value))
    assert json_text(value).isascii()


@settings(max_examples=500, deadline=None)
@given(hostile)
def test_prose_ends_nothing(text):
    """Prose stays on its line and can't end a docstring, a comment, a table cell or inline code."""
    said = prose(text)
    assert said.isascii() and not set(said) & set("\"'`\\<>{}|\n\r\0")
    assert ast.get_docstring(ast.parse(f'"""{said}"""\n# {said}\nx = 1'), clean=False) == said


@settings(max_examples=300, deadline=None)
@given(hostile.filter(lambda text: "\0" not in text))
def test_a_shell_word_is_one_word(text):
    """A shell reads the word back as it was."""
    assert shlex.split(shell_word(text)) == [text]


def test_numbers_that_json_lacks_have_no_literal():
    """NaN, infinity and objects are refused, not written."""
    for value in (float("nan"), float("inf"), object(), {1, 2}):
        with pytest.raises(TypeError):
            literal([value])


def test_literals_stay_as_they_are_under_the_formatter(tmp_path):
    """What is written is what ruff would have written."""
    samples = [
        {"a": 1},
        [1, 2],
        [],
        {},
        {"a": {"b": [1, "x" * 30, "y" * 30, "z" * 30]}},
        'it\'s "so"',
        'a"b',
        "it's",
        1.5,
        b"\0'",
    ]
    samples.append({"long": {"nested": {"deep": ["x" * 20] * 5}}, "é": "😀"})
    file = tmp_path / "constants.py"
    file.write_text("".join(f"X{n} = {literal(sample)}\n" for n, sample in enumerate(samples)))
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout

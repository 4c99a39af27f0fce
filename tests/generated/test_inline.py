"""Inline targets: the author's code as it stands, run by the generated wrapper under real interpreters."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from adk_worker import run_adk
from standins import Platform

from wrapgen.build import generate
from wrapgen.errors import SpecError
from wrapgen.spec import load

SPEC = """
version: 1
target: {{source: ./original, batch_size: {batch_size}}}
wrapper: {{name: acme/{name}, mode: both}}
datastore: {{url: data://acme/scores}}
dispatch: {{parallel: {parallel}}}
"""
CONF = json.dumps({"username": "acme", "algoname": "Original", "langauge": "python3"})

AUTHORS = {
    "adk-with-load": {
        "src/__init__.py": "",
        "src/helper.py": "FACTOR = 10\n",
        "src/records.py": "# the author's own module of this name\nOFFSET = 1\n",
        "src/Original.py": """
from Algorithmia import ADK
from src.helper import FACTOR
from . import records

class Wrong(Exception):
    error_type = "UnsupportedError"

def load():
    with open("data.txt") as file:
        return {"more": int(file.read())}

def apply(input, state):
    from src import helper  # also when it is called
    if input == "wrong":
        raise Wrong("not this")
    if input == "leave":
        raise SystemExit(3)
    return input * helper.FACTOR + records.OFFSET + state["more"]

algorithm = ADK(apply, load)
algorithm.init(5)
""",
        "data.txt": "100",
        "algorithmia.conf": CONF,
    },
    "model-data": {
        "src/__init__.py": "",
        "src/Original.py": """
import sys
import adk
def load(modelData):
    modelData["more"] = 101
    return modelData
def apply(input, modelData):
    if input == "wrong":
        raise ValueError("not this")
    if input == "leave":
        sys.exit(3)
    return input * 10 + modelData["more"]
adk.ADK(apply, load).init()
""",
        "algorithmia.conf": CONF,
    },
    "handler": {
        "src/__init__.py": "",
        "src/Original.py": """
import Algorithmia
def do(input, state):
    if input == "wrong":
        raise ValueError("not this")
    if input == "leave":
        raise SystemExit("gone")
    return input * 10 + state
def prepare():
    return 101
if True:
    Algorithmia.handler(do, prepare).serve()
""",
        "algorithmia.conf": CONF,
    },
    "plain-file": {
        "scoring.py": """
import asyncio

class Mute(Exception):
    def __str__(self):
        raise OSError("no words")

    @property
    def error_type(self):
        raise OSError("no type")

def apply(input):
    if input == "cancelled":
        raise asyncio.CancelledError("in time")
    if input == "mute":
        raise Mute
    if input == "wrong":
        raise ValueError("not this")
    if input == "leave":
        raise SystemExit
    return input * 10 + 101
""",
    },
}


def build(folder: Path, files: dict[str, str], **values: Any) -> Path:
    for path, text in files.items():
        place = folder / "spec" / "original" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    facts = {"name": "Altered", "parallel": 1, "batch_size": 1, **values}
    (folder / "spec" / "spec.yaml").write_text(SPEC.format(**facts))
    generate(load(folder / "spec" / "spec.yaml")).write(folder / "wrapper")
    return folder / "wrapper"


AUTHORS["no-init"] = {
    **{path: text for path, text in AUTHORS["adk-with-load"].items() if path != "src/__init__.py"},
    "tests/values.py": "LEAVES = 3\n",  # the wrapper has a package of this name
}
AUTHORS["plain-with-load"] = {
    "scoring.py": """
def load():
    return {}  # and so is what is false

def apply(input, more):
    if input == "wrong":
        raise ValueError("not this")
    if input == "leave":
        from tests.values import LEAVES
        raise SystemExit(LEAVES)
    return input * 10 + len(more) + 101
""",
    "tests/values.py": "LEAVES = 3\n",
}
AUTHORS["load-of-its-own"] = {
    "scoring.py": """
def load(path):
    raise OSError("nobody but apply calls this")

def apply(input, more=101):
    if input == "wrong":
        raise ValueError("not this")
    if input == "leave":
        raise SystemExit
    return input * 10 + more
""",
}


@pytest.mark.parametrize("author", AUTHORS)
@pytest.mark.parametrize(("name", "parallel"), [("Altered", 1), ("Original", 4)])
def test_an_algorithm_becomes_one_that_takes_lists_too(
    edge_python: Path, tmp_path: Path, platform: Platform, author: str, name: str, parallel: int
) -> None:
    """One item or each of a list, by the author's code: ADK, older handler or plain; its own name if wanted.

    Its helpers, data files and modules of our modules' names are its own; whatever it raises is its item's.
    """
    wrapper = build(tmp_path, AUTHORS[author], name=name, parallel=parallel)
    calls = [3, [1, "wrong", 2, "leave", 4], {"$batch": [5], "$run": "r", "$ids": ["five"]}, "wrong", 7]
    answers = run_adk(edge_python, wrapper, platform, calls)
    assert answers[0]["result"] == 131
    results = answers[1]["result"]
    assert [results[0], results[2], results[4]] == [111, 121, 141]
    kind = "UnsupportedError" if author in ("adk-with-load", "no-init") else "AlgorithmError"
    assert results[1]["$error"] == {"type": kind, "message": "not this", "retryable": False, "attempts": 1}
    assert results[3]["$error"]["type"] == "SystemExit"
    assert answers[2]["result"]["$results"] == [151]
    assert answers[3]["error"]["error_type"] == kind
    assert answers[4]["result"] == 171
    assert platform.calls == []
    recorded = [json.loads(line) for body in platform.files.values() for line in body.splitlines()]
    assert len(recorded) == 9
    assert {fields["target"] for fields in recorded} == {"inline:./original"}


def test_whatever_an_author_raises_is_its_items_alone(
    edge_python: Path, tmp_path: Path, platform: Platform
) -> None:
    """Also what is no Exception, and what can't even say what it is."""
    wrapper = build(tmp_path, AUTHORS["plain-file"])
    (answer,) = run_adk(edge_python, wrapper, platform, [[1, "cancelled", 2, "mute", 3]])
    results = answer["result"]
    assert [results[0], results[2], results[4]] == [111, 121, 131]
    assert results[1]["$error"]["message"] == "in time"
    assert (results[3]["$error"]["type"], results[3]["$error"]["message"]) == ("AlgorithmError", "Mute")


def test_an_algorithm_that_takes_lists_gets_them(
    edge_python: Path, tmp_path: Path, platform: Platform
) -> None:
    """With a batch size lists pass through, and a poison item is found as with any target."""
    author = {"scoring.py": "def apply(input):\n    return [1 / item for item in input]\n"}
    wrapper = build(tmp_path, author, batch_size=50)
    (answer,) = run_adk(edge_python, wrapper, platform, [[1, 2, 0, 4]])
    results = answer["result"]
    assert (results[0], results[1], results[3]) == (1, 0.5, 0.25)
    assert results[2]["$error"]["message"] == "division by zero"


def test_what_an_author_changes_later_changes_no_answer_and_no_record(
    edge_python: Path, tmp_path: Path, platform: Platform
) -> None:
    """An author may write into its input, and answer with one object again and again."""
    author = {
        "scoring.py": """
LAST = {}
def apply(input):
    input["seen"] = True
    LAST["name"] = input["name"]
    return LAST
"""
    }
    wrapper = build(tmp_path, author)
    (answer,) = run_adk(edge_python, wrapper, platform, [[{"name": "a"}, {"name": "b"}]])
    assert answer["result"] == [{"name": "a"}, {"name": "b"}]
    recorded = [json.loads(line) for body in platform.files.values() for line in body.splitlines()]
    assert [(one["input"], one["result"]) for one in sorted(recorded, key=lambda one: one["index"])] == [
        ({"name": "a"}, {"name": "a"}),
        ({"name": "b"}, {"name": "b"}),
    ]


def test_not_a_letter_of_the_authors_code_is_changed(tmp_path: Path) -> None:
    """The copy inside the wrapper is the folder, byte for byte."""
    wrapper = build(tmp_path, AUTHORS["adk-with-load"])
    original = tmp_path / "spec" / "original"
    for path in original.rglob("*.*"):
        copy = wrapper / "inline" / path.relative_to(original)
        assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()


def test_a_failing_load_is_a_loading_error(edge_python: Path, tmp_path: Path, platform: Platform) -> None:
    """Every call says what `load` raised; the process goes on, also on Python 3.10 and newer."""
    author = {
        "scoring.py": "def load():\n    raise OSError('no model')\n\ndef apply(input, model):\n    return 1\n"
    }
    wrapper = build(tmp_path, author)
    answers = run_adk(edge_python, wrapper, platform, [1, [1]])
    assert [answer["error"]["error_type"] for answer in answers] == ["LoadingError"] * 2
    assert "no model" in answers[0]["error"]["message"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.py": "x = 1\n"}, "no module there defines a function apply"),
        ({"a.py": "def apply(i): pass\n", "b.py": "def apply(i): pass\n"}, "both a.py and b.py define"),
    ],
)
def test_no_telling_which_module_is_meant_is_a_mistake_in_the_spec(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    """One clear message, with what to do."""
    with pytest.raises(SpecError, match=words):
        build(tmp_path, files)

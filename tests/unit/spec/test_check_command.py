"""`wrapgen check`: problems with exit code 3, warnings with 0, both as JSON too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wrapgen.cli.main import main

SPEC = """version: 1
target: {algorithm: nlp/SentimentAnalysis}
wrapper: {name: acme/SentimentBatch, mode: batch}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A right spec with a warning in it, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path / "spec.yaml"


def test_a_right_spec_says_what_it_means(spec, capsys):
    """Exit code 0, its warnings with their places, and one line about it; spec.yaml is the default."""
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("spec.yaml:2:21: warning: nlp/SentimentAnalysis can change under you")
    assert lines[1] == "spec.yaml: valid; acme/SentimentBatch wraps nlp/SentimentAnalysis, mode batch"


def test_a_wrong_spec_says_everything_that_is_wrong(spec, capsys):
    """Exit code 3 and one line for each problem, in the order of the file, on standard error."""
    spec.write_text("version: 2\nwrapper: {mode: all}\n")
    assert main(["check", "spec.yaml"]) == 3
    *lines, hint = capsys.readouterr().err.splitlines()
    assert hint.startswith("hint: `wrapgen schema` prints every key")
    places = [line.removeprefix("error: ").split(": ")[0] for line in lines]
    assert places == ["spec.yaml:1:1", "spec.yaml:1:10", "spec.yaml:2:1", "spec.yaml:2:17"]


def test_json_has_the_same(spec, capsys):
    """--json prints one object: the digest and warnings, or the error with its problems."""
    assert main(["check", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["digest"].startswith("sha256:") and told["warnings"][0]["line"] == 2
    spec.write_text("version: 2\n")
    assert main(["check", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["code"] == "spec" and [problem["line"] for problem in told["problems"]] == [1, 1, 1]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.py": "x = 1\n"}, "no module there defines a function apply"),
        ({"a.py": "def apply(i): ...\n", "b.py": "def apply(i): ...\n"}, "both a.py and b.py define"),
        ({"a.py": "x = 1\ndef apply(\n"}, "a.py:2 is not Python: "),
        ({"a.py": "def apply(i): ...\n", "a\\b.txt": ""}, "no wrapper can hold its files: not a relative"),
        ({"a.py": "def apply(i): ...\n", "a.txt": "", "A.txt": ""}, "differ in case only"),
        ({"a.py": "def apply(i): ...\n", "\udcff.txt": ""}, "not a path in UTF-8: "),
    ],
)
@pytest.mark.parametrize("words", [["check"], ["build", "--check"], ["build", "--json"]])
def test_an_inline_target_that_can_not_be_built_is_told(spec, capsys, files, said, words):
    """check refuses what build refuses, at the line of the spec that names the folder."""
    spec.write_text(SPEC.replace("algorithm: nlp/SentimentAnalysis", "source: ./own"))
    (spec.parent / "own").mkdir()
    for name, text in files.items():
        (spec.parent / "own" / name).write_text(text)
    if len(list((spec.parent / "own").iterdir())) < len(files):
        pytest.skip("this file system has no case")
    assert main(words) == 3
    captured = capsys.readouterr()
    told = captured.err or json.loads(captured.out)["error"]["message"]
    assert told.removeprefix("error: ").startswith("spec.yaml:2:18: target.source: ") and said in told

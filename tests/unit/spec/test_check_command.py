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
    assert lines[1] == "spec.yaml: right; acme/SentimentBatch wraps nlp/SentimentAnalysis, mode batch"


def test_a_wrong_spec_says_everything_that_is_wrong(spec, capsys):
    """Exit code 3 and one line for each problem, in the order of the file, on standard error."""
    spec.write_text("version: 2\nwrapper: {mode: all}\n")
    assert main(["check", "spec.yaml"]) == 3
    *lines, hint = capsys.readouterr().err.splitlines()
    assert hint.startswith("hint: docs/spec.md")
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

"""A spec to build from, and the command as a user runs it."""

from __future__ import annotations

import pytest

from wrapgen.cli.main import main

SPEC = """version: 1
target:
  algorithm: nlp/SentimentAnalysis/1.0.5
wrapper:
  name: acme/SentimentBatch
  mode: both
datastore:
  url: data://acme/sentiment
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with a spec in it; the current one."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def wrapgen(capsys):
    """Runs the command: gives its exit code, standard output and standard error."""

    def run(*words):
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run

"""What publishing tries leaves nothing behind: a datastore holds what was really asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wrapgen.build import Placement, generate
from wrapgen.errors import CaseFailed
from wrapgen.spec import load

SPEC = """\
version: 1
target:
  source: ./inner
wrapper:
  name: acme/{name}
  mode: both
datastore:
  url: data://acme/{name}
publish:
  examples: [fine, {{"$batch": 1}}]
"""


def wrapper(folder: Path, name: str, answer: str) -> Path:
    """The folder of a wrapper around an algorithm of its own."""
    inner = folder / "inner"
    (inner / "src").mkdir(parents=True)
    (inner / "algorithmia.conf").write_text(json.dumps({"username": "acme", "algoname": "Inner"}))
    (inner / "src" / "Inner.py").write_text(f"def apply(input):\n    return {answer}\n")
    (folder / "spec.yaml").write_text(SPEC.format(name=name))
    made = generate(load(str(folder / "spec.yaml")))
    Placement.of(made, folder / "wrapper").write(force=False)
    return folder / "wrapper"


def test_examples_leave_no_records(publisher, client, tmp_path: Path) -> None:
    """The examples go the whole way before a release, and the collection is empty after it."""
    done = publisher(wrapper(tmp_path, "Tried", "input"))
    assert done.cases == 4 and "case example 2: as expected" in publisher.said
    assert list(client.data.files("data://acme/Tried")) == []
    client.call(done.reference, "real")
    assert len(list(client.data.files("data://acme/Tried"))) == 1


def test_an_example_that_fails_stops_the_release(publisher, client, tmp_path: Path) -> None:
    """The item's own error is the case's, and it leaves no record either."""
    with pytest.raises(CaseFailed, match="example 1"):
        publisher(wrapper(tmp_path, "Refused", "1 // 0"))
    assert list(client.data.files("data://acme/Refused")) == []

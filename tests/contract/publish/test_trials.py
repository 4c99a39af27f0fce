"""What publishing tries leaves nothing behind: a datastore holds what was really asked for."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from wrapgen.build import Placement, generate
from wrapgen.client import Client, Connection
from wrapgen.errors import AlgorithmFailed, CaseFailed
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


def test_nobody_but_the_owner_gets_answers_that_are_not_recorded(publisher, client, tmp_path: Path) -> None:
    """A stranger who may call the wrapper is refused a trial, and is served otherwise."""
    folder = wrapper(tmp_path, "Watched", "input")
    with (folder / "spec.yaml").open("a") as spec:
        spec.write("  callability: public\n")
    reference = publisher(folder).reference
    name = f"stranger{uuid.uuid4().hex[:8]}"
    client.accounts.add_user(name, f"{name}@example.org", "")
    key = client.accounts.add_key(name, label="first", admin=False, permissions={})["api_key"]
    stranger = Client(Connection(client.connection.address, key, "a test"), pool=1)
    with stranger, pytest.raises(AlgorithmFailed, match="for this wrapper's owner"):
        stranger.call(reference, {"$batch": ["unseen"], "$trial": True})
    assert client.call(reference, {"$batch": ["seen"], "$trial": True}).result["$results"] == ["seen"]
    assert list(client.data.files("data://acme/Watched")) == []

"""A spec that was run before is not read again, and is read again as soon as anything is not as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from wrapgen.local import cache_index, local_wrapper, spec_host

INLINE = """
version: 1
target: {source: ./model}
wrapper: {name: acme/Upper, mode: batch}
"""
ENDPOINT = """
version: 1
target: {endpoint: "http://127.0.0.1:9/score", protocol: json, item_schema: item.schema.json}
wrapper: {name: acme/Scores, mode: batch}
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """A spec around a folder of code, which was run once."""
    monkeypatch.setenv("WRAPGEN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.py").write_text("def apply(text):\n    return text.upper()\n")
    path = tmp_path / "spec.yaml"
    path.write_text(INLINE)
    local_wrapper(path)
    return path


def was_read(path, monkeypatch) -> bool:
    """Whether the spec is read to find its wrapper."""
    read = []
    loaded = spec_host._loaded
    monkeypatch.setattr(spec_host, "_loaded", lambda name: read.append(name) or loaded(name))
    local_wrapper(path)
    return bool(read)


def test_a_spec_as_it_was_is_not_read(spec, monkeypatch):
    """The wrapper is the same, by file and by folder, and its spec can be read from it still."""
    first = local_wrapper(spec)
    assert not was_read(spec, monkeypatch)
    assert not was_read(spec.parent, monkeypatch)
    assert first.folder == local_wrapper(spec.parent).folder
    assert first.reference == "acme/Upper/local"
    assert first.spec.wrapper.name == "acme/Upper"


CHANGES = {
    "spec": lambda root: (root / "spec.yaml").write_text(INLINE + "dispatch: {parallel: 3}\n"),
    "changed": lambda root: (root / "model" / "model.py").write_text("def apply(text):\n    return text\n"),
    "added": lambda root: (root / "model" / "more.py").write_text(""),
    "renamed": lambda root: (root / "model" / "model.py").rename(root / "model" / "other.py"),
    "data": lambda root: (root / "model" / "words.txt").write_text("a"),
    "linked": lambda root: (root / "model" / "words.txt").symlink_to("model.py"),
    "entry": lambda root: next((root / "cache" / "specs").iterdir()).write_text('{"key": 1}'),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_not_as_it_was_has_the_spec_read(spec, change, monkeypatch):
    """Of the spec, of the folder that it names, or of what is known."""
    CHANGES[change](spec.parent)
    assert was_read(spec, monkeypatch)
    again = local_wrapper(spec)
    assert (again.folder / "spec.yaml").read_bytes() == spec.read_bytes()


def test_what_python_compiles_beside_the_source_changes_nothing(spec, monkeypatch):
    """A run writes such files into folders of code."""
    (spec.parent / "model" / "__pycache__").mkdir()
    (spec.parent / "model" / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"x")
    assert not was_read(spec, monkeypatch)


def test_a_wrapper_that_was_edited_in_the_cache_is_put_right(spec, monkeypatch):
    """It is what the spec says, whatever lies in the cache."""
    edited = local_wrapper(spec).folder / "src" / "config.py"
    before = edited.read_bytes()
    edited.write_bytes(before + b"# edited\n")
    assert was_read(spec, monkeypatch)
    assert edited.read_bytes() == before


def test_another_wrapgen_reads_the_spec_again(spec, monkeypatch):
    """Other templates make another wrapper of the same spec."""
    monkeypatch.setattr(cache_index, "_makers", lambda: "others")
    assert was_read(spec, monkeypatch)


def test_a_file_that_the_spec_names_counts(tmp_path, monkeypatch):
    """A schema or a preset becomes part of the wrapper."""
    monkeypatch.setenv("WRAPGEN_CACHE", str(tmp_path / "cache"))
    path, schema = tmp_path / "spec.yaml", tmp_path / "item.schema.json"
    path.write_text(ENDPOINT)
    schema.write_text(json.dumps({"type": "string"}))
    assert local_wrapper(path).facts.url == "http://127.0.0.1:9/score"
    assert not was_read(path, monkeypatch)
    schema.write_text(json.dumps({"type": "object"}))
    assert was_read(path, monkeypatch)


def test_a_known_spec_needs_no_model_of_specs(spec):
    """What reads specs and makes wrappers of them is not even imported."""
    code = (
        "import sys\nfrom wrapgen.local import local_wrapper\n"
        f"local_wrapper({str(spec)!r})\n"
        "print(sorted({'pydantic', 'jinja2', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.stdout.strip() == "[]", done.stderr

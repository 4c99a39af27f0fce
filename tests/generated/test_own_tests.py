"""The tests that come with a wrapper: they pass for every kind of spec, and fail when something is broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from programs import run

from wrapgen.build import generate
from wrapgen.spec import load, parse

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CASES = sorted(GOLDEN.glob("*/spec.yaml"))
EVERYTHING = b"""
version: 1
target: {algorithm: nlp/Sentiment/1.0.5, batch_size: 4}
wrapper: {name: acme/Everything, mode: both}
datastore: {url: data://acme/scores, redact: [$.user.mail, "$.rows[*].pin", "$.list[1]"]}
record: {id: content, id_version: 2, id_key_env: ID_KEY}
publish: {examples: [{user: {mail: a@b.c}}, text]}
"""
SKIPPING = b"""
version: 1
target: {algorithm: nlp/Sentiment/1.0.5}
wrapper: {name: acme/Skipping, mode: both}
datastore: {url: "sqlite:////srv/records.db"}
record: {id: $.doc.id, id_version: 2}
already: skip
"""


def own_tests(python: Path, folder: Path) -> str:
    """What the wrapper's tests say; they use neither wrapgen nor a network, and leave nothing open."""
    nowhere = {"PATH": "/usr/bin:/bin", "http_proxy": "http://127.0.0.1:1"}
    return run(
        python, folder, module="unittest", environment=nowhere, warn=(("error", "ResourceWarning"),)
    ).stderr


def passed(said: str) -> bool:
    """Whether tests were run, and all of them passed."""
    return bool(re.search(r"Ran [1-9]\d* tests[^\n]*\n\nOK( \(skipped=\d+\))?\n$", said))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_they_pass_for_every_golden_spec(edge_python: Path, tmp_path: Path, case: Path) -> None:
    """Modes, sub-batches, inline targets, redaction, ids, every kind of datastore."""
    generate(load(case)).write(tmp_path)
    said = own_tests(edge_python, tmp_path)
    assert passed(said), said


def test_those_of_the_fullest_wrapper_pass_everywhere(python: Path, tmp_path: Path) -> None:
    """The spec with everything in it, under each interpreter."""
    generate(load(GOLDEN / "everything" / "spec.yaml")).write(tmp_path)
    said = own_tests(python, tmp_path)
    assert passed(said), said


@pytest.mark.parametrize(
    ("text", "files"),
    [
        (EVERYTHING, {"records", "redaction", "ids", "sublists"}),
        (SKIPPING, {"records", "ids", "already"}),
        (EVERYTHING.split(b"datastore:")[0].replace(b"both", b"batch"), {"sublists"}),
    ],
    ids=["everything", "skipping", "batch"],
)
def test_they_try_what_the_spec_turned_on(
    edge_python: Path, tmp_path: Path, text: bytes, files: set[str]
) -> None:
    """Each feature brings its tests, and no other is there; they pass."""
    generate(parse(text)).write(tmp_path)
    assert {path.stem for path in (tmp_path / "tests").glob("test_*.py")} == {
        "test_wrapper",
        "test_hooks",
        *(f"test_{name}" for name in files),
    }
    said = own_tests(edge_python, tmp_path)
    assert "\nOK" in said, said


@pytest.mark.parametrize(
    ("file", "before", "after", "failing"),
    [
        ("redaction", "return redact(value, ", "return value or (", "test_no_record_has_it"),
        ("redaction", "REDACTED, message)", "message, message)", "test_no_message_has_it"),
        ("record_id", "hmac.new(self._key, text,", "hmac.new(b'', text,", "test_nobody_finds_an_id"),
        ("sublists", "len(results) != len(task.items)", "False", "test_an_answer_of_another_length"),
        ("records", 'fields["run"]', '"x"', ""),
    ],
)
def test_they_fail_when_it_is_broken(
    edge_python: Path, tmp_path: Path, file: str, before: str, after: str, failing: str
) -> None:
    """A runtime that does not do what the spec asks for is noticed by the wrapper's own tests."""
    generate(parse(EVERYTHING)).write(tmp_path)
    path = tmp_path / "src" / "runtime" / f"{file}.py"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    said = own_tests(edge_python, tmp_path)
    assert "FAILED" in said and failing in said, said


HOOKS = """
EXAMPLES = [({"text": "a"}, {"label": "good"})]

def before(item):
    return {**item, "more": True} if isinstance(item, dict) else item

def after(item, result, context):
    return {**result, "index": context["index"]} if isinstance(result, dict) else result

def error(item, error_type, message, retryable):
    return "UnsupportedError", message.upper(), True
"""


@pytest.mark.parametrize(
    ("broken", "failing"),
    [
        (None, ""),
        ("def before(item):\n    return item['nothing']\n", "test_before_changes"),
        ("def after(item):\n    return item\n", "test_each_takes_what_it_is_given"),
        ("def error(item, error_type):\n    return error_type\n", "test_each_takes_what_it_is_given"),
    ],
)
def test_they_try_the_users_hooks(
    edge_python: Path, tmp_path: Path, broken: str | None, failing: str
) -> None:
    """Hooks run on the spec's examples and on those that they name; one that can't be called is a failure."""
    generate(parse(EVERYTHING)).write(tmp_path)
    (tmp_path / "src" / "hooks.py").write_text(HOOKS + (broken or ""))
    said = own_tests(edge_python, tmp_path)
    assert ("\nOK" in said) is (broken is None), said
    assert failing in said

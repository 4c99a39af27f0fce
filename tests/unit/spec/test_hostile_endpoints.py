"""What a careless or hostile author writes about an endpoint: a problem of the spec, never a crash."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from wrapgen.build import generate
from wrapgen.errors import SpecError, UsageError
from wrapgen.spec import load

EVIL = 'a"\'\\\n"""{{x}}{%y%}\u00e9\r\u2028$${ evil()'


def write(folder: Path, target: dict[str, Any], **files: str) -> Path:
    """A spec with this target, and files beside it."""
    section = {"endpoint": "http://127.0.0.1:9/p", **target}
    document = {"version": 1, "target": section, "wrapper": {"name": "acme/Scorer", "mode": "batch"}}
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, "utf-8")
    path = folder / "spec.yaml"
    path.write_text(json.dumps(document), "utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(SpecError) as found:
        generate(load(path))
    return "\n".join(f"{problem.message} {problem.hint}" for problem in found.value.problems)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "---\na: 1\n---\nb: 2\n",
        "errors: 5",
        "errors: [5]",
        "errors: [{}]",
        "errors: [{means: stop}]",
        'errors: [{means: stop, status: "evil()"}]',
        "errors: [{means: stop, path: 5}]",
        "errors: [{means: stop, path: $.a, status_in: evil}]",
        "reports: {version: evil}",
        "reports: 5",
        "auth: {bearer_env: A, command: [x]}",
        "auth: {bearer_env: a b}",
        'headers: {A: "x\\r\\nB: y"}',
        "headers: {Authorization: Bearer x}",
        "headers: 5",
        "content_type: 5",
        "answer: nope",
        "match: 5",
        "path: 5",
        "path: [[5]]",
        "path: [$target.model.name]",
        'suffix: "\\r\\nX: y"',
        "lists: 5",
        "formats: 5",
        "formats: {a: 5}",
        "schema: 5",
        "schema: {parse: json}\nrequest: $item",
        "tensors: 5",
        "most_tokens: [a]",
        "needs: [nope]",
        "request: .inf",
        "request: 2020-01-01",
        "request: !!set {a, b}",
        "request: &a [*a]",
        "request: " + "[" * 500 + "]" * 500,
        "request: 1" + "0" * 5000,
        'request: {m: "$target..x"}',
    ],
)
def test_a_wrong_preset_of_the_user_is_a_problem_of_the_spec(text: str, tmp_path: Path) -> None:
    """Its file is read as strictly as a spec, and fills in only what a spec could say."""
    assert "target" in refused(write(tmp_path, {"protocol": "ours.yaml"}, ours_yaml=text))


def test_a_preset_beside_the_spec_may_be_written_with_its_folder(tmp_path: Path) -> None:
    """`./ours.yaml`, as the hint says, is `ours.yaml`; a name of ours is no file of theirs."""
    path = write(tmp_path, {"protocol": "./ours.yaml"}, ours_yaml="request: {mine: $item}", json_yaml="x: 1")
    assert "ours.yaml" in generate(load(path))
    assert "mine" not in str(load(write(tmp_path, {"protocol": "json"})).expanded.request)


@pytest.mark.parametrize(
    "target",
    [
        {"headers": {"X-A": "a\r\nX-Evil: 1"}},
        {"headers": {"X-A": "\u00e9"}},
        {"headers": {"X-Api-Key": "sk-123"}},
        {"endpoint": "http://h/?api_key=sk-123"},
        {"auth": {"bearer_env": "T", "header": "a\r\nb"}},
        {"auth": {"bearer_env": "T", "header": "Content-Length"}},
        {"auth": {"command": []}},
        {"auth": {"command": [""]}},
        {"auth": {"aws": "sagemaker", "region": "x\r\ny"}},
        {"auth": {"bearer_file": "\0"}},
        {"price": {"input": 1e308, "output": 1e308}},
        {"request": {"a": "$result_schema"}},
        {"batch_size": 4, "match": {"answer": "$[*].id", "item": "$call.key"}},
        {"errors": [{"means": "final", "value": "x"}]},
        {"errors": [{"means": "stop"}]},
        {"errors": [5]},
        {
            "protocol": "open-inference",
            "model": "m",
            "inputs": [{"name": "a", "datatype": "FP32"}],
            "result": "$.a",
        },
    ],
)
def test_what_can_not_be_sent_or_would_not_mean_what_it_says_is_refused(
    target: dict[str, Any], tmp_path: Path
) -> None:
    """Before anything is generated, at its place in the spec; a secret in it is not repeated."""
    assert "sk-123" not in refused(write(tmp_path, target))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        '{"type": 5}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": 1%s}' % ("0" * 5000),
        '{"a":' * 900 + "1" + "}" * 900,
        '{"$schema": 5}',
        '{"$ref": "http://127.0.0.1:9/x.json"}',
        '{"$ref": "file:///etc/passwd"}',
        '{"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"a": {}}}',
        '{"$schema": ["x"]}',
        "[" * 100_000,
    ],
)
def test_a_schema_that_is_none_is_a_problem_of_the_spec(text: str, tmp_path: Path) -> None:
    """Also one that no wrapper could hold."""
    assert "item_schema" in refused(write(tmp_path, {"item_schema": "x.json"}, x_json=text))


def test_a_file_beside_the_spec_replaces_none_of_the_wrapper(tmp_path: Path) -> None:
    """A schema called like a file that every wrapper has would be lost, or take its place."""
    path = write(tmp_path, {"item_schema": "TEST_CASES.json"})
    (tmp_path / "TEST_CASES.json").write_text("{}", "utf-8")
    with pytest.raises(UsageError, match="TEST_CASES"):
        generate(load(path))


def test_text_of_a_spec_is_data_in_generated_code(tmp_path: Path) -> None:
    """Quotes, line breaks, braces of templates: the code compiles, and calls nothing that a spec names."""
    target = {
        "request": {EVIL: EVIL.replace("$${ ", ""), "b": "${item['a\"b'].c}" + EVIL, "c": "$item['x\"y']"},
        "result": {EVIL: "$['a\"b']"},
        "errors": [{"means": "final", "path": "$['a\"b']", "value": [EVIL, None, True]}],
        "headers": {"X-A": "\"'\\{{x}}{%y%}${item.k}evil()"},
    }
    target = json.loads(json.dumps(target))
    files = generate(load(write(tmp_path, target)))
    for name in ("src/mapping.py", "src/config.py"):
        called = [node.func for node in ast.walk(ast.parse(files[name])) if isinstance(node, ast.Call)]
        assert "evil" not in {getattr(one, "id", "") for one in called}

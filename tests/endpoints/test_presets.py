"""Each preset against a server that speaks its protocol: what is sent, and what becomes of the answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from model import Reply, spec_text

from wrapgen.build import generate
from wrapgen.cli.main import cli
from wrapgen.errors import SpecError
from wrapgen.spec import load, parse
from wrapgen.spec.preset import built_in

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("endpoint-*/spec.yaml"))


def test_kserve_v1(model, build):
    """Instances go to the model's address, alone or in a list; predictions come back by position."""
    model.answer = lambda request: Reply({"predictions": [2 * one for one in request.json["instances"]]})
    wrapper = build("endpoint: URL\nprotocol: kserve-v1\nmodel: iris\nbatch_size: 3")
    assert wrapper.call([1, 2, 3, 4]) == [2, 4, 6, 8]
    assert wrapper.call(5) == 10
    assert {request.path for request in model.requests} == {"/v1/models/iris:predict"}
    versioned = build("endpoint: URL\nprotocol: kserve-v1\nmodel: {name: iris, version: '7'}")
    versioned.call(1)
    assert model.requests[-1].path == "/v1/models/iris/versions/7:predict"


def test_mlflow_in_each_format(model, build):
    """Frames and instances as MLflow's scoring server reads them."""

    def answer(request: Any) -> Reply:
        rows = next(value for key, value in request.json.items() if key != "params")
        rows = rows["data"] if isinstance(rows, dict) else rows
        return Reply({"predictions": [len(row) for row in rows]})

    model.answer = answer
    start = "endpoint: URL/invocations\nprotocol: mlflow\nbatch_size: 10\nformat: "
    item = {"age": 3, "bmi": 20}
    columns = "dataframe_split\ncolumns: {age: $item.age, bmi: $item.bmi}\nparams: {threshold: 0.4}"
    assert build(start + columns).call([item, item]) == [2, 2]
    assert build(start + "dataframe_records").call([item]) == [2]
    assert build(start + "instances").call([[1, 2, 3]]) == [3]
    assert model.bodies == [
        {
            "dataframe_split": {"columns": ["age", "bmi"], "data": [[3, 20], [3, 20]]},
            "params": {"threshold": 0.4},
        },
        {"dataframe_records": [item]},
        {"instances": [[1, 2, 3]]},
    ]
    assert {request.path for request in model.requests} == {"/invocations"}


TENSORS = """
endpoint: URL
protocol: open-inference
model: {name: sentiment, version: "3"}
batch_size: 32
inputs: [{name: text, datatype: BYTES, shape: [-1], value: $item.document, parameters: {content_type: str}}]
"""


def test_open_inference(model, build):
    """One of several output tensors, with JSON inside its texts, is split into results."""

    def answer(request: Any) -> Reply:
        (sent,) = request.json["inputs"]
        texts = [json.dumps({"length": len(text)}) for text in sent["data"]]
        assert sent["shape"] == [len(texts)] and sent["parameters"] == {"content_type": "str"}
        count = len(texts)
        vectors = {"name": "vectors", "datatype": "FP32", "shape": [count, 2], "data": [0.5] * 2 * count}
        scores = {"name": "scores", "datatype": "BYTES", "shape": [count, 1], "data": texts}
        return Reply({"model_name": "sentiment", "model_version": "3", "outputs": [vectors, scores]})

    model.answer = answer
    wrapper = build(TENSORS + "result: {output: scores, parse: json}")
    answered = wrapper.batch([{"document": "a" * n} for n in range(40)])
    assert answered["$results"] == [{"length": n} for n in range(40)]
    assert answered["$summary"]["versions"] == {"3": 2}
    assert model.requests[0].path == "/v2/models/sentiment/versions/3/infer"
    assert build(TENSORS + "result: {output: vectors}").call({"document": "x"}) == [0.5, 0.5]
    both = build(TENSORS).call({"document": "x"})
    assert both == {"vectors": [0.5, 0.5], "scores": '{"length": 1}'}


def test_openai_chat(model, build):
    """A prompt is made of the item; tokens and cost are summed; an answer cut off is a final error."""

    def answer(request: Any) -> Reply:
        said = request.json["messages"][1]["content"]
        choice = {
            "message": {"content": said.upper()},
            "finish_reason": "length" if "long" in said else "stop",
        }
        usage = {"prompt_tokens": 1000, "completion_tokens": 500}
        return Reply({"model": "qwen3-32b-q4", "choices": [choice], "usage": usage})

    model.answer = answer
    wrapper = build(
        """
endpoint: URL/v1
protocol: openai-chat
model: qwen3-32b
request: {messages: [{role: system, content: No.}, {role: user, content: "say ${item.text}!"}], max_tokens: 9}
auth: {bearer_env: LLM_KEY}
price: {input: 0.15, output: 0.60}
""".replace("bearer_env: LLM_KEY", "bearer_env: PATH")
    )
    answered = wrapper.batch([{"text": "hello"}, {"text": "long"}])
    good, cut = answered["$results"]
    assert good == "SAY HELLO!"
    assert (cut["$error"]["type"], cut["$error"]["retryable"]) == ("LengthError", False)
    summary = answered["$summary"]
    assert (summary["tokens_in"], summary["tokens_out"]) == (2000, 1000)
    assert summary["cost"] == pytest.approx(2000 * 0.15e-6 + 1000 * 0.60e-6)
    assert summary["versions"] == {"qwen3-32b-q4": 2}
    assert model.requests[0].path == "/v1/chat/completions"
    assert model.bodies[0]["model"] == "qwen3-32b" and model.bodies[0]["max_tokens"] == 9


def test_openai_embeddings_are_matched_by_index(model, build):
    """Embeddings in any order find their texts by the index that the answer tells."""

    def answer(request: Any) -> Reply:
        rows = [{"index": n, "embedding": [float(len(text))]} for n, text in enumerate(request.json["input"])]
        return Reply({"data": rows[::-1], "model": "e5", "usage": {"prompt_tokens": 7}})

    model.answer = answer
    wrapper = build("endpoint: URL/v1\nprotocol: openai-embeddings\nmodel: e5\nbatch_size: 4")
    answered = wrapper.batch(["a", "bb", "ccc", "dddd", "eeeee"])
    assert answered["$results"] == [[1.0], [2.0], [3.0], [4.0], [5.0]]
    assert answered["$summary"]["tokens_in"] == 14


def test_results_are_matched_by_an_id_inside(model, build):
    """An answer in another order finds its items by their ids; one without an item's id is an error."""

    def answer(request: Any) -> Reply:
        rows = [{"id": one["id"], "score": one["id"] * 10} for one in request.json["rows"]]
        return Reply({"results": sorted(rows, key=lambda row: -row["id"])[: 10 if rows[0]["id"] < 9 else 0]})

    model.answer = answer
    wrapper = build(
        """
endpoint: URL
request: {rows: $items}
result: $.results[*].score
match: {answer: "$.results[*].id", item: $item.id}
batch_size: 3
"""
    )
    assert wrapper.call([{"id": 2}, {"id": 5}, {"id": 1}]) == [20, 50, 10]
    assert wrapper.call([{"id": 9}])[0]["$error"]["type"] == "ParsingError"


def test_a_preset_of_ones_own(model, build):
    """A file beside the spec is a preset like ours."""
    preset = "needs: [model]\npath: [run, $target.model.name]\nrequest: {q: $items}\nresult: $.a[*]"
    model.answer = lambda request: Reply({"a": request.json["q"]})
    wrapper = build("endpoint: URL\nprotocol: own.yaml\nmodel: m1", {"own.yaml": f"takes: [model]\n{preset}"})
    assert wrapper.call([1, 2]) == [1, 2]
    assert model.requests[0].path == "/run/m1"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_a_spec_with_its_preset_filled_in_means_the_same(path, tmp_path, capsys):
    """What `check --explain` prints is a spec, and generates the same mapping."""
    cli.main(["check", "--explain", str(path)], standalone_mode=False)
    printed = capsys.readouterr().out
    for beside in path.parent.glob("*.json"):
        (tmp_path / beside.name).write_bytes(beside.read_bytes())
    (tmp_path / "spec.yaml").write_text(printed, "utf-8")
    found = [generate(load(where))["src/mapping.py"].splitlines()[4:] for where in (path, tmp_path)]
    assert found[0] == found[1]
    cli.main(["check", "--explain", str(tmp_path)], standalone_mode=False)
    assert yaml.safe_load(capsys.readouterr().out) == yaml.safe_load(printed)


@pytest.mark.parametrize("name", built_in())
def test_a_preset_holds_nothing_but_known_keys(name):
    """Each preset is data that a reader can follow: known keys, and a comment that says who speaks it."""
    from wrapgen.spec.preset import FOLDER, PRESET_KEYS

    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    assert text.startswith("# ") and set(yaml.safe_load(text)) <= set(PRESET_KEYS)


def test_the_digest_of_a_spec_counts_what_stands_beside_it(tmp_path):
    """A changed schema or preset is another wrapper."""
    spec = GOLDEN[0].parent.parent / "endpoint-chat"
    for name in ("spec.yaml", "ticket.schema.json"):
        (tmp_path / name).write_bytes((spec / name).read_bytes())
    before = load(tmp_path).digest
    (tmp_path / "ticket.schema.json").write_text("{}")
    assert load(tmp_path).digest != before
    assert parse((spec / "spec.yaml").read_bytes()).digest != before


ASKED = """
endpoint: URL/predict?version=2
request: {prompt: "Sum up: ${item}", temperature: 0}
headers: {X-Tenant: acme, Idempotency-Key: $call.key}
auth: {bearer_env: PATH}
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("version=2", "version=3"),
        ("Sum up", "Translate"),
        ("temperature: 0", "temperature: 1"),
        ("acme", "other"),
    ],
)
def test_a_content_id_says_what_was_asked(model, build, before, after):
    """Another query, prompt, setting or header asks something else: other record ids, other call keys."""
    record = {"datastore": "{url: 'sqlite:////tmp/none.db'}", "record": "{id: content}"}
    batch = {"wrapper": "{name: acme/Scorer, mode: both}", **record}
    ids, keys = [], []
    for text in (ASKED, ASKED.replace(before, after)):
        made = generate(parse(spec_text(text, model.url, batch)))
        assert "PATH" not in made["src/mapping.py"].decode()
        config: dict[str, Any] = {}
        exec(made["src/config.py"], config)
        ids.append(config["TARGET"]["source"])
        assert config["RECORDS"]["id_version"] == 2
        build(text).batch(["x"], **{"$run": "r", "$ids": ["1"]})
        keys.append(model.requests[-1].headers["Idempotency-Key"])
    assert len(set(ids)) == len(set(keys)) == 2


def test_credentials_and_errors_are_no_part_of_what_was_asked(model):
    """Where a token comes from, and what errors mean, change no id."""
    found = set()
    for more in ("", "errors: [{status: 418, means: final}]\n"):
        for auth in ("PATH", "HOME"):
            made = generate(parse(spec_text(ASKED.replace("PATH", auth) + more, model.url, {})))
            config: dict[str, Any] = {}
            exec(made["src/config.py"], config)
            found.add(config["TARGET"]["source"])
    assert len(found) == 1


@pytest.mark.parametrize(
    ("preset", "wrong"),
    [
        ("- a", "it holds no section"),
        ("request: [", "line 2: this is not YAML"),
        ("reqest: 5", "unknown key"),
        ("path: run", "path must be a list"),
        ("takes: [everything]", "takes.0: Input should be 'model'"),
        ("formats: {a: 5}", "formats.a must be an object"),
        ("formats: {a: {path: 5}}", "formats.a.path must be a list"),
        ("errors: [{status: 400}]", "errors.0.means"),
        ("errors: [{path: x, means: final}]", "errors.0.path"),
        ("auth: {bearer: x}", "unknown key 'auth.bearer'"),
        ("reports: {tokens_in: usage}", "reports.tokens_in"),
        ("match: 5", "match"),
        ("request: {a: $itm}", "unknown variable"),
        ("result: 5", "a result is a path"),
    ],
)
def test_a_wrong_preset_is_a_problem_of_the_spec(build, preset, wrong):
    """A preset beside the spec is checked like the spec: one clear sentence, and no traceback."""
    with pytest.raises(SpecError, match=re.escape(wrong)):
        build("endpoint: URL\nprotocol: own.yaml", {"own.yaml": preset})


@pytest.mark.parametrize(
    ("name", "path"), [("a/b", "a%2Fb"), ("%2e%2e", "%252e%252e"), ("a?b#c", "a%3Fb%23c"), ("é", "%C3%A9")]
)
def test_a_models_name_is_one_segment_of_the_path(model, build, name, path):
    """Whatever a name is made of, it reaches the server as it stands, and never leads elsewhere."""
    model.answer = lambda request: Reply({"predictions": request.json["instances"]})
    assert build(f"endpoint: URL/base\nprotocol: kserve-v1\nmodel: '{name}'").call("x") == "x"
    assert model.requests[0].path == f"/base/v1/models/{path}:predict"


@pytest.mark.parametrize("model_of_it", ["'..'", "{name: m, version: '..'}", "'.'"])
def test_a_name_that_would_lead_out_of_the_path_is_refused(build, model_of_it):
    """Servers and proxies resolve dots, so that no request with them would reach the model."""
    with pytest.raises(SpecError, match="a path can't hold"):
        build(f"endpoint: URL\nprotocol: kserve-v1\nmodel: {model_of_it}")

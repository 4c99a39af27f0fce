"""One input, every way in: single calls, threads, the runner, SQS, Lambda and Spark record the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from wrapgen.errors import AlgorithmFailed
from wrapgen.run.connectors.sqs_messages import run_of

ITEMS = [
    "good",
    "\u00fcber",
    "",
    "two\nlines",
    '{"n": not JSON',
    "fail InputError",
    "fail AlgorithmError",
    "good",
]
IDS = [f"i{n}" for n in range(len(ITEMS))]


def outcome(record) -> tuple:
    """What a record says of its item, but for when and which send."""
    error = record.get("error")
    said = (error["type"], error["message"], error["retryable"]) if error else None
    return (
        record["input"],
        record.get("result"),
        said,
        record["target"],
        record["wrapper"],
        record["attempts"],
    )


EXPECTED = sorted(
    (text, None if text.startswith("fail") else text.upper(), text[5:] if text.startswith("fail") else None)
    for text in ITEMS
)


def check(records) -> None:
    """Every item once, with the outcome that the target planned."""
    found = [outcome(record) for record in records]
    assert sorted((text, result, said and said[0]) for text, result, said, *_ in found) == EXPECTED
    for _, _, said, target, wrapper, attempts in found:
        assert target == "nlp/Planned/1.0.0" and wrapper.startswith("acme/Recorded@sha256:") and attempts == 1
        assert said is None or said[1:] == ("as planned", False)


def call(platform, item) -> None:
    """A single call, whose failure is raised after it was recorded."""
    try:
        platform.client().call(platform.reference, item)
    except AlgorithmFailed as failed:
        assert item.startswith("fail") and failed.error_type == item[5:]


def test_single_calls(platform):
    """One call per item, one after the other: the guide's serial loop."""
    known = {(record["run"], record["id"]) for record in platform.recorded()}
    for item in ITEMS:
        call(platform, item)
    check([record for record in platform.recorded() if (record["run"], record["id"]) not in known])


def test_threads(platform):
    """One call per item from threads: the guide's parallel loop."""
    known = {(record["run"], record["id"]) for record in platform.recorded()}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: call(platform, item), ITEMS))
    check([record for record in platform.recorded() if (record["run"], record["id"]) not in known])


def test_the_runner(platform, tmp_path):
    """`wrapgen run`, with ids."""
    rows = [{"id": id_, "text": item} for id_, item in zip(IDS, ITEMS, strict=True)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [
        "in.jsonl",
        "-o",
        "out.jsonl",
        "--field",
        "text",
        "--id",
        "id",
        "--run",
        "runner",
        "--budget",
        "100",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "wrapgen", "run", platform.reference, *words],
        cwd=tmp_path,
        env=platform.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 10, done.stderr
    records = platform.records("runner")
    assert sorted(records) == IDS
    check(records.values())


def test_sqs(platform, make_queue, work):
    """`wrapgen worker sqs`; an empty body is no message, so that item travels quoted."""
    queue = make_queue()
    ids = queue.send(*(item or '""' for item in ITEMS))
    code, _, said = work(queue.url, "--until-empty", "--failed", "delete").end()
    assert code == 0, said
    arn = queue.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])
    records = platform.records(run_of(arn["Attributes"]["QueueArn"]))
    assert sorted(records) == sorted(ids)
    check(records.values())


def test_lambda(platform, tmp_path):
    """The emitted function, alone in its folder: it asks to keep what failed, and nothing else."""
    built = subprocess.run(
        [sys.executable, "-m", "wrapgen", "build", str(platform.folder / "spec.yaml"), "--lambda"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    arn = "arn:aws:sqs:eu-west-1:1:lambda-conformance"
    records = [
        {
            "messageId": id_,
            "body": item,
            "eventSourceARN": arn,
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for id_, item in zip(IDS, ITEMS, strict=True)
    ]
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import handler\n"
        "class Context:\n    def get_remaining_time_in_millis(self): return 60000\n"
        "print(json.dumps(handler.handle(json.load(sys.stdin), Context())))\n"
        "try:\n    import wrapgen\nexcept ImportError: print('alone')"
    )
    bare = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [bare, "-I", "-c", program, str(tmp_path / "generated" / "Recorded-lambda")],
        env={**platform.environment, "WRAPPER_VERSION": platform.reference.rpartition("/")[2]},
        input=json.dumps({"Records": records}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer, alone = done.stdout.splitlines()
    kept = [failure["itemIdentifier"] for failure in json.loads(answer)["batchItemFailures"]]
    assert alone == "alone" and kept == ["i5", "i6"]
    check(platform.records(run_of(arn)).values())


def test_spark(platform, spark):
    """`wrapgen.spark.apply` on a cluster."""
    from wrapgen.spark import apply

    frame = spark.session.createDataFrame(list(zip(IDS, ITEMS, strict=True)), "id string, text string")
    scored = apply(
        frame,
        platform.reference,
        input="text",
        id="id",
        run="spark",
        schema="string",
        address=platform.facts["address"],
        key=platform.facts["api_key"],
    )
    assert sorted(row.id for row in scored.collect() if row.error) == ["i5", "i6"]
    records = platform.records("spark")
    assert sorted(records) == IDS
    check(records.values())


@pytest.mark.parametrize("engine", ["spark", "lambda", "sqs"])
def test_what_is_generated_for_an_engine_depends_on_the_spec_alone(platform, tmp_path, engine):
    """Built twice, a folder is the same, and `--check` says so."""
    command = [sys.executable, "-m", "wrapgen", "build", str(platform.folder / "spec.yaml"), f"--{engine}"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    checked = subprocess.run([*command, "--check"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    folder = tmp_path / "generated" / f"Recorded-{engine}"
    for path in folder.rglob("*.py"):
        text = path.read_text("utf-8")
        compile(text, str(path), "exec")
        assert not re.search(r"^\s*(import|from) wrapgen", text, re.MULTILINE)
    assert (folder / "spec.yaml").exists()

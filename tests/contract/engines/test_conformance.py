"""One input, every way in: calls, threads, the runner, SQS, Lambda, Spark and its streams record the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from wrapgen.errors import AlgorithmFailed
from wrapgen.run.integrations.sqs_messages import run_of

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


LEFT_OUT = ("run", "id", "index", "try", "started_at", "duration_ms")
"""What tells sends apart; everything else in a record is to be the same, whichever way the item came."""


def record_set(records) -> list[str]:
    """Records without what tells sends apart, in an order that does not depend on them."""
    kept = ({name: value for name, value in one.items() if name not in LEFT_OUT} for one in records)
    return sorted(json.dumps(one, sort_keys=True) for one in kept)


def call(platform, item) -> None:
    """A single call, whose failure is raised after it was recorded."""
    try:
        platform.client().call(platform.reference, item)
    except AlgorithmFailed as failed:
        assert item.startswith("fail") and failed.error_type == item[5:]


@pytest.fixture(scope="module")
def single(platform) -> list[str]:
    """The record set of one call per item, one after the other: the guide's serial loop."""
    known = {(record["run"], record["id"]) for record in platform.recorded()}
    for item in ITEMS:
        call(platform, item)
    return record_set(one for one in platform.recorded() if (one["run"], one["id"]) not in known)


def test_single_calls(single):
    """Every item is recorded with the outcome that its target planned."""
    found = sorted((json.loads(one) for one in single), key=lambda one: one["input"])
    common = {"target": "nlp/Planned/1.0.0", "wrapper": found[0]["wrapper"], "attempts": 1}
    assert found[0]["wrapper"].startswith("acme/Recorded@sha256:")
    for record, text in zip(found, sorted(ITEMS), strict=True):
        error = {"type": text[5:], "message": "as planned", "retryable": False}
        said = {"error": error} if text.startswith("fail") else {"result": text.upper()}
        assert record == {"input": text, **said, **common}


def test_threads(platform, single):
    """One call per item from threads: the guide's parallel loop."""
    known = {(record["run"], record["id"]) for record in platform.recorded()}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: call(platform, item), ITEMS))
    found = [record for record in platform.recorded() if (record["run"], record["id"]) not in known]
    assert record_set(found) == single


def test_the_runner(platform, tmp_path, single):
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
    assert record_set(records.values()) == single


def test_sqs(platform, make_queue, work, single):
    """`wrapgen worker sqs`; an empty body is no message, so that item travels quoted."""
    queue = make_queue()
    ids = queue.send(*(item or '""' for item in ITEMS))
    code, _, said = work(queue.url, "--until-empty", "--failed", "delete").end()
    assert code == 0, said
    arn = queue.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])
    records = platform.records(run_of(arn["Attributes"]["QueueArn"]))
    assert sorted(records) == sorted(ids)
    assert record_set(records.values()) == single


def test_lambda(platform, tmp_path, single):
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
    assert record_set(platform.records(run_of(arn)).values()) == single


def test_spark(platform, spark, single):
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
    assert record_set(records.values()) == single


def test_structured_streaming(platform, spark, single, tmp_path):
    """`wrapgen.spark.foreach_batch` on a stream of two files: each batch a run, together the same records."""
    from wrapgen.spark import foreach_batch

    rows = [json.dumps({"id": id_, "text": item}) for id_, item in zip(IDS, ITEMS, strict=True)]
    source = tmp_path / "in"
    source.mkdir()
    (source / "0.json").write_text("\n".join(rows[:3]))
    (source / "1.json").write_text("\n".join(rows[3:]))
    failed: list[str] = []
    score = foreach_batch(
        platform.reference,
        lambda batch, _: failed.extend(row.id for row in batch.collect() if row.error),
        input="text",
        id="id",
        schema="string",
        address=platform.facts["address"],
        key=platform.facts["api_key"],
    )
    query = (
        spark.session.readStream.schema("id string, text string")
        .option("maxFilesPerTrigger", 1)
        .json(str(source))
        .writeStream.foreachBatch(score)
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    assert sorted(failed) == ["i5", "i6"]
    batches = [platform.records(f"{query.id}-{number}") for number in range(2)]
    assert sorted(id_ for records in batches for id_ in records) == IDS
    assert record_set(one for records in batches for one in records.values()) == single


@pytest.mark.parametrize("engine", ["spark", "ray", "lambda", "sqs"])
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

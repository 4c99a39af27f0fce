"""What each way in costs: the runner, SQS, Lambda and Spark.

    python bench/engines.py [ITEMS] [--json] [--alone]

First each connector alone, in this process, with a wrapper that answers at once: what an item costs us. Then
whole commands on a platform, an SQS server (moto's, in memory, slow while its queue is long) and Spark's
`local[2]`, with a target that does next to nothing: start-up counts for the commands, not for Spark.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests" / "contract" / "engines"
TEXT = "a tweet of ordinary length, as people write them, with a few words more"
CALL = 500
"""Items in a call, where the connector takes that many."""

Measured = tuple[str, int, float]
"""What was measured, how many items, seconds."""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("items", type=int, nargs="?", default=600, help="through each whole engine")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, in place of a table")
    parser.add_argument("--alone", action="store_true", help="the connectors only")
    given = parser.parse_args()
    if not given.json:
        print(f"{'':28}{'items':>8}{'seconds':>9}{'items/s':>10}{'us an item':>12}")
    for measured in alone(100 * given.items):
        report(*measured, as_json=given.json)
    for measured in () if given.alone else whole(given.items):
        report(*measured, as_json=given.json)


def report(name: str, items: int, seconds: float, *, as_json: bool) -> None:
    """One line."""
    rate, each = items / seconds, 1e6 * seconds / items
    if as_json:
        facts = {"name": name, "items": items, "seconds": seconds, "items_per_s": rate, "us_per_item": each}
        print(
            json.dumps({key: round(one, 3) if isinstance(one, float) else one for key, one in facts.items()})
        )
    else:
        print(f"{name:28}{items:8,}{seconds:9.2f}{rate:10,.0f}{each:12,.1f}")
    sys.stdout.flush()


def alone(items: int) -> Iterator[Measured]:
    """Each connector with a wrapper that answers at once."""
    for name, measure in (
        ("runner alone", runner_alone),
        ("SQS worker alone", sqs_alone),
        ("Lambda handler alone", lambda_alone),
        ("Spark task alone", spark_alone),
    ):
        yield name, items, measure(items)


def whole(items: int) -> Iterator[Measured]:
    """Each engine as a user starts it."""
    loader = importlib.util.spec_from_file_location("surroundings", TESTS / "conftest.py")
    assert loader is not None and loader.loader is not None
    around = importlib.util.module_from_spec(loader)
    sys.modules["surroundings"] = around
    loader.loader.exec_module(around)

    class Folders:
        """What the fixtures take of pytest."""

        @staticmethod
        def mktemp(name: str) -> Path:
            return Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))

    platforms = around.platform.__wrapped__(Folders)
    servers = around.sqs_address.__wrapped__()
    platform, sqs = next(platforms), next(servers)
    try:
        yield "runner", items, runner(platform, items)
        yield "SQS, one worker", items, queue(around, platform, sqs, items, workers=1)
        yield "SQS, two workers", items, queue(around, platform, sqs, items, workers=2)
        yield "Spark, local[2]", items, spark(platform, items)
    finally:
        for generator in (servers, platforms):
            next(generator, None)


class Instant:
    """A wrapper that answers at once: for each item the number 1; stands in for a platform's calls."""

    def host(self, reference: str) -> Any:
        """It as what executes a wrapper."""
        from wrapgen.run.hosts.memory import MemoryHost

        return MemoryHost(self.call, reference, description=description())

    def call(self, body: bytes, _: float) -> bytes:
        """The platform's answer to a batch."""
        count = body.count(TEXT.encode())
        summary = {"items": count, "calls": count, "throttled": 0, "stopped": None}
        results = ",".join(["1"] * count)
        return (
            f'{{"result":{{"$results":[{results}],"$summary":{json.dumps(summary)}}},"metadata":{{"duration":0}}}}'
        ).encode()

    def read(self, url: str) -> bytes:
        """Nothing is too large here."""
        raise AssertionError(url)


def description() -> Any:
    """What the wrapper that answers at once says of itself."""
    from wrapgen.run.hosts.description import Description

    return Description(
        target="bench/Target/1.0.0",
        mode="both",
        spec="sha256:" + "0" * 64,
        timeout=300,
        request_bytes=10_000_000,
        parallel=8,
        attempts=3,
        datastore="data://bench/records",
    )


def runner_alone(items: int) -> float:
    """The local runner from a file of JSON Lines to another, its ledger included."""
    from wrapgen.run.finish import run_to_files
    from wrapgen.run.input.files import find
    from wrapgen.run.input.items import Selected, Selection
    from wrapgen.run.ledger.folder import Folder
    from wrapgen.run.output.layouts import Layout
    from wrapgen.run.session import Session
    from wrapgen.run.settings import Options

    with tempfile.TemporaryDirectory() as name:
        source, host = Path(name) / "in.jsonl", Instant().host("bench/Wrapper/1.0.0")
        source.write_text(
            "".join(f'{{"document":"{TEXT}, number {number:08d}"}}\n' for number in range(items))
        )
        began = time.perf_counter()
        chosen = Selected(find(str(source)), Selection())
        with Session(Folder(Path(name) / "run"), chosen, host, Options(workers=4)) as session:
            summary = run_to_files(
                session, Path(name) / "out.jsonl", Layout(), lambda _: None, time.monotonic
            )
        assert summary.counts.succeeded == items
        return time.perf_counter() - began


def terms() -> Any:
    """What holds for every call of the worker."""
    from wrapgen.run.hosts.chunk_call import Terms

    return Terms(
        run="bench",
        timeout=330,
        attempts=3,
        request_bytes=10_000_000,
        clock=time.monotonic,
    )


def sqs_alone(items: int) -> float:
    """The worker on a queue in memory."""
    from random import Random

    from wrapgen.run.engine_delivery import EngineDelivery
    from wrapgen.run.hosts.chunk_call import ChunkCall
    from wrapgen.run.integrations.sqs_worker import LockedBackoff, SqsWorker, WorkerOptions
    from wrapgen.run.scheduling.limits import Concurrency

    random = Random(1)
    call = ChunkCall(Instant().host("bench/Wrapper/1.0.0"), terms())
    sender = EngineDelivery(call, 3, LockedBackoff(random, 60), time.monotonic, lambda _: False, random)
    options = WorkerOptions(batch=CALL, wait=0, until_empty=True)
    queue = Memory(items)
    begun = time.monotonic()
    counts = SqsWorker(queue, sender, Instant().read, print, options, Concurrency(8)).run()
    assert counts.deleted == items
    return time.monotonic() - begun


def lambda_alone(items: int) -> float:
    """The function's handler, with events of as many messages as a standard queue's may hold."""
    from wrapgen.run.integrations.sqs_event import failures

    events = [
        {
            "Records": [
                {"messageId": str(n), "body": TEXT, "eventSourceARN": "arn:aws:sqs:us-east-1:1:bench"}
                for n in range(start, min(items, start + CALL))
            ]
        }
        for start in range(0, items, CALL)
    ]
    about = description()
    begun = time.monotonic()
    for event in events:
        kept = failures(event, lambda: 60.0, Instant(), "bench/Wrapper/1.0.0", about, None)  # type: ignore[arg-type]
        assert kept == {"batchItemFailures": []}
    return time.monotonic() - begun


def spark_alone(items: int) -> float:
    """What a task does: Arrow batches in, Arrow batches out; without Spark's own part."""
    import pyarrow as pa

    from wrapgen.run.integrations.spark_task import Task
    from wrapgen.run.integrations.table_plan import TablePlan

    plan = TablePlan(
        calls=Instant(),  # type: ignore[arg-type]
        reference="bench/Wrapper/1.0.0",
        about=description(),
        run="bench",
        input="text",
        id="id",
        result_type=pa.int64(),
        as_json=False,
        concurrency=8,
        chunk=CALL,
        timeout=330,
        patience=60,
    )
    most = 10_000  # rows in an Arrow batch, as Spark has them
    batches = [
        pa.RecordBatch.from_pydict(
            {
                "id": [str(n) for n in range(most * at, min(items, most * (at + 1)))],
                "text": [TEXT] * min(most, items - most * at),
            }
        )
        for at in range(math.ceil(items / most))
    ]
    begun = time.monotonic()
    found = sum(sum(batch.column("result").to_pylist()) for batch in Task(plan, 2)(iter(batches)))
    assert found == items
    return time.monotonic() - begun


def runner(platform, items: int) -> float:
    """`wrapgen run`."""
    path = platform.folder / "bench.jsonl"
    path.write_text("".join(json.dumps({"n": n}) + "\n" for n in range(items)))
    words = ["run", platform.reference, str(path), "-o", str(platform.folder / "bench.out"), "--json"]
    return timed([sys.executable, "-m", "wrapgen", *words], platform)


def queue(around, platform, sqs: str, items: int, workers: int) -> float:
    """`wrapgen worker sqs`, from a full queue to an empty one."""
    queues = around.make_queue.__wrapped__(sqs)()
    queues.send_many([{"n": n} for n in range(items)])
    words = ["worker", "sqs", "--queue", queues.url, "--wrapper", platform.reference]
    words += ["--until-empty", "--wait", "1", "--batch", "500"]
    started = time.monotonic()
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "wrapgen", *words],
            env=platform.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(workers)
    ]
    assert [process.wait() for process in running] == [0] * workers
    return time.monotonic() - started


class Memory:
    """A queue in memory: what is left is what the connector itself takes."""

    def __init__(self, items: int) -> None:
        from wrapgen.run.integrations.sqs_messages import Message

        self._left = [Message(str(n), str(n), TEXT) for n in range(items)]

    def receive(self, count: int, **_: int) -> list:
        """The next ten."""
        found = self._left[-count:]
        del self._left[-count:]
        return found

    def remaining(self) -> int:
        """How many there are."""
        return len(self._left)

    def delete(self, _) -> list:
        """Nothing fails."""
        return []

    hide = delete


def spark(platform, items: int) -> float:
    """`wrapgen.spark.apply`, written nowhere."""
    from wrapgen.spark import apply, session

    started = session("bench", **{"spark.master": "local[2]", "spark.ui.enabled": "false"})
    started.sparkContext.setLogLevel("ERROR")
    frame = started.range(0, items, 1, 2).withColumnRenamed("id", "n")
    keys = {"address": platform.facts["address"], "key": platform.facts["api_key"]}

    def once(rows) -> float:
        scored = apply(rows, platform.reference, input=["n"], id="n", schema="square long", **keys)
        begun = time.monotonic()
        scored.write.format("noop").mode("overwrite").save()
        return time.monotonic() - begun

    once(frame.limit(10))  # the first job starts Python's workers
    seconds = once(frame)
    started.stop()
    return seconds


def timed(command: list[str], platform) -> float:
    """Seconds that a command takes."""
    begun = time.monotonic()
    subprocess.run(
        command, env=platform.environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.monotonic() - begun


if __name__ == "__main__":
    main()

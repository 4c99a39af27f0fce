"""What each way in costs: the runner, SQS and Spark on one wrapper whose target does next to nothing.

    python bench/engines.py [ITEMS]

Starts a platform, an SQS server (moto's, in memory) and Spark's `local[2]`; prints items a second and what an
item costs. Start-up counts for the commands, not for Spark. That server is slow when its queue is long:
"connector alone" is the worker on a queue in memory.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests" / "contract" / "engines"


def main() -> None:
    """Measures and prints."""
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 600
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
        report("runner", items, runner(platform, items))
        report("SQS connector alone", 100 * items, connector(100 * items))
        report("SQS, one worker", items, queue(around, platform, sqs, items, workers=1))
        report("SQS, two workers", items, queue(around, platform, sqs, items, workers=2))
        report("Spark, local[2]", items, spark(platform, items))
    finally:
        for generator in (servers, platforms):
            next(generator, None)


def report(name: str, items: int, seconds: float) -> None:
    """One line."""
    print(f"{name:20} {items / seconds:8,.0f} items/s {1e6 * seconds / items:8,.0f} us an item", flush=True)


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
            [sys.executable, "-m", "wrapgen", *words], env=platform.environment, stderr=subprocess.DEVNULL
        )
        for _ in range(workers)
    ]
    assert [process.wait() for process in running] == [0] * workers
    return time.monotonic() - started


class Memory:
    """A queue in memory: what is left is what the connector itself takes."""

    def __init__(self, items: int) -> None:
        from wrapgen.run.connectors.sqs_messages import Message

        self._left = [Message(str(n), str(n), f'{{"n": {n}}}') for n in range(items)]

    def receive(self, count: int, **_: int) -> list:
        """The next ten."""
        found, self._left = self._left[-count:], self._left[:-count]
        return found

    def remaining(self) -> int:
        """How many there are."""
        return len(self._left)

    def delete(self, _) -> list:
        """Nothing fails."""
        return []

    hide = delete


def connector(items: int) -> float:
    """The worker on a queue in memory and a wrapper that answers at once."""
    from random import Random

    from wrapgen.run.concurrency import Concurrency
    from wrapgen.run.connectors.sqs import SqsWorker, WorkerEffects, WorkerOptions
    from wrapgen.run.process import Outcome, Reply
    from wrapgen.run.states import Fate

    def process(chunk) -> Reply:
        return Reply([Outcome(Fate.OK, "1", 0)] * len(chunk), {"calls": len(chunk)})

    effects = WorkerEffects(process, lambda _: b"", print, time.monotonic, Random(1), 3, 60)
    options = WorkerOptions(batch=500, wait=0, until_empty=True)
    begun = time.monotonic()
    counts = SqsWorker(Memory(items), effects, options, Concurrency(8)).run()
    assert counts.deleted == items
    return time.monotonic() - begun


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

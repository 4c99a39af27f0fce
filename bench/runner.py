"""What the runner itself costs: time per item, memory as the input grows, share of the ideal with distance.

    python bench/runner.py overhead      µs per item at 1,000 items a chunk, a wrapper that costs nothing
    python bench/runner.py memory        peak memory at 10 thousand, 1 million and 10 million items
    python bench/runner.py ideal         share of items × latency ÷ concurrency, at 5, 50 and 500 ms

Prints one JSON object per measurement. Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from wrapgen.client import Client, Connection
from wrapgen.run.concurrency import ceiling
from wrapgen.run.connectors.files import find
from wrapgen.run.finish import run_to_files
from wrapgen.run.items import Selected, Selection
from wrapgen.run.layouts import Layout
from wrapgen.run.options import Options, Wrapper
from wrapgen.run.process import Call
from wrapgen.run.session import Session
from wrapgen.run.wrappers import Description

DESCRIPTION = Description(
    target="bench/Target/1.0.0",
    mode="batch",
    spec="sha256:" + "0" * 64,
    timeout=300,
    request_bytes=10_000_000,
    parallel=8,
    attempts=3,
    datastore=None,
)
LINE = '{"document":"a tweet of ordinary length, as people write them, with a few words more, number %08d"}\n'
RESULT = '{"document":"a tweet of ordinary length, as people write them","sentiment":0.4215}'
SUMMARY = '"$summary":{"items":0,"calls":1,"throttled":0,"stopped":null}'


class Instant:
    """A wrapper that costs next to nothing: its answers are made once for each size of a chunk."""

    def __init__(self) -> None:
        self.answers: dict[int, bytes] = {}

    def __call__(self, body: bytes, _: float) -> bytes:
        """The answer for as many items as the body holds."""
        count = body.count(b'"document"')
        if count not in self.answers:
            results = ",".join([RESULT] * count)
            text = f'{{"result":{{"$results":[{results}],{SUMMARY}}},"metadata":{{"duration":0.1}}}}'
            self.answers[count] = text.encode("ascii")
        return self.answers[count]


def write_input(path: Path, items: int) -> None:
    """An input of so many items."""
    with path.open("w") as file:
        file.writelines(LINE % number for number in range(items))


def once(
    source: Path, folder: Path, *, call: Call | None = None, workers: int | None = 4
) -> dict[str, float]:
    """One run, over a wrapper that costs nothing unless another is given."""
    folder.mkdir(exist_ok=True)
    wrapper = Wrapper("bench/Wrapper/1.0.0", DESCRIPTION, call or Instant())
    output = folder / "out.jsonl"
    items = Selected(find(str(source)), Selection())
    started, spent = time.perf_counter(), time.process_time()
    with Session(folder / "run", items, wrapper, Options(workers=workers)) as session:
        opened = time.perf_counter()
        summary = run_to_files(session, items, output, Layout(), lambda _: None, time.monotonic)
    seconds, cpu = time.perf_counter() - started, time.process_time() - spent
    count = summary.counts.items
    assert summary.counts.succeeded == count
    return {
        "items": count,
        "seconds": round(seconds, 2),
        "us_per_item": round(seconds / count * 1e6, 2),
        "cpu_us_per_item": round(cpu / count * 1e6, 2),
        "before_first_call_us_per_item": round((opened - started) / count * 1e6, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


class Distant(BaseHTTPRequestHandler):
    """A wrapper behind a delaying loopback server: so many items at once, each taking the latency."""

    protocol_version = "HTTP/1.1"
    latency = 0.0
    instant = Instant()

    def do_POST(self) -> None:
        """Waits as the wrapper's calls of a distant target would, then answers."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        items = body.count(b'"document"')
        time.sleep(math.ceil(items / DESCRIPTION.parallel) * self.latency)
        answer = self.instant(body, 0)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def serve_distant(latency: float) -> None:
    """Serves until the process is ended; prints its address."""
    Distant.latency = latency
    server = ThreadingHTTPServer(("127.0.0.1", 0), Distant)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def ideal(latency: float, items: int, folder: Path) -> dict[str, float]:
    """How much of items x latency / concurrency is reached, the run's start and end included."""
    command = [sys.executable, __file__, "distant", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            client = Client(Connection(server.stdout.readline().strip(), "key", "the bench"), pool=80)

            def call(body: bytes, timeout: float) -> bytes:
                return client.call_body("bench/Wrapper/1.0.0", body, timeout=timeout)

            source = folder / f"in-{items}.jsonl"
            write_input(source, items)
            measured = once(source, folder / f"{latency}", call=call, workers=None)
        finally:
            server.terminate()
    at_once = ceiling(DESCRIPTION.parallel) * DESCRIPTION.parallel
    best = items * latency / at_once
    return {
        "latency_ms": latency * 1000,
        "items": items,
        "at_once": at_once,
        "ideal_seconds": round(best, 2),
        "seconds": measured["seconds"],
        "share": round(best / measured["seconds"], 3),
    }


def child(items: int) -> dict[str, float]:
    """The measurement for one size in a process of its own, whose peak memory is its own too."""
    command = [sys.executable, __file__, "once", "--items", str(items)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    """Picks the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["once", "overhead", "memory", "ideal", "distant"])
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.what == "once":
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "in.jsonl"
            write_input(source, given.items)
            if given.profile:
                import cProfile

                cProfile.runctx("once(source, Path(name))", globals(), locals(), sort="tottime")
            else:
                print(json.dumps(once(source, Path(name))))
    elif given.what == "overhead":
        for _ in range(given.rounds):
            print(json.dumps(child(given.items)), flush=True)
    elif given.what == "distant":
        serve_distant(given.latency)
    elif given.what == "ideal":
        with tempfile.TemporaryDirectory() as name:
            for latency, items in ((0.005, 250_000), (0.05, 40_000), (0.5, 8_000)):
                print(json.dumps(ideal(latency, items, Path(name))), flush=True)
    elif given.what == "memory":
        for items in (10_000, 1_000_000, 10_000_000):
            print(json.dumps(child(items)), flush=True)


if __name__ == "__main__":
    main()

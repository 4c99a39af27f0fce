"""What the runner itself costs: time per item, memory as the input grows, share of the ideal with distance.

    python bench/runner.py overhead      µs per item at 1,000 items a chunk, a wrapper that costs nothing
    python bench/runner.py memory        peak memory at 10 thousand, 1 million and 10 million items
    python bench/runner.py ideal         share of items × latency ÷ concurrency, at 5, 50 and 500 ms:
                                         the target is behind a delaying proxy

Prints one JSON object per measurement. Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, ClassVar

from proxy import delayed

from wrapgen.client import Client, Connection
from wrapgen.run.finish import run_to_files
from wrapgen.run.hosts.description import Description
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.ledger.folder import Folder
from wrapgen.run.output.layouts import Layout
from wrapgen.run.scheduling.limits import ceiling
from wrapgen.run.session import Session
from wrapgen.run.settings import Options

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
    source: Path,
    folder: Path,
    *,
    call: Callable[[bytes, float], bytes] | None = None,
    workers: int | None = 4,
) -> dict[str, float]:
    """One run, over a wrapper that costs nothing unless another is given."""
    folder.mkdir(exist_ok=True)
    host = MemoryHost(call or Instant(), description=DESCRIPTION)
    output = folder / "out.jsonl"
    items = Selected(find(str(source)), Selection())
    started, spent = time.perf_counter(), time.process_time()
    with Session(Folder(folder / "run"), items, host, Options(workers=workers)) as session:
        opened = time.perf_counter()
        summary = run_to_files(session, output, Layout(), lambda _: None, time.monotonic)
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


class Echo(StreamRequestHandler):
    """A target that costs nothing: a line back for each line."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Until the other side hangs up."""
        for line in self.rfile:
            self.wfile.write(line)


class Line:
    """A connection to the target through the proxy; a round trip takes the latency."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def round_trip(self, message: bytes = b"item\n") -> float:
        """Sends what is together on the way and waits for the answer; seconds that it took."""
        started = time.perf_counter()
        self._socket.sendall(message)
        self._file.readline()
        return time.perf_counter() - started


class Distant(BaseHTTPRequestHandler):
    """A wrapper that calls its target through a delaying proxy, so many items at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    target = ""
    instant = Instant()
    trips: ClassVar[list[float]] = []

    def setup(self) -> None:
        """One line to the target for each connection of the runner."""
        super().setup()
        self.line = Line(self.target)

    def do_POST(self) -> None:
        """Makes the wrapper's calls, as many together as it has in work at once, then answers."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for _ in range(math.ceil(body.count(b'"document"') / DESCRIPTION.parallel)):
            self.trips.append(self.line.round_trip())
        self.answer(self.instant(body, 0))

    def do_GET(self) -> None:
        """How long a round trip took on average, in seconds."""
        self.answer(json.dumps(sum(self.trips) / len(self.trips)).encode())

    def answer(self, answer: bytes) -> None:
        """Sends it."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def serve_distant(target: str) -> None:
    """Serves until the process is ended; prints its address. Without a target it is one."""
    Distant.target = target
    kind: Any = ThreadingHTTPServer if target else ThreadingTCPServer
    kind.daemon_threads = True
    server = kind(("127.0.0.1", 0), Distant if target else Echo)
    print("{}:{}".format(*server.server_address), flush=True)
    server.serve_forever()


@contextmanager
def distant(target: str) -> Iterator[str]:
    """`host:port` of such a server in a process of its own, while the block runs."""
    command = [sys.executable, __file__, "distant", "--target", target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def ideal(latency: float, items: int, folder: Path) -> dict[str, float]:
    """How much of items x latency / concurrency is reached, the run's start and end included.

    The latency is what a round trip through the proxy takes while nothing else goes on. `share_of_nominal`
    counts the proxy's own time, a fraction of a millisecond, as lost too; `share_of_busy` takes the round
    trips as they were during the run, when runner, wrapper, proxy and target share the processors.
    """
    with distant("") as target, delayed(target, latency * 1000) as proxy, distant(proxy) as server:
        line = Line(proxy)
        trips = sorted(line.round_trip() for _ in range(max(5, int(0.5 / latency))))
        taken = trips[len(trips) // 2]
        client = Client(Connection(f"http://{server}", "key", "the bench"), pool=80)

        def call(body: bytes, timeout: float) -> bytes:
            return client.call_body("bench/Wrapper/1.0.0", body, timeout=timeout)

        source = folder / f"in-{items}.jsonl"
        write_input(source, items)
        measured = once(source, folder / f"{latency}", call=call, workers=None)
        with urllib.request.urlopen(f"http://{server}") as reply:
            busy = json.load(reply)
    at_once = ceiling(DESCRIPTION.parallel) * DESCRIPTION.parallel
    best = items * taken / at_once
    return {
        "latency_ms": latency * 1000,
        "round_trip_ms": round(taken * 1000, 2),
        "items": items,
        "at_once": at_once,
        "ideal_seconds": round(best, 2),
        "seconds": measured["seconds"],
        "share": round(best / measured["seconds"], 3),
        "share_of_busy": round(items * busy / at_once / measured["seconds"], 3),
        "busy_round_trip_ms": round(busy * 1000, 2),
        "before_first_call_seconds": round(measured["before_first_call_us_per_item"] * items / 1e6, 2),
        "share_of_nominal": round(items * latency / at_once / measured["seconds"], 3),
        "cpu_us_per_item": measured["cpu_us_per_item"],
    }


def child(items: int) -> dict[str, float]:
    """The measurement for one size in a process of its own, whose peak memory is its own too."""
    command = [sys.executable, __file__, "once", "--items", str(items)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    """Reads the command line and picks the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["once", "overhead", "memory", "ideal", "distant"])
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--target", default="")
    parser.add_argument("--only", type=float, metavar="MS", help="ideal: at this latency only")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.what == "distant":
        serve_distant(given.target)
    elif given.what == "overhead":
        for _ in range(given.rounds):
            print(json.dumps(child(given.items)), flush=True)
    elif given.what == "memory":
        for items in (10_000, 1_000_000, 10_000_000):
            print(json.dumps(child(items)), flush=True)
    else:
        with tempfile.TemporaryDirectory() as name:
            IN_FOLDER[given.what](Path(name), given)


def print_once(folder: Path, given: argparse.Namespace) -> None:
    """One run in this process, with a profile if that is wanted."""
    source = folder / "in.jsonl"
    write_input(source, given.items)
    if given.profile:
        cProfile.runctx("once(source, folder)", globals(), locals(), sort="tottime")
    else:
        print(json.dumps(once(source, folder)))


def print_ideal(folder: Path, given: argparse.Namespace) -> None:
    """The share of the ideal at each latency."""
    for latency, items in ((0.005, 250_000), (0.05, 40_000), (0.5, 8_000)):
        if given.only in (None, latency * 1000):
            print(json.dumps(ideal(latency, items, folder)), flush=True)


IN_FOLDER = {"once": print_once, "ideal": print_ideal}


if __name__ == "__main__":
    main()

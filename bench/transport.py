"""Calls per second of the wrapper's transport beside the vendor's `pipe()`, on a server that does nothing.

Run it with `python bench/transport.py`. Both sides share the machine with the server, which is one process
that answers every request with the same bytes, so the client's own work per call is what is measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import platform
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import Algorithmia

SOURCE = Path(__file__).resolve().parents[1] / "templates" / "algorithm" / "src"
BODY = json.dumps(
    {"result": {"sentiment": 0.5}, "metadata": {"content_type": "json", "duration": 0.001}}
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)
ITEM = {"document": "VADER is smart, handsome, and funny."}


def serve(listener: socket.socket) -> None:
    """Answers each request on each connection at once; reads no more of it than it must."""
    import asyncio

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport, self.buffer = transport, b""

        def data_received(self, data: bytes) -> None:
            self.buffer += data
            while True:
                head = self.buffer.find(b"\r\n\r\n")
                if head < 0:
                    return
                at = self.buffer[:head].lower().find(b"content-length:")
                length = int(self.buffer[at + 15 : head].split(b"\r", 1)[0]) if at >= 0 else 0
                if len(self.buffer) < head + 4 + length:
                    return
                self.buffer = self.buffer[head + 4 + length :]
                self.transport.write(ANSWER)

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Protocol, sock=listener)
        await server.serve_forever()

    try:
        import uvloop
    except ImportError:
        asyncio.run(forever())
    else:
        uvloop.run(forever())


def rate(call: Callable[[], Any], threads: int, seconds: float) -> float:
    """Calls per second that so many threads make together."""
    counts, stop, begin = [0] * threads, threading.Event(), threading.Barrier(threads + 1)

    def work(number: int) -> None:
        call()
        begin.wait()
        while not stop.is_set():
            call()
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
    for worker in workers:
        worker.start()
    begin.wait()
    started = time.perf_counter()
    stop.wait(seconds)
    stop.set()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - started)


def ways(address: str) -> dict[str, Callable[[], Any]]:
    """The calls to compare, by name."""
    spec = importlib.util.spec_from_file_location(
        "runtime", SOURCE / "__init__.py", submodule_search_locations=[str(SOURCE)]
    )
    assert spec is not None
    sys.modules["runtime"] = importlib.util.module_from_spec(spec)
    target = importlib.import_module("runtime.target")
    client = Algorithmia.client("simBench", address)
    algo = client.algo("nlp/SentimentAnalysis/1.0.5")
    ours = target.Target(client, {"algorithm": "nlp/SentimentAnalysis/1.0.5", "request_bytes": 10_000_000})
    return {
        "vendor's pipe()": lambda: algo.pipe(ITEM).result,
        "wrapper's transport": lambda: ours.call(ITEM, 60),
    }


def main() -> None:
    """Measures both, alternating, and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
    server.start()
    try:
        calls = ways(f"http://127.0.0.1:{listener.getsockname()[1]}")
        rates: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(chosen.rounds):
            for name, call in calls.items():
                rates[name].append(rate(call, chosen.threads, chosen.seconds))
    finally:
        server.terminate()
        server.join()
    report(SimpleNamespace(**vars(chosen)), rates)


def report(chosen: SimpleNamespace, rates: dict[str, list[float]]) -> None:
    """Prints calls per second, and how much faster ours is."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    pipe, ours = medians.values()
    if chosen.json:
        print(json.dumps({"threads": chosen.threads, "calls_per_second": rates, "times": ours / pipe}))
        return
    times = f"{chosen.rounds} x {chosen.seconds:g} s"
    print(f"Python {platform.python_version()}, {chosen.threads} threads, {times}")
    for name, values in rates.items():
        print(f"{name:22} {medians[name]:8,.0f} calls/s   ({min(values):,.0f} to {max(values):,.0f})")
    print(f"{'times':22} {ours / pipe:8.1f}")


if __name__ == "__main__":
    main()

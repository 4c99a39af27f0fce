"""Requests per second of the local platform beside bare FastAPI: the same VADER function, measured with wrk.

    python bench/serving.py [--rounds 3] [--seconds 5]

Both run two worker processes; rounds alternate between them, so that what else the machine does hits both.
The platform answers with authentication, versions, isolated workers and logging on. FastAPI is installed
into a cache. Prints medians, the processors' limit for 100 texts per request, and the memory of the
platform's server process. Needs wrk (a package of most systems) and the examples.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "bench"
TEXT = "I love this film, but the ending was a little disappointing!"
PEER = """\
from fastapi import FastAPI
from pydantic import BaseModel
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

app, analyzer = FastAPI(), SentimentIntensityAnalyzer()


class Document(BaseModel):
    document: str


def score(each):
    return {"document": each.document, "sentiment": analyzer.polarity_scores(each.document)["compound"]}


@app.post("/score")
async def one(each: Document):
    return [score(each)]


@app.post("/scores")
async def many(each: list[Document]):
    return [score(document) for document in each]
"""
LIMIT = """\
import sys, time
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
score, text, count = SentimentIntensityAnalyzer().polarity_scores, sys.argv[1], 0
began = time.perf_counter()
while time.perf_counter() - began < float(sys.argv[2]):
    score(text)
    count += 1
print(count / float(sys.argv[2]))
"""


@dataclass(frozen=True)
class Place:
    """Where one server takes one text, and 100 of them."""

    one: str
    many: str
    key: str


@dataclass(frozen=True)
class Load:
    """One column of the table: texts per request and open connections."""

    texts: int
    connections: int

    def body(self) -> str:
        """The request's JSON."""
        document = {"document": TEXT}
        return json.dumps(document if self.texts == 1 else [document] * self.texts)


LOADS = (Load(1, 16), Load(1, 64), Load(100, 16))


def main() -> None:
    """Measures everything and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing; on Debian: apt-get install wrk")
    python = peer_python()
    found: dict[tuple[str, Load], list[tuple[float, float, int]]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        fastapi(python, Path(folder)) as peer,
        platform(Path(folder) / "home") as (ours, server),
    ):
        for _ in range(options.rounds):
            for load in LOADS:
                for name, place in (("FastAPI", peer), ("wrapgen", ours)):
                    measured = wrk(place, load, options.seconds, Path(folder))
                    found.setdefault((name, load), []).append(measured)
        memory = resident(server)
    report(found, limit(python, options.seconds), memory)


def peer_python() -> Path:
    """The interpreter of a virtual environment that has FastAPI and VADER, made on first use."""
    python = CACHE / "bin" / "python"
    if not (CACHE / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(CACHE)], check=True)
        wanted = ["fastapi", "uvicorn", "uvloop", "httptools", "vaderSentiment==3.3.2"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
        (CACHE / "ready").touch()
    return python


@contextlib.contextmanager
def fastapi(python: Path, folder: Path) -> Iterator[Place]:
    """Bare FastAPI with two processes and async handlers."""
    (folder / "peer.py").write_text(PEER)
    port = "18471"
    uvicorn = [str(python), "-m", "uvicorn", "peer:app", "--workers", "2", "--log-level", "warning"]
    loop = ["--loop", "uvloop", "--http", "httptools", "--port", port]
    process = subprocess.Popen([*uvicorn, *loop], cwd=folder)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/docs")
        yield Place(f"{address}/score", f"{address}/scores", "")
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def platform(home: Path) -> Iterator[tuple[Place, int]]:
    """The local platform with two workers and the sample target."""
    command = [sys.executable, "-m", "wrapgen"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA_")}
    served = [*command, "serve", "--home", str(home), "--port", "0", "--workers", "2", "--json"]
    process = subprocess.Popen(served, stdout=subprocess.PIPE, env=variables)
    try:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        target = str(ROOT / "examples" / "sentiment" / "target")
        newest = f"python{sys.version_info[0]}{sys.version_info[1]}"
        published = [*command, "publish", target, "--home", str(home), "--environment", newest, "--json"]
        done = subprocess.run(published, env=variables, check=True, capture_output=True, text=True)
        reference = json.loads(done.stdout)["reference"]
        url = f"{facts['address']}/v1/algo/{reference}"
        yield Place(url, url, facts["api_key"]), process.pid
    finally:
        process.terminate()
        process.wait()


def wait_for(address: str) -> None:
    """Waits until something answers there."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=1).close()
            return
        time.sleep(0.1)
    sys.exit(f"nothing answers at {address}")


def wrk(place: Place, load: Load, seconds: int, folder: Path) -> tuple[float, float, int]:
    """Requests per second, 99th percentile in milliseconds, failed requests."""
    script = folder / "request.lua"
    lines = ['wrk.method = "POST"', f"wrk.body = [==[{load.body()}]==]"]
    lines.append('wrk.headers["Content-Type"] = "application/json"')
    if place.key:
        lines.append(f'wrk.headers["Authorization"] = "Simple {place.key}"')
    script.write_text("\n".join(lines))
    url = place.one if load.texts == 1 else place.many
    command = ["wrk", "-t1", f"-c{load.connections}", "--latency", "-s", str(script)]
    subprocess.run([*command, "-d1s", url], check=True, capture_output=True)
    time.sleep(1)  # calls that the first wrk left behind still count for the account's limit
    out = subprocess.run([*command, f"-d{seconds}s", url], check=True, capture_output=True, text=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit], int(failed[1]) if failed else 0


def resident(process: int) -> float:
    """Memory of a process, in MB."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1000


def limit(python: Path, seconds: int) -> float:
    """Requests of 100 texts per second that two processes could answer if they did nothing but score."""
    command = [str(python), "-c", LIMIT, TEXT, str(seconds)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    return sum(float(each.communicate()[0]) for each in both) / 100


def report(found: dict[tuple[str, Load], list[tuple[float, float, int]]], most: float, memory: float) -> None:
    """Prints the medians."""
    print(f"{'texts':>5} {'connections':>11} {'server':>8} {'requests/s':>11} {'p99 ms':>7} {'failed':>6}")
    for load in LOADS:
        medians = {}
        for name in ("FastAPI", "wrapgen"):
            rates, tails, failed = zip(*found[name, load], strict=True)
            medians[name] = statistics.median(rates)
            print(
                f"{load.texts:>5} {load.connections:>11} {name:>8} {medians[name]:>11,.0f} "
                f"{statistics.median(tails):>7.0f} {sum(failed):>6}"
            )
        print(f"{'':>17} share of FastAPI: {medians['wrapgen'] / medians['FastAPI']:.2f}")
    print(f"limit of the processors at 100 texts: {most:,.0f} requests/s")
    print(f"memory of the platform's server: {memory:.0f} MB")


if __name__ == "__main__":
    main()

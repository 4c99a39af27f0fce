"""Part 11: the state of a run in a bucket that is 5 ms away, beside a folder of this machine.

The bucket is moto's server behind the delaying proxy: a loopback server that is slower than the distance, so
what it costs on this machine is in the figure. Start-up, which is the time for 16 items, is left out.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.error import HTTPError
from uuid import uuid4

from bench import measure
from bench.parts.surroundings import Surroundings
from bench.proxy import delayed
from bench.rows import Case, Rows, at_least, paced, ratio

DELAY_MS = 5
SPEC = "version: 1\ntarget: {source: ./model}\nwrapper: {name: acme/BenchState, mode: batch}\n"
MODEL = "import time\n\n\ndef apply(item):\n    time.sleep(0.001)\n    return {'seen': item}\n"
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}

Figures = dict[str, float]


@contextmanager
def bucket() -> Iterator[str]:
    """The address of an S3-speaking server with the bucket `runs`, 5 ms away, while the block runs.

    Raises:
        Failed: it does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _make_bucket(f"http://127.0.0.1:{port}/runs")
            with delayed(f"127.0.0.1:{port}", DELAY_MS) as address:
                yield f"http://{address}"
        finally:
            server.terminate()


def _make_bucket(url: str) -> None:
    signed = (
        "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
    )
    for _ in range(200):
        asked = urllib.request.Request(url, method="PUT", headers={"Authorization": signed})
        try:
            with urllib.request.urlopen(asked):
                return
        except HTTPError as error:
            raise measure.Failed(f"the S3 server refused: {error}") from error
        except OSError:
            time.sleep(0.1)
    raise measure.Failed("the S3 server does not start")


def measured(*, remote: bool) -> Callable[[Surroundings], Figures]:
    """Measures a run whose state is in the bucket, or in a folder."""

    def figures(around: Surroundings) -> Figures:
        count = min(around.bench.items, 20_000 if around.bench.quick else 60_000)
        with bucket() as address:
            return paced(lambda items: _run(around, items, address if remote else ""), count)

    return figures


def _run(around: Surroundings, count: int, address: str) -> measure.Usage:
    folder = around.bench.work / "states"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "model.py").write_text(MODEL)
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "in.jsonl").write_text("".join(f'{{"n":{n},"text":"{"words " * 12}"}}\n' for n in range(count)))
    state = f"s3://runs/{uuid4().hex}" if address else "state"
    words = (
        "run",
        "spec.yaml",
        "in.jsonl",
        "-o",
        "out.jsonl",
        "--processes",
        "4",
        "--state",
        state,
        "--json",
    )
    given = {"WRAPGEN_CACHE": str(around.bench.work / "specs"), **KEYS, "AWS_ENDPOINT_URL": address}
    return measure.run(around.bench.tree.command(*words, "--json"), variables=given, folder=folder)


PART = Rows(
    PART="states",
    title="State in a bucket",
    words=(
        "Items a second of a run of 60,000 items of a millisecond each, in four processes, whose state "
        "is in a folder of this machine, or in a bucket that is 5 ms away; start-up left out. The server of "
        "the bucket runs on the same machine and costs processor time that a real one would not."
    ),
    columns={
        "rate": ("items/s", ",.0f"),
        "cpu_us": ("CPU µs an item", ",.1f"),
        "startup": ("start-up s", ".2f"),
    },
    cases=[
        Case("state in a folder", measured(remote=False)),
        Case("state in a bucket, 5 ms away", measured(remote=True), smoke=True),
    ],
    seconds=45,
    AIMS=[
        (
            "state in a bucket that is 5 ms away: at least 0.9 of a folder",
            ratio("states", "state in a bucket, 5 ms away", "state in a folder", "rate"),
            at_least(0.9),
            ".2f",
        )
    ],
)

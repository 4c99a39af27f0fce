"""`make demo`: ten lines of YAML to 4,200 scored tweets, on a platform of its own that it stops at the end.

Every step is a command that you can type yourself; this script only types them in order, and measures the
guide's serial loop beside the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ratings import Rated, agreement, read
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent.parent
DEMO = ROOT / ".demo"
HOME = DEMO / "home"
TARGET = "nlp/SentimentAnalysis/1.0.5"
WRAPPER = ROOT / "generated" / "SentimentBatch"
SAMPLE = 300
WRAPGEN = [sys.executable, "-m", "wrapgen"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA_")}
"""Without the vendor's variables: the demo must never reach a platform other than its own."""

console = Console(stderr=True, highlight=False)


def main() -> None:
    """The whole path once."""
    rated = read()
    DEMO.mkdir(exist_ok=True)
    tweets, scores = DEMO / "tweets.jsonl", DEMO / "scores.jsonl"
    tweets.write_text("".join(json.dumps({"document": each.text}) + "\n" for each in rated), "utf-8")
    with platform() as server:
        wrapgen("publish", "examples/sentiment/target", "--release", "1.0.5", *at_home())
        wrapgen("build", "examples/sentiment/spec.yaml")
        wrapper = wrapgen("publish", "generated/SentimentBatch", *at_home())["reference"]
        serial = serial_loop(server, rated[:SAMPLE])
        scored = wrapgen(
            "run", wrapper, relative(tweets), "-o", relative(scores), "--fresh", *at_home(), progress=True
        )
        recorded = wrapgen("records", "data://acme/sentiment", "--run", scored["run"], "--count", *at_home())
    report(wrapper, rated, scores, scored, serial, recorded["count"])


@contextlib.contextmanager
def platform() -> Iterator[dict[str, Any]]:
    """A local platform on a free port, ready to answer; stopped with all its processes on the way out."""
    show("serve", "--home", relative(HOME), "--port", "0")
    command = [*WRAPGEN, "serve", "--home", str(HOME), "--port", "0", "--json", "--allow-root-workers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as server:
        try:
            assert server.stdout is not None
            ready = server.stdout.readline()
            if not ready:
                raise SystemExit("demo: the platform did not start; its message stands above")
            yield json.loads((HOME / "credentials.json").read_text("utf-8"))
        finally:
            server.terminate()


def wrapgen(*words: str, progress: bool = False) -> dict[str, Any]:
    """Runs one wrapgen command as a person would, and returns what it says with --json."""
    show(*words)
    command = [*WRAPGEN, *words, "--json"]
    errors = None if progress else subprocess.PIPE
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=errors, text=True
    )
    if done.returncode:
        raise SystemExit(f"demo: exit code {done.returncode}\n{done.stdout}{done.stderr or ''}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def at_home() -> list[str]:
    """The words that point a command to the demo's platform."""
    return ["--home", relative(HOME)]


def show(*words: str) -> None:
    """Prints the command that is about to run."""
    console.print(f"[bold]$[/bold] wrapgen {shlex.join(words)}", soft_wrap=True)


def relative(path: Path) -> str:
    """A path as a person in the checkout would type it."""
    return path.relative_to(ROOT).as_posix()


def serial_loop(server: dict[str, Any], sample: list[Rated]) -> float:
    """The guide's loop on an external server, one call after another; items per second."""
    import Algorithmia

    client = Algorithmia.client(server["api_key"], server["address"])
    algo = client.algo(TARGET)
    started = time.perf_counter()
    for each in sample:
        algo.pipe({"document": each.text}).result  # noqa: B018 - the guide's own line, its value not needed
    return len(sample) / (time.perf_counter() - started)


def paired(rated: list[Rated], scores: Path) -> tuple[list[Rated], list[float]]:
    """The texts that have a result, and their results; one that failed has none."""
    lines = [json.loads(line) for line in scores.read_text("utf-8").splitlines()]
    scored = [line for line in lines if "result" in line]
    return [rated[line["index"]] for line in scored], [line["result"]["sentiment"] for line in scored]


def report(
    wrapper: str, rated: list[Rated], scores: Path, scored: dict[str, Any], serial: float, recorded: int
) -> None:
    """What was done, in numbers, and what to try next."""
    people, sentiments = paired(rated, scores)
    rate = scored["items"] / scored["seconds"]
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("items", f"{scored['items']:,}")
    table.add_row("errors", f"{scored['failed']:,}")
    table.add_row("items per second", f"{rate:,.0f}")
    table.add_row(
        "the guide's serial loop", f"{serial:,.0f} on a sample of {SAMPLE} ({rate / serial:.1f} times)"
    )
    table.add_row("correlation with the human ratings", f"{agreement(people, sentiments):.4f}")
    table.add_row("records in data://acme/sentiment", f"{recorded:,} for this run, read back")
    table.add_row("results", relative(scores))
    table.add_row("report", f"{scored['report']['path']}  (open it in a browser)")
    table.add_row("wrapper", relative(WRAPPER))
    console.print()
    console.print(table)
    console.print("\nNext, with the same platform running in another terminal:")
    for words in (
        ["serve", "--home", relative(HOME)],
        ["call", wrapper, "-j", '{"document": "I like wrappers."}', *at_home()],
        ["records", "data://acme/sentiment", "--run", scored["run"], *at_home()],
    ):
        console.print(f"  wrapgen {shlex.join(words)}", style="bold", soft_wrap=True)


if __name__ == "__main__":
    main()

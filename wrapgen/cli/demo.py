"""`wrapgen demo`: a run against a misbehaving endpoint, killed once, finished and verified."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli.options import FOLDER
from wrapgen.cli.terminal import out
from wrapgen.errors import RunError, UsageError

if TYPE_CHECKING:
    from wrapgen.local.failing_endpoint import MisbehavingEndpoint

ITEMS = 2000
"""Texts that are scored."""

POISONED = 20
"""Texts among them that the endpoint always refuses."""

_SPEC = """\
version: 1
target:
  endpoint: {url}
  protocol: json
  result: $.score
wrapper:
  name: demo/Scores
  mode: both
datastore:
  url: ./records
dispatch:
  item_timeout: 1
"""
_FILES = ("spec.yaml", "texts.jsonl", "scores.jsonl", "scores.jsonl.*", "records")


@click.command()
@click.argument("folder", type=FOLDER, default=Path("wrapgen-demo"))
def command(folder: Path) -> int:
    """Show what a run survives: an endpoint that misbehaves, and a kill. Writes to FOLDER [wrapgen-demo].

    Starts an endpoint on this machine that answers 429, 503, an HTML page or nothing now and then, and
    always refuses some texts. Scores 2,000 texts, kills the run half way, runs it again, and verifies it.
    """
    from wrapgen.local.failing_endpoint import misbehaving

    began = time.monotonic()
    _empty(folder)
    with misbehaving() as endpoint:
        (folder / "spec.yaml").write_text(_SPEC.format(url=endpoint.url), "utf-8")
        (folder / "texts.jsonl").write_text("".join(map(_text, range(ITEMS))), "utf-8")
        out(f"an endpoint that misbehaves, at {endpoint.url}; everything else is in {folder}/")
        run = ["run", "spec.yaml", "texts.jsonl", "-o", "scores.jsonl"]
        _killed(folder, run, endpoint)
        ended = _command(folder, run)
        out("\n".join(ended.splitlines()[:3]))
        verified = _command(folder, ["verify", "scores.jsonl"])
        out(verified.rstrip())
        _print_summary(endpoint, folder, time.monotonic() - began)
    return 0


def _empty(folder: Path) -> None:
    """Makes the folder, without what an earlier demo left there.

    Raises:
        UsageError: it holds something else, or can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = {path for pattern in _FILES for path in folder.glob(pattern)}
        others = sorted(path.name for path in folder.iterdir() if path not in ours)
        if others:
            raise UsageError(f"{folder} holds {others[0]}, which no demo wrote", hint="name a new folder")
        for path in ours:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from error


def _text(number: int) -> str:
    poison = " poison" if number % (ITEMS // POISONED) == 7 else ""
    return json.dumps({"text": f"review {number}: as good as the last one{poison}"}) + "\n"


def _start(folder: Path, words: list[str]) -> subprocess.Popen[str]:
    out(f"\n$ wrapgen {' '.join(words)}")
    command = [sys.executable, "-m", "wrapgen", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _killed(folder: Path, words: list[str], endpoint: MisbehavingEndpoint) -> None:
    """Starts the run and kills it when half of the texts have a score."""
    with _start(folder, words) as process:
        if not endpoint.wait_for(ITEMS // 2, 60):
            process.kill()
            raise RunError(f"the run of the demo does not get on: {process.communicate()[1].strip()}")
        process.kill()
        process.communicate()
    out(f"killed with SIGKILL after {endpoint.requests['answered']:,} answers. The same command again:")


def _command(folder: Path, words: list[str]) -> str:
    """What a command printed.

    Raises:
        RunError: it failed, other than by failed items.
    """
    with _start(folder, words) as process:
        printed, said = process.communicate()
    if process.returncode not in (0, 10):
        raise RunError(f"wrapgen {words[0]} ended with {process.returncode}: {(said or printed).strip()}")
    return printed


def _print_summary(endpoint: MisbehavingEndpoint, folder: Path, seconds: float) -> None:
    from wrapgen.local.failing_endpoint import POISON, WAYS

    lines = [json.loads(line) for line in (folder / "scores.jsonl").read_bytes().splitlines()]
    failed = sum("error" in line for line in lines)
    in_order = [line["index"] for line in lines] == list(range(ITEMS))
    if failed != POISONED or not in_order:
        raise RunError(f"{failed} items failed, not {POISONED}, or one is missing: please report this")
    counts = endpoint.requests
    answers = ", ".join(f"{way}: {counts[way]:,}" for way in WAYS)
    out(f"\nwhat the endpoint did: {counts['answered']:,} scores, {counts[POISON]:,} refusals; {answers}")
    out(f"what you have: {ITEMS:,} items, each once and in order; {failed} refused ones with the reason")
    out(f"{seconds:.1f} s. See {folder}/scores.jsonl, its report.html and its receipt.json")

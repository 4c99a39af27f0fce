"""Runs that exist: found by their folders, and how each stands. Reads only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wrapgen.errors import RunError, UsageError
from wrapgen.run.input.shards import shard_outputs
from wrapgen.run.ledger.folder import SUFFIX, Folder, folder_for
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.replay import RunState, as_written, rebuild
from wrapgen.run.ledger.spool import is_intact, spooled
from wrapgen.run.ledger.store import LEDGER, SPOOL
from wrapgen.run.scheduling.progress import Counts

DEPTH = 4
"""Folders below the one that is searched."""

SAMPLES = 3
"""Messages that are kept of each type of error."""


@dataclass(frozen=True)
class RunStatus:
    """A run as its ledger tells it.

    Args:
        folder: its folder.
        run_state: what the ledger says.
        busy: whether a runner is at work in it.
    """

    folder: Path
    run_state: RunState
    busy: bool

    @property
    def state(self) -> str:
        """`running`, the end state of the last session, or `killed` where it had none."""
        if self.busy:
            return "running"
        end = self.run_state.end
        return str(end["state"]) if end else "killed"

    @property
    def counts(self) -> Counts:
        """Items in all and finished."""
        counts = self.run_state.counts
        counts.items = int(self.run_state.header["survey"]["items"])
        return counts

    def as_json(self) -> dict[str, Any]:
        """Everything that is known, as `--json` prints it.

        Raises:
            RunError: the ledger is damaged.
        """
        with as_written(self.folder / "ledger.jsonl"):
            return self._facts()

    def _facts(self) -> dict[str, Any]:
        header, run_state, counts = self.run_state.header, self.run_state, self.counts
        return {
            "run": header["run"],
            "state": self.state,
            "reason": str((run_state.end or {}).get("why") or ""),
            "reference": header["reference"],
            "target": header["wrapper"]["target"],
            "datastore": header["wrapper"]["datastore"],
            "input": header["input"]["name"],
            "shard": header["input"].get("shard"),
            "output": (run_state.output or {}).get("path"),
            "folder": Folder(self.folder).name,
            "items": counts.items,
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "open": counts.items - counts.finished,
            "unrecorded": len(run_state.given_up) if header["wrapper"]["datastore"] else 0,
            "calls": run_state.calls,
            "calls_open": run_state.open,
            "lost": run_state.lost,
            "sessions": run_state.sessions,
            "started_at": header["at"],
            "last": run_state.last,
        }


def load(folder: Path, each: Callable[[dict[str, Any]], None] = lambda _: None) -> RunStatus:
    """How the run in a folder stands.

    Args:
        folder: the run's.
        each: told every entry of the ledger but the first, in their order.

    Raises:
        RunError: there is no ledger, or it is damaged.
    """
    files = Folder(folder)
    run_state = rebuild(files, None, each)
    if run_state is None:
        raise RunError(f"there is no run in {folder}", hint="wrapgen runs lists those that there are")
    return RunStatus(folder, run_state, files.busy())


def find_runs(root: Path) -> Iterator[Path]:
    """The folders of runs at and below a folder, hidden ones left out, in the order of their names."""
    top = len(root.parts)
    for name, folders, files in os.walk(root):
        path = Path(name)
        if "ledger.jsonl" in files and "lock" in files:
            yield path
        deep = len(path.parts) - top >= DEPTH
        folders[:] = [] if deep else sorted(f for f in folders if not f.startswith(".") or f.endswith(SUFFIX))


def locate(name: str, root: Path) -> Path:
    """The folder of the run that a user means: its folder, its output, or its id.

    Raises:
        UsageError: none is meant, or several are.
    """
    path = Path(name)
    for folder in (path, folder_for(path)) if path.name else (path,):
        if (folder / "ledger.jsonl").exists():
            return folder
    if path.name and (parts := shard_outputs(path)):
        raise UsageError(
            f"{name} is not merged yet: {len(parts):,} of its shards are beside it",
            hint=f"name one, such as {parts[0]}; wrapgen runs lists them, wrapgen merge -o {name} joins them",
        )
    found = [folder for folder in find_runs(root) if _run_in(folder) == name]
    whole = [folder for folder in found if not _of_shard(folder)]
    if len(whole or found) == 1:
        return (whole or found)[0]
    if found:
        several = ", ".join(map(str, found))
        raise UsageError(f"several runs are called {name}: {several}", hint="name the folder of one")
    raise UsageError(
        f"there is no run {name} here", hint="name its output, its folder, or its id; see wrapgen runs"
    )


def _run_in(folder: Path) -> str | None:
    try:
        return (Folder(folder).header() or {}).get("run")
    except RunError:  # another run's ledger is damaged
        return None


def _of_shard(folder: Path) -> bool:
    return bool((Folder(folder).header() or {"input": {}})["input"].get("shard"))


def errors_by_type(folder: Path) -> dict[str, dict[str, Any]]:
    """The items that failed for good, by type: how many, and some of their messages with index and id."""
    store = Folder(folder)
    found: dict[str, dict[str, Any]] = {}
    voided, reopened = set(), {}
    with closing(store.open(LEDGER)) as ledger, closing(store.open(SPOOL)) as spool:
        for number, entry in enumerate(read_ledger(ledger)):
            if entry["e"] == "void":
                voided.add(entry["s"])
            elif entry["e"] == "reopened":
                reopened.update(dict.fromkeys(entry["i"], number))
        for number, entry in enumerate(read_ledger(ledger)):
            if entry["e"] != "done" or not entry["failed"] or entry["s"] in voided:
                continue
            lines = spooled(spool, entry) if is_intact(spool, entry) else []
            for line in (json.loads(lines[at]) for at in entry["failed"] if lines):
                if reopened.get(line["index"], -1) < number:
                    _count(found, line)
    return dict(sorted(found.items(), key=lambda pair: -pair[1]["count"]))


def _count(found: dict[str, dict[str, Any]], line: dict[str, Any]) -> None:
    group = found.setdefault(line["error"]["type"], {"count": 0, "samples": []})
    group["count"] += 1
    if len(group["samples"]) < SAMPLES:
        group["samples"].append(
            {"index": line["index"], "id": line["id"], "message": line["error"]["message"]}
        )

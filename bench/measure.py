"""What a command costs: seconds, processor seconds and peak memory, of it and of all that it starts.

The command runs under `child.py`, which adopts whatever its descendants leave behind, so that nothing that a
framework starts in the background goes uncounted. What servers spend meanwhile is added: they are processes
that already run. Memory is proportional (a page that four processes share counts once), looked at twice a
second, or as often as fits a fiftieth of the time: for many processes a look takes a while.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

EVERY, SHARE = 0.5, 0.02
GRACE = 60.0
"""Seconds that the measuring process has to end what is left of a command."""

TICKS = os.sysconf("SC_CLK_TCK")
CHILD = Path(__file__).with_name("child.py")


class Failed(Exception):
    """Why something could not be measured, in words for the table."""


def reason(error: Exception) -> str:
    """What a table says of a failure."""
    return (
        str(error)[:160] if isinstance(error, (Failed, OSError)) else f"{type(error).__name__}: {error}"[:160]
    )


@dataclass(frozen=True)
class Usage:
    """What one command took.

    Attributes:
        seconds: from its start to its end.
        cpu: processor seconds of it, its descendants and the servers.
        peak_mb: most memory that all of them had at a time.
        own_mb: the same without the servers.
        shares: the processor seconds by who spent them: `client`, `server`, and on our platform each
            algorithm by its name.
    """

    seconds: float
    cpu: float
    peak_mb: float
    own_mb: float
    shares: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """For the store."""
        shares = {name: round(value, 4) for name, value in self.shares.items()}
        figures = {name: value for name, value in asdict(self).items() if name != "shares"}
        return {**{name: round(value, 4) for name, value in figures.items()}, "shares": shares}


def run(
    command: Sequence[str],
    *,
    servers: Iterable[int] = (),
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    limit: float = 900,
) -> Usage:
    """Runs a command to its end.

    Args:
        command: its words.
        servers: processes whose use counts too, with all below them.
        variables: environment variables on top of ours.
        folder: where it runs.
        limit: seconds after which it is ended.

    Raises:
        Failed: it did not end well, or not in time.
    """
    roots = list(servers)
    before = shares(roots)
    with tempfile.TemporaryDirectory() as scratch:
        answer, errors = Path(scratch) / "answer.json", Path(scratch) / "errors.txt"
        words = [sys.executable, str(CHILD), str(answer), str(limit), *command]
        with errors.open("wb") as output:
            process = subprocess.Popen(
                words,
                env=environment(variables),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                with _Memory(process.pid, roots) as memory:
                    process.wait(limit + GRACE)
            except subprocess.TimeoutExpired:
                raise Failed(f"not done after {limit + GRACE:g} s") from None
            finally:
                if process.poll() is None:
                    end(process)
        if not answer.exists():
            raise Failed(f"the measuring process ended with {process.returncode}")
        told = json.loads(answer.read_text())
        if told["code"] != 0:
            raise Failed(_reason(told["code"], errors.read_text("utf-8", "replace"), limit))
    spent = {name: seconds - before.get(name, 0.0) for name, seconds in shares(roots).items()}
    spent["client"] = told["cpu"]
    return Usage(told["seconds"], sum(spent.values()), memory.peak, memory.own, spent)


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without the vendor's variables, and some more: a bench reaches only what it started itself.

    Modules are compiled once, as they are for whoever installs a package.
    """
    dropped = ("ALGORITHMIA_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, **(variables or {})}


def shares(roots: Iterable[int]) -> dict[str, float]:
    """Processor seconds of servers and everything below them so far: `server`, or an algorithm's name."""
    found: dict[str, float] = {}
    for root in roots:
        for pid in family(root):
            fields = _stat(pid)
            ticks = sum(int(fields[at]) for at in (11, 12, 13, 14)) if fields else 0
            owner = "server" if pid == root else _algorithm(pid)
            found[owner] = found.get(owner, 0.0) + ticks / TICKS
    return found


def _algorithm(pid: int) -> str:
    """The algorithm that a process of our platform runs, by the module in its folder; `server` for others."""
    try:
        folder = Path(f"/proc/{pid}/cwd").readlink()
        places = (folder.parent / "src", folder / "src")  # an inline algorithm works in a folder below
        modules = [path.stem for place in places for path in place.glob("[A-Z]*.py")]
    except OSError:
        return "server"
    return modules[0] if modules else "server"


def memory(root: int) -> float:
    """Megabytes of a process and everything below it, shared pages divided."""
    return sum(_proportional(pid) for pid in family(root)) / 1000


def family(root: int) -> list[int]:
    """A process and all its descendants."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(entry.name)):
            below.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        found.append(pid := todo.pop())
        todo += below.get(pid, [])
    return found


def end(process: subprocess.Popen[Any], grace: float = 20) -> None:
    """Ends a server that we started, and every process below it."""
    members = family(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    for pid in members:
        with suppress(OSError):
            if pid == process.pid or _is_in(pid, process.pid):
                os.kill(pid, signal.SIGKILL)
    process.wait()


def _is_in(pid: int, session: int) -> bool:
    """Whether a process still is the server's: in its session, so that a number used anew is never hit."""
    return os.getsid(pid) == session


class _Memory:
    """Looks at the memory of some processes while a block runs."""

    def __init__(self, own: int, servers: list[int]) -> None:
        self._own, self._servers = own, servers
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = self.own = 0.0

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        pause = 0.1
        while not self._end.wait(pause):
            began = time.perf_counter()
            own = memory(self._own)
            self.own = max(self.own, own)
            self.peak = max(self.peak, own + sum(memory(root) for root in self._servers))
            pause = max(EVERY if self.own else 0.1, (time.perf_counter() - began) / SHARE)


def _reason(code: int, output: str, limit: float) -> str:
    if code == 124:
        return f"not done after {limit:g} s"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"exit code {code}: {lines[-1][:160]}" if lines else f"exit code {code}"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, ...; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _proportional(pid: int) -> int:
    """Kilobytes; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0

"""One load by wrk: so many connections that each send the same request again and again."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import peers
from bench.measure import Failed

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Answered:
    """What wrk saw.

    Attributes:
        rate: requests answered a second.
        p50, p99: milliseconds.
        failed: requests that were not answered with 200, or not at all.
    """

    rate: float
    p50: float
    p99: float
    failed: int

    def as_json(self) -> dict[str, float]:
        """For the store."""
        return asdict(self)


def wrk(
    url: str,
    body: Any,
    folder: Path,
    *,
    connections: int,
    seconds: int,
    key: str = "",
    scheme: str = "Simple",
) -> Answered:
    """Sends for some seconds; a key goes with the scheme of its header.

    Raises:
        Failed: wrk is missing, or nothing was answered.
    """
    program = peers.wrk(install=seconds > 1)
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "request.lua"
    lines = ['wrk.method = "POST"', f"wrk.body = [==[{json.dumps(body)}]==]"]
    lines.append('wrk.headers["Content-Type"] = "application/json"')
    if key:
        lines.append(f'wrk.headers["Authorization"] = "{scheme} {key}"')
    script.write_text("\n".join(lines))
    command = [program, "-t1", f"-c{connections}", "--latency", "--timeout", "30s", "-s", str(script)]
    done = subprocess.run([*command, f"-d{seconds}s", url], capture_output=True, text=True)
    if done.returncode or "Requests/sec" not in done.stdout:
        raise Failed(f"wrk: {(done.stderr or done.stdout).strip()[:120]}")
    return parse(done.stdout)


def parse(text: str) -> Answered:
    """The figures in wrk's report.

    Raises:
        Failed: nothing was answered.
    """
    rate = float(_find(r"Requests/sec:\s+([\d.]+)", text)[0])
    if rate == 0:
        raise Failed("no request was answered")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    socket = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    failed = (int(refused[1]) if refused else 0) + (sum(map(int, socket.groups())) if socket else 0)
    return Answered(rate, _milliseconds(text, 50), _milliseconds(text, 99), failed)


def _milliseconds(text: str, percent: int) -> float:
    value, unit = _find(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", text)
    return float(value) * UNITS[unit]


def _find(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text)
    if found is None:
        raise Failed(f"wrk's report lacks {pattern}")
    return found.groups()

"""Every shell command in README.md and docs/ is run as it is printed, page by page, against a real platform.

A page is one session in an empty folder that holds the checkout's `examples/` and `generated/`. Blocks fenced
as `sh` are run in order by bash; a line that starts with `wrapgen serve` is started beside the others, on a
free port. What a page needs but need not show stands in `<!-- hidden: COMMAND -->`. A block that can't run
here is fenced as `sh no-run: REASON`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```sh(?P<rest>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r"^<!-- hidden: (?P<command>.*?) -->$", re.MULTILINE)
MAKE = re.compile(r"make (demo|test|soak|bench)\b")
"""Targets that a test can't run inside itself; the demo has a test of its own, CI runs the tests."""


def commands(page: str) -> list[str]:
    """The lines of one page to run, in its order."""
    found = [(match.start(), match["command"]) for match in HIDDEN.finditer(page)]
    found += [(match.start(), match["body"]) for match in FENCE.finditer(page) if not match["rest"].strip()]
    lines = [line for _, body in sorted(found) for line in body.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.strip() and not line.startswith("#") and not MAKE.match(line)]


def steps(lines: list[str]) -> Iterator[tuple[bool, str]]:
    """Lines grouped into (starts a platform?, script)."""
    script: list[str] = []
    for line in lines:
        if line.startswith("wrapgen serve"):
            if script:
                yield False, "\n".join(script)
                script = []
            yield True, line
        else:
            script.append(line)
    if script:
        yield False, "\n".join(script)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user's environment: wrapgen on the PATH, a home of its own, none of the vendor's variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA")}
    home = tmp_path / "user"
    home.mkdir()
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    cache = kept.get("UV_CACHE_DIR", str(Path("~/.cache/uv").expanduser()))
    return {**kept, "PATH": path, "HOME": str(home), "UV_CACHE_DIR": cache, "NO_COLOR": "1"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_commands_of_a_page_work_as_printed(
    page: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Someone who types a page's commands, in order, sees none of them fail."""
    lines = commands(page.read_text("utf-8"))
    if not lines:
        pytest.skip("this page has no commands")
    session = tmp_path / "session"
    session.mkdir()
    for folder in ("examples", "generated", "templates"):
        shutil.copytree(ROOT / folder, session / folder)
    servers: list[subprocess.Popen[str]] = []
    try:
        for serves, script in steps(lines):
            if serves:
                servers.append(serve(script, session, environment))
            else:
                run(script, session, environment)
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.communicate(timeout=120)


def run(script: str, session: Path, environment: dict[str, str]) -> None:
    """Runs a script with bash, stopping at the first command that fails."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=session,
        env=environment,
        text=True,
        capture_output=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{script}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"


def serve(line: str, session: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Starts a platform as the line says, but on a free port, and waits until it is ready."""
    command = f"exec {line.split('#')[0]} --port 0 --json"
    server = subprocess.Popen(
        ["bash", "-c", command], cwd=session, env=environment, text=True, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdout.readline(), f"{line}: the platform did not start"
    return server


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    """A shell block is either run or carries the reason why not."""
    for match in FENCE.finditer(page.read_text("utf-8")):
        rest = match["rest"].strip()
        assert not rest or re.fullmatch(r"no-run: \S.{10,}", rest), match.group(0)

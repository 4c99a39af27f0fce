"""Pools of workers without a server, for tests: an algorithm of a text, and what it answers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

from wrapgen.platform.calls.worker_protocol import read_response, request_parts
from wrapgen.platform.domain.model import Runnable
from wrapgen.platform.workers.ceilings import Ceilings
from wrapgen.platform.workers.lease import Lease
from wrapgen.platform.workers.pool import Pools, Size
from wrapgen.platform.workers.worker import WorkerEnded


def interpreters():
    """Every Python from 3.6 on that really runs here, by version."""
    found = {}
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [shutil.which(f"python3.{minor}") for minor in range(6, 15)]
    candidates += [str(path) for path in root.glob("versions/*/bin/python3")]
    for candidate in filter(None, candidates):
        tell = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([candidate, "-c", tell], capture_output=True, text=True)
        major, _, minor = done.stdout.strip().partition(".")
        if done.returncode == 0 and (int(major), int(minor)) >= (3, 6):
            found.setdefault(done.stdout.strip(), candidate)
    return found or {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}


INTERPRETERS = interpreters()


def maker(tmp_path):
    """What makes an algorithm of a text, and gives what runs it. With `adk` it has the marker file."""

    def make(text, interpreter=sys.executable, adk=False, **variables):
        folder = tmp_path / "source"
        (folder / "src").mkdir(parents=True)
        (folder / "algorithmia.conf").write_text(json.dumps({"username": "me", "algoname": "Test"}))
        (folder / "src" / "__init__.py").write_text("")
        (folder / "src" / "Test.py").write_text(text)
        if adk:
            (folder / ".adk").write_text("")
        return Runnable("a:b", "a", "b", "me", "Test", "1.0.0", "", folder, Path(interpreter), variables)

    return make


@asynccontextmanager
async def pool_of(runnable, tmp_path, size=None, ceilings=None, processors=None):
    """A pool that is looked after; everything has ended when the block has."""
    (tmp_path / "workers").mkdir()
    pools = Pools(tmp_path / "workers", size or Size(), ceilings or Ceilings(), processors=processors)

    async def tend():
        while True:
            await asyncio.sleep(0.05)
            pools.tend(time.monotonic())

    tending = asyncio.create_task(tend())
    try:
        yield pools.get(runnable)
    finally:
        tending.cancel()
        await pools.close()
        assert not list((tmp_path / "workers").iterdir())


def nothing(_worker):
    """What is done where nothing is to be."""


async def serve(pool, parts, output=False, urgent=False, begin=nothing, end=nothing):
    """The pool's response to one request line, given in parts; or how its worker ended."""
    lease = Lease(parts, output=output, urgent=urgent, begin=begin, end=end)
    try:
        pool.lend(lease)
        return read_response((await lease.future).line)
    except WorkerEnded as ended:
        return ended.exited
    finally:
        lease.release()


async def ask(pool, value, output=False, **told):
    """One request to one worker of the pool."""
    return await serve(
        pool, request_parts("application/json", "", json.dumps(value).encode()), output, **told
    )


def answers(runnable, tmp_path, *values, **settings):
    """What the algorithm answers to each value, asked one after the other."""

    async def run():
        async with pool_of(runnable, tmp_path, **settings) as pool:
            return [await ask(pool, value) for value in values]

    return asyncio.run(run())

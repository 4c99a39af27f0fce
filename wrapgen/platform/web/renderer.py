"""The server's side of the process that renders pages: started with the first page, and again when it ended.

Pages are asked for one after the other, and only so many may wait: the others are refused with Retry-After.
What pages cost the server itself is kept to a share of its time, so that they never delay calls for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wrapgen.errors import ServerFault
from wrapgen.platform.web.render_process import LENGTH

PATIENCE = 60.0
"""Seconds after which a page is given up: the process has the lowest priority, and may get no processor."""

SHARE = 0.1
"""Part of the server's time that pages may take in the long run."""

CREDIT = 1.0
"""Seconds of its time that they may take at once after a while without."""

HANDLING = 0.0008
"""Seconds that receiving and answering a request for a page takes, besides what its handler does."""

LARGEST = 0.2
"""Most seconds that one page counts for."""

PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; from wrapgen.platform.web.render_process import main; main()"
)


class Renderer:
    """The pages of one server.

    Args:
        most: pages that may be open at the same time, waiting ones included.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0
        self._busy = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._free_at = 0.0

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[list[float]]:
        """Waits for a page's turn. The block adds the seconds that the page cost this process to the list.

        Raises:
            ServerFault: too many wait already.
        """
        if self._open >= self._most:
            raise ServerFault("too many pages are being made", reason="unavailable", retry_after=1)
        self._open += 1
        now, spent = time.monotonic(), [0.0]
        begins = max(self._free_at, now - CREDIT / SHARE)
        self._free_at = begins + HANDLING / SHARE
        try:
            await asyncio.sleep(max(0.0, begins - now))
            yield spent
        finally:
            self._open -= 1
            self._free_at += min(sum(spent), LARGEST) / SHARE

    async def render(self, job: bytes) -> bytes:
        """The page of a request to the process (see `render_process`).

        Raises:
            ServerFault: it took too much, or something in it is broken.
        """
        async with self._busy:
            good, text = await self._exchange(job)
        if not good:
            raise RuntimeError(text.decode("utf-8", "replace"))
        return text

    async def _exchange(self, job: bytes) -> tuple[bool, bytes]:
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-c", PROGRAM, *sys.path),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd="/",
            )
        try:
            return await asyncio.wait_for(_reply(process, job), PATIENCE)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # its reply would be taken for the next page's
            self._process = None
            if isinstance(error, asyncio.IncompleteReadError | ConnectionError | asyncio.TimeoutError):
                said = "this page could not be made"
                raise ServerFault(said, reason="unavailable", retry_after=1) from error
            raise


async def _reply(process: asyncio.subprocess.Process, job: bytes) -> tuple[bool, bytes]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.writelines((LENGTH.pack(len(job)), job))
    await process.stdin.drain()
    head = await process.stdout.readexactly(LENGTH.size + 1)
    return bool(head[-1]), await process.stdout.readexactly(LENGTH.unpack(head[:-1])[0])

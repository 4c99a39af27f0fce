"""Starts the process of a worker: its streams, what stands around it, and its settings."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from dataclasses import dataclass
from typing import Any

from wrapgen.platform.domain.model import Runnable
from wrapgen.platform.workers.sandbox import VARIABLES, Sandbox
from wrapgen.platform.workers.workspace import API, Workspace
from wrapgen.worker.start import START

HANDOVER_SECONDS = 30.0
"""How long an isolated worker may take to hand over its listener, which it does before all else."""


@dataclass
class Launched:
    """A process that was started.

    Args:
        process: it, or the sandbox around it.
        stream: our end of the socket for requests and responses.
        output: the read end of the pipe with everything that is printed.
        listener: on which an isolated worker reaches the platform; else None.
    """

    process: asyncio.subprocess.Process
    stream: socket.socket
    output: int
    listener: socket.socket | None = None

    def abandon(self) -> None:
        """Ends it, with all that was opened for it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.stream.close()
        os.close(self.output)


async def launch(
    runnable: Runnable, place: Workspace, limits: dict[str, int], sandbox: Sandbox | None
) -> Launched:
    """Starts a process, sandboxed if there is a sandbox; the algorithm is not loaded yet when this returns.

    Raises:
        OSError: the interpreter can't be run.
    """
    isolated = sandbox is not None and runnable.network_access == "isolated"
    settings = {
        "server": 0 if sandbox else os.getpid(),
        "ceilings": limits,
        "variables": {**runnable.variables, **place.variables},
        "listen": API if isolated else None,
    }
    launched = await _start(runnable, place, sandbox)
    try:
        # A process that ended already is reported by its exit code and its last words.
        with contextlib.suppress(ConnectionError):
            line = json.dumps(settings).encode() + b"\n"
            await asyncio.get_running_loop().sock_sendall(launched.stream, line)
        if isolated:
            launched.listener = await _received(launched.stream)
    except BaseException:
        launched.abandon()
        raise
    return launched


async def _start(runnable: Runnable, place: Workspace, sandbox: Sandbox | None) -> Launched:
    ours, theirs = socket.socketpair()
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    ours.setblocking(False)
    command = [str(runnable.interpreter), "-I", str(sandbox.start_file if sandbox else START)]
    about: dict[str, Any] = {"cwd": place.folder / "work", "env": place.variables}
    if sandbox:
        command = sandbox.command(command, place.room(runnable))
        about = {"cwd": "/", "env": {**VARIABLES, "WRAPGEN_WORKER": place.key}}
    if place.group is not None:
        command = place.group.entering(command)
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=theirs.fileno(), stdout=write_fd, stderr=write_fd, start_new_session=True, **about
        )
    except BaseException:
        ours.close()
        os.close(read_fd)
        raise
    finally:
        theirs.close()
        os.close(write_fd)
    return Launched(process, ours, read_fd)


async def _received(stream: socket.socket) -> socket.socket | None:
    """The listener that a worker made in its own network; None if it ended instead."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(stream, readable.set)
    try:
        await asyncio.wait_for(readable.wait(), HANDOVER_SECONDS)
        _, descriptors, _, _ = socket.recv_fds(stream, 1, 1)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise OSError("it did not hand over its listener") from error
    except ConnectionError:
        return None
    finally:
        loop.remove_reader(stream)
    if not descriptors:
        return None
    # What an environment brings may run before the start file, and hand over anything.
    listener = _socket(descriptors[0])
    if listener is None or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        os.close(listener.detach() if listener else descriptors[0])
        raise OSError("it handed over what is no listener")
    return listener


def _socket(descriptor: int) -> socket.socket | None:
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        return None

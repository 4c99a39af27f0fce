"""Commands of wrapgen, run to their end: each in a process of its own, forked from one that has the modules.

A test process starts one such process with its first command. A command then costs what it does, and not the
start of Python and the imports, which were most of it. Standard streams, folder, variables, exit code and
death by a signal are as with `python -m wrapgen`; where Python's own start counts (variables such as
PYTHONUTF8 or LANG that differ), and for commands that are stopped by the test, that is what runs.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LARGEST = 100_000
"""Bytes of a request; larger ones do not fit into a packet, and are started in the ordinary way."""

LOADED = ("cli", "spec", "build", "client", "records", "run", "local", "publish", "doctor")
"""Packages that are imported before the first command."""

_started: list[socket.socket] = []
_starting = threading.Lock()


def run(
    *words: str,
    cwd: Path | str,
    env: Mapping[str, str] | None = None,
    text: str = "",
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Runs `wrapgen WORDS`.

    Args:
        words: after `wrapgen`.
        cwd: its folder.
        env: its variables; None: this process's.
        text: its standard input.
        timeout: seconds.

    Raises:
        subprocess.TimeoutExpired: it was killed, because it took longer.
    """
    variables = dict(os.environ if env is None else env)
    asked = json.dumps({"words": words, "cwd": str(cwd), "env": variables}).encode()
    if _of_python(variables) != _of_python(os.environ) or len(asked) > LARGEST:
        command = [sys.executable, "-m", "wrapgen", *words]
        return subprocess.run(
            command, cwd=cwd, env=variables, input=text, capture_output=True, text=True, timeout=timeout
        )
    (stdin, feed), (out, stdout), (err, stderr), (answer, reply) = (os.pipe() for _ in range(4))
    theirs = [stdin, stdout, stderr, reply]
    socket.send_fds(_server(), [asked], theirs)
    for descriptor in theirs:
        os.close(descriptor)
    said: dict[int, str] = {}
    threads = [threading.Thread(target=_read, args=(each, said), daemon=True) for each in (out, err)]
    threads.append(threading.Thread(target=_write, args=(feed, text), daemon=True))
    for thread in threads:
        thread.start()
    code = _exit_code(answer, [*words], timeout)
    for thread in threads:
        thread.join(timeout)
    return subprocess.CompletedProcess(["wrapgen", *words], code, said[out], said[err])


def _of_python(variables: Mapping[str, str]) -> dict[str, str]:
    """What the interpreter reads when it starts."""
    return {
        name: value for name, value in variables.items() if name.startswith(("PYTHON", "LANG", "LC_", "TZ"))
    }


def _read(descriptor: int, said: dict[int, str]) -> None:
    with open(descriptor) as file:
        said[descriptor] = file.read()


def _write(descriptor: int, text: str) -> None:
    try:
        with open(descriptor, "w") as file:
            file.write(text)
    except BrokenPipeError:
        pass  # the command ended without reading all


def _exit_code(answer: int, words: list[str], timeout: float) -> int:
    """Waits for the exit code of a command; kills it after the timeout."""
    with open(answer) as lines:
        process = int(lines.readline())
        if not select.select([lines], [], [], timeout)[0]:
            os.kill(process, signal.SIGKILL)
            raise subprocess.TimeoutExpired(["wrapgen", *words], timeout)
        return int(lines.readline())


def _server() -> socket.socket:
    """The connection to the process that forks, which ends with this one."""
    with _starting:
        if not _started:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, __file__, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            atexit.register(process.wait)
            atexit.register(ours.close)
            _started.append(ours)
        return _started[0]


def serve(connection: socket.socket) -> None:
    """Forks for each request, until the connection is closed. Returns in the new processes only to end."""
    for package in LOADED:
        found = importlib.import_module(f"wrapgen.{package}")
        for module in pkgutil.walk_packages(getattr(found, "__path__", []), f"{found.__name__}."):
            if ".integrations" not in module.name:
                importlib.import_module(module.name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, files, _, _ = socket.recv_fds(connection, 2 * LARGEST, 4)
        if not message:
            return
        if os.fork() == 0:
            connection.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            perform(json.loads(message), *files)
        for descriptor in files:
            os.close(descriptor)


def perform(asked: dict[str, Any], stdin: int, stdout: int, stderr: int, reply: int) -> None:
    """Runs a command in a process of its own, and answers its process id and then its exit code."""
    process = os.fork()
    standard = (stdin, stdout, stderr)
    if process:
        for descriptor in standard:
            os.close(descriptor)
        os.write(reply, b"%d\n" % process)
        _, status = os.waitpid(process, 0)
        os.write(reply, b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    os.close(reply)
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    tempfile.tempdir = None  # found again, by these variables
    sys.argv[1:] = asked["words"]
    runpy.run_module("wrapgen", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))

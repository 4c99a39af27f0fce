"""A wrapper in processes of this machine, each of which does one call at a time: no server and no key.

A process is started where the first call needs it, and again after one that ended. Whatever ends the runner
ends its processes too; what they print goes to a log, never between the answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

from wrapgen.errors import RunError
from wrapgen.files import absolute
from wrapgen.run.hosts.description import DESCRIBE, DESCRIBE_SECONDS, Description, read_description
from wrapgen.run.hosts.failures import NotThePlatform, lost_by, platform_answer
from wrapgen.run.hosts.forking import CAN_FORK, ForkedProcess, ForkFailed, ForkServer, has_ended
from wrapgen.run.scheduling.replies import LossKind, Lost
from wrapgen.worker.local_files import FILES, SCHEME
from wrapgen.worker.start import LOAD_REQUEST, START

LOAD_SECONDS = 600.0
"""How long loading may take, a model for one."""

LOG_BYTES = 16 << 20
"""Size at which the log of what processes print begins anew."""

SHOWN_BYTES = 2000
"""Bytes at the end of what a process printed that the error of its end shows."""

STOP_SECONDS = 3.0
"""How long processes may take to end after their input is closed."""

BESIDE = "WRAPGEN_BESIDE"
"""The variable that says where the wrapper's own relative paths start from."""

_BUFFER = 1 << 20


@dataclass(frozen=True)
class Program:
    """What a process executes.

    Args:
        folder: of the wrapper.
        interpreter: the Python that has what the wrapper imports.
        variables: of its environment, besides those of this process.
    """

    folder: Path
    interpreter: Path
    variables: Mapping[str, str] = field(default_factory=dict)


class ProcessEnded(Exception):
    """A process that ended, or was ended, before it answered; the text says how."""


class AlgorithmProcess:
    """One process, and our end of the socket to it. Used by one thread at a time."""

    def __init__(self, program: Program, log: IO[bytes], forks: ForkServer | None = None) -> None:
        self._log = log
        self._killed = False
        self._log_start = os.fstat(log.fileno()).st_size
        self._stream, theirs = socket.socketpair()
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._stream.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        parent = os.getpid()
        with theirs:
            self._process: subprocess.Popen[bytes] | ForkedProcess
            if forks is not None:
                self._process, parent = forks.fork(theirs), forks.pid
            else:
                self._process = _executed(program, log, [str(START)], theirs.fileno())
        settings = {"server": parent, "ceilings": {}, "variables": None, "listen": None, "plain": True}
        with contextlib.suppress(ConnectionError):  # it has ended; `load` tells how
            self._stream.sendall(json.dumps(settings).encode() + b"\n" + LOAD_REQUEST)

    def load(self) -> bytes:
        """Waits until the wrapper has started; the answer to the question how that ended.

        Raises:
            ProcessEnded: it ended instead, or it takes too long.
        """
        return self._ask(b"", LOAD_SECONDS)

    def call(self, body: bytes, seconds: float, kind: bytes = b"json") -> bytes:
        """The answer to one request; `kind` is the content type of its data.

        Raises:
            ProcessEnded: the process ended first.
            TimeoutError: there is none after so many seconds; the process is ended.
        """
        if b"\n" in body:
            body = body.replace(b"\n", b" ")  # in JSON it stands between values only
        answer = self._ask(b'{"content_type":"%b","data":%b}\n' % (kind, body), seconds)
        self._log_start = os.fstat(self._log.fileno()).st_size
        if self._log_start > LOG_BYTES:
            os.ftruncate(self._log.fileno(), 0)
            self._log_start = 0
        return answer

    def _ask(self, line: bytes, seconds: float) -> bytes:
        parts: list[bytes] = []
        ends = time.monotonic() + seconds
        try:
            self._stream.settimeout(seconds)
            self._stream.sendall(line)
            while not (parts and parts[-1].endswith(b"\n")):
                self._stream.settimeout(max(0.001, ends - time.monotonic()))
                parts.append(self._stream.recv(_BUFFER))
                if not parts[-1]:
                    raise ConnectionResetError
        except TimeoutError:
            self.kill()
            raise
        except ConnectionError as error:
            raise ProcessEnded(self._last_words()) from error
        return b"".join(parts)

    def _last_words(self) -> str:
        """How the process ended, and the end of what it printed since its last answer."""
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:  # it closed its end of the socket, and goes on
            self.kill()
            code = self._process.wait()
        printed = os.pread(self._log.fileno(), _BUFFER, self._log_start) if self._log.readable() else b""
        said = printed[-SHOWN_BYTES:].decode("utf-8", "replace").strip()
        how = f"exited with code {code}"
        if code < 0:
            name = signal.Signals(-code).name
            how = f"was ended by {name}" + (" (no memory?)" if name == "SIGKILL" else "")
        return f"the process {how}" + (f": {said}" if said else "")

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Ends the process and its children now."""
        self._stream.close()
        if not self._killed:
            self._killed = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def end(self) -> None:
        """Closes its input, which ends it when it has nothing to do."""
        self._stream.close()

    def join(self, seconds: float) -> None:
        """Waits until it is gone; kills it when that takes too long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if has_ended(self._process.pid, seconds) else seconds)
        self.kill()


def _executed(program: Program, log: IO[bytes], words: list[str], stdin: int) -> subprocess.Popen[bytes]:
    """Starts one of our start files in the program's Python and folder."""
    return subprocess.Popen(
        [program.interpreter, *words],
        stdin=stdin,
        stdout=log,
        stderr=log,
        cwd=program.folder,
        env={**os.environ, **program.variables},
        start_new_session=True,
    )


class FolderSideband:
    """Bodies that are too large for a call, in files of a folder that the processes know as `FILES`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def upload(self, body: bytes) -> str | Lost:
        """Stores a file under a name of its own; its URL."""
        name = f"{uuid.uuid4().hex}.jsonl"
        try:
            (self._folder / name).write_bytes(body)
        except OSError as error:
            return Lost(LossKind.DOWN, "ServerError", f"{self._folder} can't be written: {error.strerror}")
        return f"{SCHEME}{name}"

    def fetch(self, url: str) -> bytes | Lost:
        """What a process wrote; the file is removed."""
        path = self._folder / url.removeprefix(SCHEME)
        try:
            content = path.read_bytes()
            path.unlink()
        except OSError as error:
            return Lost(LossKind.LOST, "ServerError", f"{url} can't be read: {error.strerror}")
        return content

    def discard(self, url: str) -> None:
        """Removes what `upload` stored."""
        with contextlib.suppress(OSError):
            (self._folder / url.removeprefix(SCHEME)).unlink(missing_ok=True)


class ProcessHost:
    """A wrapper that this machine executes; see `Host`.

    Args:
        program: what to execute.
        reference: what messages and the ledger call it.
        concurrency: processes at most.
        log: takes what they print; opened for appending, and for reading if errors are to show it.
        files: a folder for what is too large for a call.
        beside: the folder that the wrapper's own relative paths start from.
    """

    address = ""

    def __init__(
        self,
        program: Program,
        reference: str,
        concurrency: int,
        log: IO[bytes],
        files: Path,
        beside: Path | None = None,
    ) -> None:
        self.reference = reference
        self.concurrency = concurrency
        self.sideband = FolderSideband(files)
        self._beside = (beside or program.folder).absolute()
        variables = {**program.variables, FILES: str(files), BESIDE: str(self._beside)}
        self._program = Program(program.folder.absolute(), program.interpreter, variables)
        self._log = log
        self._room = threading.BoundedSemaphore(concurrency)
        self._idle: list[AlgorithmProcess] = []
        self._open: set[AlgorithmProcess] = set()
        self._closed = False
        # Linux ends a process with the thread that started it: this one lives as long as the host.
        self._starter = ThreadPoolExecutor(1, "wrapgen-start")
        self._can_fork = CAN_FORK and concurrency > 1  # one alone gains nothing
        self._forks: ForkServer | None = None
        self._early: list[Future[AlgorithmProcess]] = []
        self._description: Description | None = None

    def prepare(self) -> None:
        """Starts the first process, which loads while the caller does other things."""
        self._early.append(self._begun())

    def _begun(self) -> Future[AlgorithmProcess]:
        return self._starter.submit(self._new_process)

    def _new_process(self) -> AlgorithmProcess:
        """Forked where that is possible; else, and once that failed, started by itself."""
        if self._can_fork:
            try:
                if self._forks is None:
                    self._forks = ForkServer(partial(_executed, self._program, self._log), LOAD_SECONDS)
                return AlgorithmProcess(self._program, self._log, self._forks)
            except ForkFailed:
                self._can_fork = False
        return AlgorithmProcess(self._program, self._log)

    def call(self, body: bytes, timeout: float, kind: bytes = b"json") -> bytes | Lost:
        """One call in a process that has nothing else to do; see `Host`. `kind`: `binary` for base64."""
        try:
            return platform_answer(self._call(body, timeout, kind))
        except NotThePlatform as error:
            return lost_by(error)
        except TimeoutError:
            return Lost(LossKind.TIMEOUT, "TimeoutError", f"no answer within {timeout:g} s")
        except ProcessEnded as error:
            return Lost(LossKind.ENDED, "SystemExit", str(error))
        except _Busy:
            return Lost(LossKind.THROTTLED, "TooManyRequests", "every process has a call")
        except (RunError, OSError) as error:
            return Lost(LossKind.DOWN, "LoadingError", str(error))

    def describe(self) -> Description:
        """What the wrapper says of itself; see `Host`. One that can't be loaded is not tried again."""
        if self._description is None:
            try:
                answer = platform_answer(self._call(DESCRIBE, DESCRIBE_SECONDS))
            except (ProcessEnded, TimeoutError, OSError) as error:
                raise RunError(f"{self.reference} can't be executed: {error}") from error
            found = read_description(answer, self.reference)
            place = absolute(found.datastore, self._beside) if found.datastore else None
            self._description = replace(found, datastore=place)
        return self._description

    def _call(self, body: bytes, seconds: float, kind: bytes = b"json") -> bytes:
        if not self._room.acquire(timeout=seconds):
            raise _Busy
        try:
            process = self._acquired()
            try:
                answer = process.call(body, seconds, kind)
            except BaseException:
                self._open.discard(process)
                process.kill()
                raise
            self._idle.append(process)
            return answer
        finally:
            self._room.release()

    def _acquired(self) -> AlgorithmProcess:
        """A process that has loaded; one that ended while it had nothing to do costs no call."""
        while True:
            try:
                process = self._idle.pop()
            except IndexError:
                return self._started()
            if process.is_alive:
                return process
            self._open.discard(process)
            process.kill()

    def _started(self) -> AlgorithmProcess:
        """A new process that has loaded the wrapper.

        Raises:
            RunError: it can't be loaded; says why.
            OSError: it can't be started.
        """
        if self._closed:
            raise RunError("the run has ended")
        try:
            begun = self._early.pop()
        except IndexError:
            begun = self._begun()
        process = begun.result()
        self._open.add(process)
        try:
            answer = json.loads(process.load())
        except (ProcessEnded, TimeoutError, ValueError) as error:
            answer = {"error": {"message": str(error) or f"it takes more than {LOAD_SECONDS:g} s"}}
        if "error" in answer:
            self._open.discard(process)
            process.kill()
            raise RunError(f"{self.reference} can't be loaded: {_reason(answer['error'])}", hint=_LOAD_HINT)
        return process

    def in_run(self, run: str) -> ProcessHost:
        """Itself: only this run uses it."""
        del run
        return self

    def close(self) -> None:
        """Ends the processes."""
        self._closed = True
        for begun in self._early:
            with contextlib.suppress(OSError):
                begun.result().kill()
        processes = list(self._open)
        for process in processes:
            process.end()
        ends = time.monotonic() + STOP_SECONDS
        for process in processes:
            process.join(max(0.0, ends - time.monotonic()))
        if self._forks is not None:
            self._forks.close()
            self._forks = None
        self._starter.shutdown()


_LOAD_HINT = "fix what it says, and give the same command again"


class _Busy(Exception):
    """Every process has a call, for as long as this one may take."""


def _reason(error: dict[str, str]) -> str:
    """An error of loading with the last line of its own code that its stack names."""
    trace = error.get("stacktrace", "").strip()
    kind = trace.rpartition("\n")[2].strip().partition(":")[0] if trace else ""
    where = [line.strip() for line in trace.splitlines() if line.strip().startswith("File ")][-1:]
    message = error["message"]
    return ": ".join(filter(None, [kind, message])) + (f" ({where[0]})" if where else "")

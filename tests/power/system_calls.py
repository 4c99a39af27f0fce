"""The system calls of real programs, by strace, as effects on a model disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import join, normpath

from model_disk import ModelDisk, Node

CALLS = (
    "openat,open,creat,close,write,pwrite64,writev,pwritev,lseek,fsync,fdatasync,sync,syncfs,ftruncate,truncate,"
    "fallocate,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,chdir,"
    "fchdir,chmod,fchmod,fchmodat,sendfile,copy_file_range,sendto,sendmsg,dup,dup2,dup3,fcntl,clone,clone3,fork,vfork,"
    "sync_file_range,mmap"
)
STRACE = shutil.which("strace")


def can_trace() -> str:
    """Why strace can't be used here; empty if it can."""
    if STRACE is None:
        return "there is no strace"
    done = subprocess.run([STRACE, "-f", "-o", os.devnull, "true"], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


def record(command: list[str], log: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program and its children, and keeps their system calls in a file."""
    assert STRACE is not None
    words = [
        STRACE,
        "-f",
        "-y",
        "-xx",
        "-s",
        str(1 << 26),
        "--seccomp-bpf",
        "-e",
        f"trace={CALLS}",
        "-e",
        "signal=none",
    ]
    return subprocess.run([*words, "-o", str(log), *command], capture_output=True, text=True, check=False)


@dataclass
class Opened:
    """An open file, shared by the processes that inherited its descriptor."""

    node: Node
    append: bool
    at: int = 0


@dataclass
class Process:
    """What belongs to a process, its threads included."""

    cwd: str = "/"
    files: dict[int, Opened] = field(default_factory=dict)


_LINE = re.compile(r"(\d+) +(?:<\.\.\. \w+ resumed>(.*)|(.*))")
_DONE = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?|0x[0-9a-f]+)(?:<.*>)?.*", re.DOTALL)
_HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_CWD = re.compile(r"AT_FDCWD<((?:\\x[0-9a-f]{2})*)>")
_FD = re.compile(r"(\d+)(?:<((?:\\x[0-9a-f]{2})*)>)?")


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


class Replay:
    """Replays a log of strace on a model disk.

    Args:
        root: the folder that the disk stands for.
        disk: with what the folder held before.
        seen: called after every event, with what was written to standard output or a socket, or b"".
        broken: kinds of syncs that do nothing: of a "file" or "folder", or of "all".
    """

    def __init__(self, root: Path, disk: ModelDisk, seen: Callable[[bytes], None], broken: str = "") -> None:
        self._broken = broken
        self._root = str(root)
        self._disk = disk
        self._seen = seen
        self._processes: dict[int, Process] = {}
        self._begun: dict[int, tuple[str, int]] = {}

    def play(self, log: Path) -> None:
        """All of it."""
        with log.open(encoding="ascii") as lines:
            for line in lines:
                self._line(line.rstrip("\n"))

    def _line(self, line: str) -> None:
        match = _LINE.match(line)
        assert match, line[:200]
        pid, resumed, text = int(match[1]), match[2], match[3]
        if text is not None and text.startswith(("---", "+++")):
            return
        since = self._disk.events
        if text is not None and text.endswith("<unfinished ...>"):
            self._begun[pid] = (text.removesuffix("<unfinished ...>").rstrip(), since)
            self._process(pid)
            return
        if resumed is not None:
            before, since = self._begun.pop(pid)
            text = before + resumed
        done = _DONE.match(text)
        if done is None:
            return
        name, words, result = done[1], done[2], done[3]
        if result == "?" or result.startswith("-"):
            return
        process = self._process(pid)
        if cwd := _CWD.search(words):
            process.cwd = os.fsdecode(_plain(cwd[1]))
        before = self._disk.events
        method = getattr(self, f"_{name}", None)
        data = b""
        if method:
            data = method(process, words, int(result, 0), since) or b""
        elif name in ("clone", "clone3", "fork", "vfork"):
            self._forked(pid, int(result), words)
        if self._disk.events != before or data:
            self._seen(data)

    def _process(self, pid: int) -> Process:
        if pid not in self._processes:
            parents = [
                one for one, (text, _) in self._begun.items() if text.startswith(("clone", "fork", "vfork"))
            ]
            if parents:
                self._forked(parents[-1], pid, self._begun[parents[-1]][0])
            else:
                self._processes[pid] = Process()
        return self._processes[pid]

    def _forked(self, parent: int, child: int, words: str) -> None:
        if child in self._processes:
            return
        of = self._process(parent)
        same = "CLONE_FILES" in words
        self._processes[child] = of if same else Process(of.cwd, dict(of.files))

    # -- arguments -------------------------------------------------------------------------------------

    def _paths(self, process: Process, words: str) -> list[str | None]:
        """The paths of a call relative to the root; None for one that is not below it."""
        found: list[str | None] = []
        before = 0
        for match in _HEX.finditer(words):
            folder = process.cwd
            named = re.search(r"(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>, $", words[before : match.start()])
            if named:
                folder = os.fsdecode(_plain(named[1]))
            path = normpath(join(folder, os.fsdecode(_plain(match[1]))))
            inside = path == self._root or path.startswith(self._root + "/")
            found.append(path[len(self._root) + 1 :] if inside else None)
            before = match.end()
        return found

    def _opened(self, process: Process, words: str) -> Opened | None:
        match = _FD.match(words)
        return process.files.get(int(match[1])) if match else None

    # -- files -----------------------------------------------------------------------------------------

    def _openat(self, process: Process, words: str, result: int, since: int) -> None:
        process.files.pop(result, None)
        path = self._paths(process, words)[0]
        if path is None or "O_TMPFILE" in words:
            return
        if "O_CREAT" not in words and self._disk.find(path) is None:
            raise AssertionError(f"{path} is open and not known: {words[:200]}")
        mode = re.search(r", 0([0-7]+)$", words)
        node = self._disk.open(
            path, int(mode[1], 8) if mode else 0o600, create="O_CREAT" in words, truncate="O_TRUNC" in words
        )
        process.files[result] = Opened(node, "O_APPEND" in words)

    _open = _openat

    def _close(self, process: Process, words: str, result: int, since: int) -> None:
        if match := _FD.match(words):
            process.files.pop(int(match[1]), None)

    def _dup(self, process: Process, words: str, result: int, since: int) -> None:
        process.files.pop(result, None)
        if opened := self._opened(process, words):
            process.files[result] = opened

    _dup2 = _dup3 = _dup

    def _fcntl(self, process: Process, words: str, result: int, since: int) -> None:
        if "F_DUPFD" in words:
            self._dup(process, words, result, since)

    def _lseek(self, process: Process, words: str, result: int, since: int) -> None:
        if opened := self._opened(process, words):
            opened.at = result

    def _write(self, process: Process, words: str, result: int, since: int) -> bytes:
        data = b"".join(_plain(part[1]) for part in _HEX.finditer(words))[:result]
        return self._put(process, words, data)

    _writev = _sendto = _sendmsg = _write

    def _put(self, process: Process, words: str, data: bytes) -> bytes:
        opened = self._opened(process, words)
        if opened is None:
            return data
        if opened.append:
            opened.at = len(opened.node.content)
        self._disk.write(opened.node, opened.at, data)
        opened.at += len(data)
        return b""

    def _pwrite64(self, process: Process, words: str, result: int, since: int) -> None:
        data = b"".join(_plain(part[1]) for part in _HEX.finditer(words))[:result]
        if opened := self._opened(process, words):
            self._disk.write(opened.node, int(words.rpartition(", ")[2]), data)

    _pwritev = _pwrite64

    def _sendfile(self, process: Process, words: str, result: int, since: int) -> None:
        to, source, offset, _ = words.split(", ")
        target = self._opened(process, to)
        if target is None:
            return
        given = self._opened(process, source)
        start = re.match(r"\[(\d+)\]", offset)
        where = int(start[1]) - (result if "=>" in offset else 0) if start else (given.at if given else 0)
        match = _FD.match(source)
        assert match and match[2]
        content = bytes(given.node.content) if given else Path(os.fsdecode(_plain(match[2]))).read_bytes()
        self._put(process, to, content[where : where + result])

    def _copy_file_range(self, process: Process, words: str, result: int, since: int) -> None:
        source, _, to, *_ = words.split(", ")
        self._sendfile(process, f"{to}, {source}, NULL, {result}", result, since)

    def _ftruncate(self, process: Process, words: str, result: int, since: int) -> None:
        if opened := self._opened(process, words):
            self._disk.resize(opened.node, int(words.rpartition(", ")[2]))

    def _fallocate(self, process: Process, words: str, result: int, since: int) -> None:
        if opened := self._opened(process, words):
            start, length = map(int, words.split(", ")[2:])
            self._disk.resize(opened.node, max(len(opened.node.content), start + length))

    def _mmap(self, process: Process, words: str, result: int, since: int) -> None:
        place = words.split(", ")
        if "PROT_WRITE" in place[2] and "MAP_SHARED" in place[3] and self._opened(process, place[4]):
            name = os.fsdecode(_plain(_FD.match(place[4])[2]))  # type: ignore[index]
            assert name.endswith("-shm"), f"{name} is written without a call"

    def _fsync(self, process: Process, words: str, result: int, since: int) -> None:
        opened = self._opened(process, words)
        if opened and opened.node.kind != self._broken:
            self._disk.sync(opened.node, since)

    _fdatasync = _fsync

    def _syncfs(self, process: Process, words: str, result: int, since: int) -> None:
        if self._broken != "all":
            self._disk.sync_all(since)

    _sync = _syncfs

    def _fchmod(self, process: Process, words: str, result: int, since: int) -> None:
        if opened := self._opened(process, words):
            opened.node.mode = int(words.rpartition(", ")[2], 8)

    def _chmod(self, process: Process, words: str, result: int, since: int) -> None:
        path = self._paths(process, words)[0]
        mode = re.search(r", 0([0-7]+)", words)
        if path and mode and (node := self._disk.find(path)):
            node.mode = int(mode[1], 8)

    _fchmodat = _chmod

    # -- names -----------------------------------------------------------------------------------------

    def _rename(self, process: Process, words: str, result: int, since: int) -> None:
        path, to = self._paths(process, words)
        if path is not None and to is not None:
            self._disk.rename(path, to)
        assert (path is None) == (to is None), words

    _renameat = _renameat2 = _rename

    def _unlink(self, process: Process, words: str, result: int, since: int) -> None:
        path = self._paths(process, words)[0]
        if path is not None:
            self._disk.remove(path)

    _unlinkat = _rmdir = _unlink

    def _mkdir(self, process: Process, words: str, result: int, since: int) -> None:
        path = self._paths(process, words)[0]
        if path is not None:
            self._disk.make_folder(path, int(words.rpartition(", ")[2], 8))

    _mkdirat = _mkdir

    def _link(self, process: Process, words: str, result: int, since: int) -> None:
        path, to = self._paths(process, words)[:2]
        if to is None:
            return
        if path is not None:
            self._disk.hard_link(path, to)
        else:  # the content of a file elsewhere, of which it is not known whether it was synced
            source = Path(os.fsdecode(_plain(_HEX.findall(words)[0])))
            self._disk.write(self._disk.open(to, 0o644, create=True), 0, source.read_bytes())

    _linkat = _link

    def _symlink(self, process: Process, words: str, result: int, since: int) -> None:
        target, _ = _HEX.findall(words)
        place = self._paths(process, words)[1]
        if place is not None:
            self._disk.link(place, os.fsdecode(_plain(target)))

    _symlinkat = _symlink

    def _chdir(self, process: Process, words: str, result: int, since: int) -> None:
        found = _HEX.search(words)
        assert found
        process.cwd = normpath(join(process.cwd, os.fsdecode(_plain(found[1]))))

    def _fchdir(self, process: Process, words: str, result: int, since: int) -> None:
        match = _FD.match(words)
        assert match
        process.cwd = os.fsdecode(_plain(match[2]))

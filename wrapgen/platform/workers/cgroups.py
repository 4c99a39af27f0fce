"""Control groups: the kernel limits the memory and the number of all processes of a worker together.

Version 1 has a tree of folders for each kind of limit, version 2 one tree for all (man 7 cgroups). Where the
server may make a group of its own there is one of these, else the workers are measured (see `usage`).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc/self")
_TRIES = 50


@dataclass(frozen=True)
class Group:
    """The group of one worker.

    Args:
        folders: its folder in each tree.
    """

    folders: tuple[Path, ...]

    def entering(self, words: list[str]) -> list[str]:
        """The command that enters the group, then becomes another one."""
        enter = "".join(
            f"echo $$ >{shlex.quote(str(folder / 'cgroup.procs'))} && " for folder in self.folders
        )
        return ["/bin/sh", "-c", f'{enter}exec "$@"', "sh", *words]

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel ended a process of the group for its memory."""
        texts = (
            _text(folder / name)
            for folder in self.folders
            for name in ("memory.events", "memory.oom_control")
        )
        counts = (line.split() for text in texts for line in text.splitlines())
        return any(words[0] == "oom_kill" and words[1] != "0" for words in counts if len(words) == 2)

    def remove(self) -> None:
        """Ends what is left in the group, and removes it."""
        for _ in range(_TRIES):
            for process in {
                word for folder in self.folders for word in _text(folder / "cgroup.procs").split()
            }:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(process), signal.SIGKILL)
            if _removed(self.folders):
                return
            time.sleep(0.02)


@dataclass(frozen=True)
class Cgroups:
    """The groups of one server.

    Args:
        version: 1 or 2.
        folders: those that hold the workers' groups.
    """

    version: int
    folders: tuple[Path, ...]

    @classmethod
    def find(cls, proc: Path = _PROC) -> Cgroups | None:
        """The groups that this server may make; None where it may make none.

        Args:
            proc: the folder of this process in /proc.
        """
        mounts = [line.split(" - ") for line in _text(proc / "mountinfo").splitlines()]
        trees = [
            (Path(left.split()[4]), right.split()) for left, right in mounts if right.startswith("cgroup")
        ]
        own = dict(_own(proc))
        for name, find in (("cgroup2", _find_v2), ("cgroup", _find_v1)):
            found = find([(path, words) for path, words in trees if words[0] == name], own)
            if found:
                return cls(2 if name == "cgroup2" else 1, found)
        return None

    def make(self, name: str, memory: int | None, processes: int | None) -> Group:
        """A group with limits.

        Raises:
            OSError: it can't be made.
        """
        group = Group(tuple(folder / name for folder in self.folders))
        for folder in group.folders:
            folder.mkdir()
        limits = {"pids.max": processes, "memory.max": memory, "memory.limit_in_bytes": memory}
        limits |= {"memory.swap.max": 0, "memory.memsw.limit_in_bytes": memory, "memory.oom.group": 1}
        for file, value in limits.items():
            for folder in group.folders:
                if value is not None and (folder / file).exists():
                    (folder / file).write_text(f"{value}\n")
        return group

    def close(self) -> None:
        """Removes what holds the groups; they are gone by then."""
        _removed(self.folders)


def _find_v1(trees: list[tuple[Path, list[str]]], own: dict[str, str]) -> tuple[Path, ...] | None:
    found = []
    for kind, file in (("memory", "memory.limit_in_bytes"), ("pids", "")):
        mount = next((path for path, words in trees if kind in words[-1].split(",")), None)
        if mount is None:
            return None
        places = dict.fromkeys((mount / own.get(kind, "").lstrip("/"), mount))
        made = next(filter(None, (_made(place, file) for place in places)), None)
        if made is None:
            return None
        found.append(made)
    return tuple(found)


def _find_v2(trees: list[tuple[Path, list[str]]], own: dict[str, str]) -> tuple[Path, ...] | None:
    for mount, _ in trees:
        for place in dict.fromkeys((mount / own.get("", "").lstrip("/"), mount)):
            made = _made(place, "") if _delegated(place) else None
            if made is not None and _delegated(made):
                return (made,)
            if made is not None:
                _removed((made,))
    return None


def _delegated(folder: Path) -> bool:
    """Whether groups in a folder get limits; a group that has some may hold no process itself."""
    if not {"memory", "pids"} <= set(_text(folder / "cgroup.controllers").split()):
        return False
    for _ in range(2):
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text("+memory +pids\n")
            return True
        try:
            (folder / "wrapgen-server").mkdir(exist_ok=True)
            (folder / "wrapgen-server" / "cgroup.procs").write_text(f"{os.getpid()}\n")
        except OSError:
            return False
    return False


def _made(place: Path, needed: str) -> Path | None:
    """This server's own folder in a group, those of servers that are no more removed; None if it can't be."""
    folder = place / f"wrapgen-{os.getpid()}"
    try:
        for left in place.glob("wrapgen-[0-9]*"):
            if not Path("/proc", left.name.rpartition("-")[2]).exists():
                _removed((*(each for each in left.iterdir() if each.is_dir()), left))
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return folder if not needed or os.access(folder / needed, os.W_OK) else None


def _own(proc: Path) -> Iterator[tuple[str, str]]:
    """Where this process is in each tree, by kind of limit; that of version 2 has no name."""
    for line in _text(proc / "cgroup").splitlines():
        _, kinds, path = line.split(":", 2)
        yield from ((kind, path) for kind in kinds.split(","))


def _removed(folders: tuple[Path, ...]) -> bool:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
    return not any(folder.exists() for folder in folders)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""

"""The sandbox around workers and builds, made with bubblewrap: what a process in it can see, change, reach.

It is a list of what is allowed. A process sees the system's programs and libraries, a few files of /etc that
programs need, its interpreter and its own folders, all but the last read-only; all else isn't there. If the
server is root the process has another user. bubblewrap itself gets variables and a folder of ours.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from wrapgen.errors import UsageError
from wrapgen.platform.workers import seccomp
from wrapgen.worker.start import START

ETC = (
    *("alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "pki", "ssl"),
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "os-release", "timezone"),
    *("gai.conf", "host.conf", "hosts", "nsswitch.conf", "protocols", "resolv.conf", "services"),
)
"""What is shown of /etc: certificates, libraries, time zones and name resolution."""

_SYSTEM = (
    *(Path("/", name) for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")),
    *(Path("/etc", name) for name in ETC),
    Path("/sys/devices/system/cpu"),
)

_KERNEL = (Path("/dev"), Path("/proc"), Path("/sys"))
"""Where the sandbox has its own: a device that is shown once more can't be opened any more."""

TEMPORARY = ("/tmp", "/dev/shm")  # noqa: S108
"""Folders that are each process's own, and go with it."""

COVERED = tuple(map(Path, ("/etc/pki/tls/private", "/etc/ssl/private", "/usr/local/etc")))
"""Folders inside what is shown that may hold secrets."""

VARIABLES = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
"""What a sandboxed process starts with, whatever it is."""

LEVELS = 2
"""Processes that bubblewrap puts above the one that it runs."""

_ALONE = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent"]
_DROPPED = ["--inh-caps=-all", "--bounding-set=-all", "--clear-groups", "--"]
_SWITCHING = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")


@dataclass(frozen=True)
class Room:
    """What one process has in the sandbox.

    Args:
        shown: files and folders that it may read.
        own: folders that it may change.
        temporary: its /tmp and shared memory; one of its own.
        cwd: where it starts.
        network: whether it has the machine's network.
        switch: whether it runs as the sandbox's user; else as the server's, without capabilities.
    """

    shown: tuple[Path, ...]
    own: tuple[Path, ...]
    temporary: Path
    cwd: Path
    network: bool = True
    switch: bool = True


@dataclass(frozen=True)
class Isolation:
    """What is asked of the sandbox.

    Args:
        wish: `auto` for one where that works, `bubblewrap` to insist, `none`.
        readable, writable: further places of this machine that every worker and build sees.
        root: whether a server that is root may go without.
    """

    wish: str = "none"
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    root: bool = True


@dataclass(frozen=True)
class Sandbox:
    """How one server runs what isn't its own code.

    Args:
        tool: the bubblewrap program.
        home: the platform's home; `sandbox` in it holds the few files that are made for the sandbox.
        user: id of the user and group that processes run as; None keeps the server's, which isn't root then.
        readable, writable: further places of this machine that every worker and build sees.
    """

    tool: str
    home: Path
    user: int | None = None
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()

    @classmethod
    def find(cls, home: Path, asked: Isolation) -> Sandbox | None:
        """The sandbox of this machine, or None.

        Raises:
            UsageError: bubblewrap was insisted on, or the server is root, and it is missing or not allowed
                here; or a further place can't be shown.
        """
        root = os.geteuid() == 0
        tool = None if asked.wish == "none" else shutil.which("bwrap")
        if tool is not None:
            sandbox = cls(tool, home, _unprivileged() if root else None)
            if sandbox._works():
                return sandbox._with_places(_absolute(asked.readable), _absolute(asked.writable))
        missing = "can't be used here" if tool else "is not installed"
        if asked.wish == "bubblewrap":
            hint = "install it (package bubblewrap) and allow user namespaces, or say --isolation none"
            raise UsageError(f"bubblewrap {missing}", hint=hint)
        if root and not asked.root:
            raise UsageError(
                "without a sandbox a server that is root runs every algorithm as root"
                + ("" if asked.wish == "none" else f": bubblewrap {missing}"),
                hint="install bubblewrap, or start as another user, or say --allow-root-workers",
            )
        return None

    def _with_places(self, readable: tuple[Path, ...], writable: tuple[Path, ...]) -> Sandbox:
        """Shows further places, but not the home; makes what may be written to, for the user that will."""
        for path in (*readable, *writable):
            if path.resolve().is_relative_to(self.home.resolve()):
                raise UsageError(f"{path} is part of the platform's home, which no algorithm may see")
        for path in writable:
            if not path.exists():
                path.mkdir(parents=True)
                self.give(path)
            facts = path.stat()
            if self.user not in (None, facts.st_uid) and not facts.st_mode & 0o002:
                raise UsageError(
                    f"{path} can't be written to by the user that algorithms run as",
                    hint=f"chown {self.user} {path}, or name a folder that is missing: it is made",
                )
        return replace(self, readable=readable, writable=writable)

    def _filtered(self) -> list[str]:
        """bubblewrap with the filter of system calls, which it reads from a descriptor."""
        if not seccomp.program():
            return [self.tool]
        return ["/bin/sh", "-c", 'exec "$@" 9<"$0"', str(self._filter), self.tool, "--seccomp", "9"]

    @property
    def _filter(self) -> Path:
        return self.home / "sandbox" / "seccomp"

    @property
    def start_file(self) -> Path:
        """The start file of workers, where every user may read it."""
        return self.home / "sandbox" / "bootstrap.py"

    def command(self, words: list[str], room: Room) -> list[str]:
        """The command that runs another one in the sandbox; to be started with `VARIABLES`, in `/`."""
        switched = self.user is not None and room.switch
        kept = [word for name in _SWITCHING for word in ("--cap-add", name)] if switched else []
        return [
            *self._filtered(),
            *("--tmpfs", "/", "--dev", "/dev", "--proc", "/proc"),
            *("--ro-bind", "/proc/sys", "/proc/sys", *_ALONE, *([] if room.network else ["--unshare-net"])),
            *self._mounts(room),
            *("--remount-ro", "/dev", "--remount-ro", "/", "--cap-drop", "ALL", *kept),
            *("--chdir", str(room.cwd), "--", *(self._switch() if switched else []), *words),
        ]

    def give(self, *folders: Path) -> None:
        """Makes the sandbox's user the owner of what lies in folders; links aren't followed."""
        if self.user is None:
            return
        for folder in folders:
            folder.chmod(0o755)  # bubblewrap goes there before it changes to that user, without capabilities
            os.chown(folder, self.user, self.user, follow_symlinks=False)
            for place, folders_in, files in os.walk(folder):
                for name in (*folders_in, *files):
                    os.chown(Path(place, name), self.user, self.user, follow_symlinks=False)

    def _mounts(self, room: Room) -> Iterator[str]:
        """What is visible, outer folders before inner ones.

        bubblewrap would make the folders above as closed as they are outside.
        """
        made = {Path("/"), Path("/proc"), Path("/dev")}
        for path, words in sorted(self._visible(room), key=lambda each: len(each[0].parts)):
            above = [parent for parent in reversed(path.parents) if parent not in made]
            made.update(above)
            yield from (word for parent in above for word in ("--perms", "0755", "--dir", str(parent)))
            yield from words

    def _visible(self, room: Room) -> Iterator[tuple[Path, list[str]]]:
        for path in _SYSTEM:
            yield path, _mirrored(path)
        for name in TEMPORARY:
            yield Path(name), ["--bind", str(room.temporary), name]
        for name in ("passwd", "group"):
            yield Path("/etc", name), ["--ro-bind", str(self.home / "sandbox" / name), f"/etc/{name}"]
        shown = [
            path for path in (*self.readable, *room.shown, self.start_file) if not _within(path, _KERNEL)
        ]
        for path in shown:
            yield path, ["--ro-bind", str(path), str(path)]
        covered = [self.home] if _within(self.home, [Path("/usr"), *shown, *self.writable]) else []
        for path in (*filter(Path.is_dir, COVERED), *covered):
            yield path, ["--perms", "0755", "--tmpfs", str(path), "--remount-ro", str(path)]
        for path in (*self.writable, *room.own):
            yield path, ["--bind", str(path), str(path)]

    def _switch(self) -> list[str]:
        tool = shutil.which("setpriv", path=VARIABLES["PATH"]) or "setpriv"
        return [tool, f"--reuid={self.user}", f"--regid={self.user}", *_DROPPED]

    def _works(self) -> bool:
        """Makes the sandbox's own files and tries it with an empty room."""
        folder = self.home / "sandbox"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "tmp").mkdir(parents=True)
        number = os.geteuid() if self.user is None else self.user
        for name, text in (
            ("passwd", f"worker:x:{number}:{number}::/tmp:/bin/sh\n"),
            ("group", f"worker:x:{number}:\n"),
            ("bootstrap.py", START.read_text("utf-8")),
        ):
            (folder / name).write_text(text, "utf-8")
            (folder / name).chmod(0o644)
        self._filter.write_bytes(seccomp.program())
        room = Room((), (), folder / "tmp", Path("/"))
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            tried = self.command(["/bin/sh", "-c", "true"], room)
            done = subprocess.run(tried, capture_output=True, timeout=10, check=False, env=VARIABLES, cwd="/")
            return done.returncode == 0
        return False


def _unprivileged() -> int:
    """The user that a server that is root runs workers and builds as."""
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65534


def interpreter_folders(interpreter: Path) -> list[Path]:
    """What an interpreter needs of the folder that it is installed in: all of it, unless that is a home."""
    prefix = interpreter.resolve().parent.parent
    if not _within(Path.home(), [prefix]):
        return [prefix]
    return [prefix / name for name in ("bin", "lib", "lib64", "include") if (prefix / name).is_dir()]


def _absolute(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(path.absolute() for path in paths)


def _within(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def _mirrored(path: Path) -> list[str]:
    """Shows a system's path as it is: a link into /usr stays one."""
    if path.is_symlink() and path.resolve().is_relative_to("/usr"):
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind-try", str(path), str(path)]

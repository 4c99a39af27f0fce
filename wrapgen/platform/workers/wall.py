"""A wall around workers and builds, where bubblewrap is there to build one: what hostile code can't reach.

Behind it a process has the machine's files read-only, without the platform's home and the usual places of a
user's secrets; it writes into its own folder only, and sees no process but its own. The network stays.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wrapgen.errors import UsageError
from wrapgen.platform.model import Runnable

PRIVATE = (".algorithmia", ".aws", ".azure", ".config", ".docker", ".gnupg", ".kube", ".netrc", ".ssh")
"""Names in the user's home folder that are hidden, if they are there."""

SETTINGS = (".config/pip", ".config/uv")
"""What builds see of them all the same: which index to install from."""

_ALONE = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--cap-drop", "ALL"]


@dataclass(frozen=True)
class Wall:
    """How workers of one server are walled in.

    Args:
        tool: the bubblewrap program.
        home: the platform's home.
    """

    tool: str
    home: Path

    @classmethod
    def find(cls, home: Path, wish: str) -> Wall | None:
        """The wall of this machine.

        Args:
            home: the platform's home.
            wish: `auto` for one where that works, `bubblewrap` to insist, `none`.

        Raises:
            UsageError: bubblewrap was insisted on, and is missing or not allowed here.
        """
        tool = None if wish == "none" else shutil.which("bwrap")
        if tool is not None:
            wall = cls(tool, home)
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                tried = [*wall._basis(), "true"]
                if subprocess.run(tried, capture_output=True, timeout=10, check=False).returncode == 0:
                    return wall
        if wish == "bubblewrap":
            raise UsageError(
                "bubblewrap can't be used here" if tool else "bubblewrap is not installed",
                hint="install it (package bubblewrap) and allow user namespaces, or leave --isolation out",
            )
        return None

    def before(self, runnable: Runnable, folder: Path, start: Path) -> list[str]:
        """The words before a worker's command.

        Args:
            runnable: what the worker runs; its source and environment are shown read-only.
            folder: the worker's own; it starts in `work` below it, and `tmp` is its /tmp and shared memory.
            start: the start file, shown too, since wrapgen itself may lie in a hidden place.
        """
        temporary = ("--bind", str(folder / "tmp"))
        shown = _shown([runnable.directory, runnable.interpreter.parent.parent, start])
        own = ["--bind", str(folder), str(folder), "--chdir", str(folder / "work")]
        return [*self._basis(), *temporary, "/tmp", *temporary, "/dev/shm", *shown, *own, "--"]  # noqa: S108

    def before_build(self, program: Path, own: list[Path]) -> list[str]:
        """The words before a command of a build.

        Args:
            program: what is run; shown with what lies beside it, since that may be a hidden place.
            own: folders that it may write to; it starts in the first one.
        """
        beside = program.parent.parent
        hidden = any(beside != place and beside.is_relative_to(place) for place in self._hidden())
        own_words = [word for path in own for word in ("--bind", str(path), str(path))]
        settings = _shown(path for path in map(_home, SETTINGS) if path.is_dir())
        shown = [*settings, *(_shown([beside]) if hidden else [])]
        return [*self._basis(), *shown, *own_words, "--chdir", str(own[0]), "--"]

    def _hidden(self) -> list[Path]:
        places = [Path("/tmp"), self.home, *map(_home, PRIVATE)]  # noqa: S108 (hidden, not used)
        return [path for path in places if path.is_dir()]

    def _basis(self) -> list[str]:
        covers = [word for path in self._hidden() for word in ("--tmpfs", str(path))]
        if _home(".netrc").is_file():
            covers += ["--ro-bind", "/dev/null", str(_home(".netrc"))]
        return [self.tool, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", *covers, *_ALONE]


def _home(name: str) -> Path:
    return Path.home() / name


def _shown(paths: Iterable[Path]) -> list[str]:
    return [word for path in paths for word in ("--ro-bind", str(path), str(path))]

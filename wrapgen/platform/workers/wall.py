"""A wall around workers, where bubblewrap is there to build one: what hostile code can't see or change.

Behind it a worker has the machine's files read-only, without the platform's home and without the usual places
of a user's secrets; it writes into its own folder only, and sees no process but its own. The network stays.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from wrapgen.errors import UsageError
from wrapgen.platform.model import Runnable

PRIVATE = (".algorithmia", ".aws", ".azure", ".config", ".docker", ".gnupg", ".kube", ".netrc", ".ssh")
"""Names in the user's home folder that are hidden, if they are there."""

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
            folder: the worker's own; it starts in `work` below it.
            start: the start file, shown too, since wrapgen itself may lie in a hidden place.
        """
        shown = [str(runnable.directory), str(runnable.interpreter.parent.parent), str(start)]
        visible = [word for path in shown for word in ("--ro-bind", path, path)]
        own = ["--bind", str(folder), str(folder), "--chdir", str(folder / "work")]
        return [*self._basis(), *visible, *own, "--"]

    def _basis(self) -> list[str]:
        hidden = [Path("/tmp"), self.home]  # noqa: S108 (hidden, not used)
        for name in PRIVATE:
            path = Path.home() / name
            if path.is_dir():
                hidden.append(path)
        covers = [word for path in hidden for word in ("--tmpfs", str(path))]
        if (Path.home() / ".netrc").is_file():
            covers += ["--ro-bind", "/dev/null", str(Path.home() / ".netrc")]
        return [self.tool, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", *covers, *_ALONE]

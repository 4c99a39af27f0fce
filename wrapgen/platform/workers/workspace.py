"""Where one worker lives: its copy of the source, its temporary folder, its key and its variables."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from wrapgen.platform.domain.model import Runnable
from wrapgen.platform.workers.ceilings import Ceilings
from wrapgen.platform.workers.cgroups import Cgroups, Group
from wrapgen.platform.workers.disk import remove
from wrapgen.platform.workers.sandbox import TEMPORARY, Room, Sandbox, interpreter_folders

API = ("127.0.0.1", 8080)
"""Where an isolated worker reaches the platform, in a network of its own."""

COPIED = 1 << 20
"""Source files up to this many bytes are copied into a worker's folder; larger ones are linked."""


@dataclass
class Surroundings:
    """What all workers of one server have in common.

    Args:
        root: folder for the workers' own folders; emptied at start.
        sandbox: around each worker, or None.
        mark: beginning of every worker's key.
        address: where algorithms reach the platform.
        cgroups: limit each worker, or None.
        attach: makes the platform's API answer on one more listener.
    """

    root: Path
    sandbox: Sandbox | None = None
    mark: str = field(default_factory=lambda: f"wrk{secrets.token_hex(6)}")
    address: str = ""
    cgroups: Cgroups | None = None
    attach: Callable[[socket.socket], Awaitable[asyncio.AbstractServer]] | None = None


@dataclass
class Workspace:
    """What a worker process gets from the server: its own folder and key.

    Args:
        folder: holds `work` (the source) and `tmp`.
        key: the API key by which the server knows this worker.
        group: limits the process and all below it, or None.
        variables: those of the process that the platform sets; the algorithm's secrets come on top.
    """

    folder: Path
    key: str
    variables: dict[str, str] = field(default_factory=dict)
    group: Group | None = None

    @classmethod
    def make(cls, runnable: Runnable, common: Surroundings, ceilings: Ceilings) -> Workspace:
        """Copies the source into a new folder; takes its time, so call it in a thread.

        The worker's key begins with the mark by which all processes of one server are found.

        Raises:
            OSError: it can't be copied.
        """
        folder = Path(tempfile.mkdtemp(prefix="worker-", dir=common.root))
        try:
            return cls._filled(folder, runnable, common, ceilings)
        except RecursionError as error:
            remove(folder)
            raise OSError("the folders of the source are nested too deep") from error
        except BaseException:
            remove(folder)
            raise

    @classmethod
    def _filled(cls, folder: Path, runnable: Runnable, common: Surroundings, ceilings: Ceilings) -> Workspace:
        (folder / "tmp").mkdir()
        shutil.copytree(
            runnable.directory, folder / "work", copy_function=_copy, symlinks=True, ignore=_no_history
        )
        key = common.mark + secrets.token_urlsafe(24)
        temporary = str(folder / "tmp")
        isolated = common.sandbox is not None and runnable.network_access == "isolated"
        variables = {
            "PATH": f"{runnable.interpreter.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": temporary,
            "TMPDIR": temporary,
            "LANG": "C.UTF-8",
            "VIRTUAL_ENV": str(runnable.interpreter.parent.parent),
            "ALGORITHMIA_API": "http://{}:{}".format(*API) if isolated else common.address,
            "ALGORITHMIA_API_KEY": key,
            "WRAPGEN_TEMPORARY": str(folder),  # read by wrappers, so that no record goes there
        }
        if common.sandbox is not None:
            variables["WRAPGEN_TEMPORARY"] = os.pathsep.join((str(folder), *TEMPORARY))
            variables["WRAPGEN_WRITABLE"] = os.pathsep.join(map(str, common.sandbox.writable))
            for name in ("work", "tmp"):
                (folder / name).chmod(0o755)
            common.sandbox.give(folder)
        group = None
        if common.cgroups is not None:
            group = common.cgroups.make(folder.name, ceilings.memory, ceilings.processes)
        return cls(folder, key, variables, group)

    def remove(self) -> None:
        """Removes the folder and the group, and what is left in it."""
        if self.group is not None:
            self.group.remove()
        remove(self.folder)

    def room(self, runnable: Runnable) -> Room:
        """What the process has in a sandbox."""
        base = interpreter_folders(runnable.base) if runnable.base else []
        return Room(
            shown=(*base, runnable.interpreter.parent.parent, runnable.directory),
            own=(self.folder,),
            temporary=self.folder / "tmp",
            cwd=self.folder / "work",
            network=runnable.network_access != "isolated",
        )


def _copy(source: str, target: str) -> None:
    if Path(source).stat().st_size > COPIED:
        Path(target).symlink_to(Path(source).resolve())
    else:
        shutil.copy2(source, target)


def _no_history(folder: str, names: list[str]) -> set[str]:  # noqa: ARG001 (what copytree calls)
    return {".git"} & set(names)

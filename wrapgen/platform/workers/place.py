"""Where one worker lives: its copy of the source, its temporary folder, its key and its whole environment."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from wrapgen.platform.model import Runnable

COPIED = 1 << 20
"""Source files up to this many bytes are copied into a worker's folder; larger ones are linked."""


@dataclass
class Place:
    """What a worker process gets from the server: its own folder and key.

    Args:
        folder: holds `work` (the source) and `tmp`.
        key: the API key by which the server knows this worker.
        variables: the whole environment of the process.
    """

    folder: Path
    key: str
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, runnable: Runnable, root: Path, address: str, mark: str) -> Place:
        """Copies the source into a new folder below `root`; takes its time, so call it in a thread.

        The worker's key begins with `mark`, by which all processes of one server are found.
        """
        folder = Path(tempfile.mkdtemp(prefix="worker-", dir=root))
        (folder / "tmp").mkdir()
        shutil.copytree(
            runnable.directory, folder / "work", copy_function=_copy, symlinks=True, ignore=_no_history
        )
        key = mark + secrets.token_urlsafe(24)
        temporary = str(folder / "tmp")
        variables = {
            **runnable.variables,
            "PATH": f"{runnable.interpreter.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": temporary,
            "TMPDIR": temporary,
            "LANG": "C.UTF-8",
            "VIRTUAL_ENV": str(runnable.interpreter.parent.parent),
            "ALGORITHMIA_API": address,
            "ALGORITHMIA_API_KEY": key,
        }
        return cls(folder, key, variables)


def _copy(source: str, target: str) -> None:
    if Path(source).stat().st_size > COPIED:
        Path(target).symlink_to(Path(source).resolve())
    else:
        shutil.copy2(source, target)


def _no_history(folder: str, names: list[str]) -> set[str]:  # noqa: ARG001 (what copytree calls)
    return {".git"} & set(names)

"""How much processes keep on disk: what their folders hold, and files that they deleted and still have open.

The kernel's own ceiling is on single files only (see `Ceilings.file`), so this counts what they are together.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

SMALL = 64 << 20
"""Bytes that a worker may hold however little is left."""

ENTRY = 4096
"""Bytes that each file counts for at least: empty ones fill a disk too."""

_PROC = Path("/proc")
_GONE = (FileNotFoundError, NotADirectoryError)  # it changes while we look


def is_over(folders: Iterable[Path], processes: Iterable[int], most: int | None) -> bool:
    """Whether folders and processes hold more than they may, or than is left for all others.

    Args:
        folders: of one disk.
        processes: whose deleted files count too.
        most: bytes; None for no ceiling.
    """
    if most is None:
        return False
    held = 0
    for folder in folders:
        with contextlib.suppress(OSError):
            most = min(most, max(SMALL, shutil.disk_usage(folder).free))
        held += held_by(folder, most - held)
        if held > most:
            return True
    return held + sum(dict(each for process in processes for each in _deleted(process)).values()) > most


def held_by(folder: Path, most: int) -> int:
    """Bytes on disk below a folder, links not followed; stops counting when it is more than `most`.

    What can't be looked into counts as more: a folder that is closed, or nested deeper than a path can name.
    What is written elsewhere isn't found, nor a file that only is on its way through a socket.
    """
    held, waiting = 0, [str(folder)]
    try:
        while waiting and held <= most:
            with contextlib.suppress(*_GONE), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(*_GONE):
                        held += max(entry.stat(follow_symlinks=False).st_blocks * 512, ENTRY)
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
    except OSError:
        return most + 1
    return held


def remove(folder: Path) -> None:
    """Removes a folder, if it can be: what is in it may be nested too deep for Python, or closed."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except (OSError, RecursionError):
        for words in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*words, "--", folder], stderr=subprocess.DEVNULL, check=False)


def _deleted(process: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Files that a process has open or mapped and no name leads to any more, and their bytes on disk."""
    with contextlib.suppress(OSError):
        for link in _deleted_links(_PROC / str(process)):
            with contextlib.suppress(OSError):
                facts = link.stat()
                yield (facts.st_dev, facts.st_ino), facts.st_blocks * 512


def _deleted_links(process: Path) -> Iterator[Path]:
    """Links to such files in a process's folder. What it has mapped, hundreds of files, is read at once."""
    for line in (process / "maps").read_bytes().splitlines():
        if line.endswith(b" (deleted)") and b" /memfd:" not in line:
            begin, end = line.split(None, 1)[0].split(b"-")
            yield process / "map_files" / f"{int(begin, 16):x}-{int(end, 16):x}"
    for link in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            found = str(link.readlink())
            if found.endswith(" (deleted)") and not found.startswith("/memfd:"):
                yield link

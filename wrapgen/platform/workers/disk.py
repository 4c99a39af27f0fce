"""How much a worker keeps on disk: what its folder holds.

The kernel's own ceiling is on single files only (see `Ceilings.file`), so this counts what they are together.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

SMALL = 64 << 20
"""Bytes that a worker may hold however little is left."""


def is_over(folder: Path, most: int | None) -> bool:
    """Whether a folder holds more than it may: also more than is left for all others."""
    if most is None:
        return False
    with contextlib.suppress(OSError):
        most = min(most, max(SMALL, shutil.disk_usage(folder).free))
    return held_by(folder, most) > most


def held_by(folder: Path, most: int) -> int:
    """Bytes on disk below a folder, links not followed; stops counting when it is more than `most`.

    What was deleted and is still open isn't found, nor what is written elsewhere.
    """
    held, waiting = 0, [str(folder)]
    while waiting and held <= most:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:  # it changes while we look
            for entry in entries:
                with contextlib.suppress(OSError):
                    held += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return held

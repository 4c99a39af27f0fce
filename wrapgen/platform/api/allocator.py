"""How the server's memory shrinks again after large bodies: one setting of the C library, nothing else."""

from __future__ import annotations

import ctypes
import sys

_SETTINGS = {
    -3: 256 * 1024,  # M_MMAP_THRESHOLD: larger blocks are mapped one by one, and unmapped when they are freed
    -1: 256 * 1024,  # M_TRIM_THRESHOLD: free memory at the end of the heap that is kept
    -8: 2,  # M_ARENA_MAX: heaps; each thread would get its own, with its own share of what it once held
}
"""Options of mallopt(3) of the GNU C library. Left alone, it raises the first two to the size of the
largest body it has seen, and keeps as much from then on."""


def give_back() -> None:
    """Has freed memory returned to the system; does nothing where the C library is another one."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for option, value in _SETTINGS.items():
        mallopt(option, value)

"""What one worker may use, with all its processes."""

from __future__ import annotations

from dataclasses import dataclass

DISK = "over the ceiling of disk space"
MEMORY = "over the ceiling of memory"
PROCESSES = "over the ceiling of processes and threads"


@dataclass(frozen=True)
class Ceilings:
    """What one worker may use; None means no ceiling.

    Args:
        memory: bytes of memory of all its processes, shared memory included.
        processes: processes and threads.
        cpu: seconds of processor time within one call (checked at the start of a call, so roughly).
        file: bytes of one file.
        disk: bytes of its own folder, temporary files included (see `disk`).
        response: bytes of one response line.
    """

    memory: int | None = 8 << 30
    processes: int | None = 1024
    cpu: int | None = 6000
    file: int | None = 8 << 30
    disk: int | None = 8 << 30
    response: int = 15_000_000

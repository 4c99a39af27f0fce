"""How busy this machine's processors are, with all processes."""

from __future__ import annotations

from pathlib import Path

LOOK_SECONDS = 0.2
"""Between two looks: the kernel counts in hundredths of a second."""

_STAT = Path("/proc/stat")
_IDLE = slice(3, 5)
"""Where a line of it counts idle time: `idle` and `iowait` (man 5 proc)."""


class Processors:
    """All processors together; where there is no /proc they never look busy.

    Args:
        stat: what the kernel counts.
    """

    def __init__(self, stat: Path = _STAT) -> None:
        self.busy = 0.0
        """Share of their time that was in use between the last two looks, from 0 to 1."""
        self._stat = stat
        self._looked = (0.0, 0, 0)

    def look(self, now: float) -> None:
        """Has to be called all the time.

        Args:
            now: time.monotonic().
        """
        then, idle_then, all_then = self._looked
        if now - then < LOOK_SECONDS:
            return
        try:
            line = self._stat.read_text().partition("\n")[0]
        except OSError:
            return
        spent = [int(field) for field in line.split()[1:9]]
        idle, total = sum(spent[_IDLE]), sum(spent)
        self._looked = (now, idle, total)
        if then and total > all_then:
            self.busy = 1 - (idle - idle_then) / (total - all_then)

"""The bar on every page: its links, and which of them a page belongs to."""

from __future__ import annotations

from dataclasses import dataclass

ROOT = "/web"
"""Below which everything is; the cookie goes nowhere else."""


@dataclass(frozen=True)
class NavigationEntry:
    """A link; current on `path` and on all that starts with one of `covers`."""

    label: str
    path: str
    covers: tuple[str, ...] = ()

    def is_current(self, path: str) -> bool:
        """Whether a page of that path belongs to this entry."""
        return path == self.path or path.startswith(self.covers)


NAVIGATION = (
    NavigationEntry("Algorithms", f"{ROOT}/", covers=(f"{ROOT}/algorithms/",)),
    NavigationEntry("Data", f"{ROOT}/data", covers=(f"{ROOT}/data/",)),
    NavigationEntry("Activity", f"{ROOT}/activity", covers=(f"{ROOT}/activity/",)),
    NavigationEntry("Charts", f"{ROOT}/charts"),
    NavigationEntry("Workers", f"{ROOT}/workers"),
)

"""What one bench was asked for, and what its parts share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench.store import Store


@dataclass(frozen=True)
class Bench:
    """One bench.

    Attributes:
        store: where measurements go.
        work: folder for everything that is thrown away.
        items: of the full input.
        seconds: most that a slow case may take, over all its rounds.
        rounds: times that everything is measured.
        smoke: everything tiny, without peers that have to be installed.
    """

    store: Store
    work: Path
    items: int = 100_000
    seconds: float = 60.0
    rounds: int = 3
    smoke: bool = False

    @property
    def cores(self) -> int:
        """Processors that may be used."""
        return len(os.sched_getaffinity(0))

    def say(self, words: str) -> None:
        """One line of progress."""
        print(words, flush=True)

"""What one bench was asked for, and what its parts share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bench.store import Store
from bench.trees import WORKING, Tree

Side = TypeVar("Side")


@dataclass(frozen=True)
class Bench:
    """One bench of one tree.

    Attributes:
        store: where measurements go.
        work: folder for everything that is thrown away.
        items: of the full input.
        seconds: most that a slow case may take, over all its rounds.
        rounds: times that everything is measured.
        smoke: everything tiny, without peers that have to be installed.
        tree: what is measured.
        older: this is the commit that another tree is measured beside.
        peers: what others make is measured too.
        quick: only what a verdict on calls and items needs.
        programs: pattern of the names of programs of part 1 that are measured.
    """

    store: Store
    work: Path
    items: int = 100_000
    seconds: float = 60.0
    rounds: int = 3
    smoke: bool = False
    tree: Tree = WORKING
    older: bool = False
    peers: bool = True
    quick: bool = False
    programs: str = ""

    @property
    def cores(self) -> int:
        """Processors that may be used."""
        return len(os.sched_getaffinity(0))

    def beside(self, tree: Tree) -> Bench:
        """The bench of an older commit in the same rounds, without peers."""
        work = self.work / "against"
        work.mkdir()
        return replace(self, store=self.store.against(), work=work, tree=tree, older=True, peers=False)

    def within(self, part: str) -> Bench:
        """The same with a folder of its own: a part shares no server and no file with another."""
        work = self.work / part
        work.mkdir(exist_ok=True)
        return replace(self, work=work)

    def say(self, words: str) -> None:
        """One line of progress."""
        print(f"{words} ({self.tree.name})" if self.older else words, flush=True)


def in_turn(sides: Sequence[Side], number: int) -> Sequence[Side]:
    """Who is first in a round: the working tree and the older commit, the other way round in every second."""
    return sides if number % 2 == 0 else sides[::-1]

"""Shards: the rows of an input that one of N workers takes, and its part of the run's limits.

A shard is a stretch of rows, so that calls and outcomes stay side by side; all shards together have each row
once, for any N. Its items keep the run index that they have in the whole input. Names of files are here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from glob import escape
from itertools import islice
from pathlib import Path
from typing import Any

from wrapgen.errors import UsageError
from wrapgen.references import is_path
from wrapgen.run.hosts.host import Host
from wrapgen.run.input.items import Items
from wrapgen.run.ledger.folder import folder_for
from wrapgen.run.remote_files import InputFile
from wrapgen.run.scheduling.chunks import Entry
from wrapgen.run.scheduling.grants import SpendingLimits
from wrapgen.run.scheduling.limits import ceiling

MOST = 100_000
"""Shards of a run, at most."""

_TEXT = re.compile(r"([0-9]{1,9})/([0-9]{1,9})(?:%([0-9]{1,9}))?\Z")
_NAME = re.compile(r"(?P<stem>.*)\.shard-(?P<index>\d+)-of-(?P<of>\d+)(?P<suffix>\.[^.]+|)\Z")
_MARK = re.compile(r"\.shard-\d+-of-\d+(?=\.|\Z)")


@dataclass(frozen=True)
class Shard:
    """One of N slices of a run.

    Args:
        index: which, from 0.
        of: how many there are.
        at_once: how many of them work at the same time, at most; None: all.

    Raises:
        UsageError: there is no such shard.
    """

    index: int
    of: int
    at_once: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.of <= MOST:
            raise UsageError(f"a run has 1 to {MOST:,} shards, not {self.of:,}")
        if not 0 <= self.index < self.of:
            hint = f"0/{self.of} to {self.of - 1}/{self.of}; of an array that starts at 1 subtract 1"
            raise UsageError(
                f"there is no shard {self.index}/{self.of}: shards are numbered from 0", hint=hint
            )
        if self.at_once is not None and self.at_once < 1:
            raise UsageError("at least one shard works at a time", hint=f"such as {self}%1")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that `I/N` means, or `I/N%M` where at most M work at the same time.

        Raises:
            UsageError: it has another form, or there is no such shard.
        """
        found = _TEXT.match(text)
        if found is None:
            empty = " (is the variable of its number set?)" if text.startswith("/") else ""
            raise UsageError(
                f"not a shard: {text!r}{empty}",
                hint="I/N, from 0/N on: 2/4 is the third of four; 2/100%8 where 8 work at once",
            )
        index, of, at_once = found.groups()
        return cls(int(index), int(of), int(at_once) if at_once else None)

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @property
    def name(self) -> str:
        """Its part of a file's name; the names of all shards are in their order."""
        return f"shard-{self.index:0{len(str(self.of - 1))}}-of-{self.of}"

    def output(self, output: Path) -> Path:
        """Where the outcomes of this shard go, in place of those of the whole run."""
        return output.with_name(f"{output.stem}.{self.name}{output.suffix}") if output.name else output

    def rows(self, total: int) -> range:
        """Its rows, by their run index, of an input with so many."""
        return range(self.index * total // self.of, (self.index + 1) * total // self.of)

    def working(self, total: int) -> int:
        """Shards that may work at the same time: those without rows do not."""
        return max(1, min(self.of, total, self.at_once or self.of))

    def spending(self, limits: SpendingLimits, total: int) -> SpendingLimits:
        """Its part of what the whole run may spend: rates by shard, money by row; never more in sum.

        Args:
            limits: of the whole run.
            total: rows of the input.
        """
        part = self.working(total)
        money, items = limits.max_cost, len(self.rows(total))
        if money is not None and not 0 < items == total:
            money = _below(money * items / max(1, total), self.of)
        return replace(limits.divided(_below(1 / part, part)), max_cost=money)

    def refuse_thin(self, most: float | None, name: str, total: int) -> None:
        """Makes sure that the first requests of shards, which none waits with, stay below a rate.

        Args:
            most: of all shards, a minute; None: any.
            name: of the rate.
            total: rows of the input.

        Raises:
            UsageError: it is below one for each shard that works at the same time.
        """
        part = self.working(total)
        if most is not None and part > max(1.0, most):
            raise UsageError(
                f"{part:,} shards can't share {name} {most:g}, of which each needs 1",
                hint=f"let fewer work at the same time, and say so: --shard {self}%{max(1, int(most))}",
            )

    def calls(self, most: int, total: int) -> int:
        """Its part of the calls that may be open in the whole run.

        Raises:
            UsageError: there are fewer calls than shards that work at the same time.
        """
        part = self.working(total)
        if most < part:
            calls = "1 call" if most == 1 else f"{most:,} calls"
            raise UsageError(
                f"{part:,} shards can't share {calls} that may be open at once",
                hint=f"let fewer work at the same time, and say so: --shard {self}%{most}",
            )
        return most // part


def most_calls(shard: Shard | None, total: int, host: Host, workers: int | None) -> int:
    """The most calls that a run keeps open, or a shard of it.

    What `workers` allows is for all shards together, and so is what a host can take, unless it is processes
    of this machine.

    Raises:
        UsageError: there are fewer calls than shards, or less than one request or token a minute for each.
    """
    about, concurrency = host.describe(), host.concurrency
    parallel = about.parallel
    if shard is not None:
        shard.refuse_thin(about.rpm, "rpm", total)
        shard.refuse_thin(about.tpm, "tpm", total)
    if shard is not None and host.address:
        return shard.calls(ceiling(parallel, workers, concurrency), total)
    if shard is not None and workers is not None:
        workers = shard.calls(workers, total)
    return ceiling(parallel, workers, concurrency)


def _below(share: float, parts: int) -> float:
    """A share that is not above the true one by rounding, however many are added up."""
    return share * (1 - parts * 2**-52) if parts > 1 else share


def shard_of(output: Path) -> tuple[Shard, Path] | None:
    """The shard that writes an output, and the whole run's output; None for one of no shard."""
    found = _NAME.match(output.name)
    if found is None or not 0 <= int(found["index"]) < int(found["of"]) <= MOST:
        return None
    shard = Shard(int(found["index"]), int(found["of"]))
    whole = output.with_name(found["stem"] + found["suffix"])
    return (shard, whole) if shard.output(whole) == output else None


def shard_outputs(output: Path) -> list[Path]:
    """The outputs of the shards of a run whose states are beside its output."""
    pattern = folder_for(output.with_name(f"{escape(output.stem)}.shard-*-of-*{escape(output.suffix)}"))
    found = (path.with_suffix("") for path in sorted(output.parent.glob(pattern.name)))
    return [path for path in found if (known := shard_of(path)) and known[1] == output]


def whole_of(file: Path) -> Path:
    """The file of the whole run in place of which a shard writes a file; the same for one of no shard."""
    name, folder = (_MARK.sub("", part) for part in (file.name, file.parent.name))
    return (file.parent.with_name(folder) if folder else file.parent) / name


class Slice(Items):
    """The items of a shard.

    Args:
        items: of the whole input.
        shard: which of them.
        total: rows of the whole input.
    """

    def __init__(self, items: Items, shard: Shard, total: int) -> None:
        self.name, self.several, self.run = items.name, items.several, items.run
        self.whole = items
        self._shard, self._total = shard, total
        self._rows = shard.rows(total)

    def entries(self) -> Iterator[Entry]:
        """Its items under the run indexes of the whole input; raises as those of the whole do."""
        return islice(self.whole.entries(), self._rows.start, self._rows.stop)

    def rows(self) -> Iterator[tuple[int, Any, str]]:
        """Its rows."""
        return islice(self.whole.rows(), self._rows.start, self._rows.stop)

    def sizes(self) -> Iterator[int] | None:
        """Bytes of its items, if that is all that is to know of them."""
        sizes = self.whole.sizes()
        return None if sizes is None else islice(sizes, self._rows.start, self._rows.stop)

    def selection(self) -> dict[str, Any]:
        """As of the whole."""
        return self.whole.selection()

    @property
    def paths(self) -> Sequence[InputFile]:
        """The files of the whole input."""
        return self.whole.paths

    def origin(self) -> dict[str, Any]:
        """Where the rows can be found again, and which of them these are."""
        return {**self.whole.origin(), "shard": str(self._shard), "rows": self._total}

    def fingerprint(self) -> str:
        """That of the whole input: any change of it may move rows from one shard to another."""
        return self.whole.fingerprint()


def of_shard(shard: Shard | None, output: Path, state: str | None, source: str) -> tuple[Path, str | None]:
    """Where a worker's outcomes and state go: a shard's under a name of its own.

    Raises:
        UsageError: a shard's input can be read by one worker only.
    """
    if shard is None:
        return output, state
    if source == "-":
        raise UsageError("standard input is read by one worker, not by all shards", hint="name a file")
    return shard.output(output), state and f"{state.rstrip('/')}/{shard.name}"


def refuse_open_version(shard: Shard | None, reference: str, host: Host) -> None:
    """Makes sure that all shards have the same version of a platform's wrapper, whenever they start.

    Raises:
        UsageError: the reference leaves the version open.
    """
    named = reference.removeprefix("algo://").rstrip("/")
    if shard is None or is_path(reference) or "://" in named or named == host.reference:
        return
    raise UsageError(
        "shards start at different moments, and the newest version of a wrapper may change meanwhile",
        hint=f"name the version: {host.reference}",
    )


def refuse_failed_items(shard: Shard | None, items: Items) -> None:
    """Makes sure that shards have an input that `wrapgen merge` reads again as their run's.

    Raises:
        UsageError: it holds the failed items of an earlier run, which have the indexes of that run.
    """
    if shard is not None and items.run is not None:
        raise UsageError(
            f"{items.name} holds failed items of run {items.run}, and they are not divided into shards",
            hint="run them again without --shard, with the output of that run, merged if it had shards",
        )


def sliced(items: Items, facts: dict[str, Any]) -> Items:
    """The items of a run as its ledger's `input` tells them: all, or those of its shard."""
    if not facts.get("shard"):
        return items
    return Slice(items, Shard.parse(str(facts["shard"])), int(facts["rows"]))

"""The progress of a run: a bar on a terminal, elsewhere a plain line now and then, or JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wrapgen.cli.terminal import err, one_line, visible
from wrapgen.run.pace import Pace

if TYPE_CHECKING:
    from wrapgen.run.pace import Probe
    from wrapgen.run.scheduling.progress import Progress, Waiting

LINE_EVERY = 30.0
"""Seconds between two lines where there is no terminal."""

JSON_EVERY = 1.0
"""Seconds between two lines of --log-json."""

_REDRAW = 0.1


class Reporter:
    """Shows progress on standard error; a context manager.

    Args:
        as_json: one JSON object per line instead of anything for people.
        already: items that earlier sessions finished; they don't count for the rate.
        foretell: on a terminal, what to say once the pace is known, line by line; None says nothing.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        *,
        as_json: bool,
        already: int,
        foretell: Callable[[Probe], list[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._as_json = as_json
        self._already = already
        self._foretell = foretell
        self._clock = clock
        self._started = self._last = clock()
        self._pace = Pace(already, clock)
        self._terminal = sys.stderr.isatty() and not as_json
        self._bar: Any = None
        self._task: Any = None
        self._working = True

    def __enter__(self) -> Reporter:
        if self._terminal:
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task("", total=None, rate="", detail="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Shows a moment of the run, if the last one shown is old enough."""
        now = self._clock()
        if self._foretell and self._terminal:
            self._foretold(progress, self._foretell)
        waits = progress.wait is not None and self._working
        self._working = progress.wait is None
        every = JSON_EVERY if self._as_json else _REDRAW if self._terminal else LINE_EVERY
        ended = not progress.open and progress.counts.finished >= progress.counts.items
        if now - self._last < every and not waits and not (ended and self._terminal):
            return
        self._last = now
        rate = (progress.counts.finished - self._already) / max(1e-9, now - self._started)
        if self._as_json:
            err(json.dumps(_facts(progress, rate)))
        elif self._terminal:
            self._bar.update(
                self._task,
                completed=progress.counts.finished,
                total=progress.counts.items,
                rate=f"{rate:,.0f}/s",
                detail=one_line(_detail(progress)),
            )
        else:
            err(_line(progress, rate))

    def _foretold(self, progress: Progress, foretell: Callable[[Probe], list[str]]) -> None:
        """Says what is to come, once, when the pace is known."""
        self._pace(progress)
        if not self._pace.is_settled or self._pace.probe is None:
            return
        self._foretell = None
        for line in foretell(self._pace.probe):
            self._bar.console.print(f"  {visible(line)}", highlight=False, markup=False)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        console=Console(stderr=True),
    )


def _detail(progress: Progress) -> str:
    failed = f"{progress.counts.failed:,} failed" if progress.counts.failed else "no errors"
    if progress.wait:
        return f"{failed}, {progress.wait}"
    return f"{failed}, {progress.open} of {progress.concurrency} calls open, {progress.chunk} a call"


def _line(progress: Progress, rate: float) -> str:
    done, total = progress.counts.finished, progress.counts.items
    left = f", {(total - done) / rate:,.0f} s left" if rate > 0 and total > done else ""
    return f"{done:,} of {total:,} items, {rate:,.0f}/s{left}, {_detail(progress)}"


def _facts(progress: Progress, rate: float) -> dict[str, Any]:
    return {
        "finished": progress.counts.finished,
        "failed": progress.counts.failed,
        "items": progress.counts.items,
        "rate": round(rate, 1),
        "open": progress.open,
        "concurrency": progress.concurrency,
        "chunk": progress.chunk,
        "throttled": progress.counts.throttled,
        "waiting": vars(progress.wait) if progress.wait else None,
    }


def tell_wait(wait: Waiting) -> None:
    """Says before a run what it waits for."""
    err(str(wait))

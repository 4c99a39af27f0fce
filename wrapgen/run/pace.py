"""How fast a run is, measured while it goes. No clock of its own: moments are passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wrapgen.run.scheduling.progress import Progress

ENOUGH_SECONDS = 2.0
"""For which a run is measured, once workers are warm."""

LONG_SECONDS = 15.0
"""After which it is not measured any longer, however few calls were answered."""


@dataclass(frozen=True)
class Probe:
    """What items took.

    Args:
        items: how many.
        seconds: that passed meanwhile.
        calls: open at once.
        start: seconds more that the first call took, which may have had to start a worker.
    """

    items: int
    seconds: float
    calls: int = 1
    start: float = 0.0


@dataclass(frozen=True)
class _Moment:
    at: float
    finished: int
    answered: int
    busy: float
    calls: int


class Pace:
    """Measures a run; told how it stands after every change.

    What was answered before each call had been answered once does not count, since workers may have been
    started; of the rest the later half counts, whose calls are larger and more like those to come.

    Args:
        already: items that were finished before.
        clock: seconds that only go forward.
    """

    def __init__(self, already: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moments = [_Moment(clock(), already, 0, 0.0, 1)]

    def __call__(self, progress: Progress) -> None:
        """Notes when more items are finished."""
        if progress.counts.finished > self._moments[-1].finished:
            self._moments.append(
                _Moment(
                    self._clock(),
                    progress.counts.finished,
                    progress.answered,
                    progress.busy,
                    max(1, min(progress.concurrency, progress.open + 1)),
                )
            )

    @property
    def _warm(self) -> _Moment | None:
        return next((one for one in self._moments[1:] if one.answered >= one.calls), None)

    @property
    def is_settled(self) -> bool:
        """Whether it was measured long enough: two answers of each open call by warm workers, over 2 s."""
        warm, last = self._warm, self._moments[-1]
        if warm is None or last.at - warm.at < ENOUGH_SECONDS:
            return False
        return last.answered - warm.answered >= 2 * last.calls or last.at - warm.at >= LONG_SECONDS

    @property
    def probe(self) -> Probe | None:
        """What was measured; None where no item was finished."""
        first, last = self._moments[0], self._moments[-1]
        if last is first:
            return None
        warm = self._warm
        if warm is None or warm is last:
            return _between(first, last)
        half = (warm.finished + last.finished) / 2
        later = [one for one in self._moments if warm.answered <= one.answered and one.finished <= half]
        found = _between(later[-1], last)
        calm = found.seconds * found.calls / found.items
        start = warm.busy / warm.answered - calm * (warm.finished - first.finished) / warm.answered
        return Probe(found.items, found.seconds, found.calls, max(0.0, start))


def _between(first: _Moment, last: _Moment) -> Probe:
    """What passed between two moments.

    Over a few answers, what the calls themselves took says more than the clock: items in work at either end
    would count for nothing or for too much.
    """
    calls = max(first.calls, last.calls)
    answered = last.answered - first.answered
    seconds = (last.busy - first.busy) / calls
    if calls == 1 or answered >= 4 * calls or not seconds:
        seconds = max(seconds, last.at - first.at)
    return Probe(last.finished - first.finished, max(seconds, 1e-6), calls)

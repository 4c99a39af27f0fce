"""What a run will take, before it starts: chunks, calls, time and billed seconds. Pure arithmetic.

Billing: the platform rounds each call, the nested ones too, up to a whole second.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

from wrapgen.protocol import ACCOUNT_CALLS
from wrapgen.run.hosts.description import Description
from wrapgen.run.input.scan import InputScan
from wrapgen.run.scheduling.limits import FIRST_SIZE, MAX_SIZE, ceiling
from wrapgen.run.scheduling.progress import Progress

_LEAST_PROBE = 8
_MOST_PROBE = 2 * MAX_SIZE
_PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class Probe:
    """What the first items of a run took, whose results count.

    Args:
        items: how many.
        seconds: of the calls that they went in, one after the other.
    """

    items: int
    seconds: float


class Probing:
    """Measures a probe as it goes: tell it how the run stands after every change.

    The largest call counts, of these the last: it is the most like those of the run, and the first may have
    had to start workers, which the run does once.

    Args:
        already: items that are finished before it.
        clock: seconds that only go forward.
    """

    def __init__(self, already: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moments = [(clock(), already)]

    def __call__(self, progress: Progress) -> None:
        """Notes when more items are finished."""
        if progress.counts.finished > self._moments[-1][1]:
            self._moments.append((self._clock(), progress.counts.finished))

    @property
    def probe(self) -> Probe | None:
        """What was measured; None where no item was finished."""
        calls = [
            Probe(after - before, ended - began)
            for (began, before), (ended, after) in pairwise(self._moments)
        ]
        return max(reversed(calls), key=lambda call: call.items, default=None)


def first_probe(description: Description) -> int:
    """Items to probe with at first: two calls, each of as many as the wrapper sends at once."""
    return min(MAX_SIZE, max(2 * _LEAST_PROBE, 2 * description.parallel * description.batch_size))


def next_probe(probe: Probe, count: int) -> int:
    """Items of a longer probe, whose calls are more like those of the run; 0 where it would take long.

    What a call takes beside its items is a large part of a short call.

    Args:
        probe: what was measured.
        count: items of the probe so far.
    """
    more = min(_MOST_PROBE, int(_PROBE_SECONDS * probe.items / max(probe.seconds, 1e-6)))
    return more if more >= 2 * count else 0


@dataclass(frozen=True)
class Plan:
    """A run's size and, with a probe, its time.

    Args:
        items: how many.
        bytes: of all items.
        chunks: calls of the wrapper, if every one finishes whole.
        target_calls: calls of the target, if none has to be made again.
        open_calls: calls of the wrapper that are open at once, at most.
        concurrent: calls of the account at once, nested ones included.
        account_limit: what the platform grants an account.
        oversize: items that go by sideband.
        repeated: items that equal an earlier one, or None where not counted.
        sizes: how many items have up to so many bytes.
        seconds: time elapsed by calls open at once; empty without a probe.
        billed_seconds: of wrapper and target together; None without a probe.
        saved: the share of calls of the target that equal items would take beside, which are not sent.
    """

    items: int
    bytes: int
    chunks: int
    target_calls: int
    open_calls: int
    concurrent: int
    account_limit: int
    oversize: int
    repeated: int | None
    sizes: dict[int, int]
    seconds: dict[int, float] = field(default_factory=dict)
    billed_seconds: int | None = None
    saved: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Every number, as `--json` prints it."""
        found = asdict(self)
        found["sizes"] = {str(size): count for size, count in sorted(self.sizes.items())}
        found["seconds"] = {str(calls): round(seconds, 1) for calls, seconds in self.seconds.items()}
        return found


def plan(
    scan: InputScan,
    description: Description,
    *,
    chunk: int,
    workers: int | None = None,
    concurrency: int | None = None,
    probe: Probe | None = None,
    equal: str = "each",
) -> Plan:
    """What a run will take.

    Args:
        scan: of its input.
        description: of its wrapper.
        chunk: the most items in a call.
        workers: the most calls to keep open, or None.
        concurrency: calls that the host can take at once; None: what a platform grants an account.
        probe: what the first items took.
        equal: `once` where equal items are sent once.
    """
    whole = scan
    if equal == "once" and scan.repeated:
        left = scan.items - scan.repeated
        scan = replace(scan, items=left, bytes=scan.bytes * left // scan.items)
    most = ceiling(description.parallel, workers, concurrency)
    chunks = count_chunks(scan, aim=description.aim, chunk=chunk)
    sub_batches = math.ceil(scan.items / max(1, description.batch_size))
    seconds: dict[int, float] = {}
    billed = None
    if probe is not None and probe.items and scan.items:
        each = probe.seconds / probe.items
        for calls in sorted({1, 2, 4, 8, 16, 32, most}):
            if calls <= most:
                seconds[calls] = scan.items * each / min(calls, max(1, chunks))
        # The probe's calls of the target ran side by side: this is the most that one of them can have taken.
        side_by_side = min(description.parallel, probe.items)
        target = math.ceil(probe.seconds * side_by_side / probe.items)
        billed = chunks * math.ceil(scan.items * each / chunks) + sub_batches * max(1, target)
    return Plan(
        items=whole.items,
        bytes=whole.bytes,
        chunks=chunks,
        target_calls=sub_batches,
        open_calls=min(most, max(1, chunks)),
        concurrent=min(most, max(1, chunks)) * (1 + description.parallel),
        account_limit=ACCOUNT_CALLS,
        oversize=scan.oversize,
        repeated=scan.repeated,
        sizes=scan.sizes,
        seconds=seconds,
        billed_seconds=billed,
        saved=1 - sub_batches / math.ceil(whole.items / max(1, description.batch_size))
        if whole.items
        else 0.0,
    )


def count_chunks(scan: InputScan, *, aim: int, chunk: int) -> int:
    """Calls of the wrapper when each finishes whole: sizes double up to what bytes and count allow."""
    if not scan.items:
        return 0
    by_bytes = max(1, int(aim / max(1.0, scan.bytes / scan.items)))
    largest = min(chunk, by_bytes)
    left, count, size = scan.items - scan.oversize, scan.oversize, min(FIRST_SIZE, largest)
    while left > 0 and size < largest:
        left, count, size = left - size, count + 1, min(largest, size * 2)
    return count + math.ceil(max(0, left) / largest)

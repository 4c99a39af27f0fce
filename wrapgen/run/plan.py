"""What a run will take, before it starts: chunks, calls, time and billed seconds. Pure arithmetic.

Billing: the platform rounds each call, the nested ones too, up to a whole second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from wrapgen.protocol import ACCOUNT_CALLS
from wrapgen.run.hosts.description import Description
from wrapgen.run.input.scan import InputScan
from wrapgen.run.pace import Probe
from wrapgen.run.scheduling.limits import FIRST_SIZE, MAX_SIZE, ceiling

_LEAST_PROBE = 8
_PROBE_SECONDS = 2.0
_WIDE_SECONDS = 20.0
_SHARE = 0.1  # of the items that a probe takes, but for the first two calls
_FASTER, _SLOWER = 0.75, 1.35  # what a measured time may differ by: other work comes and goes
_BRIEF, _MUCH_FASTER = 0.5, 0.4  # what was measured for less than so many seconds says less
_ENDS = 1.0  # seconds that starting and ending take, at most


def first_probe(description: Description) -> int:
    """Items to probe with at first: two calls, each of as many as the wrapper sends at once."""
    return min(MAX_SIZE, max(2 * _LEAST_PROBE, 2 * description.parallel * description.batch_size))


def next_probe(probe: Probe, count: int, items: int) -> int:
    """Items of a longer probe, whose calls are more like those of the run; 0 where it would take long.

    What a call takes beside its items is a large part of a short call.

    Args:
        probe: what was measured.
        count: items of the probe so far.
        items: of the whole run.
    """
    quick = int(_PROBE_SECONDS * probe.items / max(probe.seconds, 1e-6))
    more = min(quick, int(_SHARE * items))
    return more if more >= 2 * count else 0


def wide_probe(probe: Probe, description: Description, calls: int, items: int) -> tuple[int, int]:
    """Items of a probe with as many calls open as the run has, and of its calls; (0, 0) where it takes long.

    Args:
        probe: what one call after the other took.
        description: of the wrapper.
        calls: open at once.
        items: of the whole run.
    """
    each = probe.seconds / probe.items
    together = max(1, description.parallel * description.batch_size)
    room = max(int(_SHARE * items), min(items // 4, 2 * calls * together))
    chunk = max(1, min(MAX_SIZE, room // (4 * calls), max(together, int(_PROBE_SECONDS / 4 / each))))
    # Were the calls to gain nothing of being open at once, each would take so many times as long.
    if calls < 2 or room < 2 * calls or calls * chunk * each > _WIDE_SECONDS:
        return 0, 0
    return room, chunk


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
        seconds_range: the least and the most that it may be, by calls open at once.
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
    seconds_range: dict[int, tuple[float, float]] = field(default_factory=dict)
    billed_seconds: int | None = None
    saved: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Every number, as `--json` prints it."""
        found = asdict(self)
        found["sizes"] = {str(size): count for size, count in sorted(self.sizes.items())}
        found["seconds"] = {str(calls): round(seconds, 1) for calls, seconds in self.seconds.items()}
        found["seconds_range"] = {
            str(calls): [round(seconds, 1) for seconds in ends] for calls, ends in self.seconds_range.items()
        }
        return found


def plan(
    scan: InputScan,
    description: Description,
    *,
    chunk: int,
    workers: int | None = None,
    concurrency: int | None = None,
    probes: Sequence[Probe] = (),
    reading: float = 0.0,
    equal: str = "each",
) -> Plan:
    """What a run will take.

    Args:
        scan: of its input.
        description: of its wrapper.
        chunk: the most items in a call.
        workers: the most calls to keep open, or None.
        concurrency: calls that the host can take at once; None: what a platform grants an account.
        probes: what the first items took: one call after the other, then with as many open as the run has.
        reading: seconds that it took to read the input.
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
    ranges: dict[int, tuple[float, float]] = {}
    billed = None
    if probes and scan.items:
        for calls in sorted({1, 2, 4, 8, 16, 32, most}):
            if calls <= most:
                low, likely, high = foretold(scan.items, probes, min(calls, max(1, chunks)))
                seconds[calls] = likely + reading
                ranges[calls] = (low, high + 2 * reading)
        billed = _billed(scan.items, chunks, sub_batches, description.parallel, probes[-1])
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
        seconds_range=ranges,
        billed_seconds=billed,
        saved=1 - sub_batches / math.ceil(whole.items / max(1, description.batch_size))
        if whole.items
        else 0.0,
    )


def foretold(items: int, probes: Sequence[Probe], calls: int) -> tuple[float, float, float]:
    """Seconds that items take with so many calls open: at least, probably, at most.

    Other numbers of calls than were measured gain at best all that target and machine allow,
    and at worst nothing.

    Args:
        items: how many.
        probes: by calls that were open, the fewest first; at least one.
        calls: open at once.
    """
    one, wide = probes[0], probes[-1]
    alone, together = (probe.items / probe.seconds for probe in (one, wide))
    start = max(probe.start for probe in probes)
    if calls in (one.calls, wide.calls):
        # The wide probe's calls are smaller than those of the run: it need not be slower than one call.
        slow, fast = (alone, alone) if calls == one.calls else (together, max(alone, together))
    elif wide.calls > one.calls and calls < wide.calls:
        gain = max(0.0, (wide.calls * alone / together - 1) / (wide.calls - 1))
        slow, fast = sorted((calls * alone / (1 + gain * (calls - 1)), min(calls * alone, together)))
    else:
        slow, fast = alone, calls * alone / one.calls
    likely = items / math.sqrt(slow * fast)
    least = _FASTER if wide.seconds >= _BRIEF else _MUCH_FASTER
    return least * items / fast, likely, _SLOWER * items / slow + start + _ENDS


def _billed(items: int, chunks: int, sub_batches: int, parallel: int, probe: Probe) -> int:
    """Seconds of wrapper and target, each call rounded up."""
    each = probe.seconds * probe.calls / probe.items
    # The probe's calls of the target ran side by side: this is the most that one of them can have taken.
    target = math.ceil(each * min(parallel, probe.items))
    return chunks * math.ceil(items * each / chunks) + sub_batches * max(1, target)


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

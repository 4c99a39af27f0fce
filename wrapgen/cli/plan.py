"""`wrapgen plan`: an estimate of a run before it starts."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli import completion
from wrapgen.cli.hosting import hosting, processes_option
from wrapgen.cli.inputs import input_options, items_of, reading
from wrapgen.cli.options import (
    FILE,
    PlatformChoice,
    chunk_option,
    equal_option,
    json_option,
    platform_options,
    shard_option,
    workers_option,
)
from wrapgen.cli.terminal import out
from wrapgen.errors import RunError, UsageError
from wrapgen.protocol import ACCOUNT_CALLS

if TYPE_CHECKING:
    from wrapgen.run.hosts.host import Host
    from wrapgen.run.input.items import Items
    from wrapgen.run.input.scan import InputScan
    from wrapgen.run.ledger.folder import Folder
    from wrapgen.run.pace import Probe
    from wrapgen.run.plan import Plan
    from wrapgen.run.scheduling.progress import Progress
    from wrapgen.run.settings import Options


@click.command()
@click.argument("reference", shell_complete=completion.references_and_files)
@click.argument("source", metavar="INPUT", shell_complete=completion.files)
@input_options
@click.option(
    "-o",
    "--output",
    type=FILE,
    help="Probe for time: the first items are sent as the start of the run to this output.",
)
@click.option(
    "--probe",
    type=click.IntRange(1, 1000),
    help="Items to probe with, one call after the other. [at most a tenth, for a few seconds, and with as "
    "many calls open as a run has]",
)
@workers_option
@processes_option
@chunk_option
@equal_option
@shard_option
@json_option()
@platform_options
def command(
    reference: str, source: str, output: Path | None, as_json: bool, platform: PlatformChoice, **given: Any
) -> None:
    """Estimate a run of INPUT through the wrapper REFERENCE, or a spec: chunks, calls, sizes, time, cost.

    Only a request for the wrapper's description is sent. With --output the first items are sent as well, and
    their results count: `wrapgen run` with the same output continues from there. With --shard it is one shard
    that is estimated, with its part of the calls.
    """
    from wrapgen.run.hosts.patience import Patience
    from wrapgen.run.ledger.folder import Folder, folder_for
    from wrapgen.run.output.overwrite import ensure_output_writable
    from wrapgen.run.plan import plan

    if given["shard"] is not None and output:
        raise UsageError("a shard is planned without a probe", hint="leave out --output")
    with (
        TemporaryDirectory(prefix="wrapgen-plan-") as name,
        hosting(reference, platform, pool=given["workers"] or ACCOUNT_CALLS) as hosted,
    ):
        folder = Folder(folder_for(output) if output else Path(name))
        if output:
            ensure_output_writable(output, folder, fresh=False)
        with folder.provisional():
            items = items_of(source, given, folder, hosted.data, replace=False, output=output)
            host = hosted.host(folder.kept_reference, Patience(0), processes=given["processes"])
            about, began = host.describe(), time.monotonic()
            found, workers = _scanned(items, host, Path(name), given)
            read = time.monotonic() - began
            probes = _probes(folder, items, host, given) if output else []
        made = plan(
            found,
            about,
            chunk=given["chunk"],
            workers=workers,
            concurrency=host.concurrency,
            probes=probes,
            reading=read,
            equal=given["equal"],
        )
    if as_json:
        facts = {"reference": host.reference, "wrapper": about.as_json(), **made.as_json()}
        measured = [vars(probe) for probe in probes]
        out(json.dumps({**facts, "probe": next(iter(measured), None), "probes": measured}))
    else:
        out(f"{source} through {host.reference} (target {about.target})")
        for line in lines(made, host):
            out(f"  {line}")


def _scanned(items: Items, host: Host, folder: Path, given: dict[str, Any]) -> tuple[InputScan, int | None]:
    """What the input holds, or a shard's part of it; and the most calls that the user or the shards allow."""
    from functools import partial

    from wrapgen.run.input.scan import scan_input
    from wrapgen.run.input.shards import Slice, most_calls, refuse_failed_items

    scan = partial(
        scan_input, folder=folder, aim=host.describe().aim, compare_items=True, on_progress=reading
    )
    refuse_failed_items(given["shard"], items)
    found, shard, workers = scan(items.entries()), given["shard"], given["workers"]
    if shard is None:
        return found, workers
    part = Slice(items, shard, found.items)
    return scan(part.entries()), most_calls(shard, found.items, host, workers)


def is_billed(host: Host) -> bool:
    """Whether calls of a wrapper are billed: those of an account, and not on this machine."""
    from wrapgen.client.proxies import is_loopback

    return host.concurrency is None and bool(host.address) and not is_loopback(host.address)


def _probes(folder: Folder, items: Items, host: Host, given: dict[str, Any]) -> list[Probe]:
    """Measures the first items of a run; where nobody says how many, more as long as they are quick."""
    from wrapgen.run.plan import first_probe, next_probe, wide_probe
    from wrapgen.run.scheduling.limits import ceiling
    from wrapgen.run.settings import Options

    about, count = host.describe(), given["probe"]
    size = count or first_probe(about)
    found, total = _measured(folder, items, host, size, Options(workers=1, chunk=math.ceil(size / 2)))
    if found is None:
        raise UsageError("every item of this run is finished: there is nothing left to probe with")
    if count is not None:
        return [found]
    while size := next_probe(found, size, total):
        longer, _ = _measured(folder, items, host, size, Options(workers=1, chunk=given["chunk"]))
        if longer is None:
            return [found]
        found = replace(longer, start=found.start)
    calls = ceiling(about.parallel, given["workers"], host.concurrency)
    size, chunk = wide_probe(found, about, calls, total)
    if not size:
        return [found]
    options = Options(workers=calls, chunk=min(chunk, given["chunk"]))
    wide, _ = _measured(folder, items, host, size, options)
    return [found, wide] if wide else [found]


def _measured(
    folder: Folder, items: Items, host: Host, count: int, options: Options
) -> tuple[Probe | None, int]:
    """What at most so many items take, None where none is left; and the items of the run."""
    from wrapgen.run.pace import Pace
    from wrapgen.run.session import Session

    with Session(folder, items, host, options) as session:
        pace = Pace(session.counts.finished, time.monotonic)

        def watch(progress: Progress) -> None:
            pace(progress)
            if pace.is_settled:
                session.stop("a probe")

        _, reason = session.work(watch, most=count)
        left = session.counts.items - session.counts.finished
        total = session.counts.items
    if pace.probe is None and left:
        raise RunError(f"the probe brought nothing: {reason}")
    return pace.probe, total


def lines(made: Plan, host: Host) -> list[str]:
    """A plan for people, line by line; of accounts and money only where they count."""
    account = f"; an account may have {made.account_limit}" if host.concurrency is None else ""
    mean = made.bytes / made.items if made.items else 0
    found = [
        f"items        {made.items:,}, {made.bytes:,} bytes, {mean:,.0f} on average",
        f"sizes        {_histogram(made.sizes)}",
        f"calls        at least {made.chunks:,} of the wrapper, {made.target_calls:,} of the target",
        f"at once      {made.open_calls} of the wrapper, {made.concurrent} with the nested ones{account}",
    ]
    if made.oversize:
        found.append(f"oversize     {made.oversize:,} items are too large for a call and go by a data file")
    if made.repeated:
        what = "each is sent; --equal once sends them once"
        if made.saved:
            what = f"none of them is sent, which saves {made.saved:.0%} of the calls of the target"
        found.append(f"equal        {made.repeated:,} items equal an earlier one; {what}")
    return found + time_lines(made, billed=is_billed(host))


def time_lines(made: Plan, *, billed: bool) -> list[str]:
    """What the plan says of time and money; nothing without a probe."""
    if not made.seconds:
        return []
    times = [f"{span(*ends)} with {calls}" for calls, ends in made.seconds_range.items()]
    plural = "s" if len(times) > 1 else ""
    return [f"time         {', '.join(times)} call{plural} open", *([billed_line(made)] if billed else [])]


def billed_line(made: Plan) -> str:
    """What the plan says of money."""
    return f"billed       {made.billed_seconds:,} s, each call rounded up to a whole second"


def _histogram(sizes: dict[int, int]) -> str:
    return ", ".join(f"{count:,} up to {size:,} bytes" for size, count in sorted(sizes.items())) or "none"


def span(low: float, high: float) -> str:
    """A range of seconds for people, in one unit and rounded to the outside: `3 to 5 min`."""
    size, unit = next(
        (size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if high >= 2 * size or size == 1
    )
    precise = high < 10 * size
    low, high = (
        rounding(seconds / size * 10) / 10 if precise else rounding(seconds / size)
        for rounding, seconds in ((math.floor, low), (math.ceil, high))
    )
    return f"{low:g} to {high:g} {unit}"

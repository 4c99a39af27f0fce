"""`wrapgen plan`: an estimate of a run before it starts."""

from __future__ import annotations

import json
import math
import time
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
    workers_option,
)
from wrapgen.cli.terminal import out
from wrapgen.errors import RunError, UsageError
from wrapgen.protocol import ACCOUNT_CALLS

if TYPE_CHECKING:
    from wrapgen.run.hosts.host import Host
    from wrapgen.run.input.items import Items
    from wrapgen.run.ledger.folder import Folder
    from wrapgen.run.plan import Plan, Probe


@click.command()
@click.argument("reference", shell_complete=completion.references)
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
    help="Items to probe with. [16, and more for two seconds where these are quick]",
)
@workers_option
@processes_option
@chunk_option
@equal_option
@json_option()
@platform_options
def command(
    reference: str, source: str, output: Path | None, as_json: bool, platform: PlatformChoice, **given: Any
) -> None:
    """Estimate a run of INPUT through the wrapper REFERENCE, or a spec: chunks, calls, sizes, time, cost.

    Only a request for the wrapper's description is sent. With --output a few items are sent as well, and
    their results count: `wrapgen run` with the same output continues from there.
    """
    from wrapgen.run.hosts.patience import Patience
    from wrapgen.run.input.scan import scan_input
    from wrapgen.run.ledger.folder import Folder, folder_for
    from wrapgen.run.output.overwrite import ensure_output_writable
    from wrapgen.run.plan import plan

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
            about = host.describe()
            found = scan_input(
                items.entries(), Path(name), aim=about.aim, compare_items=True, on_progress=reading
            )
            probe = _probe(folder, items, host, given["probe"]) if output else None
        made = plan(
            found,
            about,
            chunk=given["chunk"],
            workers=given["workers"],
            concurrency=host.concurrency,
            probe=probe,
            equal=given["equal"],
        )
    if as_json:
        facts = {"reference": host.reference, "wrapper": about.as_json()}
        out(json.dumps({**facts, **made.as_json(), "probe": vars(probe) if probe else None}))
    else:
        out(f"{source} through {host.reference} (target {about.target})")
        for line in lines(made, billed=is_billed(host.address)):
            out(f"  {line}")


def is_billed(address: str) -> bool:
    """Whether calls of a wrapper at an address are billed: not those on this machine."""
    from wrapgen.client.proxies import is_loopback

    return bool(address) and not is_loopback(address)


def _probe(folder: Folder, items: Items, host: Host, count: int | None) -> Probe:
    """Measures the first items of a run; where nobody says how many, more as long as they are quick."""
    from wrapgen.run.plan import first_probe, next_probe
    from wrapgen.run.scheduling.limits import MAX_SIZE

    size = count or first_probe(host.describe())
    found = _measured(folder, items, host, size, chunk=math.ceil(size / 2))
    if isinstance(found, str):
        raise UsageError(found)
    while count is None and (size := next_probe(found, size)):
        longer = _measured(folder, items, host, size, chunk=MAX_SIZE)
        if isinstance(longer, str):
            break
        found = longer
    return found


def _measured(folder: Folder, items: Items, host: Host, count: int, *, chunk: int) -> Probe | str:
    """What so many items take, in calls one after the other; or why nothing could be measured."""
    from wrapgen.run.plan import Probing
    from wrapgen.run.session import Session
    from wrapgen.run.settings import Options

    with Session(folder, items, host, Options(workers=1, chunk=chunk)) as session:
        probing = Probing(session.counts.finished, time.monotonic)
        _, reason = session.work(probing, most=count)
        left = session.counts.items - session.counts.finished
    if probing.probe is None and left:
        raise RunError(f"the probe brought nothing: {reason}")
    return probing.probe or "every item of this run is finished: there is nothing left to probe with"


def lines(made: Plan, *, billed: bool = True) -> list[str]:
    """A plan for people, line by line; of money only where calls are billed: not on one's own machine."""
    mean = made.bytes / made.items if made.items else 0
    found = [
        f"items        {made.items:,}, {made.bytes:,} bytes, {mean:,.0f} on average",
        f"sizes        {_histogram(made.sizes)}",
        f"calls        at least {made.chunks:,} of the wrapper, {made.target_calls:,} of the target",
        f"at once      {made.open_calls} of the wrapper, {made.concurrent} with the nested ones; "
        f"an account may have {made.account_limit}",
    ]
    if made.oversize:
        found.append(f"oversize     {made.oversize:,} items are too large for a call and go by a data file")
    if made.repeated:
        what = "each is sent; --equal once sends them once"
        if made.saved:
            what = f"none of them is sent, which saves {made.saved:.0%} of the calls of the target"
        found.append(f"equal        {made.repeated:,} items equal an earlier one; {what}")
    return found + time_lines(made, billed=billed)


def time_lines(made: Plan, *, billed: bool = True) -> list[str]:
    """What the plan says of time and money; nothing without a probe."""
    if not made.seconds:
        return []
    one, *more = (f"{_time(seconds)} with {calls}" for calls, seconds in made.seconds.items())
    times = f"{one}, at best {', '.join(more)}" if more else one
    cost = f"billed       {made.billed_seconds:,} s, each call rounded up to a whole second"
    return [f"time         {times} call{'s' if more else ''} open", *([cost] if billed else [])]


def _histogram(sizes: dict[int, int]) -> str:
    return ", ".join(f"{count:,} up to {size:,} bytes" for size, count in sorted(sizes.items())) or "none"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
    )

"""`wrapgen run`: pushes a whole input set through a wrapper, and resumes where an earlier session stopped."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli import completion
from wrapgen.cli.hosting import hosting, processes_option
from wrapgen.cli.inputs import input_options, items_of, reading
from wrapgen.cli.options import (
    OUTPUT,
    NumberRange,
    PlatformChoice,
    chunk_option,
    equal_option,
    json_option,
    number_option,
    platform_options,
    shard_option,
    timeout_option,
    workers_option,
)
from wrapgen.cli.signals import stopping
from wrapgen.cli.terminal import answer, err, out, passing

if TYPE_CHECKING:
    from wrapgen.cli.hosting import Hosting
    from wrapgen.cli.progress import Reporter
    from wrapgen.run.hosts.host import Host
    from wrapgen.run.hosts.patience import Patience
    from wrapgen.run.ledger.folder import Folder
    from wrapgen.run.output.destination import Destination
    from wrapgen.run.output.layouts import Layout
    from wrapgen.run.pace import Probe
    from wrapgen.run.session import Session
    from wrapgen.run.settings import Options
    from wrapgen.run.summary import Summary

_COLLECT_EVERY = 50_000
"""New objects after which Python looks for cycles, which a run makes few of: its items are no part of any."""


@click.command()
@click.argument("reference", shell_complete=completion.references_and_files)
@click.argument("source", metavar="INPUT", shell_complete=completion.files)
@click.option(
    "-o",
    "--output",
    required=True,
    type=OUTPUT,
    help="Where the outcomes go in input order: JSON Lines, or by its suffix .csv, .tsv, .parquet.",
)
@input_options
@click.option(
    "--layout",
    type=click.Choice(["keyed", "bare", "joined"]),
    default="keyed",
    show_default=True,
    help="keyed: index, id and result or error; bare: the result alone; joined: with the input row.",
)
@click.option(
    "--keep", multiple=True, metavar="FIELD", help="Joined: only this field of the row. Repeatable."
)
@click.option("--pick", multiple=True, metavar="FIELD", help="Only this field of the result. Repeatable.")
@click.option(
    "--csv-safe",
    is_flag=True,
    help="CSV, TSV: an apostrophe before what a spreadsheet would run as a formula.",
)
@click.option("--run", "run_id", metavar="ID", help="The run's id. [made from the time]")
@click.option("--state", metavar="PLACE", help="The run's folder, or s3://, gs:// or az://. [OUTPUT.run]")
@click.option("--take-over", is_flag=True, help="State in a bucket: don't wait whether its runner is alive.")
@workers_option
@processes_option
@chunk_option
@timeout_option
@click.option(
    "--attempts", type=click.IntRange(min=1), help="Calls of the target for an item. [the wrapper's limit]"
)
@number_option("--budget", 5.0, 0, 100, help="Percent of items that may fail before a run stops; 100: never.")
@number_option("--patience", 600.0, 0, help="Seconds without any success before the run gives up for now.")
@click.option(
    "--max-cost",
    type=NumberRange(0, min_open=True),
    help="Stop before the run would cost more, in the unit of the spec's price. [no limit]",
)
@equal_option
@shard_option
@click.option("--fresh", is_flag=True, help="Start over: forget an earlier run to this output.")
@click.option(
    "--pin", is_flag=True, help="Stop if the endpoint reports another version than at the beginning."
)
@click.option("--accept-changes", is_flag=True, help="Resume although input, wrapper or options changed.")
@json_option("Print the summary as JSON.")
@click.option("--log-json", is_flag=True, help="Print progress as JSON lines on standard error.")
@platform_options
def command(
    reference: str,
    source: str,
    output: Path | str,
    as_json: bool,
    log_json: bool,
    platform: PlatformChoice,
    **given: Any,
) -> int:
    """Push every item of INPUT through the wrapper REFERENCE: `owner/name` on a platform, or a spec.

    A spec is a file or a folder, such as spec.yaml or ./: processes of this machine execute its wrapper,
    without a server. What they print is in OUTPUT.run/processes.log.

    INPUT is a file, a pattern in quotes, a data URL or - for standard input: JSON Lines, a JSON array, a JSON
    document in each file, CSV, TSV, plain lines, Parquet, or the .errors.jsonl of an earlier run; gzip and
    zstd are unpacked.

    Run the same command again after an interruption: it resumes where it stopped. The ledger is in the folder
    OUTPUT.run; failed items are in OUTPUT.errors.jsonl.

    With --shard every worker gives this command with a number of its own, such as --shard
    $JOB_COMPLETION_INDEX/4, and writes OUTPUT under a name of its own: scores.shard-0-of-4.jsonl.

    Exit codes: 0 all succeeded, 10 finished with failed items, 11 stopped by the budget of errors,
    12 incomplete. 11 and 12 can be resumed.
    """
    gc.set_threshold(_COLLECT_EVERY)
    from wrapgen.cli.progress import Reporter, tell_wait
    from wrapgen.protocol import ACCOUNT_CALLS
    from wrapgen.run.hosts.patience import Patience
    from wrapgen.run.input.inputs import in_their_run
    from wrapgen.run.input.shards import of_shard, refuse_open_version
    from wrapgen.run.output.destination import destination
    from wrapgen.run.output.layouts import Layout
    from wrapgen.run.output.sink import sink_for

    options = _options(given)
    place = click.get_current_context().with_resource(destination(output))
    output, state = of_shard(options.shard, place.path, given["state"], source)
    place = replace(place, path=output)
    layout = Layout(given["layout"], given["keep"], given["pick"], safe=given["csv_safe"])
    sink_for(output, layout)  # what it lacks is told before the run
    named, anew = Path(place.name_of(output)), options.fresh or options.accept_changes
    pool = options.workers or ACCOUNT_CALLS
    with _state(state, options, place) as folder, hosting(reference, platform, pool=pool) as hosted:
        patience = Patience(options.patience, tell_wait)
        items = patience.ask(lambda: items_of(source, given, folder, hosted.data, replace=anew, output=named))
        items, corrections = (items, None) if options.fresh else in_their_run(items, folder, named)
        host = _host(hosted, patience, folder, options, given["processes"])
        from wrapgen.run.session import Session

        refuse_open_version(options.shard, reference, host)
        told = _origin(host.address, place.name_of(output.resolve()), options, layout)
        with Session(folder, items, host, options, None, reading, told, corrections=corrections) as session:
            if not as_json:
                _announce(session, host, source, options)
            foretell = None if as_json or session.resumed else _foretelling(session, host, options)
            with Reporter(as_json=log_json, already=session.counts.finished, foretell=foretell) as watch:
                summary = _work(session, layout, watch, place)
    if as_json:
        answer(summary.as_json(), as_json)
    else:
        _tell(summary)
    return summary.exit_code


def _host(
    hosted: Hosting, patience: Patience, folder: Folder, options: Options, processes: int | None
) -> Host:
    """What executes the wrapper; while a process of it loads, what works a run is imported."""
    kept = folder.kept_reference if not options.fresh else lambda _: None
    log = folder.process_log()
    return hosted.host(kept, patience, processes=processes, log=log, meanwhile=_import_runner)


def _import_runner() -> None:
    """Imports what works a run and reports it, a tenth of a second's work."""
    import_module("wrapgen.run.session")
    import_module("wrapgen.run.report.page")


@contextmanager
def _state(name: str | None, options: Options, place: Destination) -> Iterator[Folder]:
    """Where the run is kept. If the output can't be written, or the run does not begin, nothing is left."""
    from wrapgen.run.ledger.bucket_folder import open_state
    from wrapgen.run.ledger.folder import folder_for
    from wrapgen.run.output.overwrite import ensure_output_writable

    name = name or place.name_of(folder_for(place.path))
    fresh, moved = options.fresh, options.accept_changes
    with open_state(name, take_over=options.take_over, on_wait=err) as folder:
        ensure_output_writable(place.path, folder, fresh=fresh, moved=moved, place=place)
        with folder.provisional():
            yield folder


def _options(given: dict[str, Any]) -> Options:
    from wrapgen.run.settings import Options

    return Options(
        run=given["run_id"],
        timeout=given["timeout"],
        workers=given["workers"],
        chunk=given["chunk"],
        attempts=given["attempts"],
        budget=given["budget"] / 100,
        patience=given["patience"],
        equal=given["equal"],
        max_cost=given["max_cost"],
        fresh=given["fresh"],
        accept_changes=given["accept_changes"],
        pin=given["pin"],
        shard=given["shard"],
        take_over=given["take_over"],
    )


def _origin(address: str, output: str, options: Options, layout: Layout) -> dict[str, Any]:
    from wrapgen import __version__
    from wrapgen.run.report.origin import origin

    return origin(
        click.get_current_context().find_root().obj or (),
        version=__version__,
        address=address,
        output=output,
        options={**vars(options), "layout": layout.shape, "shard": options.shard and str(options.shard)},
    )


def _announce(session: Session, host: Host, source: str, options: Options) -> None:
    verb = "resuming" if session.resumed else "starting"
    done = session.counts.finished
    kept = f", {done:,} items are done" if session.resumed else ""
    about = host.describe()
    passing("")
    part = f"shard {options.shard} of " if options.shard else ""
    err(
        f"{verb} {part}run {session.run_id}: {source} through {host.reference} "
        f"(target {about.target}, mode {about.mode}){kept}",
    )
    if session.damage:
        err(f"damaged: {session.damage}; the items concerned are sent again")
    if sys.stderr.isatty() and not session.resumed:
        from wrapgen.cli.plan import lines
        from wrapgen.run.plan import plan

        made = plan(
            session.scan, about, chunk=options.chunk, workers=session.most_calls, concurrency=host.concurrency
        )
        for line in lines(made, host):
            err(f"  {line}")


def _foretelling(session: Session, host: Host, options: Options) -> Callable[[Probe], list[str]]:
    """The time and money that the rest takes, once the first items of the run say how long one takes."""

    def foretell(probe: Probe) -> list[str]:
        from wrapgen.cli.plan import billed_line, is_billed, span
        from wrapgen.run.plan import foretold, plan

        left = session.counts.items - session.counts.finished
        if not left:
            return []
        low, _, high = foretold(left, [probe], probe.calls)
        made = plan(
            session.scan,
            host.describe(),
            chunk=options.chunk,
            workers=session.most_calls,
            concurrency=host.concurrency,
            probes=[probe],
        )
        billed = [billed_line(made)] if is_billed(host) else []
        return [
            f"time         {span(low, high)} more, with {probe.calls} call{'s' * (probe.calls > 1)} open",
            *billed,
        ]

    return foretell


def _work(session: Session, layout: Layout, watch: Reporter, place: Destination) -> Summary:
    from wrapgen.run.finish import run_to_files
    from wrapgen.run.ledger.folder import report_beside

    message = "\nstopping when the open calls are back; again to stop now"
    with stopping(lambda: session.stop("interrupted"), message):
        output = place.path
        report = report_beside(output)
        return run_to_files(session, output, layout, watch, time.monotonic, report, place)


_HEADLINES = {
    "ok": "all items succeeded",
    "finished-with-errors": "finished, some items failed",
    "stopped-by-budget": "stopped: too many items failed",
    "incomplete": "incomplete",
}


def _tell_of_target(summary: Summary) -> None:
    """What the wrappers' own summaries said, over the whole run; nothing of those that say nothing."""
    from wrapgen.charts import duration_text, number_text

    target = summary.target or {}
    if target.get("attempts") is not None:
        times = [
            f"{part} within {duration_text(target[name])}"
            for part, name in (("half", "p50"), ("99 %", "p99"))
            if target[name] is not None
        ]
        sizes = (
            f"{number_text(target['bytes_in'] or 0)}B to it, {number_text(target['bytes_out'] or 0)}B from it"
        )
        calls = f"{target['calls']:,} calls"
        out(f"  target     {', '.join([calls, *times, sizes])}")
    if target.get("tokens_in") is not None:
        tokens = f"{target['tokens_in']:,} tokens to it, {target['tokens_out'] or 0:,} from it"
        cost = "" if target.get("cost") is None else f"; cost {target['cost']:,.6g}"
        out(f"  tokens     {tokens}{cost}")
    versions = target.get("versions") or {}
    if versions:
        changed = ": it changed during the run; --pin stops such a run" if len(versions) > 1 else ""
        listed = ", ".join(f"{name} ({count:,})" for name, count in versions.items())
        out(f"  version    {listed}{changed}")
    if target.get("recorded") is not None:
        unrecorded = f", {target['unrecorded']:,} not written" if target["unrecorded"] else ""
        out(f"  records    {target['recorded']:,} written, {target['refused'] or 0:,} refused{unrecorded}")
    if summary.failed_by_type:
        out(
            f"  errors     {', '.join(f'{kind} {count:,}' for kind, count in summary.failed_by_type.items())}"
        )


def _tell(summary: Summary) -> None:
    from wrapgen.cli.terminal import STATES, styled

    counts = summary.counts
    earlier = f"; {summary.already:,} were finished before" if summary.already else ""
    reason = f": {summary.reason}" if summary.reason else ""
    styled((_HEADLINES[summary.state.value], STATES[summary.state.value]), reason)
    out(
        f"  items      {counts.items:,} read, {counts.succeeded:,} succeeded, "
        f"{counts.failed:,} failed{earlier}"
    )
    if counts.equal:
        out(f"  equal      {counts.equal:,} items were not sent: they equal one that was")
    out(
        f"  calls      {counts.calls:,}, {counts.lost:,} lost, "
        f"{counts.resent:,} items resent, {counts.throttled:,} throttled"
    )
    _tell_of_target(summary)
    out(f"  time       {summary.seconds:,.1f} s, {summary.rate:,.0f} items/s")
    if summary.output:
        out(f"  output     {summary.output}")
    if summary.errors:
        out(f"  failed     {summary.errors}")
    if summary.unrecorded:
        out(f"  records    {summary.unrecorded:,} failed items have none: {summary.unrecorded_why}")
    report = (
        summary.report["path"] if summary.report else f"not written; wrapgen report {summary.run} tries again"
    )
    out(f"  report     {report}")
    out(f"  receipt    {summary.receipt or 'not written; the same command tries again'}")
    out(f"  run        {summary.run}, ledger in {summary.folder}")
    if summary.exit_code in (11, 12):
        more = ", with a higher --budget if failures are all right" if summary.exit_code == 11 else ""
        more = ", with a higher --max-cost" if "that the run may cost" in summary.reason else more
        out(f"  resume     give the same command again{more}")

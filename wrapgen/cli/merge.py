"""`wrapgen merge`: makes one run of the shards that workers did with `wrapgen run --shard`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli.inputs import reading
from wrapgen.cli.options import json_option
from wrapgen.cli.terminal import err, out, passing

if TYPE_CHECKING:
    from wrapgen.run.checks import Check
    from wrapgen.run.input.items import Items
    from wrapgen.run.ledger.folder import Folder
    from wrapgen.run.ledger.merging import FinishedShard
    from wrapgen.run.output.destination import Destination
    from wrapgen.run.summary import Summary


@click.command()
@click.argument("shards", nargs=-1, metavar="[SHARD]...")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="The output of the whole run, as workers named it."
)
@click.option("--input", "source", metavar="PATH", help="Where the input is now, if it moved.")
@click.option("--fresh", is_flag=True, help="Merge again: forget what the merged run did afterwards.")
@click.option("--accept-changes", is_flag=True, help="Merge although the sources of the wrappers differ.")
@json_option("Print the summary, the shards and the checks as JSON.")
def command(
    shards: tuple[str, ...],
    output: str,
    source: str | None,
    *,
    fresh: bool,
    accept_changes: bool,
    as_json: bool,
) -> int:
    """Make one run of its shards: output in the order of the input, failed items, report and receipt.

    SHARD is the output or the folder of a shard, or what --state said; without any, the shards beside OUTPUT
    are taken. All have to be finished, of the same input and the same wrapper; nothing is called.

    The output is what one run would have written. Its folder OUTPUT.run holds the whole run from then on: the
    shards' files are not needed any more.

    Exit codes: 0 all items succeeded, 10 some failed, 13 what was written is not what the shards brought.
    """
    from wrapgen.cli.verify import FAULTS
    from wrapgen.run.checks import FAULTY
    from wrapgen.run.ledger.bucket_folder import open_state
    from wrapgen.run.ledger.folder import folder_for
    from wrapgen.run.merge import finished_shards, locate_shards
    from wrapgen.run.output.destination import destination
    from wrapgen.run.output.overwrite import ensure_output_writable

    place = click.get_current_context().with_resource(destination(output))
    states = [_state(name) for name in locate_shards(output, shards)]
    found = finished_shards(states, lambda name: passing(f"reading {name}"), accept_changes=accept_changes)
    with open_state(place.name_of(folder_for(place.path)), on_wait=err) as folder:
        ensure_output_writable(place.path, folder, fresh=fresh, place=place)
        with folder.provisional():
            summary = _merged(found, folder, place, source, fresh=fresh)
        checks = _checks(folder, found, place.path, source)
    passing("")
    if as_json:
        told = {"shards": [one.as_json() for one in found], "checks": [vars(check) for check in checks]}
        out(json.dumps({**summary.as_json(), **told}))
    else:
        _print_summary(summary, len(found), checks)
    return FAULTS if any(check.state == FAULTY for check in checks) else summary.exit_code


def _state(name: str) -> Folder:
    """The state of a shard; of one in a bucket, a copy for as long as the command runs."""
    from wrapgen.run.bucket import is_remote
    from wrapgen.run.ledger.bucket_folder import state_to_read
    from wrapgen.run.ledger.folder import Folder

    context = click.get_current_context()
    return Folder(context.with_resource(state_to_read(name, err)) if is_remote(name) else Path(name))


def _items(shards: list[FinishedShard], folder: Folder, output: Path, source: str | None) -> Items:
    from wrapgen.run.input.inputs import input_again
    from wrapgen.run.remote_files import absolute

    header = shards[0].state.header
    moved = {"location": absolute(source)} if source else {}
    return input_again({**header["input"], **moved}, header["selection"], folder, output)


def _merged(
    shards: list[FinishedShard], folder: Folder, place: Destination, source: str | None, *, fresh: bool
) -> Summary:
    from wrapgen import __version__
    from wrapgen.run.finish import run_to_files
    from wrapgen.run.ledger.folder import report_beside
    from wrapgen.run.merge import layout_of, merged_session
    from wrapgen.run.report.origin import origin

    layout = layout_of(shards)
    told = origin(
        click.get_current_context().find_root().obj or (),
        version=__version__,
        address=str(shards[0].state.header["address"]),
        output=place.name_of(place.path.resolve()),
        options={"layout": layout.shape},
    )
    items, path = _items(shards, folder, place.path, source), place.path
    with merged_session(shards, folder, items, fresh=fresh, origin=told, reading=reading) as session:
        passing(f"writing {place.name_of(path)}")
        watch, report = (lambda _: None), report_beside(path)
        return run_to_files(session, path, layout, watch, time.monotonic, report, place)


def _checks(folder: Folder, shards: list[FinishedShard], output: Path, source: str | None) -> list[Check]:
    from wrapgen.run.verify import Verification

    def items() -> Items:
        return _items(shards, folder, output, source)

    passing(f"checking {output}")
    with Verification(folder.path) as check:
        return [check.ledger(), check.items(), check.output(items), check.errors()]


def _print_summary(summary: Summary, shards: int, checks: list[Check]) -> None:
    counts = summary.counts
    lines: dict[str, Any] = {
        "items": f"{counts.items:,}, {counts.succeeded:,} succeeded, {counts.failed:,} failed",
        "output": summary.output or f"not written: {summary.reason}",
        "failed": summary.errors,
        "report": summary.report and summary.report["path"],
        "receipt": summary.receipt,
        "run": f"{summary.run}, ledger in {summary.folder}",
    }
    out(f"merged {shards:,} shards")
    for name, value in lines.items():
        if value:
            out(f"  {name:<9}  {value}")
    for check in checks:
        out(f"  {check.name:<9}  {check.state}: {check.detail}")
        for sample in check.samples:
            out(f"             {sample}")

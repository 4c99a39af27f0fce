"""`wrapgen verify`: compares a run's input, outcomes, output and records."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli import completion
from wrapgen.cli.options import PlatformChoice, json_option, platform_options
from wrapgen.cli.terminal import out

if TYPE_CHECKING:
    from wrapgen.run.input.items import Items
    from wrapgen.run.verify import Check, Verification

FAULTS = 13
"""Exit code where something is missing, doubled, altered or from another version."""

_MARKS = {"ok": "ok", "faulty": "FAULTY", "not checked": "not checked"}


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--input", "source", metavar="PATH", help="Where the input is now, if it moved.")
@click.option("--datastore", metavar="URL", help="Where the records are, if not where the wrapper says.")
@json_option()
@platform_options
def command(
    run: str, source: str | None, datastore: str | None, as_json: bool, platform: PlatformChoice
) -> int:
    """Check RUN (its output, folder or id): input, outcomes, output, failed items and records.

    Reports what is missing, duplicated, altered or from another version, and what could not be checked.
    Exit codes: 0 no problem was found, 13 there is one.
    """
    from wrapgen.run.ledger.replay import as_written
    from wrapgen.run.status import load, locate
    from wrapgen.run.verify import FAULTY, Verification

    folder = locate(run, Path())
    name = load(folder).run_state.header["run"]
    with as_written(folder / "ledger.jsonl"), Verification(folder) as verification:
        checks = _checks(verification, source, datastore, platform)
    faulty = any(check.state == FAULTY for check in checks)
    if as_json:
        out(json.dumps({"run": name, "faulty": faulty, "checks": [vars(check) for check in checks]}))
    else:
        from wrapgen.cli.terminal import STATES, styled

        out(f"run {name}")
        for check in checks:
            mark = _MARKS[check.state]
            styled(f"  {check.name:<8} ", (f"{mark:<12}", STATES[mark]), f" {check.detail}")
            for sample in check.samples:
                out(f"           {sample}")
            for kind, count in check.faults.items():
                if count > 1:
                    out(f"           {kind}: {count:,} in all")
    return FAULTS if faulty else 0


def _checks(
    verification: Verification, source: str | None, datastore: str | None, platform: PlatformChoice
) -> list[Check]:
    def items() -> Items:
        return _items(verification, source)

    return [
        verification.input(items),
        verification.ledger(),
        verification.items(),
        verification.output(items),
        verification.errors(),
        verification.records(lambda url, run: _records(datastore or url, run, platform)),
    ]


def _items(verification: Verification, source: str | None) -> Items:
    """The input where the ledger says that it is, or where the user says that it is now."""
    from wrapgen.run.input.inputs import input_again
    from wrapgen.run.ledger.folder import output_of
    from wrapgen.run.output.overwrite import outputs_of

    assert verification.run_state is not None
    header = verification.run_state.header
    moved = {"location": str(Path(source).absolute())} if source else {}
    folder = verification.folder
    outputs = [*outputs_of(folder), *filter(None, [output_of(folder.path)])]
    return input_again({**header["input"], **moved}, header["selection"], folder, *outputs)


def _records(url: str, run: str, platform: PlatformChoice) -> AbstractContextManager[Any]:
    from wrapgen.records import is_database, is_queue, open_records, resolved

    url = resolved(url)
    store = None if is_database(url) or is_queue(url) else platform.client(pool=2).data
    return open_records(store, url, run=run)

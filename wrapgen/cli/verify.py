"""`wrapgen verify`: compares a run's input, outcomes, output and records."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli import completion
from wrapgen.cli.inputs import folder_of
from wrapgen.cli.options import FILE, PlatformChoice, json_option, platform_options
from wrapgen.cli.terminal import out, passing

if TYPE_CHECKING:
    from wrapgen.run.checks import Check
    from wrapgen.run.input.items import Items
    from wrapgen.run.verify import Verification

FAULTS = 13
"""Exit code where something is missing, doubled, altered or from another version."""

_MARKS = {"ok": "ok", "faulty": "FAULTY", "not checked": "not checked"}


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--input", "source", metavar="PATH", help="Where the input is now, if it moved.")
@click.option("--output", type=FILE, help="Of a receipt: where the output is now, if not beside it.")
@click.option("--datastore", metavar="URL", help="Where the records are, if not where the wrapper says.")
@json_option()
@platform_options
def command(
    run: str,
    source: str | None,
    output: Path | None,
    datastore: str | None,
    as_json: bool,
    platform: PlatformChoice,
) -> int:
    """Check RUN (its output, folder, id or receipt): input, outcomes, output, failed items and records.

    A receipt (OUTPUT.receipt.json) needs nothing but input, output and records, on any machine.

    Reports what is missing, duplicated, altered or from another version, and what could not be checked.
    Exit codes: 0 no problem was found, 13 there is one.
    """
    from wrapgen.run.checks import FAULTY
    from wrapgen.run.ledger.folder import RECEIPT

    if run.endswith(RECEIPT):
        name, checks = _receipt(Path(run), source, output, datastore, platform)
    elif output is not None:
        raise click.UsageError("--output is for a receipt: a run's ledger tells where its output is")
    else:
        name, checks = _run(run, source, datastore, platform)
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


def _run(
    run: str, source: str | None, datastore: str | None, platform: PlatformChoice
) -> tuple[str, list[Check]]:
    """The run's id, and what became of each check."""
    from wrapgen.run.ledger.replay import as_written
    from wrapgen.run.status import load
    from wrapgen.run.verify import Verification

    folder = folder_of(run)
    name = load(folder).run_state.header["run"]
    with as_written(folder / "ledger.jsonl"), Verification(folder) as verification:
        return name, _checks(verification, source, datastore, platform)


def _receipt(
    path: Path, source: str | None, output: Path | None, datastore: str | None, platform: PlatformChoice
) -> tuple[str, list[Check]]:
    """The same of a receipt."""
    from wrapgen.run.bucket import is_remote
    from wrapgen.run.input.inputs import input_again
    from wrapgen.run.input.shards import sliced
    from wrapgen.run.ledger.folder import RECEIPT, Folder, folder_for
    from wrapgen.run.remote_files import absolute
    from wrapgen.run.verify_receipt import ReceiptVerification

    verification = ReceiptVerification(path, output)
    told = verification.content["input"]
    folder = Folder(folder_for(path.with_name(path.name.removesuffix(RECEIPT))))  # if it is still there
    # Without --input it is where the user named it, seen from here, or beside the receipt.
    here = [Path(source)] if source else [Path(told["name"]), path.with_name(Path(told["name"]).name)]
    place = str(next((each for each in here if each.exists()), here[0]))
    named = str(source or told["name"])  # a URL is the same from everywhere

    def items() -> Items:
        facts = {**told, "location": absolute(named if is_remote(named) else place)}
        return sliced(input_again(facts, told["selection"], folder), told)

    checks = verification.checks(
        items,
        lambda url, run: _records(datastore or url, run, platform),
        lambda name: passing(f"checking {name}"),
    )
    passing("")
    return verification.run, checks


def _checks(
    verification: Verification, source: str | None, datastore: str | None, platform: PlatformChoice
) -> list[Check]:
    def items() -> Items:
        return _items(verification, source)

    return [
        verification.input(items),
        verification.ledger(),
        verification.history(),
        verification.items(),
        verification.output(items),
        verification.errors(),
        verification.records(lambda url, run: _records(datastore or url, run, platform)),
    ]


def _items(verification: Verification, source: str | None) -> Items:
    """The input where the ledger says that it is, or where the user says that it is now."""
    from wrapgen.run.input.inputs import input_again
    from wrapgen.run.input.shards import sliced
    from wrapgen.run.ledger.folder import output_of
    from wrapgen.run.output.overwrite import outputs_of
    from wrapgen.run.remote_files import absolute

    assert verification.run_state is not None
    header = verification.run_state.header
    moved = {"location": absolute(source)} if source else {}
    folder = verification.folder
    outputs = [*outputs_of(folder), *filter(None, [output_of(folder.path)])]
    found = input_again({**header["input"], **moved}, header["selection"], folder, *outputs)
    return sliced(found, header["input"])


def _records(url: str, run: str, platform: PlatformChoice) -> AbstractContextManager[Any]:
    from wrapgen.records import needs_platform, open_records, resolved

    url = resolved(url)
    store = platform.client(pool=2).data if needs_platform(url) else None
    return open_records(store, url, run=run)

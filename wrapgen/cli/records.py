"""`wrapgen records`: what was recorded, each key once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli import completion
from wrapgen.cli.options import FILE, PlatformChoice, json_option, platform_options
from wrapgen.cli.terminal import answer, data, out, status
from wrapgen.errors import UsageError
from wrapgen.files import whole

if TYPE_CHECKING:
    from wrapgen.records import Collected
    from wrapgen.records.settle import SettledRun


@click.command()
@click.argument("url", metavar="URL|SPEC", shell_complete=completion.files)
@click.option("--run", metavar="RUN", help="Only the records of this run.")
@click.option("--count", is_flag=True, help="Print how many keys there are, not the records.")
@click.option(
    "--settle", is_flag=True, help="Merge the objects of a finished run; without --run, of all runs."
)
@click.option("-o", "--output", type=FILE, help="Write the records here.")
@json_option("Print one JSON array, or with the options above one object.")
@platform_options
def command(
    url: str,
    run: str | None,
    count: bool,
    settle: bool,
    output: Path | None,
    as_json: bool,
    platform: PlatformChoice,
) -> None:
    """Read the records of the datastore URL: each key once, as JSON Lines.

    Of several records of one key the best is taken: a result before a final error, before a retryable one;
    then the higher try. With a spec's file, the URL is the spec's.
    """
    from wrapgen.records import resolved

    if count + settle + (output is not None) > 1:
        raise UsageError("--count, --settle and --output don't go together")
    if output is not None:
        from wrapgen.run.output.sink import refuse_name

        refuse_name(output, tables=False)
    if url.endswith((".yaml", ".yml")) and "://" not in url:
        url = _datastore_of(url)
    url = resolved(url)
    if settle:
        _settle(url, run, as_json, platform)
    else:
        _read(url, run, count, output, as_json, platform)


def _datastore_of(path: str) -> str:
    """The URL that a spec's datastore has, or its variable.

    Raises:
        SpecError: the spec is wrong.
        UsageError: it records nothing.
    """
    from wrapgen.files import absolute
    from wrapgen.spec import load

    spec = load(path)
    datastore = spec.datastore
    if datastore is None:
        raise UsageError(f"{path} has no datastore", hint="a wrapper in mode batch records nothing")
    return absolute(datastore.url, Path(path).parent) if datastore.url else f"${datastore.url_env}"


def _read(
    url: str, run: str | None, count: bool, output: Path | None, as_json: bool, platform: PlatformChoice
) -> None:
    from wrapgen.records import needs_platform, open_records
    from wrapgen.records import shown as without_secrets

    name = without_secrets(url)
    with (
        platform.client(pool=8) if needs_platform(url) else nullcontext() as client,
        status(f"reading {name}") as shown,
        open_records(
            client.data if client is not None else None,
            url,
            run=run,
            progress=lambda done, known: shown.update(f"reading {name}: {done:,} of {known:,}"),
        ) as records,
    ):
        shown.stop()
        if count or output is not None:
            facts = _facts(name, run, records)
            if output is not None:
                _save(records.ordered(), output)
                facts["output"] = str(output)
            answer(facts, as_json, _sentence(facts, bare=count))
        elif as_json:
            data(_array(records.ordered()))
        else:
            data(line + b"\n" for line in records.ordered())


def _settle(url: str, run: str | None, as_json: bool, platform: PlatformChoice) -> None:
    from wrapgen.client import is_data_url
    from wrapgen.records import RecordStore, is_folder
    from wrapgen.records.folder import FolderRecords
    from wrapgen.records.settle import runs, settle

    if not (is_data_url(url) or is_folder(url)):
        raise UsageError(
            "only data URLs and folders need settling", hint="a database keeps each key once anyway"
        )
    done = []
    with (
        nullcontext() if is_folder(url) else platform.client(pool=8) as client,
        status(f"settling {url}") as shown,
    ):
        store: RecordStore = client.data if client is not None else FolderRecords()
        for each in [run] if run is not None else runs(store, url):
            shown.update(f"settling {each}")
            done.append(settle(store, url, each))
            if not as_json:
                out(_settled(done[-1]))
    if as_json:
        out(json.dumps({"url": url, "runs": [asdict(each) for each in done]}))


def _settled(done: SettledRun) -> str:
    open_ones = f"; {done.retryable:,} may still be resent" if done.retryable else ""
    kept = f"{done.keys:,} records in {len(done.objects):,} objects"
    return f"{done.run}: {kept}, {done.removed:,} removed{open_ones}"


def _facts(url: str, run: str | None, records: Collected) -> dict[str, Any]:
    tally = records.tally()
    return {
        "url": url,
        "run": run,
        "count": tally.keys,
        "results": tally.results,
        "errors": tally.errors,
        "retryable": tally.retryable,
        "lines": records.lines,
        "runs": len(records.runs()),
    }


def _sentence(facts: dict[str, Any], *, bare: bool) -> str:
    if bare:
        return str(facts["count"])
    return f"{facts['count']:,} records written to {facts['output']}"


def _array(lines: Iterator[bytes]) -> Iterator[bytes]:
    before = b"["
    for line in lines:
        yield before + line
        before = b",\n"
    yield b"]\n" if before != b"[" else b"[]\n"


def _save(lines: Iterator[bytes], output: Path) -> None:
    """Written whole or not at all."""
    try:
        with whole(output, mode=0o644) as file:
            file.writelines(line + b"\n" for line in lines)
    except OSError as error:
        raise UsageError(f"can't write {output}: {error.strerror}") from error

"""`wrapgen records`: what was recorded, each key once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli.options import client_for, platform_options
from wrapgen.errors import UsageError

if TYPE_CHECKING:
    from wrapgen.records import Collected


@click.command()
@click.argument("url")
@click.option("--run", metavar="RUN", help="Only the records of this run.")
@click.option("--count", is_flag=True, help="Print how many keys there are, not the records.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the records here."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON array, or with --count or -o an object."
)
@platform_options
def command(
    url: str,
    run: str | None,
    count: bool,
    output: Path | None,
    as_json: bool,
    address: str | None,
    api_key: str | None,
    key_env: str | None,
    profile: str | None,
    home: Path | None,
) -> None:
    """Read the records of the datastore URL back: each key once, as JSON Lines.

    Of several records of one key the best is taken: a result before a final error, before a retryable one;
    then the higher try.
    """
    from rich.console import Console

    from wrapgen.records import open_records

    if count and output is not None:
        raise UsageError("give --count or --output, not both")
    console = Console(stderr=True, highlight=False)
    with (
        client_for(address, api_key, key_env, profile, home) as client,
        console.status(f"reading {url}") as status,
        open_records(
            client.data,
            url,
            run=run,
            progress=lambda done, known: status.update(f"reading {url}: {done:,} of {known:,} objects"),
        ) as records,
    ):
        status.stop()
        if count or output is not None:
            facts = _facts(url, run, records)
            if output is not None:
                _save(records.ordered(), output)
                facts["output"] = str(output)
            click.echo(json.dumps(facts) if as_json else _sentence(facts, bare=count))
        elif as_json:
            _print(_array(records.ordered()))
        else:
            _print(line + b"\n" for line in records.ordered())


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


def _print(pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _save(lines: Iterator[bytes], output: Path) -> None:
    """Written whole or not at all: beside its place first, then renamed."""
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as file:
            file.writelines(line + b"\n" for line in lines)
        part.replace(output)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"can't write {output}: {error.strerror}") from error

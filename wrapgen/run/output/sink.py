"""The seam between a run and where its outcomes go, and which sink the name of an output means.

`memory` is the simplest form of a sink.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from wrapgen.errors import UsageError
from wrapgen.run.input.decoding import OTHERS, bare
from wrapgen.run.output.layouts import LaidOut, Layout
from wrapgen.run.output.parquet import ParquetFile
from wrapgen.run.output.text_files import DelimitedFile, JsonLinesFile


class Sink(Protocol):
    """Takes the outcomes of a finished run. Made before the run, so that what it lacks is told in time."""

    def write(self, outcomes: LaidOut) -> None:
        """Writes every outcome in run order, whole or not at all, in constant memory.

        Raises:
            RunError: the input can't be joined with the outcomes.
            OSError: it can't be written.
        """


TABLES: dict[str, Callable[[Path], Sink]] = {
    ".csv": lambda path: DelimitedFile(path, ","),
    ".tsv": lambda path: DelimitedFile(path, "\t"),
    ".parquet": ParquetFile,
}
"""By the suffix of an output, what writes it; all else is JSON Lines."""


def sink_for(path: Path, layout: Layout) -> Sink:
    """The sink of an output, in the format that its name says: anything unknown is JSON Lines.

    Raises:
        MissingExtra: Parquet without pyarrow.
        UsageError: --keep without the joined shape, or --csv-safe for no table of text.
    """
    suffix = path.suffix.lower()
    if layout.safe and suffix not in (".csv", ".tsv"):
        raise UsageError(
            "--csv-safe is for tables that a spreadsheet opens", hint="name the output .csv or .tsv"
        )
    if layout.keep and layout.shape != "joined":
        raise UsageError("--keep names fields of the row to join", hint="add --layout joined")
    return TABLES.get(suffix, JsonLinesFile)(path)


_NOT_WRITTEN = re.compile(r"\.errors\.jsonl\Z|\.(json|psv|tab)\Z")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:\Z")


def refuse_name(path: Path, *, tables: bool = True) -> None:
    """Makes sure that the name of an output promises nothing but what is written under it.

    Args:
        path: of the output.
        tables: CSV, TSV and Parquet are written too, not JSON Lines alone.

    Raises:
        UsageError: it is a URL, or names a format or compression that is not written.
    """
    if len(path.parts) > 1 and _SCHEME.match(path.parts[0]):
        url = str(path).replace(":/", "://", 1)  # a Path takes the second slash off
        raise UsageError(f"{url} is a URL, and results go to a file", hint="copy it when the run has ended")
    name = path.name.lower()
    found = OTHERS.search(bare(name)) or _NOT_WRITTEN.search(name)
    if found or bare(name) != name or (not tables and path.suffix.lower() in TABLES):
        raise UsageError(
            f"{path}: no {found[0] if found else path.suffix} file is written here",
            hint=f"name it {', '.join(('.jsonl', *(TABLES if tables else ())))}; pack it afterwards",
        )

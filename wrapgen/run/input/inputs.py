"""What a user names as input becomes the items of a run; what can be read only once is copied first."""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from wrapgen.client import DataCalls, is_data_url
from wrapgen.errors import RunError, UsageError
from wrapgen.files import rename, whole
from wrapgen.run.bucket import is_remote
from wrapgen.run.input.decoding import refuse_unreadable
from wrapgen.run.input.files import FileSource, find, format_of
from wrapgen.run.input.formats import FORMATS, TABLES
from wrapgen.run.input.items import FAILED_ITEM, Items, Reopened, Selected, Selection
from wrapgen.run.input.reading import AS_FOUND, Reading
from wrapgen.run.input.shards import whole_of
from wrapgen.run.input.tables import usual
from wrapgen.run.ledger.folder import Folder, errors_for
from wrapgen.run.ledger.store import writable
from wrapgen.run.output.overwrite import files_of_run, own_files
from wrapgen.run.status import load

STDIN = "-"
"""The name of standard input."""

_BLOCK = 1 << 20


def open_input(
    name: str,
    format: str | None,  # noqa: A002
    selection: Selection,
    folder: Folder,
    *,
    stdin: IO[bytes],
    data: Callable[[], DataCalls],
    replace: bool,
    output: Path | None = None,
    reading: Reading = AS_FOUND,
) -> Items:
    """The items that an input names.

    Args:
        name: a path or the URL of an object, also as a pattern, a data URL, or `-` for standard input.
        format: one of FORMATS, or None to go by the name; standard input is JSON Lines then.
        selection: what of a row is the item.
        folder: the run's.
        stdin: standard input.
        data: gives the platform's data service, for a data URL.
        replace: an earlier copy in the folder may be replaced by another content.
        output: the file that results go to, if any.
        reading: how its text is read, as far as the user says it.

    Raises:
        UsageError: nothing is there, the format can't be told, it would be written over, or options
            contradict each other.
        RunError: standard input or the URL gives something else than when the run began.
        PlatformError: the URL can't be read.
    """
    if format is not None and format not in FORMATS:
        raise UsageError(f"there is no format {format}", hint=f"one of {', '.join(FORMATS)}")
    _sensible(reading)
    if name == STDIN or (is_data_url(name) and not is_remote(name)):
        source = _copied(name, format, folder, stdin, data, reading, replace=replace)
    else:
        source = find_input(name, format, folder, *filter(None, [output]), reading=reading)
    if format is None and source.format == "jsonl" and _are_failed(source):
        source.format = "errors"
    if source.format not in TABLES and (reading.delimiter, reading.quote) != (None, None):
        raise UsageError(
            f"--delimiter and --quote do not apply to {source.format}", hint="or say --format csv, or tsv"
        )
    if source.format == "parquet" and reading.encoding is not None:
        raise UsageError("--encoding does not apply to parquet")
    return items_from(source, selection)


def _are_failed(source: FileSource) -> bool:
    """Whether rows are a run's failed items, whatever their file is called."""
    try:
        first = next(source.rows(), None)
    except RunError:  # reading all of it says so
        return False
    return first is not None and isinstance(first.value, dict) and set(first.value) == FAILED_ITEM


def _sensible(reading: Reading) -> None:
    for name, mark in (("--delimiter", reading.delimiter), ("--quote", reading.quote or '"')):
        if mark is not None and (len(mark) != 1 or mark in "\r\n"):
            raise UsageError(f"{name} is {mark!r}", hint="it is one character")
    if reading.delimiter == (reading.quote or '"'):
        raise UsageError("--delimiter and --quote are the same")
    try:
        "".encode(reading.encoding or "utf-8")
    except (LookupError, ValueError) as error:
        hint = "one that Python knows, such as cp1252, latin-1 or utf-16"
        raise UsageError(f"there is no encoding {reading.encoding}", hint=hint) from error


def input_again(
    facts: dict[str, Any], selection: dict[str, str | None], folder: Folder, *outputs: Path
) -> Items:
    """The items of a run that began earlier, from where its ledger says that they are; of a shard, of all.

    Args:
        facts: the ledger's `input`.
        selection: the ledger's `selection`.
        folder: the run's.
        outputs: the files that its results went to.

    Raises:
        UsageError: they were not in a file, or the file is gone.
    """
    name, location, format_ = str(facts["name"]), facts["location"], str(facts["format"])
    reading = Reading(*map(facts.get, ("delimiter", "quote", "encoding")))
    if format_ in TABLES and reading.delimiter is None:  # 0.1.0 knew but one way
        reading = Reading(*usual(format_))
    if location is not None:
        source = find_input(location, format_, folder, *outputs, reading=reading)
    elif folder.input.exists():
        source = FileSource(
            f"the run's copy of {name}", [folder.input], format_, copied=True, reading=reading
        )
    else:
        raise UsageError(f"the input was {name}, which can't be read again")
    return items_from(source, Selection(**selection))


def given_items(folder: Folder, selection: Selection) -> Items:
    """The items that a program gave, and that are kept in a run's folder."""
    return items_from(FileSource("the given items", [folder.input], "jsonl", copied=True), selection)


def in_their_run(items: Items, folder: Folder, *outputs: Path) -> tuple[Items, Reopened | None]:
    """A run's items, and those of them that go again: where failed items of the run in a folder are given.

    Args:
        items: as the user named them.
        folder: of the run, or of none.
        outputs: the files that its results go to.

    Raises:
        UsageError: the input that the run began with can't be read again.
    """
    if not isinstance(items, Reopened) or folder.header() is None:
        return items, None
    header = load(folder.path).run_state.header
    if header["run"] != items.run or header["input"].get("format") == "errors":
        return items, None
    return input_again(header["input"], header["selection"], folder, *outputs), items


def items_from(source: FileSource, selection: Selection) -> Items:
    """The items of a source: its rows, or those that failed before where it is an errors file.

    Raises:
        UsageError: a selection of items that failed before.
        RunError: the errors file can't be read.
    """
    if source.format != "errors":
        return Selected(source, selection)
    if selection != Selection():
        raise UsageError(
            f"{source.name} holds items that failed before: --field, --template and --id do not apply to it",
            hint="for an input of your own say --format jsonl",
        )
    return Reopened(source)


def find_input(
    name: str,
    format: str | None,  # noqa: A002
    folder: Folder,
    *outputs: Path,
    reading: Reading = AS_FOUND,
) -> FileSource:
    """The source that a path or a pattern names; a pattern leaves out what the run and its shards write.

    Args:
        name: a path, or a pattern such as `in/*.jsonl.gz`.
        format: one of FORMATS; None goes by the suffix.
        folder: the run's.
        outputs: the files that results go to.
        reading: how text is read, as far as the user says it.

    Raises:
        UsageError: nothing is there, the format can't be told, or the run would write over it.
        RunError: how the text is to be read can't be told.
    """
    own = own_files(folder, *outputs)
    mine = {file.resolve() for file in own}
    shards = set().union(*map(files_of_run, outputs))
    begun = folder.ledger.exists()

    def left_out(path: Path) -> bool:
        return begun if path in mine else whole_of(path) in shards

    if begun:  # a run's failed items may go again: they are kept first
        own = [file for file in own if file not in map(errors_for, outputs)]
    return find(name, format, reading, left_out, own)


def _copied(
    name: str,
    format: str | None,  # noqa: A002
    folder: Folder,
    stdin: IO[bytes],
    data: Callable[[], DataCalls],
    reading: Reading,
    *,
    replace: bool,
) -> FileSource:
    """The run's own copy of what can't be read twice; a resumed run may get it again, or nothing else."""
    if folder.busy():
        raise RunError(f"another runner is at work in {folder.path}", hint="wait for it to end")
    if name == STDIN:
        name, format = "standard input", format or "jsonl"  # noqa: A001
        same = keep(iter(lambda: stdin.read(_BLOCK), b""), folder, replace=replace, once=True)
    else:
        refuse_unreadable(name)
        format = format or format_of([name])  # noqa: A001
        with data().stream(name) as parts:
            same = keep(parts, folder, replace=replace, once=True)
    if not same:
        raise RunError(
            f"{name} gives something else than when this run began",
            hint="--fresh starts over, --accept-changes goes on with what is not finished",
        )
    return FileSource(name, [folder.input], format, copied=True, reading=reading).detected()


def keep(parts: Iterable[bytes], folder: Folder, *, replace: bool, once: bool = False) -> bool:
    """Copies an input into a run's folder; False, and no copy, if the run began with another content.

    Args:
        parts: the content.
        folder: the run's.
        replace: an earlier copy may be replaced by another content.
        once: it may be given but once: nothing at all stands for the copy that is there.
    """
    folder.make()
    part = folder.input.with_name("input.new")
    with writable(folder.path), whole(part) as file:
        file.writelines(parts)
    if replace or not folder.input.exists() or folder.header() is None:
        rename(part, folder.input)
        return True
    same = (once and not part.stat().st_size) or filecmp.cmp(part, folder.input, shallow=False)
    part.unlink()
    return same

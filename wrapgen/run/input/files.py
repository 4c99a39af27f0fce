"""Items from files: one, several by a glob, compressed or not. Reads; writing outputs is `run.output`."""

from __future__ import annotations

import glob
import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, TypeVar

from wrapgen.errors import RunError, UsageError
from wrapgen.run.bucket import is_remote
from wrapgen.run.input.decoding import (
    bare,
    encoding_of,
    opened,
    refuse_unreadable,
    text_lines,
)
from wrapgen.run.input.formats import FORMATS, READERS, SUFFIXES, TABLES, jsonl_texts, texts_of
from wrapgen.run.input.reading import AS_FOUND, Reading, in_words
from wrapgen.run.input.source import Row, Source
from wrapgen.run.input.tables import Dialect, delimited, delimiter_of, quote_of, usual
from wrapgen.run.remote_files import InputFile, RemoteFile, absolute, find_remote

_BLOCK = 1 << 20

T = TypeVar("T")


class FileSource(Source):
    """The rows of files, in the order of their names.

    Args:
        name: what the user wrote.
        paths: the files; the rows of the second follow those of the first.
        format: one of FORMATS.
        copied: the one path is a run's own copy of what can't be read again; messages say `name` instead.
        reading: how text is read; of a table, both delimiter and quote.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[InputFile],
        format: str,  # noqa: A002
        *,
        copied: bool = False,
        reading: Reading = AS_FOUND,
    ) -> None:
        named = RemoteFile(name) if is_remote(name) else Path(name)
        self.name = str(named) if is_remote(name) else name  # what follows a question mark may be a signature
        self._copied = copied
        self.paths: Sequence[InputFile] = list(paths)
        self.format = format
        self.reading = reading
        self.several = not copied and self.paths[:1] != [named]

    @property
    def dialect(self) -> Dialect | None:
        """How a table is read; None for other formats."""
        usually = usual(self.format) if self.format in TABLES else None
        given = self.reading
        return usually and Dialect(
            given.delimiter or usually.delimiter, usually.quote if given.quote is None else given.quote
        )

    def parts(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """The files one by one: the name below the folder that all of them are in, and the rows."""
        top = _folder_of(self.name) if self.several else None
        for path in self.paths:
            yield self._part_name(path, top), self._rows(path)

    def _part_name(self, path: InputFile, top: Path | None) -> str:
        if isinstance(path, RemoteFile):
            return path.url.removeprefix(_prefix_of(self.name)) if self.several else path.name
        return os.path.relpath(path, top) if top is not None else Path(self.name).name

    def _rows(self, path: InputFile) -> Iterator[Row]:
        if self.format == "parquet":
            from wrapgen.run.input.parquet import rows

            return rows(path)
        dialect = self.dialect
        return self._read(path, partial(delimited, dialect=dialect) if dialect else READERS[self.format])

    def _read(self, path: InputFile, read: Callable[[IO[bytes], str], Iterator[T]]) -> Iterator[T]:
        """What a reader makes of a file."""
        title = self._title(path)
        with _readable(path), opened(path, title, self.reading.encoding) as stream:
            yield from read(stream, title)

    def _title(self, path: InputFile) -> str:
        return self.name if self._copied else str(path)

    def texts(self) -> Iterator[list[bytes]] | None:
        """The lines of JSON Lines, not decoded; and rows that are texts, as JSON."""
        if self.format == "jsonl":
            return chain.from_iterable(self._read(path, jsonl_texts) for path in self.paths)
        if self.format in (*TABLES, "lines"):
            return chain.from_iterable(texts_of(self._rows(path)) for path in self.paths)
        return None

    def detected(self) -> FileSource:
        """Finds out what of format and reading is not given.

        Raises:
            RunError: it can't be told with certainty, or the files differ; says what to give.
        """
        if self.format == "parquet":
            return self
        if self.reading.encoding is None:
            encoding = self._same(lambda path: encoding_of(path, self._title(path)), "--encoding")
            self.reading = replace(self.reading, encoding=None if encoding == "utf-8" else encoding)
        if self.format == "json?":
            self.format = self._same(self._array_or_document, "--format document")
        if self.format in TABLES:
            given = self.reading
            delimiter = given.delimiter or self._same(self._delimiter_of, "--delimiter")
            quote = quote_of(self._lines, delimiter, self.name) if given.quote is None else given.quote
            self.reading = replace(given, delimiter=delimiter, quote=quote)
        return self

    def _same(self, look: Callable[[InputFile], T], option: str) -> T:
        """What each file says, which has to be the same of all."""
        found: dict[T, InputFile] = {}
        for path in self.paths:
            with _readable(path):
                found.setdefault(look(path), path)
        if len(found) > 1:
            (one, first), (other, second), *_ = found.items()
            raise RunError(
                f"{first} has {in_words(one)}, {second} has {in_words(other)}",
                hint=f"run them apart, or give {option}",
            )
        return next(iter(found))

    def _lines(self, *paths: InputFile) -> Iterator[str]:
        """The lines of some files, or of all."""
        return chain.from_iterable(self._read(path, text_lines) for path in paths or self.paths)

    def _delimiter_of(self, path: InputFile) -> str:
        return delimiter_of(self._lines(path), self.format, self._title(path))

    def _array_or_document(self, path: InputFile) -> str:
        return "json" if next(self._read(path, _start), b"") == b"[" else "document"

    def origin(self) -> dict[str, str | None]:
        """The path or pattern from the root of the file system, or None for a copy; format and reading."""
        location = None if self._copied else absolute(self.name)
        given = {name: value for name, value in vars(self.reading).items() if value is not None}
        return {"location": location, "format": self.format, **given}

    def fingerprint(self) -> str:
        """A digest of the files' bytes and the format."""
        digest = hashlib.sha256(self.format.encode())
        dialect = self.dialect
        if (dialect and dialect != usual(self.format)) or self.reading.encoding:
            digest.update(repr((dialect, self.reading.encoding)).encode())
        for path in self.paths:
            if self.format == "document":  # what is one item is known by its name
                digest.update(path.name.encode("utf-8", "surrogateescape") + b"\0")
            with _readable(path):
                if isinstance(path, RemoteFile):  # its server tells whether it changed
                    digest.update(f"{path.name} {path.seen()}".encode())
                    continue
                with path.open("rb") as file:
                    while block := file.read(_BLOCK):
                        digest.update(block)
            digest.update(b"\0")
        return f"sha256:{digest.hexdigest()}"


@contextmanager
def _readable(path: InputFile) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise RunError(f"can't read {path}: {getattr(error, 'strerror', None) or error}") from error


def find(
    name: str,
    format: str | None = None,  # noqa: A002
    reading: Reading = AS_FOUND,
    left_out: Callable[[Path], bool] = lambda _: False,
    own: Sequence[Path] = (),
) -> FileSource:
    """The source that a path or a pattern names.

    Args:
        name: a path, or a pattern such as `in/*.jsonl.gz`.
        format: one of FORMATS; None goes by the suffix.
        reading: how text is read, as far as the user says it.
        left_out: whether a pattern leaves out a resolved path.
        own: files that a run is going to write.

    Raises:
        UsageError: nothing is there, it is no file, it would be written over, or the format can't be told.
        RunError: how the text is to be read can't be told.
    """
    if is_remote(name):
        paths: Sequence[InputFile] = _objects_of(name, left_out, own)
    else:
        paths = _paths_of(name, left_out, format)
    for path in paths:
        if _is_one_of(path, own):
            raise UsageError(f"{path} is the input, and would be written over", hint="name another output")
        refuse_unreadable(str(path))
    return FileSource(name, paths, format or format_of(map(str, paths)), reading=reading).detected()


def _is_one_of(path: InputFile, own: Sequence[Path]) -> bool:
    if isinstance(path, Path):
        return any(file.exists() and path.samefile(file) for file in own)
    return Path(str(path)) in own


def _objects_of(name: str, left_out: Callable[[Path], bool], own: Sequence[Path]) -> list[RemoteFile]:
    """The objects of a URL; of a pattern those that no run of the output writes."""
    found = find_remote(name)
    if [str(file) for file in found] == [name]:
        return found
    paths = [file for file in found if not (_is_one_of(file, own) or left_out(Path(str(file)).resolve()))]
    if not paths:
        raise UsageError(f"there is no {name} but what the run writes", hint="name its input")
    return paths


def _paths_of(name: str, left_out: Callable[[Path], bool], kind: str | None) -> list[Path]:
    path = Path(name)
    if path.is_file():
        return [path]
    if path.is_dir():
        suffix = path.suffix or (".json" if kind == "document" else f".{kind or 'jsonl'}")
        raise UsageError(f"{name or 'nothing'} is a folder", hint=f"name its files: '{name}/*{suffix}'")
    if path.exists():
        raise UsageError(
            f"{name} is no file that can be read twice, as a run has to read its input",
            hint="give it as standard input, named -, which is kept; or make a file of it",
        )
    if "://" in name:
        raise UsageError(
            f"{name} is a URL that is not read", hint="s3://, gs://, az://, https:// and data URLs are"
        )
    paths = sorted(Path(found) for found in glob.glob(name, recursive=True))  # noqa: PTH207
    if lost := next((found for found in paths if not found.exists()), None):
        raise UsageError(
            f"{lost} is a link to a file that is not there", hint="remove it, or name fewer files"
        )
    paths = [found for found in paths if found.is_file() and not left_out(found.resolve())]
    if not paths:
        raise UsageError(f"there is no {name}", hint="name a file, or a pattern in quotes")
    return paths


def _prefix_of(pattern: str) -> str:
    """What all URLs start with that a pattern names."""
    fixed = next((at for at, mark in enumerate(pattern) if mark in "*?["), len(pattern))
    return pattern[: pattern.rfind("/", 0, fixed) + 1]


def _start(stream: IO[bytes], _: str) -> Iterator[bytes]:
    """The first byte that is no white space."""
    while block := stream.read(_BLOCK):
        if text := block.lstrip():
            yield text[:1]
            return


def _folder_of(pattern: str) -> Path:
    """The folder that everything is in that a pattern names."""
    parts = Path(pattern).parts
    fixed = next((at for at, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def format_of(names: Iterable[str]) -> str:
    """The format that file names say; of `.json` it is `json?` until a source has `detected` which.

    Raises:
        UsageError: they say none, or several.
    """
    found = set()
    for name in names:
        known = next((SUFFIXES[suffix] for suffix in SUFFIXES if bare(name).endswith(suffix)), None)
        if known is None:
            raise UsageError(
                f"the name of {name} does not say its format", hint=f"say --format {', '.join(FORMATS)}"
            )
        found.add(known)
    if len(found) > 1:
        raise UsageError(f"the files have different formats: {', '.join(sorted(found))}")
    kind = found.pop()
    return "json?" if kind == "json" else kind

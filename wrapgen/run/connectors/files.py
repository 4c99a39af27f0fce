"""Items from files: one, several by a glob, compressed or not. Reads; writing outputs is `run.output`."""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from wrapgen.errors import RunError, UsageError
from wrapgen.run.connectors.base import Row
from wrapgen.run.connectors.formats import READERS, SUFFIXES, jsonl_texts

FORMATS = (*READERS, "parquet")
"""What an input may be."""

_BLOCK = 1 << 20
_PACKED = 1 << 10  # of a packed file at a time: a few kilobytes may unpack to many megabytes
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class FileSource:
    """The rows of files, in the order of their names.

    Args:
        name: what the user wrote.
        paths: the files; the rows of the second follow those of the first.
        format: one of FORMATS.
        copied: the paths are a run's own copy of what can't be read again.
    """

    def __init__(self, name: str, paths: Sequence[Path], format: str, *, copied: bool = False) -> None:  # noqa: A002
        self.name = name
        self._copied = copied
        self.paths = list(paths)
        self.format = format

    def rows(self) -> Iterator[Row]:
        """Every row of every file, streamed."""
        for path in self.paths:
            if self.format == "parquet":
                from wrapgen.run.connectors.parquet import rows

                yield from rows(path)
                continue
            try:
                with opened(path) as stream:
                    yield from READERS[self.format](stream, str(path))
            except (OSError, EOFError, zlib.error) as error:
                raise RunError(f"can't read {path}: {error}") from error

    def texts(self) -> Iterator[list[bytes]] | None:
        """The lines of JSON Lines, not decoded."""
        return self._texts() if self.format == "jsonl" else None

    def _texts(self) -> Iterator[list[bytes]]:
        for path in self.paths:
            try:
                with opened(path) as stream:
                    yield from jsonl_texts(stream, str(path))
            except (OSError, EOFError, zlib.error) as error:  # noqa: PERF203  # tells which file
                raise RunError(f"can't read {path}: {error}") from error

    def origin(self) -> dict[str, str | None]:
        """The path or pattern from the root of the file system, or None for a copy; and the format."""
        location = None if self._copied else str(Path(self.name).absolute())
        return {"location": location, "format": self.format}

    def fingerprint(self) -> str:
        """A digest of the files' bytes and the format."""
        digest = hashlib.sha256(self.format.encode())
        for path in self.paths:
            try:
                with path.open("rb") as file:
                    while block := file.read(_BLOCK):
                        digest.update(block)
            except OSError as error:
                raise RunError(f"can't read {path}: {error.strerror}") from error
            digest.update(b"\0")
        return f"sha256:{digest.hexdigest()}"


def find(name: str, format: str | None = None, besides: Collection[Path] = ()) -> FileSource:  # noqa: A002
    """The source that a path or a glob names.

    Args:
        name: a path, or a pattern such as `in/*.jsonl.gz`.
        format: one of FORMATS; None goes by the suffix.
        besides: resolved paths that a pattern leaves out.

    Raises:
        UsageError: nothing is there, or the format can't be told.
    """
    path = Path(name)
    if path.is_file():
        paths = [path]
    elif path.is_dir():
        raise UsageError(f"{name} is a folder", hint=f"name its files: '{name}/*.jsonl'")
    elif path.exists():
        raise UsageError(
            f"{name} is no file that can be read twice, as a run has to read its input",
            hint="give it as standard input, named -, which is kept; or make a file of it",
        )
    else:
        paths = sorted(Path(found) for found in glob.glob(name, recursive=True))  # noqa: PTH207
        paths = [found for found in paths if found.is_file() and found.resolve() not in besides]
    if not paths:
        raise UsageError(f"there is no {name}", hint="name a file, or a pattern in quotes")
    return FileSource(name, paths, format or format_of(map(str, paths)))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file as a stream of its content, unpacked if it is gzip or zstd, whatever it is called."""
    with path.open("rb") as file:
        head = file.peek(4)
        if head.startswith(_GZIP):
            with gzip.open(file, "rb") as unpacked:
                yield unpacked  # type: ignore[misc]
        elif head.startswith(_ZSTD):
            yield io.BufferedReader(_Unpacked(file), _BLOCK)
        else:
            yield file


class _Unpacked(io.RawIOBase):
    """The content of a zstd file of any number of frames; one that is cut off or damaged is an OSError.

    The library's own reader takes a frame that breaks off for one that has ended.
    """

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard

        self._file = file
        self._frames = zstandard.ZstdDecompressor()
        self._fault = zstandard.ZstdError
        self._frame = self._frames.decompressobj()
        self._begun = False
        self._content = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end of the last frame."""
        while not self._content:
            if self._frame.eof:
                packed, self._begun = self._frame.unused_data, False
                self._frame = self._frames.decompressobj()
            else:
                packed = b""
            packed = packed or self._file.read(_PACKED)
            if not packed:
                if self._begun:
                    raise OSError("the file is cut off: its last zstd frame has no end")
                return 0
            self._begun = True
            try:
                self._content = memoryview(self._frame.decompress(packed))
            except self._fault as error:
                raise OSError(f"the file is damaged: {error}") from error
        size = min(len(buffer), len(self._content))
        buffer[:size], self._content = self._content[:size], self._content[size:]
        return size


def format_of(names: Iterable[str]) -> str:
    """The format that file names say.

    Raises:
        UsageError: they say none, or several.
    """
    found = set()
    for name in names:
        bare = re.sub(r"\.(gz|zst|zstd)\Z", "", name.lower())
        known = next((SUFFIXES[suffix] for suffix in SUFFIXES if bare.endswith(suffix)), None)
        if known is None:
            raise UsageError(
                f"can't tell the format of {name} by its name", hint=f"say --format {', '.join(FORMATS)}"
            )
        found.add(known)
    if len(found) > 1:
        raise UsageError(f"the files are of several formats: {', '.join(sorted(found))}")
    return found.pop()

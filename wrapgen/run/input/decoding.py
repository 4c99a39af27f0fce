"""A file's content as text in UTF-8: unpacked and decoded, and what its name promises, or one clear error."""

from __future__ import annotations

import codecs
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO

from wrapgen.errors import RunError, UsageError
from wrapgen.run.remote_files import InputFile

_BLOCK = 1 << 20
_PACKED = 1 << 10  # of a packed file at a time: a few kilobytes may unpack to many megabytes

_PACKINGS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
PACKED_SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
"""File suffix to compression."""

_BINARY = (
    r"7z|arrow|avro|br|bz2|db|docx?|feather|lz4?|lzma|ods|orc|pdf|rar|snappy|sqlite|sz|tar|tbz2?|tgz|txz|xlsx?"
    r"|xz|z|zip"
)
_UNREADABLE = re.compile(rf"\.({_BINARY})\Z")

OTHERS = re.compile(rf"\.({_BINARY}|html?|xml|ya?ml)\Z")
"""How names of files end whose formats a run does not write."""

_OTHER = rb"[^\t\n\r -~]"  # no character of ASCII: text goes on with one
_SIGNATURES = {
    rb"PK\x03\x04": "a ZIP archive, as an Excel workbook is",
    rb"\xd0\xcf\x11\xe0": "an old Excel or Word document",
    rb"BZh[1-9]1AY&SY": "bzip2",
    rb"\xfd7zXZ": "xz",
    rb"\x04\x22\x4d\x18": "lz4",
    rb"7z\xbc\xaf": "a 7z archive",
    rb"PAR1" + _OTHER: "Parquet",
    rb"PARE[\x00-\xff]{3}\x00": "encrypted Parquet",
    rb"ORC" + _OTHER: "ORC",
    rb"Obj\x01": "Avro",
    rb"ARROW1\x00": "Arrow",
    rb"FEA1" + _OTHER: "Feather",
    rb"%PDF-\d\.": "PDF",
    rb"SQLite format 3\x00": "an SQLite database",
}
"""How files start that are no text."""

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16, whose mark it starts with
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def bare(name: str) -> str:
    """A file's name in lower case, without the suffix of a compression."""
    known = next((suffix for suffix in PACKED_SUFFIXES if name.lower().endswith(suffix)), "")
    return name.lower().removesuffix(known)


def refuse_unreadable(name: str) -> None:
    """Makes sure that the name of an input promises nothing that can't be read.

    Raises:
        UsageError: it names a format or compression that is not known here.
    """
    found = _UNREADABLE.search(bare(name))
    if found or (name.lower() != bare(name) and bare(name).endswith(".parquet")):
        what = found[0] if found else "compressed Parquet"
        raise UsageError(
            f"{name}: {what} can't be read",
            hint="make it jsonl, json, csv, tsv, txt or parquet; text may be packed with gzip or zstd",
        )


@contextmanager
def opened(path: InputFile, name: str = "", encoding: str | None = None) -> Iterator[IO[bytes]]:
    """A file as a stream of UTF-8 without a byte order mark, unpacked if it is gzip or zstd.

    Args:
        path: the file.
        name: what it is called, where that is another name than its path.
        encoding: of its text; None: as `encoding_of` finds it.

    Raises:
        RunError: it is not what its name says; or, while it is read, it is not in this encoding.
        OSError, EOFError, zlib.error: it can't be read, or is cut off.
    """
    name = name or str(path)
    with _unpacked(path, name) as content:
        head = content.peek(16)[:16]
        encoding = codecs.lookup(encoding or _found(head)).name
        if encoding != "utf-8":
            content = io.BufferedReader(_Stream(_recoded(content, encoding, name)), _BLOCK)
        elif head.startswith(codecs.BOM_UTF8):
            content.read(len(codecs.BOM_UTF8))
        yield content


def encoding_of(path: InputFile, name: str = "") -> str:
    """The encoding of a file's text: UTF-8, or UTF-16 or UTF-32 where its first bytes say so.

    Raises: as `opened`.
    """
    with _unpacked(path, name or str(path)) as content:
        return _found(content.peek(16)[:16])


@contextmanager
def _unpacked(path: InputFile, name: str) -> Iterator[Any]:
    suffix = next((suffix for suffix in PACKED_SUFFIXES if name.lower().endswith(suffix)), "")
    with path.open("rb") as file:
        head = file.peek(8)
        packing = next((one for one, magic in _PACKINGS.items() if head.startswith(magic)), None)
        if suffix and packing != PACKED_SUFFIXES[suffix]:
            raise RunError(f"{name} is not {PACKED_SUFFIXES[suffix]}, as its name says", hint=_RENAME)
        content: Any = file
        if packing == "gzip":
            content = gzip.GzipFile(fileobj=file)
        elif packing == "zstd":
            content = io.BufferedReader(_Stream(_zstd(file)), _BLOCK)
        head = content.peek(16)
        found = next((what for magic, what in _SIGNATURES.items() if re.match(magic, head)), None)
        if found:
            raise RunError(f"{name} is {found}, not text", hint=f"convert it; or {_RENAME}")
        yield content


_RENAME = "give it a name that says what it is"


def _found(head: bytes) -> str:
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    return _MARKS.get(mark) or _without_mark(head)


def _without_mark(head: bytes) -> str:
    """Text starts with two characters of ASCII, which UTF-16 pads with zeros."""
    if len(head) >= 4 and not any(head[1:4:2]) and all(head[0:4:2]):
        return "utf-16-le"
    return "utf-16-be" if len(head) >= 4 and not any(head[0:4:2]) and all(head[1:4:2]) else "utf-8"


def text_of(stream: IO[bytes]) -> TextIO:
    """A stream of UTF-8 as text, whose lines keep their ends: a line feed, a carriage return, or both."""
    return io.TextIOWrapper(stream, "utf-8", newline="")


def text_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    """The lines of a stream, as `text_of` has them.

    Raises:
        RunError: it is not UTF-8; names the line.
    """
    number = 0
    try:
        for line in text_of(stream):
            number += 1
            yield line
    except UnicodeDecodeError as error:
        raise not_text(name, number, error) from error


def not_text(name: str, lines: int, error: UnicodeError, encoding: str = "utf-8") -> RunError:
    """The error of a file that is not in its encoding.

    Args:
        name: of the file.
        lines: that were read before the block that can't be decoded.
        error: the decoder's.
        encoding: what was expected.
    """
    before = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
    number = lines + 1 + before.decode(encoding, "ignore").count("\n")
    hint = "name its encoding: --encoding cp1252, say"
    return RunError(f"{name}:{number}: not {encoding.upper()} ({error})", hint=hint)


class _Stream(io.RawIOBase):
    """A stream of blocks, some of which may be empty."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._content = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end."""
        while not self._content:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._content = memoryview(block)
        size = min(len(buffer), len(self._content))
        buffer[:size], self._content = self._content[:size], self._content[size:]
        return size


def _recoded(stream: IO[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """Text in another encoding, as UTF-8 without a byte order mark."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines, begun, ended = 0, False, False
    while not ended:
        block = stream.read(_BLOCK)
        ended = not block
        try:
            text = decoder.decode(block, ended)
        except UnicodeError as error:
            raise not_text(name, lines, error, encoding) from error
        lines += text.count("\n")
        if not begun:
            text, begun = text.lstrip("\ufeff"), bool(text)
        yield text.encode("utf-8")


def _zstd(file: IO[bytes]) -> Iterator[bytes]:
    """The content of a zstd file of any number of frames; one that is cut off or damaged is an OSError.

    The library's own reader takes a frame that breaks off for one that has ended.
    """
    import zstandard

    frames = zstandard.ZstdDecompressor()
    frame, begun = frames.decompressobj(), False
    while True:
        packed = b""
        if frame.eof:
            packed, begun = frame.unused_data, False
            frame = frames.decompressobj()
        packed = packed or file.read(_PACKED)
        if not packed:
            break
        begun = True
        try:
            content = bytes(frame.decompress(packed))
        except zstandard.ZstdError as error:
            raise OSError(f"the file is damaged: {error}") from error
        yield content
    if begun:
        raise OSError("the file is cut off: its last zstd frame has no end")

"""The digest of a content: SHA-256 of all of it, and a checksum of each block, which tells where it differs.

Bytes only: nothing is decoded, and memory is constant. Several files are one content, one after the other.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any
from zlib import crc32

from wrapgen.run.remote_files import InputFile

_READ = 1 << 20
_LEAST_BLOCK, MOST_BLOCKS = 64, 128
_CHECKSUM = 4
"""Bytes of a block's checksum. It says where; whether two contents are the same says the SHA-256."""


@dataclass(frozen=True)
class ContentDigest:
    """What tells whether a content is still the same, and where it is not.

    Args:
        size: bytes of all files.
        sha256: 64 hexadecimal digits, as `cat FILES | sha256sum` prints them.
        block: bytes of a block.
        checksums: CRC-32 of each block, four bytes each.
    """

    size: int
    sha256: str
    block: int
    checksums: bytes

    @classmethod
    def of(cls, paths: Sequence[InputFile], block: int | None = None) -> ContentDigest:
        """Reads files.

        Args:
            paths: their content is taken in this order.
            block: bytes of a block; None chooses so that there are at most `MOST_BLOCKS`.

        Raises:
            OSError: one can't be read.
        """
        if block is None:
            block = _LEAST_BLOCK
            while block * MOST_BLOCKS < sum(path.stat().st_size for path in paths):
                block *= 2
        whole, checksums, size = hashlib.sha256(), bytearray(), 0
        checksum, room = 0, block
        for data in _read(paths):
            whole.update(data)
            size += len(data)
            view = memoryview(data)
            while view:
                part, view = view[:room], view[room:]
                checksum, room = crc32(part, checksum), room - len(part)
                if not room:
                    checksums += checksum.to_bytes(_CHECKSUM, "big")
                    checksum, room = 0, block
        if room < block:
            checksums += checksum.to_bytes(_CHECKSUM, "big")
        return cls(size, whole.hexdigest(), block, bytes(checksums))

    def as_json(self) -> dict[str, Any]:
        """As a receipt keeps it."""
        blocks = base64.b64encode(self.checksums).decode("ascii")
        return {"bytes": self.size, "sha256": self.sha256, "block": self.block, "blocks": blocks}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> ContentDigest:
        """The reverse of `as_json`.

        Raises:
            LookupError, TypeError, ValueError: it is not.
        """
        size, sha256, block = int(content["bytes"]), str(content["sha256"]), int(content["block"])
        if block < 1:
            raise ValueError(f"a block has {block} bytes")
        return cls(size, sha256, block, base64.b64decode(content["blocks"], validate=True))

    def first_difference(self, paths: Sequence[InputFile]) -> str:
        """Where files first differ from this content, in words; empty where they do not.

        Raises:
            OSError: one can't be read.
        """
        found = ContentDigest.of(paths, self.block)
        if (found.size, found.sha256) == (self.size, self.sha256):
            return ""
        pairs = zip_longest(_each(found.checksums), _each(self.checksums))
        at = next((at for at, (one, other) in enumerate(pairs) if one != other), 0) * self.block
        place = _place(paths, at, min(at + self.block, found.size)) if at < found.size else "at its end"
        return f"{place}: {found.size:,} bytes, not {self.size:,}" if found.size != self.size else place


def _read(paths: Sequence[InputFile]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while data := file.read(_READ):
                yield data


def _each(checksums: bytes) -> Iterator[bytes]:
    return (checksums[at : at + _CHECKSUM] for at in range(0, len(checksums), _CHECKSUM))


def _place(paths: Sequence[InputFile], start: int, end: int) -> str:
    """The lines that a stretch of the content is in, and of which file."""
    for path in paths:
        size = path.stat().st_size
        if start < size:
            first = 1 + _newlines(path, 0, start)
            last = first + _newlines(path, start, min(end, size) - 1)
            lines = f"line {first:,}" if first == last else f"in lines {first:,} to {last:,}"
            return f"{lines} of {path.name}"
        start, end = start - size, end - size
    return "at its end"


def _newlines(path: InputFile, start: int, end: int) -> int:
    """How many lines end in a stretch of a file."""
    count = 0
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (data := file.read(min(_READ, end - start))):
            count += data.count(b"\n")
            start += len(data)
    return count

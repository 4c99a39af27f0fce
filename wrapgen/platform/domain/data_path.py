"""Data paths: the words of a path under /v1/data, and what they may be. Pure; knows no disk.

A path has an owner, a collection and a file; hosted data has no folders inside collections (platform
contract, section 4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wrapgen.errors import BadRequest

LONGEST_NAME = 250
"""Bytes, in UTF-8, of a collection's or file's name: what file systems take, less our own prefix."""

_COLLECTION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class DataPath:
    """A path that was read, not yet known to exist.

    Args:
        owner: an account's name, `.my`, `.session` or `.algo`; empty for the root.
        collection: its name; for `.algo` `OWNER/NAME/temp` or `temp` (or with `perm`); empty for none.
        file: the file's name; empty for a directory.
    """

    owner: str = ""
    collection: str = ""
    file: str = ""

    def __str__(self) -> str:
        return "data://" + "/".join(part for part in (self.owner, self.collection, self.file) if part)


def parse(text: str) -> DataPath:
    """Reads a path such as `.my/collection/file` or `data://owner/collection`.

    Raises:
        BadRequest: it has folders inside a collection, or a name that can't be.
    """
    words = text.removeprefix("data://").strip("/").split("/")
    if words == [""]:
        return DataPath()
    refuse_control(text)
    for word in words:
        _check(word, text)
    if words[0] == ".session":
        if len(words) > 2:
            raise BadRequest(f"{text}: .session holds files only")
        return DataPath(".session", "", words[1] if len(words) == 2 else "")
    if words[0] == ".algo":
        return _algorithm_path(words, text)
    if len(words) > 3:
        raise BadRequest(
            f"{text}: a collection holds files only, no folders",
            hint="use OWNER/COLLECTION/FILE",
        )
    return DataPath(*words)


def check_collection(name: str) -> str:
    """A name for a new collection, as it is.

    Raises:
        BadRequest: it can't be one.
    """
    if not _COLLECTION.match(name) or len(name) > 100:
        raise BadRequest(
            f"{name!r} can't be the name of a collection",
            hint="letters, digits, _, -, . and spaces, not starting with a dot; at most 100",
        )
    return name


def refuse_control(text: str) -> None:
    """Refuses a path of the data API that has a control character: no header and no log line could show it.

    Raises:
        BadRequest: it has one.
    """
    found = _CONTROL.search(text)
    if found:
        raise BadRequest(
            f"{text!r} has the control character U+{ord(found.group()):04X}",
            hint="no name in a data path may have one",
        )


def _algorithm_path(words: list[str], text: str) -> DataPath:
    if len(words) in (2, 3) and words[1] in ("temp", "perm"):
        return DataPath(".algo", words[1], words[2] if len(words) == 3 else "")
    if len(words) in (4, 5) and words[3] in ("temp", "perm"):
        return DataPath(".algo", "/".join(words[1:4]), words[4] if len(words) == 5 else "")
    raise BadRequest(
        f"{text} is not a path of algorithm data",
        hint="use .algo/OWNER/NAME/temp/FILE or .algo/OWNER/NAME/perm/FILE",
    )


def _check(word: str, text: str) -> None:
    try:
        size = len(word.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise BadRequest("a data path must be UTF-8") from error
    if not word or word in (".", ".."):
        raise BadRequest(f"{text!r} is not a data path")
    if size > LONGEST_NAME:
        raise BadRequest(f"a name in a data path has {size} bytes; at most {LONGEST_NAME}")

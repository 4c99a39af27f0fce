"""A wrapper as a tree of files in memory: read it, write it, compare it, name it by its content.

Knows nothing of specs and templates; what belongs into a wrapper is decided in `build`.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wrapgen.files import COMPILED, IGNORED_FOLDERS, public_mode, read_regular, whole

LARGEST_FILE = 64 << 20
"""Bytes of a file that is read into a wrapper."""

_PROGRAMS = (b"#!", b"\x7fELF")
"""How a file starts that a system can execute."""


@dataclass(frozen=True)
class Change:
    """What happened to one file between two wrappers.

    Args:
        path: relative, POSIX.
        before: its bytes in the first wrapper, None if it is not there.
        after: its bytes in the second wrapper, None if it is not there.
    """

    path: str
    before: bytes | None
    after: bytes | None

    @property
    def kind(self) -> str:
        """`added`, `removed` or `changed`."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    def unified(self, first: str = "a", second: str = "b") -> str:
        """The change as a unified diff; one line for a file that is not text.

        Args:
            first: what to call the first wrapper.
            second: what to call the second.
        """
        try:
            before = (self.before or b"").decode("utf-8").splitlines(keepends=True)
            after = (self.after or b"").decode("utf-8").splitlines(keepends=True)
        except UnicodeDecodeError:
            return f"Binary file {self.path} {self.kind}\n"
        one = "/dev/null" if self.before is None else f"{first}/{self.path}"
        two = "/dev/null" if self.after is None else f"{second}/{self.path}"
        lines = difflib.unified_diff(before, after, one, two)
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
        )


class Wrapper(Mapping[str, bytes]):
    """A frozen mapping from relative POSIX path to bytes, in the order of the paths.

    Args:
        files: the tree.

    Raises:
        ValueError: a path is absolute, has `..` or a backslash, is not UTF-8, or two differ in case only.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        for path in files:
            parts = PurePosixPath(path).parts
            if (
                not parts
                or path.startswith("/")
                or "\\" in path
                or ".." in parts
                or str(PurePosixPath(path)) != path
            ):
                raise ValueError(f"not a relative path inside a wrapper: {path!r}")
            if path.encode("utf-8", "ignore").decode("utf-8") != path:
                raise ValueError(f"not a path in UTF-8: {path!r}")
        alike: dict[str, str] = {}
        for path in sorted(files):
            if alike.setdefault(path.lower(), path) != path:
                both = f"{alike[path.lower()]!r} and {path!r}"
                raise ValueError(f"{both} differ in case only, which is one file on some systems")
        self._files = {path: bytes(files[path]) for path in sorted(files)}

    def __getitem__(self, path: str) -> bytes:
        return self._files[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __repr__(self) -> str:
        return f"Wrapper({len(self)} files, {self.digest[:19]})"

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hex digits over every path and its bytes."""
        total = hashlib.sha256()
        for path, content in self._files.items():
            total.update(f"{path}\0{hashlib.sha256(content).hexdigest()}\n".encode())
        return "sha256:" + total.hexdigest()

    @classmethod
    def read(cls, folder: str | os.PathLike[str], only: Iterable[str] | None = None) -> Wrapper:
        """Reads the tree under a folder; no link in it is followed.

        Args:
            folder: the wrapper's own folder; a missing one reads as empty.
            only: if given, just these paths, those of them that are there.

        Raises:
            OSError: a file can't be read.
            ValueError: one of the paths leads through a link.
            UsageError: a file has more than LARGEST_FILE bytes.
        """
        root = Path(folder)
        paths = list(_walk(root) if only is None else only)
        for path in paths:
            refuse_link(root, path)
        there = (path for path in paths if _is_plain_file(root / path))
        return cls({path: read_regular(root / path, LARGEST_FILE) for path in there})

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Writes every file that is not there with the same bytes already; each appears whole or not at all.

        Args:
            folder: the wrapper's own folder, made if missing. Other files in it stay.

        Raises:
            OSError: a file can't be written.
            ValueError: a path leads through a link; nothing is written.
        """
        root = Path(folder)
        for path in self._files:
            refuse_link(root, path)
        for path, content in self._files.items():
            target = root / path
            if _is_plain_file(target) and target.read_bytes() == content:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            # A program is known by its content, so that the same bytes are the same files everywhere.
            mode = public_mode(program=content.startswith(_PROGRAMS))
            with whole(target, mode, durable=False) as file:
                file.write(content)

    def diff(self, other: Mapping[str, bytes]) -> tuple[Change, ...]:
        """What it takes to get from this wrapper to another, by path."""
        paths = sorted({*self, *other})
        changes = (Change(path, self.get(path), other.get(path)) for path in paths)
        return tuple(change for change in changes if change.before != change.after)


def refuse_link(root: Path, path: str) -> None:
    """Keeps a relative path from leading out of a folder through a link to another folder.

    Raises:
        ValueError: a folder on the way is a link.
    """
    for folder in PurePosixPath(path).parents:
        if folder.parts and (root / folder).is_symlink():
            raise ValueError(f"{folder} is a link, and nothing outside of {root} is read or written")


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in IGNORED_FOLDERS)
        for name in sorted(files):
            if not name.endswith(COMPILED):
                yield (Path(folder) / name).relative_to(root).as_posix()


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()

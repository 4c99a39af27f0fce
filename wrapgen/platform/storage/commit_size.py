"""Whether a commit is small enough to be checked out: counts its tree without writing any of it.

Git also runs this file as the hook `pre-receive`, with the standard library alone: what it prints goes to
the pusher. A push of a few KiB can hold a tree of a billion files, so counting stops at the first limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

LIMITS = "WRAPGEN_PUSH_LIMITS"
"""The variable that tells the hook `files bytes depth references`."""

_NAME_BYTES = 4096
"""Most bytes of a path: what Linux takes."""

_NONE = "0" * 40


def excess(commit: str, files: int, size: int, depth: int, variables: Mapping[str, str]) -> str | None:
    """Which limit a commit is over, in words; None if it keeps to all of them.

    Args:
        commit: its hash.
        files: most files and folders.
        size: most bytes of all files.
        depth: most folders in each other.
        variables: the environment for git, which says where the repository is.
    """
    command = ["git", "ls-tree", "-r", "-t", "-z", "--long", commit]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables) as git:
        assert git.stdout is not None
        found = _over(_entries(iter(partial(git.stdout.read, 65536), b"")), files, size, depth)
        if found:
            git.kill()
    return found or (f"{commit} is no commit" if git.returncode else None)


def _entries(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\0")
        yield from whole
        if len(rest) > 2 * _NAME_BYTES:
            yield rest


def _over(entries: Iterable[bytes], files: int, size: int, depth: int) -> str | None:
    total = 0
    for number, entry in enumerate(entries, 1):
        head, _, path = entry.partition(b"\t")
        length = head.rpartition(b" ")[2]
        total += int(length) if length.isdigit() else 0
        if number > files:
            return f"more than {files} files and folders (push-files)"
        if total > size:
            return f"more than {size} bytes in its files (push-unpacked)"
        if path.count(b"/") >= depth:
            return f"more than {depth} folders in each other (push-depth)"
        if len(path) > _NAME_BYTES:
            return f"a path of more than {_NAME_BYTES} bytes"
    return None


def main() -> str:
    """The hook: reads `old new reference` lines; why all of them are refused, or nothing."""
    files, size, depth, references = map(int, os.environ[LIMITS].split())
    for number, line in enumerate(sys.stdin, 1):
        new, name = line.split(" ", 2)[1:]
        said = f"more than {references} references (push-references)" if number > references else None
        if said is None and new != _NONE:
            said = excess(new, files, size, depth, os.environ)
        if said:
            return (
                f"refused: the push of {name.strip()[:200]} has {said};\n"
                "the operator of the platform sets this limit, with wrapgen serve --limit"
            )
    return ""


if __name__ == "__main__":
    sys.exit(main() or 0)

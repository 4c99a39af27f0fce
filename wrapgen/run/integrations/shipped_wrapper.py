"""A wrapper that goes to a worker of an engine as source, and is executed there in processes of its own."""

from __future__ import annotations

import atexit
import hashlib
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from wrapgen.errors import UsageError
from wrapgen.files import COMPILED, IGNORED_FOLDERS
from wrapgen.run.hosts.processes import ProcessHost, Program


@dataclass(frozen=True)
class ShippedWrapper:
    """The source of a wrapper and what it finds in its environment; can be pickled.

    Args:
        files: from path to content.
        digest: of the files.
        variables: for its processes.
        beside: the folder that its own relative paths start from.
        processes: at most, in one process of the engine.
    """

    files: Mapping[str, bytes]
    digest: str
    variables: Mapping[str, str]
    beside: Path
    processes: int

    @classmethod
    def of(cls, folder: Path, variables: Mapping[str, str], beside: Path, processes: int) -> ShippedWrapper:
        """The wrapper in a folder.

        Raises:
            UsageError: there is none.
        """
        paths = [path for path in sorted(folder.rglob("*")) if _belongs(path.relative_to(folder))]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}
        if not files:
            raise UsageError(f"there is no wrapper in {folder}", hint="build it again")
        digest = hashlib.sha256()
        for name, content in files.items():
            digest.update(b"%s\n%d\n" % (name.encode("utf-8", "surrogateescape"), len(content)))
            digest.update(content)
        return cls(files, digest.hexdigest(), variables, beside, processes)

    def __hash__(self) -> int:
        return hash(self.digest)

    def host(self, reference: str) -> ProcessHost:
        """Processes that execute it, which all tasks of this process use."""
        return _host(self, reference)


def _belongs(path: Path) -> bool:
    return IGNORED_FOLDERS.isdisjoint(path.parts) and path.suffix not in COMPILED


@cache
def _host(wrapper: ShippedWrapper, reference: str) -> ProcessHost:
    folder: Any = tempfile.TemporaryDirectory(prefix="wrapgen-wrapper-")
    source, files = Path(folder.name) / "wrapper", Path(folder.name) / "files"
    files.mkdir()
    for name, content in wrapper.files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    program = Program(source, Path(sys.executable), wrapper.variables)
    log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
    host = ProcessHost(program, reference, wrapper.processes, log, files, wrapper.beside)
    atexit.register(folder.cleanup)
    atexit.register(host.close)
    return host

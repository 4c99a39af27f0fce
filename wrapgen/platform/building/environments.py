"""The hosted environments: the Python interpreters that this machine really has.

Found on PATH, under pyenv's root, and the one that runs this; each is tried by running it. What was learned
is remembered per file, so that a later start need not run them again. Ids are derived from names: the same
on every machine and after every restart.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from wrapgen.errors import BadRequest, ServerFault
from wrapgen.platform.storage.platform_tables import InterpreterTable, ProbedInterpreter

OLDEST = (3, 6)
"""The oldest hosted language version (platform contract, introduction)."""

_PROBE = """
import json, sys
from importlib.machinery import PathFinder
if not (PathFinder.find_spec("venv") and PathFinder.find_spec("ensurepip")):
    sys.exit("can't make virtual environments")
executable = getattr(sys, "_base_executable", None) or sys.executable
print(json.dumps([sys.implementation.name, ".".join(map(str, sys.version_info[:3])), executable]))
"""


@dataclass(frozen=True)
class Environment:
    """One interpreter, as algorithms name it.

    Args:
        name: `python38` and so on.
        interpreter: the executable.
        version: `3.8.18`.
    """

    name: str
    interpreter: Path
    version: str

    @property
    def id(self) -> str:
        """The UUID that algorithm settings carry."""
        return environment_id(self.name)

    @property
    def specification_id(self) -> str:
        """The UUID under which the template is found."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"wrapgen:environment-specification:{self.name}"))

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)


def environment_id(name: str) -> str:
    """The UUID of an environment, whether it is offered or not."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"wrapgen:environment:{name}"))


class Environments:
    """What this machine offers.

    Args:
        table: remembers what was probed.
        variables: the process's environment variables (PATH, PYENV_ROOT, HOME).
    """

    def __init__(self, table: InterpreterTable, variables: Mapping[str, str]) -> None:
        self._table = table
        self._variables = variables
        self._lock = threading.Lock()
        self._offered: tuple[Environment, ...] | None = None

    def offered(self) -> tuple[Environment, ...]:
        """All environments, oldest first; the machine is looked over once per process."""
        with self._lock:
            if self._offered is None:
                self._offered = self._look()
            return self._offered

    def default(self) -> Environment:
        """The newest: what an algorithm gets whose author names none. It keeps that when newer ones come.

        Raises:
            ServerFault: the machine has no usable interpreter at all.
        """
        offered = self.offered()
        if not offered:
            raise ServerFault("no Python with venv was found on this machine")
        return offered[-1]

    def of_language(self, language: str) -> Environment:
        """The environment of a language as the older API names it: `python3`, `python38`, `python3-1`.

        A number after a dash is a revision of the language's runtime (openapispec.yml), unless it makes the
        name of an environment that is offered, as in `python3-8`.

        Raises:
            BadRequest: this machine does not offer it.
        """
        whole = language.lower().removesuffix("-langpack")
        names = (whole, re.sub(r"-\d+\Z", "", whole))
        plain = [name.replace("-", "").replace(".", "") for name in names]
        for name in plain:
            if name in ("python", "python3"):
                return self.default()
            if any(each.name == name for each in self.offered()):
                return self.named(name)
        return self.named(plain[-1])

    def named(self, reference: str) -> Environment:
        """The environment of a name, id or specification id.

        Raises:
            BadRequest: this machine does not offer it; the message lists what is offered.
        """
        wanted = reference.lower().replace(".", "")
        for each in self.offered():
            if wanted in (each.name, each.id, each.specification_id):
                return each
        names = ", ".join(each.name for each in self.offered()) or "none"
        raise BadRequest(
            f"the environment {reference} is not offered here; offered: {names}",
            hint="install that Python, or name one that is offered",
            reason="unknown-language",
        )

    def _look(self) -> tuple[Environment, ...]:
        found: dict[str, Environment] = {}
        candidates = {path.resolve(): path for path in self._candidates()}.values()
        with ThreadPoolExecutor(max_workers=4) as pool:
            for learned in pool.map(self._learn, candidates):
                if learned is None:
                    continue
                version, executable = learned
                number = tuple(int(part) for part in version.split(".")[:2])
                name = f"python{number[0]}{number[1]}"
                if number >= OLDEST and name not in found:
                    found[name] = Environment(name, Path(executable), version)
        return tuple(sorted(found.values(), key=lambda each: each.number))

    def _candidates(self) -> Iterator[Path]:
        home = Path(self._variables.get("HOME", "/"))
        roots = [Path(self._variables.get("PYENV_ROOT") or home / ".pyenv")]
        folders: list[Path] = []
        for word in self._variables.get("PATH", "").split(os.pathsep):
            # A shim is slow and may mean a version that is not there; what it means is looked at.
            if word and Path(word).name == "shims" and _searchable(Path(word, "..", "versions")):
                roots.append(Path(word).parent)
            elif word and _searchable(Path(word)):
                folders.append(Path(word))
        pattern = re.compile(r"python3(\.\d+)?\Z")
        for folder in folders:
            yield from sorted(entry for entry in folder.iterdir() if pattern.match(entry.name))
        for root in filter(_searchable, roots):
            yield from sorted(root.glob("versions/*/bin/python3"), reverse=True)
        yield Path(sys.executable)

    def _learn(self, path: Path) -> tuple[str, str] | None:
        """Version and executable of an interpreter that runs and can make virtual environments; else None."""
        try:
            real = path.resolve(strict=True)
            facts = real.stat()
        except OSError:
            return None
        fingerprint = f"{real}:{facts.st_size}:{facts.st_mtime_ns}"
        known = self._table.first(path=str(path))
        if known is None or known.fingerprint != fingerprint:
            version, executable = _probe(path) or ("", "")
            known = ProbedInterpreter(str(path), fingerprint, version, executable)
            self._table.insert(known, instead="REPLACE")
        return (known.version, known.executable) if known.version else None


def _searchable(folder: Path) -> bool:
    """Whether a folder can be looked through; one that another user closed is as if it were not there."""
    return os.access(folder, os.R_OK | os.X_OK) and folder.is_dir()


def _probe(path: Path) -> tuple[str, str] | None:
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", _PROBE],
            capture_output=True,
            timeout=20,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            return None
        implementation, version, executable = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return (version, str(Path(executable).resolve())) if implementation == "cpython" else None

"""From a spec, or the folder of a wrapper, to the host that executes it here."""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from wrapgen import protocol
from wrapgen.errors import AlgorithmFailed
from wrapgen.files import INLINE_FOLDER, MANIFEST
from wrapgen.local.cache import kept_wrapper
from wrapgen.local.cache_index import WrapperFacts, note, recall
from wrapgen.local.interpreter import interpreter_for
from wrapgen.protocol import Answer
from wrapgen.run.hosts.processes import ProcessHost, Program
from wrapgen.run.scheduling.replies import Lost

if TYPE_CHECKING:
    from wrapgen.spec import Spec

_NAMES_VENDOR = re.compile(rb"\b(Algorithmia|adk|requests)\b")


class JsonText(str):
    """Text that is JSON already."""

    __slots__ = ()


@dataclass(frozen=True)
class LocalWrapper:
    """A wrapper that this machine executes.

    Args:
        facts: what a run has to know of its spec.
        read: gives the spec, which takes a while.
        folder: where its files are.
        beside: the folder of the spec.
    """

    facts: WrapperFacts
    read: Callable[[], Spec]
    folder: Path
    beside: Path

    @cached_property
    def spec(self) -> Spec:
        """What it is made from."""
        return self.read()

    @property
    def reference(self) -> str:
        """What messages and the ledger call it."""
        return f"{self.facts.name}/local"

    @property
    def calls_platform(self) -> bool:
        """Whether it needs an address and a key: its target or its datastore is on a platform."""
        return self.facts.calls_platform

    @property
    def processes(self) -> int:
        """Processes unless the user says otherwise: one per processor for code of its own, else one."""
        if not self.facts.source:
            return 1
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    @contextmanager
    def host(
        self,
        processes: int | None = None,
        *,
        variables: Mapping[str, str] | None = None,
        log: IO[bytes] | None = None,
        tell: Callable[[str], None] = lambda _: None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Iterator[ProcessHost]:
        """The host, for as long as the context is open; the wrapper has described itself.

        Args:
            processes: at most; None: see `processes`.
            variables: of the environment, besides this process's own.
            log: takes what processes print; None: a temporary file.
            tell: told what takes a while.
            meanwhile: called while the first process loads.

        Raises:
            RunError: it can't be loaded, or what it requires can't be installed.
        """
        needs_vendor = self.calls_platform or self._names_vendor()
        interpreter = interpreter_for(self.folder, vendor=needs_vendor, tell=tell)
        program = Program(self.folder, interpreter, variables or {})
        with ExitStack() as stack:
            log = log or stack.enter_context(tempfile.TemporaryFile())
            files = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wrapgen-files-")))
            host = ProcessHost(program, self.reference, processes or self.processes, log, files, self.beside)
            stack.callback(host.close)
            host.prepare()
            meanwhile()
            host.describe()
            yield host

    def call(self, host: ProcessHost, value: Any, seconds: float) -> Answer:
        """One call with one input, as `wrapgen call` makes it of a platform.

        Args:
            host: of this wrapper.
            value: text, bytes, JSON as it was written, or a value.
            seconds: that it gets.

        Raises:
            AlgorithmFailed: the wrapper answered with an error, or not at all.
        """
        if isinstance(value, bytes):
            answer = host.call(protocol.dumps(base64.b64encode(value).decode("ascii")), seconds, b"binary")
        elif isinstance(value, JsonText):
            answer = host.call(value.encode("utf-8"), seconds)
        else:
            answer = host.call(protocol.dumps(value), seconds)
        if isinstance(answer, Lost):
            raise AlgorithmFailed(answer.message, error_type=answer.type)
        found = protocol.decode_answer(json.loads(answer))
        if isinstance(found, protocol.ItemError):
            raise AlgorithmFailed(found.message, error_type=found.type, retryable=found.retryable)
        return found

    def _names_vendor(self) -> bool:
        """Whether an inline target's code names the vendor's packages."""
        files = (self.folder / INLINE_FOLDER).rglob("*.py")
        return any(_NAMES_VENDOR.search(path.read_bytes()) for path in files)


def local_wrapper(name: str | PathLike[str] | Spec) -> LocalWrapper:
    """The wrapper of a spec, made in the cache; a folder with a wrapper that was built is that wrapper.

    Args:
        name: the spec's file, or a folder with `spec.yaml`; or a spec, whose relative paths start here.

    Raises:
        SpecError: the spec is wrong.
        UsageError: the cache can't be written.
    """
    if not isinstance(name, (str, PathLike)):
        return _made(name, Path())
    path = Path(name).expanduser()
    beside = path if path.is_dir() else path.parent
    file = path / "spec.yaml" if path.is_dir() else path
    is_wrapper = (beside / MANIFEST).is_file()
    if not is_wrapper and (known := recall(file)):
        return LocalWrapper(known[0], partial(_loaded, path), known[1], beside)
    spec = _loaded(path)
    if is_wrapper:
        return LocalWrapper(_facts(spec), lambda: spec, beside, beside)
    return _made(spec, beside, file)


def _loaded(path: Path) -> Spec:
    """The spec in a file or folder. What reads specs takes a quarter of a second to import."""
    from wrapgen.spec import load

    return load(path)


def _made(spec: Spec, beside: Path, file: Path | None = None) -> LocalWrapper:
    """The wrapper of a spec, made in the cache; that is noted of the spec's file, if there is one."""
    from wrapgen.build import generate

    wrapper, facts = generate(spec), _facts(spec)
    folder = kept_wrapper(wrapper, spec.wrapper.algorithm_name)
    if file is not None:
        note(file, spec, facts, folder, wrapper)
    return LocalWrapper(facts, lambda: spec, folder, beside)


def _facts(spec: Spec) -> WrapperFacts:
    from wrapgen.build.plan import calls_platform

    target = spec.target
    url = spec.expanded.url if target.endpoint is not None else ""
    return WrapperFacts(spec.wrapper.name, calls_platform(spec), target.source or "", url)

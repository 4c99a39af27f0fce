"""Which wrapper in the cache a spec has, known from an earlier run: reading it takes a quarter of a second.

An entry holds as long as all that a wrapper is made of is as it was: the spec's bytes, the files and the
folder that it names, and wrapgen itself. In every other case, and in every doubt, the spec is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import wrapgen
from wrapgen.files import COMPILED, IGNORED_FOLDERS, read_json, whole
from wrapgen.local.cache import cache_folder
from wrapgen.wrapper import Wrapper

if TYPE_CHECKING:
    from wrapgen.spec import Spec

_MAKERS = ("spec", "build", "_templates", "../templates")
_MODULES = ("files.py", "protocol.py", "references.py", "wrapper.py")
"""What of wrapgen a wrapper depends on, beside the package's folder."""

_ENTRY_BYTES = 1 << 20
_SOURCE_BYTES = 50_000_000


@dataclass(frozen=True)
class WrapperFacts:
    """What a run wants to know of a spec.

    Args:
        name: of the wrapper, `owner/Name`.
        calls_platform: whether its target or a datastore is on a platform.
        source: the folder of an inline target, as the spec names it; empty for other targets.
        url: of an endpoint; empty for other targets.
    """

    name: str
    calls_platform: bool
    source: str
    url: str


def recall(file: Path) -> tuple[WrapperFacts, Path] | None:
    """What is known of the spec in a file, and the folder of its wrapper; None if it has to be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = read_json(_entry(file), _ENTRY_BYTES)
        facts, folder = WrapperFacts(**kept["facts"]), Path(kept["folder"])
        attached = {name: (file.parent / name).read_bytes() for name in kept["attached"]}
        source = _source(file.parent / facts.source) if facts.source else {}
        is_same = kept["key"] == _key(file.read_bytes(), attached, source)
        if is_same and Wrapper.read(folder, only=kept["files"]).digest == kept["digest"]:
            os.utime(folder)
            return facts, folder
    return None


def note(file: Path, spec: Spec, facts: WrapperFacts, folder: Path, wrapper: Wrapper) -> None:
    """Keeps what is known of a spec; where that is not possible, it is read each time.

    Args:
        file: the spec's.
        spec: as it was read.
        facts: what to know of it.
        folder: where the wrapper is.
        wrapper: its content.
    """
    with suppress(OSError, ValueError):
        if not file.is_file():  # a pipe, say
            return
        entry = _entry(file)
        entry.parent.mkdir(parents=True, exist_ok=True)
        kept = {"key": _key(spec.source_text, spec.attached, spec.source_files), "facts": asdict(facts)}
        kept.update(attached=list(spec.attached), folder=str(folder))
        kept.update(digest=wrapper.digest, files=list(wrapper))
        with whole(entry, durable=False) as stream:
            stream.write(json.dumps(kept).encode("ascii"))


def _entry(file: Path) -> Path:
    name = hashlib.sha256(os.fsencode(file.absolute())).hexdigest()
    return cache_folder() / "specs" / f"{name[:32]}.json"


def _key(text: bytes, attached: Mapping[str, bytes], source: Mapping[str, bytes]) -> str:
    """The digest of everything that a wrapper is made of."""
    total = hashlib.sha256(f"{wrapgen.__version__}\n{_makers()}\n".encode())
    for kind, files in (("spec", {"": text}), ("attached", attached), ("source", source)):
        for name in sorted(files):
            total.update(f"{kind} {name!r} {hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return total.hexdigest()


def _source(folder: Path) -> dict[str, bytes]:
    """The files of an inline target, as reading the spec finds them.

    Raises:
        ValueError: it has links, or is too large, which reading the spec judges.
    """
    found: dict[str, bytes] = {}
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in IGNORED_FOLDERS]
        for path in (Path(place) / name for name in (*folders, *files)):
            if path.is_symlink():
                raise ValueError(f"{path} is a link")
            if path.is_file() and path.name not in IGNORED_FOLDERS and not path.name.endswith(".pyc"):
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
        if sum(map(len, found.values())) > _SOURCE_BYTES:
            raise ValueError(f"{folder} is too large")
    return found


@cache
def _makers() -> str:
    """What tells one state of wrapgen's own sources from another: size and time of each."""
    package = Path(wrapgen.__file__).resolve().parent
    total = hashlib.sha256()
    for place in (package / name for name in (*_MAKERS, *_MODULES)):
        paths = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        for path in paths:
            if path.suffix not in COMPILED:
                found = path.stat()
                total.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return total.hexdigest()

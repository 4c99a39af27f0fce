"""What a home says of each fact that was acknowledged, when it is opened again after a power cut."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_disk import Tree

from wrapgen.errors import NotAuthorized, NotFound
from wrapgen.platform.domain.credentials import read_credentials
from wrapgen.platform.domain.data_path import parse
from wrapgen.platform.domain.model import Caller
from wrapgen.platform.state import State, open_platform_state
from wrapgen.records import open_records
from wrapgen.records.settle import settle

Facts = dict[str, tuple[Any, ...]]
"""What may be found under a name: one value if it was acknowledged, else that and the one before."""


@dataclass(frozen=True)
class Entry:
    """A file in a listing."""

    name: str
    size: int


class HomeRecords:
    """A `RecordStore` over the data of an opened home."""

    def __init__(self, state: State, caller: Caller) -> None:
        self._data = state.data
        self._caller = caller

    def files(self, url: str) -> Iterator[Entry]:
        for file in self._data.list_directory(self._caller, _path(url)).files:
            yield Entry(file.name, file.size)

    def read(self, url: str) -> bytes:
        return b"".join(self._data.read(self._caller, _path(url))[0])

    @contextmanager
    def stream(self, url: str) -> Iterator[Iterator[bytes]]:
        yield iter([self.read(url)])

    def put(self, url: str, body: bytes) -> None:
        write = self._data.begin_write(self._caller, _path(url))
        write.append(body)
        write.commit()

    def delete(self, url: str) -> None:
        self._data.delete_file(self._caller, _path(url))


def _path(url: str) -> Any:
    return parse(url.removeprefix("data://"))


class Found:
    """What an opened home says of each kind of fact."""

    def __init__(self, state: State, tree: Tree) -> None:
        self.state = state
        self.tree = tree
        self.caller = state.accounts.caller(read_credentials(state.home)["api_key"])

    def value(self, name: str) -> Any:
        """What is found under a name."""
        kind, _, rest = name.partition(" ")
        try:
            return getattr(self, f"_{kind}")(rest)
        except NotFound:
            return None

    def _key(self, key: str) -> bool:
        try:
            self.state.accounts.caller(key)
        except NotAuthorized:
            return False
        return True

    def _user(self, name: str) -> bool:
        return bool(self.state.accounts.get(name))

    def _file(self, name: str) -> str:
        return b"".join(self.state.data.read(self.caller, parse(f".my/{name}"))[0]).decode()

    def _collection(self, name: str) -> bool | None:
        return name in self.state.data.list_directory(self.caller, parse(".my")).folders or None

    def _records(self, _: str) -> list[list[Any]]:
        with open_records(HomeRecords(self.state, self.caller), "data://.my/records") as records:
            return sorted([record["id"], record["result"]] for record in records)

    def _settled(self, _: str) -> bool | None:
        names = [entry.name for entry in HomeRecords(self.state, self.caller).files("data://.my/records")]
        return len(names) == 2 or None

    def _algorithm(self, name: str) -> bool | None:
        return any(each.name == name for each in self.state.algorithms.all()) or None

    def _power(self) -> Any:
        return self.state.algorithms.get(self.caller, "local", "Power")

    def _commit(self, _: str) -> str | None:
        algorithm, repositories = self._power(), self.state.repositories
        head = repositories.head(algorithm.id)
        (main,) = [file for file in repositories.files(algorithm.id, head) if file.path == "src/Power.py"]
        assert repositories.content(algorithm.id, main)
        place = repositories.path(algorithm.id)
        if (content := _content(place)) not in SOUND:
            for words in (["fsck", "--strict", "--full"], ["update-ref", "refs/heads/master", head]):
                command = ["git", "--git-dir", str(place), *words]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
            SOUND.add(content)
        return head if head != algorithm.first_commit else None

    def _build(self, commit: str) -> bool | None:
        algorithm, builds = self._power(), self.state.builds
        for build in builds.page(algorithm.id, None, 1000) or ():
            if build.git_hash == commit and build.status == "succeeded":
                build = builds.wait(build, 60)
                made = builds.source(build) / "src" / "Power.py"
                assert made.read_text().startswith("def apply"), "the source of a build"
                self._environment(build.interpreter.parents[1])
                return True
        return None

    def _environment(self, folder: Path) -> None:
        """An environment is as the server made it, or was made again."""
        root = self.state.home.parent
        below = f"{folder.relative_to(root)}/"
        for path, (kind, _, content) in self.tree.items():
            if kind == "file" and path.startswith(below) and not path.endswith(".pyc"):
                assert (root / path).read_bytes() == content, f"{path} of a virtual environment"

    def _version(self, _: str) -> str | None:
        listed = self.state.builds.page(self._power().id, None, 1, published=True)
        return listed[0].git_hash if listed else None

    def _void(self, request: str) -> Any:
        folder = self.state.home / "requests"
        for path in (folder / f"{request}.request", folder / f"{request}.outcome"):
            if path.exists():
                head, _, body = path.read_bytes().partition(b"\n")
                assert json.loads(head)["path"] == "local/Power"
                return json.loads(body) if path.suffix == ".request" else json.loads(body)["result"]["seen"]
        return None

    def _outcome(self, request: str) -> Any:
        path = self.state.home / "requests" / f"{request}.outcome"
        return json.loads(path.read_bytes().partition(b"\n")[2])["result"]["seen"] if path.exists() else None


@dataclass(frozen=True)
class Known:
    """What was told while a platform lived: (moment, "may" or "is", name, value); and its last state."""

    told: list[tuple[int, str, str, Any]]
    last: Tree

    def at(self, moment: int) -> Facts:
        """What may be found after a power cut at a moment."""
        facts: Facts = {}
        for when, kind, name, value in self.told:
            if when > moment:
                break
            wanted = value if value is not False or name.startswith("key") else None
            facts[name] = (wanted,) if kind == "is" else (*facts.get(name, (None,)), wanted)
        return facts


SOUND: set[str] = set()
"""What repositories held that git finds nothing wrong with: most states differ in other places."""


def _content(place: Path) -> str:
    files = sorted(path for path in place.rglob("*") if path.is_file())
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(place)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return found.hexdigest()


def open_again(facts: Facts, folder: Path, last: Tree) -> None:
    """Opens a home, and compares with what was promised."""
    with closing(open_platform_state(folder / "home")) as state:
        found = Found(state, last)
        for name, allowed in facts.items():
            value = found.value(name)
            assert value in allowed, f"{name}: found {value!r}, promised {allowed!r}"
        if "records" in facts:
            settle(HomeRecords(state, found.caller), "data://.my/records", "r")
            assert (found.value("records"),) == facts["records"]

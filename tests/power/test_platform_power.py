"""Power cuts in a platform: whatever it acknowledged is there when its home is opened again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import platform_life
import pytest
from model_disk import MANY, Crash, ModelDisk, Tree
from numbers_page import publish
from system_calls import Replay, can_trace, record

from wrapgen.errors import NotAuthorized, NotFound
from wrapgen.platform.domain.credentials import read_credentials
from wrapgen.platform.domain.data_path import parse
from wrapgen.platform.domain.model import Caller
from wrapgen.platform.state import State, open_platform_state
from wrapgen.records import open_records
from wrapgen.records.settle import settle

pytestmark = pytest.mark.skipif(bool(can_trace()), reason=f"system calls can't be recorded: {can_trace()}")

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
        for words in (["fsck", "--strict", "--full"], ["update-ref", "refs/heads/master", head]):
            command = ["git", "--git-dir", str(repositories.path(algorithm.id)), *words]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return head if head != algorithm.first_commit else None

    def _build(self, commit: str) -> bool | None:
        algorithm, builds = self._power(), self.state.builds
        for build in builds.of_algorithm(algorithm.id):
            if build.git_hash == commit and build.status == "succeeded":
                build = builds.wait(build, 60)
                made = builds.source(build) / "src" / "Power.py"
                assert made.read_text().startswith("def apply"), "the source of a build"
                self._environment(build.interpreter.parents[1])
                return True
        return None

    def _environment(self, folder: Path) -> None:
        """An environment is as the server made it, or was made again."""
        for path, (kind, _, content) in self.tree.items():
            place = self.state.home.parent / path
            if kind == "file" and place.is_relative_to(folder) and not path.endswith(".pyc"):
                assert place.read_bytes() == content, f"{path} of a virtual environment"

    def _version(self, _: str) -> str | None:
        listed = self.state.algorithms.listed(self._power().id)
        return next((each.build.git_hash for each in listed if each.version), None)

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


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a platform whose system calls were recorded, those of builds, git and uv too."""
    folder = tmp_path_factory.mktemp("life")
    (folder / "root").mkdir()
    done = record([sys.executable, platform_life.__file__, str(folder)], folder / "log")
    assert done.returncode == 0, done.stderr
    return folder


def states(life: Path, folder: Path, broken: str = "") -> tuple[list[tuple[Crash, int]], Known]:
    """Every state with the last moment at which it may be found, and what was known when."""
    (folder / "empty").mkdir()
    disk, random = ModelDisk(folder / "empty"), Random(1)
    found: dict[int, tuple[Crash, int]] = {}
    told: list[tuple[int, str, str, Any]] = []
    moment = answered = 0

    def seen(data: bytes) -> None:
        nonlocal moment, answered
        moment += 1
        if data.startswith((b'["is"', b'["may"')):
            before = told[-1][0] if told else 0
            when = answered if data.startswith(b'["is"') and answered > before else moment
            told.append((when, *json.loads(data)))
        elif data.startswith(b"HTTP/1.1 "):  # what was acknowledged is so from then on
            answered = moment
        if disk.pending > MANY and not data and random.random() > 0.02:
            return  # of what is being installed, the states are tried at some moments only
        for crash in disk.crashes(random, 1):
            found[crash.key] = crash, moment

    Replay(life / "root", disk, seen, broken).play(life / "log")
    if not broken:
        disk.compare(life / "root")
    return list(found.values()), Known(told, disk.newest())


def check(crash: Crash, facts: Facts, folder: Path, last: Tree) -> None:
    """Opens the home of a state, and compares with what was promised."""
    folder.mkdir()
    crash.write(folder)
    with closing(open_platform_state(folder / "home")) as state:
        found = Found(state, last)
        for name, allowed in facts.items():
            value = found.value(name)
            assert value in allowed, f"{name}: found {value!r}, promised {allowed!r}"
        if "records" in facts:
            settle(HomeRecords(state, found.caller), "data://.my/records", "r")
            assert (found.value("records"),) == facts["records"]


def faults(found: list[tuple[Crash, int]], known: Known, folder: Path) -> Iterator[str]:
    """What is wrong with a home that is opened again, for each state with which something is."""
    for number, (crash, moment) in enumerate(found):
        place = folder / str(number)
        try:
            check(crash, known.at(moment), place, known.last)
        except Exception as error:  # whatever an operator would meet
            yield f"{crash}: {error!r}"
        shutil.rmtree(place)


def test_a_platform_survives_power_cuts(life, quick):
    """What was acknowledged (data, keys, pushes, builds, void calls) is found in a choice of the states."""
    found, known = states(life, quick)
    assert not list(faults(Random(1).sample(found, 40), known, quick))


@pytest.mark.soak
@pytest.mark.parametrize("broken", ["file", "folder", "all"])
def test_a_missing_sync_is_found(life, quick, broken):
    """Were files, folders or what git and builds wrote not synced, some state would break a promise."""
    found, known = states(life, quick, broken)
    Random(1).shuffle(found)
    assert next(faults(found, known, quick), None)


@pytest.mark.soak
def test_a_platform_survives_every_power_cut(life, quick):
    """As above, from every state."""
    found, known = states(life, quick)
    assert not list(faults(found, known, quick))
    publish("states of a platform's home after a power cut, each opened and compared", len(found))

"""An opened home without a server, its callers, and sources to build."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wrapgen.platform.domain.credentials import read_credentials
from wrapgen.platform.domain.model import Algorithm, Caller
from wrapgen.platform.state import State, open_platform_state


@pytest.fixture(scope="session")
def first_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has looked over this machine once; a copy of the folder is a home like it."""
    home = tmp_path_factory.mktemp("first") / "home"
    state = open_platform_state(home)
    state.environments.offered()
    state.close()
    return home


@pytest.fixture
def open_home(tmp_path: Path, first_home: Path) -> Iterator[Callable[..., State]]:
    """Opens homes; whatever is still open is closed afterwards."""
    opened: list[State] = []

    def open_one(name: str = "home", clock: Callable[[], float] = time.time) -> State:
        if not (tmp_path / name).exists():
            shutil.copytree(first_home, tmp_path / name)
        opened.append(open_platform_state(tmp_path / name, clock=clock))
        return opened[-1]

    yield open_one
    for state in opened:
        state.close()


@pytest.fixture
def state(open_home: Callable[..., State]) -> State:
    return open_home()


@pytest.fixture
def local(state: State) -> Caller:
    """The first account, by its standard key."""
    return state.accounts.caller(read_credentials(state.home)["api_key"])


@pytest.fixture
def other(state: State) -> Caller:
    """Another user."""
    state.accounts.create("user", "jane", {})
    key, _ = state.accounts.create_key("jane")
    return state.accounts.caller(key)


@pytest.fixture
def commit(state: State, tmp_path: Path) -> Callable[..., str]:
    """Replaces an algorithm's source by files given as path and text, with real git; the commit's hash."""

    def make(algorithm: Algorithm, files: dict[str, str]) -> str:
        work = tmp_path / f"work-{algorithm.id}"
        repository = state.repositories.path(algorithm.id)
        who = {"NAME": "Test", "EMAIL": "test@example.org"}
        variables = {
            f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()
        }
        variables |= {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

        def git(*words: str) -> str:
            done = subprocess.run(
                ["git", *words], cwd=work, env=variables, check=True, capture_output=True, text=True
            )
            return done.stdout.strip()

        if not work.exists():
            work.mkdir()
            git("clone", "-q", str(repository), ".")
        git("rm", "-rqf", "--ignore-unmatch", ".")
        for name, text in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text)
        git("add", "-A")
        git("commit", "-qm", "Change", "--allow-empty")
        git("push", "-q", "origin", "HEAD:master")
        return git("rev-parse", "HEAD")

    return make


@pytest.fixture
def plain() -> Callable[[str], dict[str, str]]:
    """Files of an algorithm that needs nothing installed."""

    def files(name: str) -> dict[str, str]:
        return {
            "algorithmia.conf": f'{{"username": "local", "algoname": "{name}", "langauge": "python3"}}',
            "src/__init__.py": "",
            f"src/{name}.py": "def apply(input):\n    return input\n",
        }

    return files

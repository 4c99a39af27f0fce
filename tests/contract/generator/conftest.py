"""A real local platform with a target and a wrapper on it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shouting import ENVIRONMENT, SPEC, User, publish_target


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a platform that runs as long as these tests."""
    folder = tmp_path_factory.mktemp("platform") / "home"
    command = [
        sys.executable,
        "-m",
        "wrapgen",
        "serve",
        "--home",
        str(folder),
        "--port",
        "0",
        "--json",
        "--allow-root-workers",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as server:
        assert server.stdout is not None
        assert server.stdout.readline(), "the platform did not start"
        yield folder
        server.terminate()


@pytest.fixture(scope="session")
def user(served: Path, tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user who has published the target, and a wrapper of it as `generated/ShoutBatch`."""
    made = User(tmp_path_factory.mktemp("user"), served)
    assert publish_target(made) == "nlp/Shout/0.1.0"
    (made.folder / "spec.yaml").write_text(SPEC)
    made.wrapgen("build")
    made.wrapgen("publish", "generated/ShoutBatch", "--home", served)
    return made


@pytest.fixture
def address(user: User) -> dict[str, str]:
    """The variables by which the vendor's clients find the platform and the key."""
    known = json.loads((user.home / "credentials.json").read_text())
    return {**ENVIRONMENT, "ALGORITHMIA_API": known["address"], "ALGORITHMIA_API_KEY": known["api_key"]}

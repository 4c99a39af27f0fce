"""A real local platform for the tests of publishing, and small projects to publish."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import commands
import pytest

from wrapgen.client import Client, connect
from wrapgen.publish import Project, publish

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA")}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
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


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    """A client of that platform, as its first account."""
    with connect(home=home) as made:
        yield made


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Makes a project's folder: a plain `apply` that needs no installation, named after the test."""
    count = 0

    def project(answer: str = "1", *, owner: str = "acme", name: str | None = None, **files: str) -> Path:
        nonlocal count
        count += 1
        algorithm = name or "T" + "".join(c for c in request.node.name.title() if c.isalnum())[-28:]
        folder = tmp_path / f"project{count}"
        (folder / "src").mkdir(parents=True)
        conf = {"username": owner, "algoname": algorithm, "langauge": "python3"}
        (folder / "algorithmia.conf").write_text(json.dumps(conf))
        (folder / "requirements.txt").write_text("")
        (folder / "src" / "__init__.py").write_text("")
        (folder / "src" / f"{algorithm}.py").write_text(f"def apply(input):\n    return {answer}\n")
        for path, text in files.items():
            (folder / path.replace("__", ".")).write_text(text)
        return folder

    return project


class Publisher:
    """Publishes folders with one client and keeps what was said."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.said: list[str] = []

    def __call__(self, folder: Path, *, name: str | None = None, **options: Any) -> Any:
        self.said = []
        return publish(Project.read(folder, name=name), self.client, say=self.said.append, **options)


@pytest.fixture
def publisher(client: Client) -> Publisher:
    """Publishes to the platform."""
    return Publisher(client)


@pytest.fixture
def wrapgen(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a wrapgen command against the platform as a user would."""

    def run(*words: str, at_home: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        where = ["--home", str(home)] if at_home else []
        return commands.run(
            *words, *where, **{"cwd": Path.cwd(), "env": ENVIRONMENT, "timeout": 120, **options}
        )

    return run


@pytest.fixture
def write_spec() -> Callable[..., Path]:
    """Puts a spec into a project's folder, which makes a wrapper of it."""

    def write(
        folder: Path, url: str, *, datastore: str = "", publish: str = "", target: str = "nlp/Any/1.0.0"
    ) -> Path:
        text = (
            f"version: 1\ntarget:\n  algorithm: {target}\n"
            f"wrapper:\n  name: {Project.read(folder).reference}\n  mode: both\n"
            f"datastore:\n  url: {url}\n{datastore}"
        )
        (folder / "spec.yaml").write_text(text + (f"publish:\n{publish}" if publish else ""))
        return folder / "spec.yaml"

    return write

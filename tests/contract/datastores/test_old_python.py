"""The SQL and queue datastores under every interpreter from 3.7 to 3.13, with the libraries it gets."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from places import FifoQueue, Maria, PostgreSQL, Sql, Sqlite
from servers import Server

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "templates" / "algorithm" / "src" / "runtime"
VERSIONS = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
QUICK = {"3.7", "3.10", "3.13"}
"""The ends and the middle; what pip finds for the others differs in numbers only."""


def interpreters() -> ModuleType:
    """How the tests of generated wrappers find interpreters and make environments for them."""
    path = ROOT / "tests" / "generated" / "interpreters.py"
    spec = importlib.util.spec_from_file_location("interpreters", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found() -> ModuleType:
    """The interpreters of this machine."""
    return interpreters()


@pytest.mark.parametrize(
    "version",
    [version if version in QUICK else pytest.param(version, marks=pytest.mark.soak) for version in VERSIONS],
)
def test_the_datastores_work_with_what_an_old_interpreter_gets(
    version: str, found: ModuleType, sqs: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Precedence holds in every database, a refusal is told apart, and a queue takes a message."""
    try:
        python = found.environment(version)
    except found.Missing as missing:
        pytest.skip(str(missing))
    places: list[Sql] = [Sqlite(None, tmp_path)]
    for kind in (PostgreSQL, Maria):
        with contextlib.suppress(pytest.skip.Exception):  # that server is missing here
            places.append(kind(request.getfixturevalue(kind.server), tmp_path))
    queue = FifoQueue(sqs, tmp_path)
    urls = [*(place.url for place in places), queue.url]
    script = Path(__file__).with_name("old_python.py")
    done = subprocess.run(
        [str(python), "-W", "error::DeprecationWarning:runtime", str(script), str(SOURCE), *urls],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
    )
    assert done.returncode == 0, done.stderr
    for place in places:
        assert [fields["result"] for fields in place.read().values()] == ["best"] * 6
        place.close()
    assert [name for _, name in queue.read()] == ["message"]
    queue.close()

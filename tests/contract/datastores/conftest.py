"""The wrapper's own datastores over real stores: each kind is a `Place` that the one suite runs against."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "templates" / "algorithm" / "src" / "runtime"
sys.path.insert(0, str(Path(__file__).parent))

if "runtime" not in sys.modules:  # the modules of the templates, as tests/wrapper names them
    spec = importlib.util.spec_from_file_location(
        "runtime", SOURCE / "__init__.py", submodule_search_locations=[str(SOURCE)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules["runtime"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["runtime"])

import places  # noqa: E402
from servers import MariaDB, Missing, Platform, Postgres, Server, Sqs, running  # noqa: E402


def _served(make: Callable[[], Server]) -> Iterator[Server]:
    try:
        with running(make) as server:
            yield server
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server of this session."""
    yield from _served(Postgres)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """A MariaDB server of this session."""
    yield from _served(MariaDB)


@pytest.fixture(scope="session")
def sqs() -> Iterator[Server]:
    """An SQS server of this session, with keys in the environment where boto3 looks for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield from _served(Sqs)


@pytest.fixture(scope="session")
def platform() -> Iterator[Server]:
    """The platform of wrapgen, for data URLs."""
    yield from _served(Platform)


@pytest.fixture(scope="session")
def connected(platform: Server, sqs: Server) -> Server:
    """The platform with an s3:// connector to a bucket, which the same server as the queues holds."""
    assert isinstance(platform, Platform)
    platform.bucket = "archive"
    places.client_of(sqs.port, "s3").create_bucket(Bucket=platform.bucket)
    platform.connect(f"http://127.0.0.1:{sqs.port}")
    return platform


@pytest.fixture(params=list(places.KINDS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[places.Place]:
    """An empty datastore of each kind."""
    kind = places.KINDS[request.param]
    server = request.getfixturevalue(kind.server) if kind.server else None
    with contextlib.closing(kind(server, tmp_path)) as made:
        yield made

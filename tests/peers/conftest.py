"""A model server for each test: its stand-in, and the real one where `make peers` installed it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

for folder in (Path(__file__).parent, Path(__file__).parents[1] / "endpoints"):
    sys.path.insert(0, str(folder))  # modules shared by the tests of these folders

import real_servers  # noqa: E402
import stand_in_servers  # noqa: E402


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], str]]:
    """`address(name, kind)`: where a server of that name is, started once; kind is stand-in or real."""
    known: dict[tuple[str, str], str] = {}
    with ExitStack() as stack:

        def found(name: str, kind: str) -> str:
            if kind == "real" and (reason := real_servers.missing(name)):
                pytest.skip(reason)
            if (name, kind) not in known:
                folder = tmp_path_factory.mktemp(name)
                if kind == "real":
                    known[name, kind] = stack.enter_context(real_servers.server(name, folder)).address
                else:
                    handler = stand_in_servers.handler(name)
                    known[name, kind] = stack.enter_context(stand_in_servers.stand_in(handler))
            return known[name, kind]

        yield found

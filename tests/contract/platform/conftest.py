"""A real `wrapgen serve` for the vendor's own clients, started as a user would start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import Algorithmia
import pytest


@dataclass(frozen=True)
class Platform:
    """Where the platform is, and the keys of its first account."""

    address: str
    key: str
    admin_key: str
    home: Path

    def client(self) -> Algorithmia.Client:
        """The vendor's client with the standard key."""
        return Algorithmia.client(self.key, self.address)

    def admin(self) -> Algorithmia.Client:
        """The vendor's client with the admin key."""
        return Algorithmia.client(self.admin_key, self.address)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One platform for all contract tests; it must end cleanly."""
    home = tmp_path_factory.mktemp("contract") / "home"
    command = [
        sys.executable,
        "-m",
        "wrapgen",
        "serve",
        "--home",
        str(home),
        "--port",
        "0",
        "--json",
        "--allow-root-workers",
    ]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        kept = json.loads((home / "credentials.json").read_text())
        try:
            yield Platform(ready["address"], kept["api_key"], kept["admin_key"], home)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@pytest.fixture(scope="session")
def hello(platform: Platform) -> str:
    """`local/Hello/0.1.0`: the template's algorithm, published as public by the vendor's client."""
    algorithm = platform.client().algo("local/Hello")
    settings = {
        "source_visibility": "closed",
        "license": "apl",
        "network_access": "full",
        "pipeline_enabled": True,
        "language": "python3",
        "environment": "cpu",
    }
    algorithm.create({"label": "Hello"}, settings)
    algorithm.compile()
    algorithm.publish(settings={"algorithm_callability": "public"})
    return "local/Hello/0.1.0"

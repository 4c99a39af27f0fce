"""A real `wrapgen serve` on a free loopback port, the vendor's client for it, and algorithms to call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import Algorithmia
import pytest
import requests

HERE = Path(__file__).parent
SETTINGS = {
    "source_visibility": "closed",
    "license": "apl",
    "network_access": "full",
    "pipeline_enabled": True,
}


@dataclass
class Server:
    """A running platform: its process, and the facts of its ready line."""

    process: subprocess.Popen[bytes]
    facts: dict[str, Any]
    verify: str | bool = True

    @property
    def address(self) -> str:
        return str(self.facts["address"])

    @property
    def key(self) -> str:
        return str(self.facts["api_key"])

    @property
    def home(self) -> Path:
        return Path(self.facts["home"])

    @property
    def admin_key(self) -> str:
        return str(json.loads((self.home / "credentials.json").read_text())["admin_key"])

    def client(self, key: str | None = None) -> Algorithmia.client:
        return Algorithmia.client(self.key if key is None else key, self.address)

    def request(self, method: str, path: str, key: str | None = None, **options: Any) -> requests.Response:
        """One HTTP request; the key is the first account's unless another (or an empty one) is given."""
        headers = {"Authorization": self.key if key is None else key, **options.pop("headers", {})}
        options.setdefault("verify", self.verify)
        return requests.request(method, self.address + path, headers=headers, timeout=60, **options)

    def admin(self, method: str, path: str, body: Any = None) -> requests.Response:
        """One HTTP request with the admin key."""
        return self.request(method, path, self.admin_key, json=body)

    def user(self, prefix: str = "user", **permissions: Any) -> tuple[str, str]:
        """A new user whose name no other test has, and a key of theirs with the given restrictions."""
        name = f"{prefix}{uuid.uuid4().hex[:12]}"
        made = self.admin("POST", "/v1/users", {"username": name, "email": f"{name}@example.org"})
        assert made.ok, made.text
        body = {"permissions": permissions} if permissions else {}
        return name, self.admin("POST", f"/v1/admin/users/{name}/keys", body).json()["api_key"]

    def call(self, reference: str, value: Any, key: str | None = None, **query: Any) -> requests.Response:
        """One call with a JSON input."""
        return self.request("POST", f"/v1/algo/{reference}", key, json=value, params=query)

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        code = self.process.wait(timeout=120)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def start_server(home: Path, *options: str) -> Server:
    """Starts `wrapgen serve` and waits until it says that it is ready."""
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
        *options,
    ]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA_")}
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, env=variables)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the server ended with code {process.wait()}"
    return Server(process, json.loads(line))


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers of the test's own; whatever still runs is stopped afterwards."""
    running: list[Server] = []

    def start(home: Path, *options: str) -> Server:
        running.append(start_server(home, *options))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One platform for the tests that leave it as they found it."""
    started = start_server(tmp_path_factory.mktemp("platform") / "home", "--workers", "4")
    yield started
    assert started.stop() == 0


def host(
    server: Server, name: str, folder: Path, environment: str | None = None, callability: str = "public"
) -> str:
    """Creates an algorithm of the first account, pushes a folder as its source, publishes it as 0.1.0."""
    owner, environments = server.facts["account"], server.facts["environments"]
    chosen = environment or f"python{sys.version_info[0]}{sys.version_info[1]}"
    assert chosen in environments
    body = {
        "name": name,
        "details": {"label": name},
        "settings": {**SETTINGS, "algorithm_environment": chosen},
    }
    made = server.request("POST", f"/v1/algorithms/{owner}", json=body)
    assert made.status_code == 201, made.text
    push(server, f"{owner}/{name}", folder)
    release = {"settings": {"algorithm_callability": callability}}
    released = server.request("POST", f"/v1/algorithms/{owner}/{name}/versions", json=release)
    assert released.status_code == 200, released.text
    return f"{owner}/{name}"


def push(server: Server, algorithm: str, folder: Path) -> None:
    """Replaces the source of an algorithm with a folder, with real git, and waits for the build."""
    work = server.home.parent / f"checkout-{algorithm.replace('/', '-')}"
    scheme, _, place = server.address.partition("://")
    remote = f"{scheme}://{server.facts['account']}:{server.key}@{place}/git/{algorithm}.git"
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-C"]
    subprocess.run(["git", "clone", "-q", remote, str(work)], check=True)
    subprocess.run([*git, str(work), "rm", "-rq", "."], check=True)
    subprocess.run(["cp", "-r", f"{folder}/.", str(work)], check=True)
    subprocess.run([*git, str(work), "add", "-A"], check=True)
    subprocess.run([*git, str(work), "commit", "-qm", "Replace the source"], check=True)
    subprocess.run([*git, str(work), "push", "-q", "origin", "HEAD:master"], check=True)
    built = server.request("POST", f"/v1/algorithms/{algorithm}/compile", json={})
    assert built.status_code == 200, built.text


@pytest.fixture(scope="session")
def zoo(server: Server) -> str:
    """`owner/name` of the algorithm that does what its input asks."""
    return host(server, "Zoo", HERE / "zoo")


@pytest.fixture
def publish() -> Callable[..., str]:
    """Hosts a folder on a server of the test's own: `publish(server, name, folder)` gives `owner/name`."""
    return host


@pytest.fixture
def zoo_folder() -> Path:
    """The source of the algorithm that does what its input asks."""
    return HERE / "zoo"

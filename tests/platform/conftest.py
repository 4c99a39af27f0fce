"""A real `wrapgen serve` on a free loopback port, the vendor's client for it, and algorithms to call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import Algorithmia
import pytest
import requests

from wrapgen.platform.workers.sandbox import Isolation, Sandbox

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # `attacks` is shared by the tests of this folder
from buckets import bucket, storage  # noqa: E402, F401

SETTINGS = {"source_visibility": "closed", "license": "apl", "network_access": "full"}


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


def start_server(
    home: Path, *options: str, program: Sequence[str] = ("-m", "wrapgen"), before: Sequence[str] = ()
) -> Server:
    """Starts `wrapgen serve`, behind the words of `before`, and waits until it says that it is ready."""
    # Most tests let algorithms speak through files of this machine; those of the sandbox ask for it.
    isolation = [] if "--isolation" in options else ["--isolation", "none"]
    command = [*before, sys.executable, *program, "serve", "--home", str(home), "--port", "0", "--json"]
    command += [*options, "--allow-root-workers", *isolation]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA_")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=variables)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the server ended with code {process.wait()}"
    facts = json.loads(line)
    return Server(process, {**facts, **json.loads(Path(facts["credentials"]).read_text())})


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers of the test's own; whatever still runs is stopped afterwards."""
    running: list[Server] = []

    def start(home: Path, *options: str, **more: Any) -> Server:
        running.append(start_server(home, *options, **more))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.stop()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A platform that gives slow clients two seconds."""
    program = "import sys; from wrapgen.cli.main import main; from wrapgen.platform.api import protocol; "
    program += "protocol.HEAD_SECONDS = protocol.BODY_SECONDS = 2.0; sys.exit(main())"
    started = start_server(tmp_path_factory.mktemp("impatient") / "home", program=("-c", program))
    yield started
    started.stop()


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


def host_module(
    server: Server,
    user: str,
    key: str,
    source: str,
    callability: str = "public",
    *,
    parent: Path,
    account: str = "",
) -> str:
    """Hosts a module that has `apply` as an algorithm of a user, or an organization; `owner/name/0.1.0`."""
    owner, name = account or user, f"Made{uuid.uuid4().hex[:8]}"
    work = parent / name
    assert server.request("POST", f"/v1/algorithms/{owner}", key, json={"name": name}).status_code == 201
    remote = server.address.replace("//", f"//{user}:{key}@") + f"/git/{owner}/{name}.git"
    subprocess.run(["git", "clone", "-q", remote, str(work)], check=True)
    for template in (".adk", "requirements.txt"):
        (work / template).unlink(missing_ok=True)
    (work / "src" / f"{name}.py").write_text(source)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-C", str(work)]
    subprocess.run([*git, "commit", "-qam", "Do as the test asks"], check=True)
    subprocess.run([*git, "push", "-q", "origin", "HEAD:master"], check=True)
    place = f"/v1/algorithms/{owner}/{name}"
    assert server.request("POST", f"{place}/compile", key).json()["compilation"]["successful"] is True
    body = {"settings": {"algorithm_callability": callability}}
    assert server.request("POST", f"{place}/versions", key, json=body).status_code == 200
    return f"{owner}/{name}/0.1.0"


@pytest.fixture
def module(tmp_path: Path) -> Callable[..., str]:
    """Hosts a module: `module(server, owner, key, source)` gives `owner/name/0.1.0`."""
    return partial(host_module, parent=tmp_path)


@pytest.fixture(scope="session")
def sender(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A public algorithm that sends the requests it is asked to, and answers status, body and headers."""
    source = (HERE / "sender.py").read_text()
    return host_module(server, "local", server.key, source, parent=tmp_path_factory.mktemp("sender"))


@pytest.fixture
def zoo_folder() -> Path:
    """The source of the algorithm that does what its input asks."""
    return HERE / "zoo"


NOTHING = {"allow_data": False, "allow_data_write": False, "allow_algo_management": False, "algo_acl": []}
PAGES = {"allow_algo": False, "referer_host": "a.org"}


class World:
    """An account's things on one server, and a key of each kind; `hush` is in all that it keeps to itself."""

    def __init__(self, server: Server, zoo: str) -> None:
        self.server = server
        self.hush = f"hush{uuid.uuid4().hex[:12]}"
        self.owner, key = server.user("owner")
        self.stranger, stranger_key = server.user("stranger")
        self.gone, gone_key = server.user("gone")
        self.document = server.request("GET", "/v1/openapi.json", "").json()
        self.keys = {
            "none": "",
            "wrong": "simWRONGWRONGWRONGWRONGWRONG",
            "revoked": key,
            "gone": gone_key,
            "stranger": stranger_key,
            "admin": server.admin_key,
            "owner": key,
        }
        assert server.admin("DELETE", f"/v1/users/{self.gone}").ok
        for kind, rights in (("restricted", NOTHING), ("elsewhere", PAGES), ("revoked", {})):
            self.keys[kind] = self.made("POST", f"/v1/users/{self.owner}/keys", {"permissions": rights})[
                "api_key"
            ]
        listed = self.made("GET", f"/v1/users/{self.owner}/keys")
        self.made("DELETE", f"/v1/users/{self.owner}/keys/{listed[-1]['id']}")
        self.values = {**self._common(zoo), **self.algorithm("Secret"), **self.data()}
        self.values |= {**self.released(), **self.organization(), **self.api_key()}

    def made(self, method: str, path: str, body: Any = None, kind: str = "owner") -> Any:
        """What the platform answers to the owner."""
        data = {"data": body} if isinstance(body, bytes) else {"json": body}
        answer = self.server.request(method, path, self.keys[kind], **data)
        assert answer.ok, (method, path, answer.text)
        return answer.json() if answer.content else {}

    def _common(self, zoo: str) -> dict[str, str]:
        specifications = "/v1/algorithm-environments/edge/languages/python3/environments"
        found = self.made("GET", specifications)["environments"][0]
        return {
            "hush": self.hush,
            "owner": self.owner,
            "user": self.owner,
            "connector": "data",
            "scm": "internal",
            "language": "python3",
            "specification": found["environment_specification_id"],
            "public": zoo,
            "public_id": self.server.request("GET", f"/v1/algorithms/{zoo}").json()["id"],
        }

    def algorithm(self, name: str = "") -> dict[str, str]:
        """A private algorithm, not built yet."""
        body = {"name": name or f"New{uuid.uuid4().hex[:8]}", "details": {"label": self.hush}}
        made = self.made("POST", f"/v1/algorithms/{self.owner}", body)
        return {"id": made["id"], "name": made["name"]}

    def built(self) -> dict[str, str]:
        """A private algorithm with a build that can be published."""
        found = self.algorithm()
        self.made("POST", f"/v1/algorithms/{found['id']}/compile", {})
        return found

    def released(self) -> dict[str, str]:
        """A private release of the algorithm that is there, its secret, and a void call that has ended."""
        place = f"/v1/algorithms/{self.values['id']}"
        self.made("POST", f"{place}/compile", {})
        git_hash = self.made("POST", f"{place}/versions", {})["version_info"]["git_hash"]
        called = self.made("POST", f"/v1/algo/{self.owner}/Secret/0.1.0?output=void", self.hush)["request_id"]
        self.ended(called)
        return {
            "version": "0.1.0",
            "git_hash": git_hash,
            "build_id": self.made("GET", f"{place}/builds")["results"][0]["build_id"],
            "request_id": called,
            **self.secret(),
        }

    def ended(self, request_id: str) -> None:
        """Waits until a void call of the owner has ended."""
        while self.server.request("GET", f"/v1/requests/{request_id}", self.keys["owner"]).status_code == 202:
            threading.Event().wait(0.02)

    def secret(self) -> dict[str, str]:
        """A secret of the algorithm that is there."""
        body = {"short_name": self.hush, "secret_key": f"V{uuid.uuid4().hex[:8]}", "secret_value": "x"}
        made = self.made("POST", f"/v1/algorithms/{self.values['id']}/secrets", body)
        return {"secret_id": made["id"]}

    def data(self) -> dict[str, str]:
        """A private file in a private collection."""
        name = f"col{uuid.uuid4().hex[:8]}"
        self.made("POST", f"/v1/data/{self.owner}", {"name": name, "acl": {"read": []}})
        self.made("PUT", f"/v1/data/{self.owner}/{name}/file", self.hush.encode())
        (found,) = (
            each for each in self.made("GET", "/v1/hostedData")["result"] if each["collection_name"] == name
        )
        place = f"{self.owner}/{name}"
        return {"path": f"{place}/file", "collection": place, "collection_id": found["id"]}

    def organization(self) -> dict[str, str]:
        """An organization that the owner is a member of."""
        name = f"org{uuid.uuid4().hex[:12]}"
        body = {"org_name": name, "org_label": self.hush, "external_id": name}
        self.made("POST", "/v1/organizations", body, "admin")
        self.made("PUT", f"/v1/organizations/{name}/members/{self.owner}", None, "admin")
        return {"org": name, "external": name}

    def api_key(self) -> dict[str, str]:
        """A key of the owner."""
        return {"key": self.made("POST", f"/v1/users/{self.owner}/keys", {"key_label": self.hush})["id"]}

    def organizations_key(self) -> dict[str, str]:
        """A key of the organization that is there."""
        return {"key": self.made("POST", f"/v1/organizations/{self.values['org']}/keys", {})["id"]}

    def user(self) -> dict[str, str]:
        """Another user, to be deleted."""
        return {"user": self.server.user()[0]}

    def storage(self) -> dict[str, str]:
        """A connector of the owner."""
        body = {"bucket": "b", "access_key_id": "i", "secret_access_key": "s"}
        self.made("PUT", f"/v1/admin/users/{self.owner}/connectors/s3", body, "admin")
        return {"connector": "s3"}

    def scm(self) -> dict[str, str]:
        """A source host that is switched on."""
        return {
            "scm": self.made("POST", "/v1/admin/scms", {"provider": "github", "enabled": True}, "admin")["id"]
        }

    def another(self) -> dict[str, str]:
        """A name nobody has."""
        return {"new": f"new{uuid.uuid4().hex[:8]}"}


@pytest.fixture(scope="module")
def world(server: Server, zoo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What keys are tried on; one of them is that of an algorithm which runs for the owner all the time."""
    made, folder = World(server, zoo), tmp_path_factory.mktemp("world")
    key, gate = folder / "key", folder / "gate"
    body = {"op": "wait", "path": str(gate), "key": str(key)}
    running = made.made("POST", f"/v1/algo/{zoo}?output=void&timeout=3000", body)["request_id"]
    while not key.exists():
        threading.Event().wait(0.02)
    made.keys["algorithm"] = key.read_text()
    yield made
    gate.touch()
    made.ended(running)


@pytest.fixture
def sandboxed(serve: Callable[..., Server], tmp_path: Path) -> Server:
    """A server with a sandbox; skipped where there can be none."""
    (tmp_path / "tried").mkdir()
    if Sandbox.find(tmp_path / "tried", Isolation("auto")) is None:
        pytest.skip("bubblewrap is not installed, or not allowed here")
    return serve(tmp_path / "home", "--isolation", "bubblewrap", "--grace", "0")

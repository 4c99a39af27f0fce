"""A cluster with a certificate authority of its own: calls and git trust it where it is named, else not."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wrapgen.build.engines import generate_engine
from wrapgen.client import Client, Connection
from wrapgen.client.exchange import ConnectionOpener
from wrapgen.client.proxies import Proxy
from wrapgen.errors import PlatformError
from wrapgen.run.integrations.plain_calls import PlainCalls
from wrapgen.spec import parse

SPEC = b"""
version: 1
target: {algorithm: nlp/SentimentAnalysis/1.0.5}
wrapper: {name: acme/Batch, mode: batch}
"""
BARE = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA")}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody knows, with its key beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    words = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", *words.split(), *files], check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.fixture(scope="module")
def cluster(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a platform behind TLS."""
    home = tmp_path_factory.mktemp("cluster") / "home"
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
    tls = ["--certificate", str(certificate), "--private-key", str(certificate.with_name("key.pem"))]
    with subprocess.Popen([*command, *tls], stdout=subprocess.PIPE, text=True, env=BARE) as server:
        assert server.stdout is not None
        assert server.stdout.readline(), "the platform did not start"
        yield home
        server.terminate()


def test_an_unknown_authority_is_refused_and_a_named_one_trusted(cluster: Path, certificate: Path) -> None:
    """Without the authority the error says where to name it."""
    known = json.loads((cluster / "credentials.json").read_text())
    assert known["address"].startswith("https://")
    stranger = Client(Connection(known["address"], known["api_key"], "a test"))
    with pytest.raises(PlatformError, match="trusted") as caught:
        stranger.account()
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint
    friend = Client(Connection(known["address"], known["api_key"], "a test", ca_cert=str(certificate)))
    assert friend.account() == "local"


def test_publishing_over_tls_trusts_the_named_authority(cluster: Path, certificate: Path, make) -> None:
    """git trusts it too."""
    command = [sys.executable, "-m", "wrapgen", "publish", str(make()), "--home", str(cluster)]
    env = {**BARE, "REQUESTS_CA_BUNDLE": str(certificate)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("source", ["profile", "variable", "folder", "executor"])
def test_tasks_on_other_machines_trust_it_too(
    cluster: Path, certificate: Path, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What profile and variables name on the driver reaches executors, which have none of the files."""
    known = json.loads((cluster / "credentials.json").read_text())
    named = Path(shutil.copy(certificate, tmp_path / "authority.pem"))
    if source == "profile":
        (tmp_path / ".algorithmia").mkdir()
        (tmp_path / ".algorithmia" / "config").write_text(
            f"[profiles.default]\napi_key = '{known['api_key']}'\napi_server = '{known['address']}'\n"
            f"ca_cert = '{named}'\n"
        )
    else:
        monkeypatch.setenv("ALGORITHMIA_API", known["address"])
        monkeypatch.setenv("ALGORITHMIA_API_KEY", known["api_key"])
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(named if source == "variable" else tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    sent = pickle.dumps(PlainCalls.of_environment())
    for name in ("ALGORITHMIA_API", "ALGORITHMIA_API_KEY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    if source == "executor":  # which has authorities of its own, where the driver needed none
        driver = Connection(known["address"], known["api_key"], "the driver")
        sent = pickle.dumps(PlainCalls(driver.portable()))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    named.unlink()
    sideband = pickle.loads(sent).host("acme/Batch/1.0.0").sideband
    assert sideband.fetch(sideband.upload(b"[1]")) == b"[1]"


LAMBDA = """
import sys, handler
class Context:
    def get_remaining_time_in_millis(self): return 9000
record = {"messageId": "1", "body": "x", "eventSourceARN": "arn:aws:sqs:eu-west-1:1:q"}
handler.handle({"Records": [{**record, "attributes": {"ApproximateReceiveCount": "1"}}]}, Context())
"""


@pytest.mark.parametrize(
    ("bundle", "told"),
    [
        ("cert.pem", "404: algorithm algo://acme/Batch/1.0.0 not found"),  # so it was trusted
        ("", "name the cluster's certificate authority in REQUESTS_CA_BUNDLE"),
        ("missing.pem", "can't read the certificates in"),
        ("key.pub", "can't read the certificates in"),
    ],
)
def test_a_function_trusts_what_its_variable_names(
    cluster: Path, certificate: Path, tmp_path: Path, bundle: str, told: str
) -> None:
    """An emitted Lambda function reads the authorities as the commands do; a file that has none is told."""
    known = json.loads((cluster / "credentials.json").read_text())
    generate_engine(parse(SPEC), "lambda").write(tmp_path)
    certificate.with_name("key.pub").write_text("no certificate")
    env = {
        **BARE,
        "ALGORITHMIA_API": known["address"],
        "ALGORITHMIA_API_KEY": known["api_key"],
        "WRAPPER_VERSION": "1.0.0",
        "REQUESTS_CA_BUNDLE": bundle and str(certificate.with_name(bundle)),
    }
    command = [sys.executable, "-c", LAMBDA]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert told in done.stderr and done.returncode == 1


@pytest.fixture
def secure_proxy(certificate: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that is itself reached through TLS and tunnels to anywhere; and what it was asked for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    asked: list[bytes] = []

    def relay(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)

    def serve(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as client:
            asked.append(client.recv(65_536))
            host, _, port = asked[-1].split()[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as target:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                threading.Thread(target=relay, args=(target, client), daemon=True).start()
                relay(client, target)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"https://user:pass@127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)


def test_a_proxy_behind_tls_carries_tls(cluster: Path, certificate: Path, secure_proxy) -> None:
    """The proxy is told the host and its own login, and sees nothing of what goes through."""
    known = json.loads((cluster / "credentials.json").read_text())
    url, asked = secure_proxy
    connection = ConnectionOpener(known["address"], Proxy.parse(url), str(certificate)).open()
    headers = {"Authorization": known["api_key"]}
    for method, body, status in (("GET", b"", 200), ("PUT", b"x" * 3_000_000, 404), ("GET", b"", 200)):
        connection.request(method, "/v1/data/.my/" + "nowhere/file" * bool(body), body, headers)
        response = connection.getresponse()
        assert response.status == status and response.read()
    connection.close()
    (request,) = asked
    assert request.startswith(b"CONNECT 127.0.0.1:") and b"Proxy-Authorization: Basic dXNlcjpwYXNz" in request
    assert known["api_key"].encode() not in request


def test_a_file_of_authorities_that_is_none_is_told(cluster: Path, make, tmp_path: Path) -> None:
    """A mistyped or damaged file is one clear error."""
    for name, text in (("missing.pem", None), ("damaged.pem", "no certificate")):
        if text:
            (tmp_path / name).write_text(text)
        command = [sys.executable, "-m", "wrapgen", "call", "a/B/1.0.0", "x", "--home", str(cluster)]
        env = {**BARE, "REQUESTS_CA_BUNDLE": str(tmp_path / name)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert name in done.stderr
        assert "Traceback" not in done.stderr

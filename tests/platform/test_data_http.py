"""Hosted data over HTTP: methods, headers, encodings, streaming."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests


@pytest.fixture
def collection(server: Any) -> str:
    """The path of an empty collection of the test's own."""
    name = f"c{uuid.uuid4().hex[:10]}"
    made = server.request("POST", "/v1/data/.my", json={"name": name})
    assert (made.status_code, made.text) == (200, f'{{"result":"data://local/{name}"}}')
    return f"/v1/data/.my/{name}"


def test_a_files_life(server: Any, collection: str) -> None:
    """Put, head, get, overwritten, listed, deleted, absent: statuses, bodies and headers."""
    url, name = f"{collection}/file.json", collection.rpartition("/")[2]
    put = server.request("PUT", url, data=b'{"broken', headers={"Content-Type": "application/json"})
    assert (put.status_code, put.text) == (200, f'{{"result":"data://local/{name}/file.json"}}')
    head = server.request("HEAD", url)
    assert (head.status_code, head.headers["X-Data-Type"], head.headers["Content-Length"]) == (
        200,
        "file",
        "8",
    )
    got = server.request("GET", url)
    assert (got.content, got.headers["X-Data-Type"]) == (b'{"broken', "file")
    assert server.request("PUT", url, data=b"").status_code == 200
    assert server.request("GET", url).content == b""
    listing = server.request("GET", collection)
    assert listing.headers["X-Data-Type"] == "directory"
    (entry,) = listing.json()["files"]
    assert (entry["filename"], entry["size"]) == ("file.json", 0)
    assert entry["last_modified"].endswith("Z")
    gone = server.request("DELETE", url)
    assert (gone.status_code, gone.text) == (200, '{"result":{"deleted":1}}')
    for method in ("GET", "HEAD", "DELETE"):
        absent = server.request(method, url)
        assert absent.status_code == 404
        assert "not found" in absent.headers["X-Error-Message"]
        assert absent.json()["error"]["message"] if method != "HEAD" else not absent.content


def test_a_directorys_life(server: Any, collection: str) -> None:
    """Head and get for directories, ACL shown when asked for and changed, force to delete a full one."""
    assert server.request("HEAD", collection).headers["X-Data-Type"] == "directory"
    assert server.request("GET", collection + "/").text == "{}"
    assert server.request("GET", collection + "?acl=true").json() == {"acl": {"read": ["algo://.my/*"]}}
    patched = server.request("PATCH", collection, json={"acl": {"read": ["user://*"]}})
    assert (patched.status_code, patched.content) == (200, b"")
    assert server.request("GET", collection + "?acl=true").json()["acl"] == {"read": ["user://*"]}
    server.request("PUT", collection + "/f", data=b"x")
    refused = server.request("DELETE", collection)
    assert (refused.status_code, "not empty" in refused.json()["error"]["message"]) == (409, True)
    assert server.request("DELETE", collection + "?force=true").json() == {"result": {"deleted": 1}}
    assert server.request("HEAD", collection).status_code == 404
    assert server.request("GET", collection).status_code == 404


def test_special_collections_show_no_acl(server: Any, zoo: str) -> None:
    """.algo has none to show; it is there without having been made."""
    assert server.request("GET", f"/v1/data/.algo/{zoo}/perm?acl=true").text == "{}"


def test_the_accounts_collections_are_folders(server: Any, collection: str) -> None:
    """The root lists accounts, an account its collections; /v1/connector/data says the same."""
    name = collection.rpartition("/")[2]
    for root in ("/v1/data", "/v1/data/", "/v1/connector/data", "/v1/connector/data/"):
        assert server.request("GET", root).json()["folders"][0] == {"name": "local"}
    for path in ("/v1/data/.my", "/v1/data/LOCAL/", "/v1/connector/data/local", "/v1/connector/data/.my/"):
        assert {"name": name} in server.request("GET", path).json()["folders"]
    hosted = server.request("GET", "/v1/hostedData").json()["result"]
    assert any(each["collection_name"] == name for each in hosted)
    other = server.request("GET", "/v1/connector/s3/bucket/file")
    assert (other.status_code, "no connector s3" in other.text) == (404, True)
    other = server.request("GET", "/v1/data/s3://bucket/file")
    assert (other.status_code, "no connector s3" in other.text) == (404, True)


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a%20b.txt", "a b.txt"),
        ("a+b.txt", "a+b.txt"),
        ("a%2Bb", "a+b"),
        ("%C3%BC", "ü"),
        ("100%25", "100%"),
        ("a%3Fb%23c", "a?b#c"),
        ("x;y=1,2", "x;y=1,2"),
        ("%252e%252e", "%2e%2e"),
        ("..%00"[:2] + "hidden", "..hidden"),
    ],
)
def test_names_are_decoded_once(server: Any, collection: str, sent: str, name: str) -> None:
    """What a client encodes comes back decoded exactly once in listings."""
    assert server.request("PUT", f"{collection}/{sent}", data=b"x").status_code == 200
    assert [each["filename"] for each in server.request("GET", collection).json()["files"]] == [name]


def raw(server: Any, request: bytes) -> bytes:
    """Sends bytes as they are, which no client library would, and reads the whole answer."""
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "path",
    [
        "/v1/data/.my/../../../etc/passwd",
        "/v1/data/.my/%2e%2e/%2e%2e/credentials.json",
        "/v1/data/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/data/local/col/%2e%2e%2f%2e%2e%2fplatform.sqlite",
        "/v1/data/local/col/..",
        "/v1/data/.session/../../credentials.json",
        "/v1/data/.algo/local/../temp/f",
        "/v1/data/local/col/a%00b",
        "/v1/data/local/col/%ff%fe",
        "/v1/data/local/c%0d%0aX:y/f",
        "/v1/data//etc/passwd",
        "/v1/data/./local/x",
        "/v1/connector/data/../../platform.sqlite",
        "/git/local/..%2f..%2fcredentials.git/info/refs?service=git-upload-pack",
    ],
)
def test_no_path_leads_out_of_the_home(server: Any, path: str) -> None:
    """Climbing, encoded climbing, NUL, broken UTF-8 and line breaks end in 4xx, for reading and writing."""
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {server.key}\r\nConnection: close\r\n"
        answer = raw(server, f"{head}Content-Length: 0\r\n\r\n".encode())
        assert answer[9:12] in (b"400", b"401", b"404", b"405"), answer[:200]
    assert not (server.home.parent / "passwd").exists()


def test_a_body_of_unknown_length_is_taken(server: Any, collection: str) -> None:
    """Chunked uploads, as a Java stream makes them, are stored as they come."""

    def pieces() -> Iterator[bytes]:
        for number in range(50):
            yield bytes([number]) * 70_000

    assert server.request("PUT", f"{collection}/stream", data=pieces()).status_code == 200
    assert server.request("GET", f"{collection}/stream").content == b"".join(pieces())


def test_a_broken_upload_leaves_nothing(server: Any, collection: str) -> None:
    """A client that dies in the middle of a PUT leaves the old file and no part."""
    url = f"{collection}/file"
    server.request("PUT", url, data=b"old")
    host, port = server.address.removeprefix("http://").split(":")
    incoming = server.home / "data" / "incoming"
    others = set(incoming.iterdir())  # the server is shared
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            head = f"PUT {url} HTTP/1.1\r\nHost: x\r\nAuthorization: {server.key}\r\n"
            head += "Content-Length: 9000000\r\n\r\n"
            connection.sendall(head.encode() + b"x" * 3_000_000)
    never, deadline = threading.Event(), time.monotonic() + 120
    while set(incoming.iterdir()) - others and time.monotonic() < deadline:
        never.wait(0.05)
    assert not set(incoming.iterdir()) - others
    assert server.request("GET", url).content == b"old"
    assert len(server.request("GET", collection).json()["files"]) == 1


def test_concurrent_writers_never_mix(server: Any, collection: str) -> None:
    """Whoever reads while many write gets one writer's whole content."""
    url = f"{collection}/contended"
    contents = [bytes([65 + number]) * 300_000 for number in range(6)]
    server.request("PUT", url, data=contents[0])
    failed: list[str] = []

    def write(content: bytes) -> None:
        statuses = [server.request("PUT", url, data=content).status_code for _ in range(5)]
        failed.extend("put" for status in statuses if status != 200)

    def read() -> None:
        found = [server.request("GET", url).content for _ in range(15)]
        failed.extend("get" for content in found if content not in contents)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    threads += [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_thousands_of_files_are_listed_in_pages(server: Any, collection: str) -> None:
    """2,500 files come in three pages, each once and in order."""
    row = next(
        each
        for each in server.request("GET", "/v1/hostedData").json()["result"]
        if each["collection_name"] == collection.rpartition("/")[2]
    )
    folder = server.home / "data" / "collections" / row["id"]
    for number in range(2500):
        (folder / f"_{number:05}.json").write_bytes(b"{}")
    names, marker, pages = [], None, 0
    while True:
        query = {"marker": marker} if marker else {}
        page = server.request("GET", collection, params=query).json()
        names += [each["filename"] for each in page["files"]]
        pages += 1
        marker = page.get("marker")
        if marker is None:
            break
    assert (names, pages) == ([f"{number:05}.json" for number in range(2500)], 3)


def resident(pid: int) -> int:
    """Bytes of memory a process holds now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def stream_through(server: Any, collection: str, size: int) -> int:
    """Uploads and downloads so many bytes, comparing digests; by how much the server's memory grew."""
    block, sent, got = os.urandom(1024 * 1024), hashlib.md5(), hashlib.md5()
    before = peak = resident(server.facts["pid"])

    def pieces() -> Iterator[bytes]:
        for _ in range(size // len(block)):
            sent.update(block)
            yield block

    assert server.request("PUT", f"{collection}/large", data=pieces()).status_code == 200
    peak = max(peak, resident(server.facts["pid"]))
    with server.request("GET", f"{collection}/large", stream=True) as answer:
        for piece in answer.iter_content(1024 * 1024):
            got.update(piece)
            peak = max(peak, resident(server.facts["pid"]))
    assert sent.digest() == got.digest()
    return peak - before


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")
def test_memory_is_flat_while_a_large_file_passes(server: Any, collection: str) -> None:
    """200 MB go in and out with less than 40 MB of memory more."""
    assert stream_through(server, collection, 200 * 1024 * 1024) < 40 * 1024 * 1024


@pytest.mark.soak
def test_files_of_several_gigabytes(server: Any, collection: str) -> None:
    """5 GB go in and out with less than 40 MB of memory more."""
    assert stream_through(server, collection, 5 * 1024**3) < 40 * 1024 * 1024


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'"x"', 400), (b"", 400), (b'{"name": 5}', 400), (b'{"name": "a/b"}', 400)],
)
def test_odd_bodies_of_a_new_collection(server: Any, body: bytes, status: int) -> None:
    """Nothing but an object with a possible name makes a collection."""
    answer = server.request("POST", "/v1/data/.my", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text


def test_an_odd_acl_is_refused(server: Any, collection: str) -> None:
    """An ACL that is none of the three is an error that lists them."""
    for acl in ({"read": "user://*"}, {"read": [1]}, {"write": []}, [], {"read": ["user://jane"]}):
        answer = server.request("PATCH", collection, json={"acl": acl})
        assert answer.status_code == 400, answer.text
    assert server.request("PATCH", collection, json={}).status_code == 400


def test_errors_of_reads_are_json(server: Any) -> None:
    """The vendor's client parses every error body of a GET."""
    answer = requests.get(f"{server.address}/v1/data/local/none/file", headers={"Authorization": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 2002)

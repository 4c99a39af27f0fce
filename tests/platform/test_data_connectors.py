"""Other storage under the data API: a real S3-speaking server, reached by s3:// paths."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from html import escape
from typing import Any
from urllib.parse import quote_plus

import pytest
import requests

CREDENTIALS = {"access_key_id": "an-id", "secret_access_key": "a-secret"}


@pytest.fixture
def user(server: Any, storage: str, bucket: str) -> tuple[str, str]:
    """A user with a connector for that bucket, and the user's key."""
    name = f"u{uuid.uuid4().hex[:8]}"
    server.request("POST", "/v1/users", server.admin_key, json={"username": name, "email": f"{name}@x.org"})
    key = server.request("POST", f"/v1/admin/users/{name}/keys", server.admin_key, json={}).json()["api_key"]
    settings = {"endpoint_url": storage, "bucket": bucket, **CREDENTIALS}
    made = server.request("PUT", f"/v1/admin/users/{name}/connectors/s3", server.admin_key, json=settings)
    assert made.status_code == 200, made.text
    assert "a-secret" not in made.text
    return name, key


def test_a_files_life(server: Any, user: tuple[str, str], bucket: str) -> None:
    """Put, head, get, listed, deleted, in each spelling of the path."""
    key, name = user[1], f"f{uuid.uuid4().hex[:6]}.bin"
    plain = f"/v1/data/s3://{bucket}/folder/{name}"
    put = server.request("PUT", plain, key, data=b"\x00content")
    assert (put.status_code, put.json()) == (200, {"result": f"s3://{bucket}/folder/{name}"})
    encoded = "/v1/data/" + quote_plus(f"s3://{bucket}/folder/{name}")
    for path in (plain, encoded, f"/v1/connector/s3/{bucket}/folder/{name}"):
        got = server.request("GET", path, key)
        assert (got.content, got.headers["X-Data-Type"]) == (b"\x00content", "file")
        head = server.request("HEAD", path, key)
        assert (head.status_code, head.headers["Content-Length"]) == (200, "8")
    listing = server.request("GET", f"/v1/data/s3://{bucket}/folder/", key)
    assert listing.headers["X-Data-Type"] == "directory"
    (entry,) = [each for each in listing.json()["files"] if each["filename"] == name]
    assert entry["size"] == 8
    assert {"name": "folder"} in server.request("GET", f"/v1/data/s3://{bucket}", key).json()["folders"]
    assert server.request("DELETE", plain, key).json() == {"result": {"deleted": 1}}
    for method in ("GET", "HEAD", "DELETE"):
        assert server.request(method, plain, key).status_code == 404


def test_the_vendors_client_reads_and_writes(server: Any, user: tuple[str, str], bucket: str) -> None:
    """`client.file("s3://...")` works as for hosted data."""
    client = server.client(user[1])
    file = client.file(f"s3://{bucket}/client/a b.txt")
    assert file.exists() is False
    file.put("text")
    assert file.getString() == "text"
    assert [each.getName() for each in client.dir(f"s3://{bucket}/client").files()] == ["a b.txt"]
    assert client.dir(f"s3://{bucket}/client").delete(force=True) is True
    assert file.exists() is False


def test_directories(server: Any, user: tuple[str, str], bucket: str) -> None:
    """A refusal to delete a full one without force, no ACL, nothing to make but what a path may name."""
    key, place = user[1], f"/v1/data/s3://{bucket}/some"
    for name in ("a", "b", "sub/c"):
        assert server.request("PUT", f"{place}/{name}", key, data=b"x").status_code == 200
    assert server.request("POST", place, key, json={"name": "new"}).json()["result"].endswith("/some/new")
    assert server.request("POST", place, key, json={"name": "a\nb"}).status_code == 400
    assert server.request("PATCH", place, key, json={"acl": {"read": []}}).status_code == 400
    assert server.request("DELETE", place, key).status_code == 409
    assert server.request("DELETE", f"{place}?force=true", key).json() == {"result": {"deleted": 3}}
    assert server.request("HEAD", place, key).status_code == 404


def test_large_files_go_through(server: Any, user: tuple[str, str], bucket: str) -> None:
    """30 MB in parts, unchanged, with nothing left in the home."""
    content = os.urandom(30_000_000)
    place = f"/v1/data/s3://{bucket}/large"
    assert server.request("PUT", place, user[1], data=iter([content])).status_code == 200
    assert server.request("GET", place, user[1]).content == content
    assert not list((server.home / "data" / "incoming").iterdir())


def test_who_gets_in(server: Any, user: tuple[str, str], bucket: str, storage: str) -> None:
    """No connector, another bucket, a read-only connector or key, a climbing path: each is refused."""
    name, key = user
    place = f"/v1/data/s3://{bucket}/guarded"
    none = server.request("GET", place)
    assert (none.status_code, "has no connector s3" in none.json()["error"]["message"]) == (404, True)
    assert server.request("GET", place, "").status_code == 401
    assert server.request("GET", place, server.admin_key).status_code == 403
    assert server.request("GET", "/v1/data/s3://other-bucket/x", key).status_code == 403
    assert server.request("GET", f"/v1/connector/s3+other/{bucket}/x", key).status_code == 404
    assert server.request("GET", "/v1/connector/dropbox/x", key).status_code == 404
    assert server.request("PUT", f"/v1/data/s3://{bucket}/a%2F..%2Fb", key, data=b"x").status_code == 400
    reading = {"permissions": {"allow_data_write": False}}
    narrow = server.request("POST", f"/v1/users/{name}/keys", key, json=reading).json()["api_key"]
    assert server.request("PUT", place, narrow, data=b"x").status_code == 403
    settings = {"endpoint_url": storage, "write": False, **CREDENTIALS}
    admin = f"/v1/admin/users/{name}/connectors"
    assert server.request("PUT", f"{admin}/s3+ro", key, json=settings).status_code == 403
    assert server.request("PUT", f"{admin}/s3+ro", server.admin_key, json=settings).status_code == 200
    labelled = place.replace("s3://", "s3+ro://")
    assert server.request("PUT", labelled, key, data=b"x").status_code == 403
    assert server.request("GET", labelled, key).status_code == 404
    for wrong in ("ftp", "s3+", "s3+a/b"):
        assert server.request("PUT", f"{admin}/{wrong}", server.admin_key, json=settings).status_code in (
            400,
            404,
        )


def test_storage_that_can_not_be_reached(server: Any, user: tuple[str, str], bucket: str) -> None:
    """The error names the storage, with status 502; a bucket that is not there is 404."""
    name, key = user
    settings = {"endpoint_url": "http://127.0.0.1:9", **CREDENTIALS}
    server.request("PUT", f"/v1/admin/users/{name}/connectors/s3+gone", server.admin_key, json=settings)
    answer = server.request("GET", "/v1/data/s3+gone://bucket/file", key)
    assert (answer.status_code, "could not be reached" in answer.json()["error"]["message"]) == (502, True)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_bucket_that_can_not_be(server: Any, user: tuple[str, str], storage: str, method: str) -> None:
    """A name that no bucket may have is the caller's mistake, not the storage's."""
    path = f"/v1/admin/users/{user[0]}/connectors/s3+any"
    made = server.request("PUT", path, server.admin_key, json={"endpoint_url": storage, **CREDENTIALS})
    assert made.status_code == 200, made.text
    answer = server.request(method, "/v1/connector/s3+any/s3:/b/c", user[1])
    assert (answer.status_code, "bucket name" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("endpoint_url", "|"),
        ("endpoint_url", "ftp://host"),
        ("endpoint_url", "http://"),
        ("endpoint_url", "http://a b"),
        ("region", "eu west\n1"),
        ("access_key_id", "a\r\nb"),
        ("secret_access_key", "ü"),
        ("bucket", "a b"),
    ],
)
def test_settings_that_can_not_be(server: Any, user: tuple[str, str], field: str, value: str) -> None:
    """A connector that could never work is refused when it is made, and the one that is there stays."""
    path = f"/v1/admin/users/{user[0]}/connectors/s3"
    answer = server.request("PUT", path, server.admin_key, json={**CREDENTIALS, field: value})
    assert (answer.status_code, field in answer.json()["error"]["message"]) == (400, True)
    assert server.request("GET", "/v1/data/s3://other/file", user[1]).status_code == 403


def test_the_command(server: Any, user: tuple[str, str], storage: str) -> None:
    """Added with credentials from variables, listed without the secret, removed."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA_")}
    variables |= {"MY_ID": "an-id", "MY_SECRET": "hunter2"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "wrapgen",
            "platform",
            "connectors",
            *words,
            "--home",
            str(server.home),
        ]
        return subprocess.run(command, env=variables, capture_output=True, text=True)

    names = ("--key-id-env", "MY_ID", "--secret-env", "MY_SECRET")
    added = run("add", user[0], "s3+cli", "--endpoint-url", storage, *names)
    assert added.returncode == 0, added.stderr
    listed = run("list", user[0])
    assert "s3+cli" in listed.stdout
    assert "hunter2" not in listed.stdout + added.stdout
    assert run("remove", user[0], "s3+cli").returncode == 0
    missing = run("add", user[0], "s3", "--key-id-env", "NOT_THERE")
    assert (missing.returncode, "NOT_THERE" in missing.stderr) == (2, True)


def test_the_data_browser_reads_it(server: Any, user: tuple[str, str], bucket: str) -> None:
    """The web page lists, shows and downloads what a connector reaches; others are told there is none."""
    key, name = user[1], f"<b>{uuid.uuid4().hex[:6]}.jsonl"
    content = b'{"text": "<i>seen</i>"}\n'
    path = quote_plus(f"s3://{bucket}/shown/{name}")
    assert server.request("PUT", f"/v1/data/{path}", key, data=content).status_code == 200
    with signed_in(server, key) as session, signed_in(server, server.key) as other:
        overview = session.get(f"{server.address}/web/data").text
        assert f"s3://{bucket}" in overview and "an-id" not in overview and "a-secret" not in overview
        folder, address = f"{bucket}/shown", f"{server.address}/web/data/open"
        for at, word in ((bucket, "shown/"), (folder, escape(name)), (f"{folder}/{name}", "&lt;i&gt;")):
            page = session.get(address, params={"at": f"s3://{at}"})
            assert page.status_code == 200 and word in page.text, page.text
            assert other.get(address, params={"at": f"s3://{at}"}).status_code == 404
        at = {"at": f"s3://{bucket}/shown/{name}"}
        assert "Delete" not in session.get(f"{server.address}/web/data/open", params=at).text
        loaded = session.get(f"{server.address}/web/data/download", params=at)
        assert loaded.content == content
        assert loaded.headers["content-disposition"].startswith("attachment")
        assert other.get(f"{server.address}/web/data/download", params=at).status_code == 404


def signed_in(server: Any, key: str) -> requests.Session:
    """A browser that has signed in to the web page."""
    session = requests.Session()
    session.headers["Accept"] = "text/html"
    form = session.get(f"{server.address}/web/sign-in", timeout=60).text
    token = re.findall(r'name="token" value="(\w+)"', form)[0]
    session.post(f"{server.address}/web/sign-in", data={"token": token, "key": key}, timeout=60)
    return session

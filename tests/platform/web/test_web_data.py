"""The data browser over plain HTTP: what it shows, who may see it, and that every name stays a name."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

ODD_NAMES = [
    "plain.txt",
    "<script>alert(1)<script>.txt",
    '"quoted\' & more".json',
    "50%2F%.txt",
    "with spaces + plus#hash?.csv",
    "evil\u202egnp.exe",
    "שלום.txt",
    "...",
    "\N{PILE OF POO} \\back\\slash",
]


def link(page: str, at: str, **more: str) -> str:
    return f"/web/data/{page}?{urlencode({'at': at, **more})}"


@pytest.fixture
def collection(server: Any) -> Iterator[str]:
    """A new collection of the first account, removed afterwards."""
    name = f"web_{uuid.uuid4().hex[:12]}"
    made = server.request("POST", "/v1/data/.my", json={"name": name})
    assert made.status_code == 200, made.text
    yield f"data://{server.facts['account']}/{name}"
    server.request("DELETE", f"/v1/data/.my/{name}?force=true")


def put(server: Any, collection: str, name: str, body: bytes) -> str:
    path = collection.removeprefix("data://")
    stored = server.request("PUT", f"/v1/data/{path}/{quote(name, safe='')}", data=body)
    assert stored.status_code == 200, stored.text
    return f"{collection}/{name}"


def upload(someone: Any, at: str, *files: tuple[str, bytes], token: str | None = None) -> Any:
    """Sends files as a browser does, which writes a quote in a name as %22."""
    mark = uuid.uuid4().hex
    body = b""
    for name, value in (("token", someone.token if token is None else token), ("at", at)):
        body += f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    for name, content in files:
        escaped = name.replace('"', "%22").replace("\n", "%0A")
        head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{escaped}"\r\n'
        body += head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"
    body += f"--{mark}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    return someone.request("POST", "/web/data/upload", data=body, headers=kind)


def files(server: Any, collection: str) -> dict[str, int]:
    """The files of a collection as the API lists them, with their sizes."""
    listed = server.request("GET", f"/v1/data/{collection.removeprefix('data://')}").json()
    return {each["filename"]: each["size"] for each in listed.get("files", [])}


def test_odd_names_go_in_are_shown_and_come_out(server: Any, browser: Any, collection: str) -> None:
    """Names with markup, quotes, percent signs, other directions: all are stored, shown, downloaded."""
    content = {name: f"content of {name}".encode() for name in ODD_NAMES}
    answer = upload(browser, collection, *content.items())
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].endswith(f"stored={len(ODD_NAMES)}")
    assert files(server, collection) == {name: len(body) for name, body in content.items()}
    page = browser.page(link("open", collection))
    assert not [tag for tag, _ in page.elements if tag == "script"]
    addresses = [found["href"] for found in page.all("a")]
    for name, body in content.items():
        at = f"{collection}/{name}"
        assert link("open", at) in addresses
        assert browser.page(link("open", at)).text.count(name.replace("\u202e", "\\u202e")) >= 1
        loaded = browser.get(link("download", at))
        assert (loaded.status_code, loaded.content) == (200, body)
        assert loaded.headers["content-type"] == "application/octet-stream"
        assert loaded.headers["x-content-type-options"] == "nosniff"
        said = loaded.headers["content-disposition"]
        assert said.startswith("attachment;") and said.endswith(f"filename*=UTF-8''{quote(name, safe='')}")
    assert "\u202e" not in page.text


@pytest.mark.parametrize("name", ["../escaped", "..", "a/b", "/etc/passwd", "new\nline", "x" * 251])
def test_names_that_can_not_be_are_refused(server: Any, browser: Any, collection: str, name: str) -> None:
    """A name that climbs, has folders, control characters or too many bytes stores nothing anywhere."""
    assert upload(browser, collection, (name, b"x")).status_code == 400
    assert files(server, collection) == {}
    for page in ("open", "download", "delete"):
        assert browser.get(link(page, f"{collection}/{name}")).status_code in (400, 404)


def test_an_upload_is_whole_or_nothing(server: Any, browser: Any, collection: str) -> None:
    """A large file arrives byte for byte; one that is cut off, or without a token, leaves no trace."""
    large = bytes(range(256)) * 12_000 + b"\r\n--"
    assert upload(browser, collection, ("large.bin", large), ("empty", b"")).status_code == 303
    assert files(server, collection) == {"large.bin": len(large), "empty": 0}
    assert browser.get(link("download", f"{collection}/large.bin")).content == large
    mark = "m" * 20
    cut = f'--{mark}\r\nContent-Disposition: form-data; name="token"\r\n\r\n{browser.token}\r\n'
    cut += f'--{mark}\r\nContent-Disposition: form-data; name="at"\r\n\r\n{collection}\r\n'
    cut += f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="cut"\r\n\r\nhalf'
    kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    assert browser.request("POST", "/web/data/upload", data=cut.encode(), headers=kind).status_code == 400
    assert upload(browser, collection, ("forged", b"x"), token="0" * 64).status_code == 403
    assert upload(browser, collection, ("forged", b"x"), token="").status_code == 403
    assert set(files(server, collection)) == {"large.bin", "empty"}
    assert not list((server.home / "data" / "incoming").iterdir())


def test_a_broken_form_is_refused(browser: Any) -> None:
    """What is no form with files gets a 4xx: another kind, too much before the files, or nonsense."""
    kind = {"Content-Type": "multipart/form-data; boundary=m", "X-Token": browser.token}
    for body in (
        b"nonsense",
        b'--m\r\nContent-Disposition: form-data; name="at"\r\n\r\n' + b"x" * 70_000,
        b"",
    ):
        answer = browser.request("POST", "/web/data/upload", data=body, headers=kind)
        assert 400 <= answer.status_code < 500, answer.text
    assert browser.post("/web/data/upload", {"at": "data://.my/x"}).status_code == 400


def test_collections_are_made_opened_and_deleted(server: Any, browser: Any) -> None:
    """A collection's life through forms: made private, opened to everyone, deleted after a question."""
    name, account = f"life_{uuid.uuid4().hex[:8]}", server.facts["account"]
    at = f"data://{account}/{name}"
    fields = {"owner": account, "name": name, "audience": "private"}
    assert browser.post("/web/data/create", fields).headers["location"] == link("open", at)
    assert browser.post("/web/data/create", fields).status_code == 409
    assert browser.post("/web/data/create", {**fields, "name": "../up"}).status_code == 400
    assert browser.post("/web/data/create", {**fields, "audience": "all"}).status_code == 400
    assert browser.page(link("open", at)).all("input", value="private", name="audience")[0]["checked"] == ""
    assert browser.post("/web/data/readers", {"at": at, "audience": "public"}).status_code == 303
    acl = server.request("GET", f"/v1/data/{account}/{name}?acl=true").json()["acl"]
    assert acl == {"read": ["user://*"]}
    put(server, at, "one.txt", b"1")
    assert "its 1 file are gone" in browser.page(link("delete", at)).text
    assert browser.post("/web/data/delete", {"at": f"{at}/one.txt"}).headers["location"] == link("open", at)
    assert files(server, at) == {}
    assert browser.post("/web/data/delete", {"at": at}).headers["location"] == "/web/data"
    assert browser.get(link("open", at)).status_code == 404


def test_nothing_of_others_is_shown_or_changed(
    server: Any, browser: Any, browse: Callable[..., Any], stranger: str, collection: str
) -> None:
    """A stranger finds no trace of a private collection, and can't write to one that they may read."""
    someone, at = browse(stranger), put(server, collection, "kept.txt", b"kept")
    browser.post("/web/data/readers", {"at": collection, "audience": "private"})
    assert collection.rpartition("/")[2] not in someone.page("/web/data").text
    for page, place in (("open", collection), ("open", at), ("download", at)):
        assert someone.get(link(page, place)).status_code == 404
    assert someone.get(link("delete", at)).status_code == 403
    account = link("open", f"data://{server.facts['account']}")
    assert collection.rpartition("/")[2] not in someone.get(account).text
    browser.post("/web/data/readers", {"at": collection, "audience": "public"})
    shown = someone.page(link("open", collection))
    assert "kept.txt" in shown.text and not shown.all("form", method="post", action="/web/data/upload")
    assert collection.rpartition("/")[2] in someone.page("/web/data").text
    assert someone.get(link("download", at)).content == b"kept"
    assert upload(someone, collection, ("theirs", b"x")).status_code == 403
    for path, fields in (
        ("/web/data/readers", {"at": collection, "audience": "private"}),
        ("/web/data/delete", {"at": collection}),
        ("/web/data/delete", {"at": at}),
        ("/web/data/create", {"owner": server.facts["account"], "name": "theirs", "audience": "private"}),
    ):
        assert someone.post(path, fields).status_code == 403
    assert someone.get(link("delete", at)).status_code == 403
    assert files(server, collection) == {"kept.txt": 4}


def test_a_key_that_may_not_read_data_sees_none(
    server: Any, browse: Callable[..., Any], collection: str
) -> None:
    """The restrictions of a key hold here too."""
    path = f"/v1/users/{server.facts['account']}/keys"
    body = {"key_label": "no data", "permissions": {"allow_data": False}}
    blind = browse(server.request("POST", path, json=body).json()["api_key"])
    assert blind.get("/web/data").status_code == 403
    assert blind.get(link("open", collection)).status_code == 403
    assert upload(blind, collection, ("x", b"x")).status_code == 403


def test_many_files_come_in_pages(server: Any, browser: Any, collection: str) -> None:
    """A long listing is paged without losing or repeating a file, and can be narrowed by how names start."""
    names = [f"part-{number:04}.jsonl" for number in range(230)]
    assert upload(browser, collection, *((name, b"{}") for name in names)).status_code == 303
    first = browser.page(link("open", collection))
    following = [each["href"] for each in first.all("a", rel="next")]
    second = browser.page(following[0])
    seen = [name for page in (first, second) for name in names if name in page.text]
    assert sorted(seen) == names and not second.all("a", rel="next")
    narrowed = browser.page(link("open", collection, prefix="part-000"))
    assert [name for name in names if name in narrowed.text] == names[:10]


def test_json_lines_are_a_table(server: Any, browser: Any, collection: str) -> None:
    """The first 100 lines are rows, keys are columns, nested values compact JSON, long cells cut."""
    line = {
        "id": 7,
        "text": "<b>bold</b>",
        "deep": {"list": [1, None, True]},
        "long": "x" * 5000,
        "\ud800": 1,
    }
    body = b"".join(json.dumps({**line, "id": number}).encode() + b"\n" for number in range(500))
    for name, content in (("a.jsonl", body), ("a.jsonl.gz", gzip.compress(body)), ("unnamed", body)):
        page = browser.page(link("open", put(server, collection, name, content)))
        assert len([tag for tag, _ in page.elements if tag == "tr"]) <= 101
        assert '{"list":[1,null,true]}' in page.text and "<b>bold</b>" in page.text
        assert "x" * 200 + "…" in page.text and "x" * 201 not in page.text
        assert "JSON Lines, the beginning" in page.text
    assert "nothing" not in browser.page(link("open", put(server, collection, "e.jsonl", b""))).text


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("t.csv", b'name,"a, b"\nAda,1\nshort\nlong,1,2,3\n', ["a, b", "Ada", "long"]),
        ("t.tsv", b"name\tscore\nAda\t1\n", ["score", "Ada"]),
        ("t.json", b'[{"x": 1}, {"y": [2]}, 3]', ["x", "y", "[2]", "value"]),
        ("o.json", b'{"a": {"b": 1}}', ['"b": 1']),
        ("n.txt", "Gr\u00fc\u00dfe\n\u05e9\u05dc\u05d5\u05dd".encode(), ["Gr\u00fc\u00dfe"]),
        ("broken.jsonl", b'{"a": 1}\nnot json\n', ["not json"]),
        ("no.jsonl", b"not json at all", ["not json at all"]),
        ("deep.json", b"[" * 100_000, ["[[["]),
        ("b.bin", bytes(range(256)), ["No preview"]),
        ("fake.gz", b"not gzip", ["not gzip"]),
        ("cut.txt", ("x" + "\u00e9" * 200_000).encode(), ["text, the beginning"]),
        ("wide.csv", b",".join(b"c%d" % n for n in range(90)) + b"\n", ["60 more columns"]),
        ("h.html", b"<script>alert(1)</script>", ["<script>alert(1)</script>"]),
    ],
)
def test_every_kind_of_content_has_its_preview(
    server: Any, browser: Any, collection: str, name: str, content: bytes, shown: list[str]
) -> None:
    """A table where there is one, else text, else nothing; never markup of the file's own."""
    page = browser.page(link("open", put(server, collection, name, content)))
    assert not [word for word in shown if word not in page.text]
    assert not [tag for tag, _ in page.elements if tag == "script"]


def test_a_bomb_is_not_unpacked(server: Any, browser: Any, collection: str) -> None:
    """Of a small file that unpacks to much, only the beginning is unpacked."""
    bomb = gzip.compress(b"0" * 50_000_000)
    answer = browser.get(link("open", put(server, collection, "bomb.txt.gz", bomb)))
    assert answer.status_code == 200 and len(answer.content) < 400_000


def test_other_storage_needs_a_connector(browser: Any) -> None:
    """An account without a connector is told so, and nothing can be written through it here."""
    for at in ("s3://bucket/key", "s3+x://bucket", "ftp://host/file"):
        assert browser.get(link("open", at)).status_code == 404
        assert browser.get(link("download", at)).status_code == 404
        assert browser.get(link("delete", at)).status_code == 400
    assert browser.get(link("open", "s3://bucket/../up")).status_code == 400

"""Management, data and organization calls as they go over the wire."""

from __future__ import annotations

import io
import json

import pytest

from wrapgen import errors
from wrapgen.client import Client, Connection
from wrapgen.client.data import is_data_url, path_of


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_versions_are_read_over_all_pages(client: Client, web) -> None:
    """Markers are followed to the last page and unreleased builds are left out."""
    first = {
        "marker": "m 1",
        "results": [{"version_info": {"semantic_version": "1.1.0", "git_hash": "b" * 40}}],
    }
    last = {
        "marker": None,
        "results": [
            {"version_info": {"git_hash": "c" * 40}},
            {"version_info": {"semantic_version": "1.0.0", "git_hash": "a" * 40}},
        ],
    }
    web.answer = lambda request: (200, {}, as_json(last if "marker=m+1" in request.path else first))
    assert [v.version for v in client.versions("acme/A")] == ["1.1.0", "1.0.0"]
    assert web.requests[0].path == "/v1/algorithms/acme/A/versions?published=true&limit=50"


def test_a_marker_that_does_not_move_ends_the_listing(client: Client, web) -> None:
    """A platform that answers the same marker for ever does not hang the client."""
    web.say(200, as_json({"marker": "m", "results": []}))
    assert client.versions("acme/A") == []
    assert len(web.requests) == 2


def test_a_release_sends_its_type_and_settings(client: Client, web) -> None:
    """Publishing names the version type; the answer's version comes back."""
    web.say(200, as_json({"version_info": {"semantic_version": "0.1.0", "git_hash": "a" * 40}}))
    made = client.algorithms.publish(
        "acme/A", version_type="minor", settings={"algorithm_callability": "private"}
    )
    assert made.version == "0.1.0"
    assert json.loads(web.requests[0].body) == {
        "settings": {"algorithm_callability": "private"},
        "version_info": {"version_type": "minor"},
    }


def test_an_error_in_a_successful_answer_is_an_error(client: Client, web) -> None:
    """A 200 body with `error` is no success, and the API's number finds its class."""
    web.say(200, as_json({"error": {"code": 1007, "message": "published already"}}))
    with pytest.raises(errors.Conflict, match="published already"):
        client.algorithms.publish("acme/A", version_type="minor", settings={})


def test_a_missing_collection_does_not_exist(client: Client, web) -> None:
    """404 is an answer to `exists`, every other failure is not."""
    web.say(404, b'{"error":"No such algorithm"}')
    assert client.data.exists("data://acme/A") is False
    web.say(500)
    with pytest.raises(errors.ServerFault):
        client.data.exists("data://acme/A")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("data://acme/scores/a.jsonl", "/v1/data/acme/scores/a.jsonl"),
        ("data://.my/scores/", "/v1/data/.my/scores"),
        ("data://acme/scores/a b+c?d#e%.txt", "/v1/data/acme/scores/a%20b%2Bc%3Fd%23e%25.txt"),
        ("data://acme/scores/ü", "/v1/data/acme/scores/%C3%BC"),
        ("s3://bucket/key", "/v1/data/s3://bucket/key"),
        ("s3+label://bucket/key", "/v1/data/s3%2Blabel://bucket/key"),
    ],
)
def test_data_urls_become_paths(url: str, path: str) -> None:
    """Odd names are encoded, hosted data loses its scheme, connectors keep theirs."""
    assert path_of(url) == path


def test_what_is_no_data_url_is_refused() -> None:
    """Files, web addresses and queues are not the data service's."""
    for text in (
        "scores",
        "/v1/x",
        "https://sqs.example/1/q",
        "postgresql://h/db",
        "file:///x",
        "sqlite:///x",
    ):
        assert not is_data_url(text)
        with pytest.raises(errors.UsageError):
            path_of(text)


def test_files_are_listed_over_all_pages(client: Client, web) -> None:
    """A listing goes on as long as there is a marker; absent keys mean none."""
    entry = {"filename": "a", "size": 3, "last_modified": "2020-03-18T17:00:33.000Z"}
    pages = iter([{"files": [entry], "marker": "x"}, {"folders": [{"name": "f"}], "marker": "y"}, {}])
    web.answer = lambda _: (200, {}, as_json(next(pages)))
    assert [(f.name, f.size) for f in client.data.files("data://acme/scores")] == [("a", 3)]


def test_a_file_streams_both_ways(client: Client, web) -> None:
    """A large file is neither read whole on the way up nor on the way down."""
    content = bytes(range(256)) * 4096
    web.answer = lambda request: (200, {}, content if request.method == "GET" else b'{"result":"x"}')
    client.data.put("data://acme/scores/a", content)
    assert web.requests[-1].body == content
    with client.data.stream("data://acme/scores/a") as pieces:
        assert b"".join(pieces) == content
    client.data.put("data://acme/scores/a", io.BytesIO(b"small"))


def test_a_stream_that_is_cut_off_says_so(client: Client, web) -> None:
    """A file that ends before its announced length raises while it is read."""
    web.answer = lambda _: (200, {"Content-Length": "1000"}, b"half")
    with pytest.raises(errors.Unreachable), client.data.stream("data://acme/scores/a") as pieces:
        list(pieces)


def test_a_stream_left_early_does_not_spoil_the_next_request(client: Client, web) -> None:
    """Half-read bodies don't leak into the answers of later requests."""
    web.answer = lambda request: (200, {}, b"x" * 5_000_000 if "big" in request.path else b"small")
    with client.data.stream("data://acme/c/big") as pieces:
        assert next(iter(pieces))
    assert client.data.read("data://acme/c/little") == b"small"


def test_a_missing_file_keeps_the_headers_message(client: Client, web) -> None:
    """HEAD has no body; existence is told by the status alone."""
    web.say(404, X_Error_Message="no such file")
    assert client.data.exists("data://acme/c/x") is False
    with pytest.raises(errors.NotFound, match="no such file"):
        client.data.read("data://acme/c/x")


def test_a_new_collection_is_private(client: Client, web) -> None:
    """Collections are made with an empty read list unless asked otherwise."""
    client.data.create("data://acme/scores")
    (request,) = web.requests
    assert request.path == "/v1/data/acme"
    assert json.loads(request.body) == {"name": "scores", "acl": {"read": []}}


def test_organizations_take_the_admin_key_and_only_they(client: Client, web) -> None:
    """The admin key goes to the organization calls and to no other."""
    web.say(200, b"{}")
    assert client.accounts.add_organization("acme") is True
    client.accounts.add_member("acme", "local")
    client.data.exists("data://acme/c")
    assert [r.headers["Authorization"] for r in web.requests] == [
        "Simple admin-key",
        "Simple admin-key",
        "Simple sim-secret-key",
    ]


def test_an_organization_that_exists_is_not_made_again(client: Client, web) -> None:
    """A conflict on creation means that it is there already."""
    web.say(409, as_json({"error": {"code": 3101, "message": "organization exists"}}))
    assert client.accounts.add_organization("acme") is False


def test_without_an_admin_key_no_organization_is_made(web) -> None:
    """A company's cluster is told by its administrator, not by us."""
    with pytest.raises(errors.NoCredentials):
        Client(Connection(web.address, "k", "a test")).accounts.add_organization("acme")
    assert web.requests == []


def test_the_account_is_asked_for_when_the_source_does_not_say(client: Client, web) -> None:
    """The first folder of the data root is the caller's own account."""
    web.say(200, as_json({"folders": [{"name": "me"}, {"name": "acme"}]}))
    assert client.account() == "me"

"""A served wrapper answers over HTTP what it would answer on a platform, and refuses what it can't do."""

from __future__ import annotations

import base64
import contextlib
import json
import socket

import pytest
from click.testing import CliRunner
from served_wrapper import TOKEN, served

from wrapgen.cli.main import cli
from wrapgen.errors import AlgorithmFailed

JSON = {"Content-Type": "application/json"}


def test_the_three_forms_of_a_call(echo):
    """An item, a list, and an object with $batch come back as the item protocol says."""
    assert echo.ask(body={"a": 1}).json() == {"a": 1}
    assert echo.ask(body=[1, "two", None]).json() == [1, "two", None]
    assert echo.ask(body=[]).json() == []
    answer = echo.ask(body={"$batch": [1, "bad"], "$run": "r1", "$ids": ["x", "y"]}).json()
    assert answer["$results"][0] == 1 and answer["$results"][1]["$error"]["message"] == "it is bad"
    assert answer["$summary"]["succeeded"] == 1 and answer["$summary"]["failed"] == 1


def test_text_and_bytes_are_items_too(echo):
    """The content type says what an item is, and bytes come back as bytes."""
    text = echo.ask(body="ü".encode(), headers={"Content-Type": "text/plain; charset=utf-8"})
    assert text.json() == "ü" and text.headers["content-type"] == "application/json"
    raw = echo.ask(body=b"\x00\xff1", headers={"Content-Type": "application/octet-stream"})
    assert raw.body == b"1\xff\x00" and raw.headers["content-type"] == "application/octet-stream"
    listed = echo.ask(body=[{"$binary": base64.b64encode(b"ab").decode()}]).json()
    assert base64.b64decode(listed[0]["$binary"]) == b"ba"


def test_a_failed_item_alone_is_a_failed_call(echo):
    """Its status says whether it can help to send it again, its body is the error."""
    failed = echo.ask(body="bad")
    assert failed.status == 422
    assert failed.json()["error"] == {
        "error_type": "AlgorithmError",
        "message": "it is bad",
        "retryable": False,
    }


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"$batch": "data://acme/in/items.jsonl"}, "no platform to read"),
        ({"$batch": [1], "$output": "s3://bucket/out.jsonl"}, "no platform to write"),
        ({"$batch": "data://acme/in/items.jsonl", "$output": "data://acme/out"}, "no platform to write"),
        ({"$batch": [1], "other": 2}, "may only have protocol keys"),
        (b"{", "not application/json"),
        (b"\xff", "not application/json"),
        (b"[" * 100_000, "nested too deep"),
        (b'[{"a": ' + b"9" * 5000 + b"}]", ""),
    ],
)
def test_what_is_no_input_is_refused(echo, body, said):
    """Malformed bodies, and URLs where no platform is, are 400; an item's own error fails that item alone."""
    reply = echo.ask(body=body)
    if said:
        assert reply.status == 400 and reply.json()["error"]["error_type"] == "InputError"
        assert said in reply.json()["error"]["message"]
    else:
        assert reply.status == 200 and reply.json()[0]["$error"]["type"] == "InputError"


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/html"}, {"Content-Type": ""}, {**JSON, "Content-Encoding": "gzip"}],
)
def test_other_content_types_are_refused(echo, headers):
    """Nothing is guessed, and nothing is unpacked."""
    assert echo.ask(body=b"1", headers=headers).status == 415


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), f"{TOKEN} b"])
@pytest.mark.parametrize("request_line", ["POST /", "GET /metrics", "GET /openapi.json"])
def test_nothing_is_answered_without_the_token(echo, token, request_line):
    """A missing or wrong token gets 401, before the body is looked at."""
    method, path = request_line.split()
    reply = echo.ask(method, path, b"{", token=token)
    assert reply.status == 401 and reply.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in reply.body.decode()


def test_probes_and_paths(echo):
    """Probes need no token; other paths and methods are told what there is."""
    assert echo.ask("GET", "/healthz", token=None).json() == {"status": "ok"}
    assert echo.ask("GET", "/readyz", token=None).json() == {"status": "ready"}
    assert echo.ask("HEAD", "/healthz", token=None).body == b""
    assert echo.ask("GET", "/nothing").status == 404
    wrong = echo.ask("GET", "/")
    assert wrong.status == 405 and wrong.headers["allow"] == "POST"


def test_a_body_over_the_limit_is_refused_whether_it_tells_its_size_or_not(echo):
    """413 before the rest is read: at once for a declared size, else where the chunks are over the limit."""
    head = (
        f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    )
    for rest in (b"Content-Length: 99000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", echo.port), 60) as connection:
            connection.sendall(head.encode() + rest)
            if b"chunked" in rest:
                for _ in range(11):
                    connection.sendall(b"f4240\r\n" + b" " * 1_000_000 + b"\r\n")
            assert b" 413 " in connection.recv(1000)


def test_the_description_says_which_wrapper_it_is(echo):
    """The empty batch brings the limits that hold, and the wrapper's name."""
    about = echo.ask(body={"$batch": []}).json()["$summary"]["wrapper"]
    assert (about["name"], about["calls"]) == ("acme/Echo", 2)
    assert about["limits"]["request_bytes"] == 10_000_000


def _doctor(url, token):
    done = CliRunner().invoke(
        cli, ["doctor", url, "--json"], env={"WRAPPER_TOKEN": token}, standalone_mode=False
    )
    return {each["what"]: each for each in json.loads(done.stdout)["findings"]}


def test_doctor_examines_a_served_wrapper(echo, echo_folder):
    """It says what answers, whether the token is right, and whether it is needed at all."""
    found = _doctor(echo.url, TOKEN)
    assert {each["level"] for each in found.values()} == {"ok"}
    assert "acme/Echo answers" in found["wrapper"]["message"]
    wrong = _doctor(echo.url, "wrong")["wrapper"]
    assert wrong["level"] == "fault" and "WRAPPER_TOKEN" in wrong["hint"]
    with served(echo_folder, {"WRAPPER_OPEN": "/"}) as server:
        assert _doctor(server.url, TOKEN)["token"]["level"] == "not checked"
    assert _doctor(server.url, TOKEN)["wrapper"]["level"] == "fault"


def test_plan_and_call_take_a_url(echo, tmp_path):
    """An estimate and a single call, as of a wrapper on a platform."""
    (tmp_path / "in.jsonl").write_text('"a"\n"b"\n')
    given = {"env": {"WRAPPER_TOKEN": TOKEN}, "standalone_mode": False}
    planned = CliRunner().invoke(cli, ["plan", echo.url, str(tmp_path / "in.jsonl"), "--json"], **given)
    assert json.loads(planned.stdout)["reference"] == "acme/Echo/served"
    assert CliRunner().invoke(cli, ["call", f"{echo.url}/", "hello"], **given).stdout == "hello\n"
    failed = CliRunner().invoke(cli, ["call", echo.url, "bad"], **given)
    assert isinstance(failed.exception, AlgorithmFailed) and "it is bad" in str(failed.exception)


def test_a_call_has_no_more_items_than_a_run_ever_sends(echo):
    """Ten megabytes can hold millions of items: they are refused before any costs memory or time."""
    for body in (b"[" + b"1," * 100_000 + b"1]", b'{"$batch":[' + b"1," * 100_000 + b"1]}"):
        refused = echo.ask(body=body)
        assert refused.status == 413 and "100000 items, not 100001" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST / HTTP/1.1\r\nX: " + b"a" * 200_000, b"400"),
        (b"POST / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(20_000)), b"400"),
        (b"POST / HTTP/1.1\r\n%b\r\n%b\r\nContent-Length: 1", b"401"),
        (b"POST / HTTP/1.1\r\n%b\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", b"400"),
        (b"POST / HTTP/1.1\r\n%b\r\nContent-Length: 1\r\nContent-Length: 2", b"400"),
        (b"POST // HTTP/1.1\r\n%b\r\nContent-Length: 1", b"404"),
        (b"TRACE / HTTP/1.1\r\n%b", b"405"),
        (b"GET / HTTP/1.1\r\n%b\r\nUpgrade: websocket\r\nConnection: Upgrade", b"405"),
    ],
)
def test_odd_requests_are_refused(echo, head, status):
    """Endless headers, two tokens, two lengths, other methods: each is refused, and the next is answered."""
    known = f"Authorization: Bearer {TOKEN}".encode()
    head = head.replace(b"%b", known) + b"\r\nHost: x\r\nContent-Type: application/json\r\n\r\n1"
    with socket.create_connection(("127.0.0.1", echo.port), 60) as connection, contextlib.suppress(OSError):
        connection.sendall(head)
        assert connection.recv(1000).split()[1] == status
    assert echo.ask(body=1).json() == 1


def _items(server):
    """How many items succeeded and how many failed so far."""
    lines = server.ask("GET", "/metrics").body.decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("wrapper_items_total"))
    return [int(found[f'wrapper_items_total{{outcome="{name}"}}']) for name in ("succeeded", "failed")]


@pytest.mark.parametrize(
    ("body", "counted"),
    [
        ({"result": [1, 2, {"$error": 3}]}, [1, 0]),
        ({"result": []}, [1, 0]),
        ({"result": {"$summary": {"succeeded": "x"}}}, [1, 0]),
        ({"result": {"$summary": {"failed": 9}}}, [1, 0]),
        ([1, "bad", 3], [2, 1]),
        ({"$batch": [1, "bad", {"result": [1, 2]}]}, [2, 1]),
        ({"$batch": []}, [0, 0]),
    ],
)
def test_items_are_counted_by_the_form_of_the_call(echo, body, counted):
    """A single item counts as one whatever its result looks like, and no result makes a call fail."""
    before = _items(echo)
    assert echo.ask(body=body).status == 200
    assert [now - then for now, then in zip(_items(echo), before, strict=True)] == counted

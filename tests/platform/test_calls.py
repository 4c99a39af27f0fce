"""Calls of algorithms over HTTP: inputs, outputs, options, errors, limits."""

from __future__ import annotations

import base64
import json

import pytest


def test_text_json_and_bytes_round_trip_through_the_vendors_client(server, zoo):
    """Each kind of input reaches the algorithm as it is, and each kind of result comes back as it is."""
    algorithm = server.client().algo(zoo)
    assert algorithm.pipe("wörld").result == "hello wörld"
    assert algorithm.pipe(b"\x00\xff1").result == b"1\xff\x00"
    for value in (None, True, 3, 2.5, [], {}, [1, {"a": "ü"}], {"deep": [[[None]]]}):
        assert algorithm.pipe(value).result == value
    answer = algorithm.pipe([1])
    assert answer.metadata.content_type == "json"
    assert answer.metadata.duration > 0


def test_the_envelope_is_compact_and_complete(server, zoo):
    """The body has result, metadata with kind and duration, and the request id, without a space."""
    answer = server.call(zoo, {"op": "echo", "value": {"a": [1, 2]}})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.text.startswith('{"result":{"a":[1,2]},"metadata":{"content_type":"json","duration":')
    assert set(answer.json()) == {"result", "metadata", "request_id"}
    assert answer.json()["request_id"].startswith("req-")


def test_line_ends_between_json_values_do_not_matter(server, zoo):
    """A pretty-printed body is one request."""
    answer = server.request(
        "POST",
        f"/v1/algo/{zoo}",
        data=b'{\r\n "op": "echo",\n "value": "a\\nb"\n}\n',
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert answer.json()["result"] == "a\nb"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b'1,"content_type":"text"',
        b'{"a":1}}',
        b'"\xff"',
        b"NaN",
        b'["\\ud800", NaN]',
        b'["\\ud800"',
    ],
)
def test_a_body_that_is_not_json_is_refused(server, zoo, body):
    """What says it is JSON and isn't never reaches the algorithm: status 400."""
    answer = server.request(
        "POST", f"/v1/algo/{zoo}", data=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert "not JSON" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"7" * 4301, "a number of more than 4,300 digits"),
        (b'{"a": ["7", -' + b"7" * 9000 + b".5]}", "a number of more than 4,300 digits"),
    ],
)
def test_a_body_over_the_limits_of_json_is_refused_by_name(server, zoo, body, told):
    """No algorithm gets what the Python that runs it may be unable to read: status 400."""
    answer = server.request(
        "POST", f"/v1/algo/{zoo}", data=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["error_type"]) == (400, "InputError")
    assert told in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "text",
    [r'"\ud800"', r'{"a\udfff": 1}', r'["\ud83d", "\ud83d\ude00"]', '"' + "7" * 5000 + '"'],
    ids=range(4),
)
def test_half_a_surrogate_pair_comes_back_as_it_went_in(server, zoo, text):
    """JSON can say it, and Python reads it: it is an input like any other."""
    body = f'{{"op": "echo", "value": {text}}}'
    answer = server.request(
        "POST", f"/v1/algo/{zoo}", data=body, headers={"Content-Type": "application/json"}
    )
    assert answer.json()["result"] == json.loads(text)


@pytest.mark.parametrize(
    ("kind", "extra", "body", "status"),
    [
        ("application/text", {}, b"you", 200),
        ("text/plain; charset=utf-8", {}, b"", 200),
        ("application/octet-stream", {"Content-Encoding": "base64"}, base64.b64encode(b"ab"), 200),
        ("application/octet-stream", {"Content-Encoding": "base64"}, b"?", 400),
        ("text/plain", {}, b"\xff", 400),
        ("application/xml", {}, b"<a/>", 400),
        ("", {}, b"x", 400),
    ],
)
def test_content_types(server, zoo, kind, extra, body, status):
    """The documented content types are taken, others refused with a sentence that names them."""
    headers = {"Content-Type": kind, **extra} if kind else extra
    answer = server.request("POST", f"/v1/algo/{zoo}", data=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert ("error" in answer.json()) == (status != 200)


@pytest.mark.parametrize(
    "reference", ["{}", "{}/", "{}/latest", "{}/latestPrivate", "{}/0.1.0", "{}/0.1", "{}/0.*", "algo://{}"]
)
def test_references(server, zoo, reference):
    """A version may be left out, partial or exact; slashes, scheme and letter case change nothing."""
    expected = 404 if reference.endswith("latestPrivate") else 200
    assert server.call(reference.format(zoo), "you").status_code == expected
    assert server.call(reference.format(zoo.upper()), "you").status_code == expected


def test_an_algorithm_is_called_by_its_id_too(server, zoo):
    """The id takes the place of owner and name, with or without a version, in any letter case."""
    number = server.request("GET", f"/v1/algorithms/{zoo}").json()["id"]
    for reference in (number, f"{number}/0.1.0", number.upper()):
        assert server.call(reference, "you").json()["result"] == "hello you"


@pytest.mark.parametrize("reference", ["local/No", "no/Zoo", "local", "local/Zoo/9.9.9", "a/b/c/d", "//"])
def test_unknown_algorithms(server, zoo, reference):
    """A reference to nothing is a clear error before anything runs."""
    answer = server.call(reference, "you")
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["message"]


def test_algorithm_errors_come_with_status_200_and_their_type(server, zoo):
    """An exception is the taxonomy's error; the owner sees the traceback under both names."""
    answer = server.call(zoo, {"op": "refuse"})
    assert answer.status_code == 200
    error = answer.json()["error"]
    assert (error["message"], error["error_type"]) == ("not this one", "InputError")
    assert "refuse" in error["stacktrace"] == error["stack_trace"]
    assert answer.json()["metadata"]["duration"] > 0
    assert server.call(zoo, {"op": "fail"}).json()["error"]["error_type"] == "AlgorithmError"


def test_results_that_json_cannot_hold_are_errors(server, zoo):
    """NaN and sets fail that call, and the worker goes on."""
    before = server.call(zoo, {"op": "pid"}).json()["result"]
    assert "error" in server.call(zoo, {"op": "nan"}).json()
    assert "error" in server.call(zoo, {"op": "set"}).json()
    assert server.call(zoo, {"op": "pid"}).json()["result"] == before


def test_stdout_is_shown_to_the_owner_who_asks(server, zoo):
    """Printed output belongs to the call that printed it, and is a string or absent."""
    said = server.call(zoo, {"op": "print", "text": "hör zu"}, stdout="True").json()["metadata"]["stdout"]
    assert said == "hör zu\n"
    assert server.call(zoo, {"op": "echo"}, stdout="true").json()["metadata"]["stdout"] == ""
    assert "stdout" not in server.call(zoo, {"op": "print", "text": "x"}).json()["metadata"]


def test_raw_output_is_the_result_alone(server, zoo):
    """output=raw gives text, bytes and JSON as they are, and errors as text with 400 or 500."""
    assert server.client().algo(zoo).set_options(output=raw_output()).pipe("ü") == "hello ü"
    echo = server.call(zoo, {"op": "echo", "value": [1, "a"]}, output="raw")
    assert (echo.text, echo.headers["content-type"]) == ('[1,"a"]', "application/json")
    sent = {"data": b"\x00\xff", "headers": {"Content-Type": "application/octet-stream"}}
    assert server.request("POST", f"/v1/algo/{zoo}?output=raw", **sent).content == b"\xff\x00"
    refused = server.call(zoo, {"op": "refuse"}, output="raw")
    assert (refused.status_code, refused.text) == (400, "not this one")
    assert server.call(zoo, {"op": "fail"}, output="raw").status_code == 500


def raw_output():
    """The vendor's name for output=raw."""
    from Algorithmia.algorithm import OutputType

    return OutputType.raw


@pytest.mark.parametrize("query", [{"timeout": "0"}, {"timeout": "3001"}, {"timeout": "x"}, {"output": "y"}])
def test_impossible_options_are_refused(server, zoo, query):
    """A timeout or an output that can't be is status 400; unknown options are ignored."""
    assert server.call(zoo, "you", **query).status_code == 400
    assert server.call(zoo, "you", colour="red", output="default").status_code == 200


def test_inputs_over_the_limit_are_refused(server, zoo):
    """10 MiB pass, one byte more is status 413 and says the limit."""
    limit = 10_485_760
    exact = server.request(
        "POST",
        f"/v1/algo/{zoo}?output=raw",
        data=b"x" * limit,
        headers={"Content-Type": "application/octet-stream"},
    )
    assert (exact.status_code, len(exact.content)) == (200, limit)
    over = server.request(
        "POST", f"/v1/algo/{zoo}", data=b"x" * (limit + 1), headers={"Content-Type": "text/plain"}
    )
    assert over.status_code == 413
    assert str(limit) in over.json()["error"]["message"]


def test_results_over_the_limit_are_an_error(server, zoo):
    """15 MB come back; more is a TooLargeError, and the worker goes on."""
    assert len(server.call(zoo, {"op": "text", "size": 14_000_000}).json()["result"]) == 14_000_000
    over = server.call(zoo, {"op": "text", "size": 15_000_001}).json()["error"]
    assert over["error_type"] == "TooLargeError"
    assert server.call(zoo, "you").json()["result"] == "hello you"

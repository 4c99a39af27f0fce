"""Credentials of an endpoint: from a variable, a file, a program, OAuth 2 or AWS; refreshed after a 401."""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.parse import parse_qs

import pytest
from model import ModelServer, Reply

SECRET = "s3cr3t-t0ken"
NEXT = "n3xt-t0ken"
START = "endpoint: URL/predict\nrequest: {text: $item}\nresult: $.score\n"


class Guard:
    """Answers a request with the token that is valid now; any other gets 401 with what it sent."""

    def __init__(self, valid: str) -> None:
        self.valid = valid

    def __call__(self, request: Any) -> Reply:
        sent = request.headers.get("Authorization", "")
        if sent != f"Bearer {self.valid}":
            return Reply({"detail": f"not valid: {sent}"}, 401)
        return Reply({"score": 1})


def everything(wrapper: Any, answered: Any, capsys: Any) -> str:
    """All that a wrapper's call leaves behind: its answer, its log, its files."""
    files = "".join(str(vars(module)) for module in (wrapper.config, wrapper.mapping))
    return json.dumps(answered) + capsys.readouterr().out + files


def test_a_token_from_a_variable(model, build, monkeypatch, capsys):
    """The token is read from the variable, and stands in no answer, log line or file."""
    monkeypatch.setenv("MODEL_TOKEN", SECRET)
    model.answer = Guard(SECRET)
    wrapper = build(START + "auth: {bearer_env: MODEL_TOKEN}")
    answered = wrapper.batch(["a", "b"])
    assert answered["$results"] == [1, 1]
    model.answer = Guard("another")
    refused = wrapper.batch(["a", "b"])
    assert refused["$summary"]["stopped"]["type"] == "AuthenticationError"
    assert "not valid: Bearer ***" in refused["$summary"]["stopped"]["message"]
    assert SECRET not in everything(wrapper, [answered, refused], capsys)


REPEATS = {
    "a page": Reply(f"<html>Bearer {SECRET}</html>".encode()),
    "a page, not UTF-8": Reply(f"{SECRET} \xe9".encode("latin-1")),
    "a long page": Reply(b"x" * 195 + SECRET.encode()),
    "no result": Reply({"detail": SECRET}),
    "an error": Reply({"error": SECRET * 100}, 400),
    "a redirect": Reply({}, 302, Location=f"http://x/?token={SECRET}"),
    "an item's error": Reply({"score": [None], "wrong": [{"message": f"bad {SECRET}"}]}),
    "an item's error that is an object": Reply({"score": [None], "wrong": [{"token": SECRET}]}),
    "a version": Reply({"score": [1], "version": SECRET}),
}


@pytest.mark.parametrize("reply", REPEATS.values(), ids=REPEATS)
def test_a_server_that_repeats_the_token(reply, model, build, monkeypatch, capsys):
    """Whatever a message shows of an answer, the token is not in it, not even its first half."""
    monkeypatch.setenv("MODEL_TOKEN", SECRET)
    model.answer = lambda request: reply
    lists = "request: {text: $items}\nresult: $.score[*]\nitem_error: $.wrong[*]\n"
    wrapper = build(
        f"endpoint: URL/predict\n{lists}reports: {{version: $.version}}\nauth: {{bearer_env: MODEL_TOKEN}}"
    )
    answered = wrapper.batch(["a"])
    assert SECRET[:6] not in everything(wrapper, answered, capsys)


def test_no_record_holds_a_token(model, build, monkeypatch, tmp_path):
    """A server that repeats the token in its refusals puts it into no record."""
    monkeypatch.setenv("MODEL_TOKEN", SECRET)
    model.answer = lambda request: Reply({"detail": request.headers["Authorization"]}, 422)
    database = tmp_path / "records.db"
    sections = {"wrapper": "{name: acme/Scorer, mode: both}", "datastore": f"{{url: 'sqlite:///{database}'}}"}
    wrapper = build(START + "auth: {bearer_env: MODEL_TOKEN}", **sections)
    answered = wrapper.batch(["a", "b"], **{"$run": "r", "$ids": ["1", "2"]})
    assert answered["$summary"]["recorded"] == 2
    written = database.read_bytes()
    assert b"Bearer ***" in written and SECRET.encode() not in written


def test_a_missing_token_stops_the_call(model, build, monkeypatch):
    """Without the variable nothing is sent, and the call stops with the variable's name."""
    monkeypatch.delenv("MODEL_TOKEN", raising=False)
    answered = build(START + "auth: {bearer_env: MODEL_TOKEN}").batch(["a", "b"])
    assert answered["$summary"]["stopped"]["type"] == "AuthenticationError"
    assert "MODEL_TOKEN" in answered["$summary"]["stopped"]["message"]
    assert model.requests == []


def test_a_file_is_read_again_when_it_changes(model, build, tmp_path):
    """A projected token that is replaced is used from the next request on, without a 401 in between."""
    path = tmp_path / "token"
    path.write_text(SECRET + "\n")
    model.answer = Guard(SECRET)
    wrapper = build(START + f"auth: {{bearer_file: {path}}}")
    assert wrapper.call("a") == 1
    fresh = tmp_path / "fresh"
    fresh.write_text(NEXT)
    fresh.replace(path)
    model.answer = Guard(NEXT)
    assert wrapper.call("a") == 1
    assert len(model.requests) == 2


def test_a_program_is_asked_once_more_after_a_401(model, build, tmp_path):
    """A token that expires is fetched again once; if that is refused too, the call stops."""
    path = tmp_path / "token"
    path.write_text(SECRET)
    code = f"print(open({str(path)!r}).read())"
    wrapper = build(START + f"auth: {{command: [{sys.executable}, -c, {json.dumps(code)}]}}")
    model.answer = Guard(SECRET)
    assert wrapper.call("a") == 1
    model.answer = Guard(NEXT)
    path.write_text(NEXT)
    assert wrapper.call("a") == 1
    assert len(model.requests) == 3  # one of them the 401
    model.answer = Guard("gone")
    answered = wrapper.batch(["a"])
    assert answered["$summary"]["stopped"]["type"] == "AuthenticationError"
    assert len(model.requests) == 4  # the program had nothing fresh to give


def test_client_credentials(model, build, monkeypatch, capsys):
    """An OAuth 2 token is kept until shortly before it expires, and fetched again after a 401."""
    monkeypatch.setenv("CLIENT_ID", "me")
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    with ModelServer() as issuer:
        tokens = iter([("first", 3600), ("second", 3600), ("third", 30), ("fourth", 3600)])

        def issue(request: Any) -> Reply:
            assert parse_qs(request.body.decode()) == {
                "grant_type": ["client_credentials"],
                "scope": ["models"],
            }
            token, seconds = next(tokens)
            return Reply({"access_token": token, "expires_in": seconds, "token_type": "Bearer"})

        issuer.answer = issue
        settings = "client_id_env: CLIENT_ID, client_secret_env: CLIENT_SECRET, scope: models"
        wrapper = build(START + f"auth: {{oauth2: {{token_url: {issuer.url}/token, {settings}}}}}")
        for valid in ("first", "first", "second", "third"):
            model.answer = Guard(valid)
            assert wrapper.call("a") == 1
        assert (len(issuer.requests), len(model.requests)) == (3, 6)  # two of them 401
        wrapper.state.target.auth._expires = 0.0  # as if its time were over
        model.answer = Guard("fourth")
        assert wrapper.call("a") == 1
        assert (len(issuer.requests), len(model.requests)) == (4, 7)
        assert issuer.requests[0].headers["Authorization"].startswith("Basic ")
        assert SECRET not in everything(wrapper, [], capsys)


def test_a_key_in_a_header_of_its_own(model, build, monkeypatch):
    """A server that wants its key in another header gets it there, bare."""
    monkeypatch.setenv("MODEL_KEY", SECRET)
    model.answer = lambda request: Reply({"score": request.headers["X-API-Key"] == SECRET})
    assert build(START + "auth: {bearer_env: MODEL_KEY, header: X-API-Key}").call("a") is True


def test_requests_to_sagemaker_are_signed(model, build, monkeypatch):
    """What arrives carries the signature that botocore computes for just this request; 424 hides a status."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", model.url)

    def verified(request: Any) -> bool:
        signed = request.headers["Authorization"]
        names = signed.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        again = AWSRequest("POST", model.url + request.path, data=request.body)
        for name in names:
            again.headers[name] = request.headers[name]
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        signer = SigV4Auth(Credentials("AKIDEXAMPLE", SECRET, "session"), "sagemaker", "eu-west-1")
        text = signer.string_to_sign(again, signer.canonical_request(again))
        return signer.signature(text, again) == signed.partition("Signature=")[2]

    def answer(request: Any) -> Reply:
        if not verified(request):
            return Reply({"message": "bad signature"}, 403)
        if 13 in request.json["instances"]:
            return Reply({"OriginalStatusCode": 400, "OriginalMessage": "no thirteen"}, 424)
        return Reply({"predictions": [{"score": one} for one in request.json["instances"]]})

    model.answer = answer
    wrapper = build(
        """
endpoint: sagemaker://eu-west-1/fraud-prod
protocol: json
headers: {X-Amzn-SageMaker-Inference-Component: fraud-v3}
request: {instances: $items}
result: $.predictions[*].score
batch_size: 100
"""
    )
    answered = wrapper.call([*range(20)])
    assert [one for one in answered if isinstance(one, int)] == [n for n in range(20) if n != 13]
    assert (
        answered[13]["$error"]["type"] == "InputError" and "no thirteen" in answered[13]["$error"]["message"]
    )
    first = model.requests[0]
    assert first.path == "/endpoints/fraud-prod/invocations"
    assert first.headers["X-Amzn-SageMaker-Inference-Component"] == "fraud-v3"


def test_the_region_is_that_of_the_address(model, build, monkeypatch):
    """`auth: {aws: sagemaker}` takes the region of the address; without any region the call stops."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", model.url)
    assert build("endpoint: sagemaker://eu-west-1/x\nauth: {aws: sagemaker}").call(1) == 1
    assert "/eu-west-1/sagemaker/" in model.requests[0].headers["Authorization"]
    answered = build("endpoint: URL/x\nauth: {aws: execute-api}").batch([1])
    assert "region" in answered["$summary"]["stopped"]["message"]


def test_without_credentials_of_aws_the_call_stops(model, build, monkeypatch, tmp_path):
    """Where botocore finds no credentials, nothing is sent and the message says so."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    answered = build("endpoint: sagemaker://eu-west-1/x").batch(["a"])
    assert "botocore finds no credentials" in answered["$summary"]["stopped"]["message"]


@pytest.mark.parametrize("auth", ["{}", "{bearer_env: A, bearer_file: /b}", "{bearer_env: 'sim 1'}"])
def test_auth_names_one_source(build, auth):
    """No source, two of them, or a value in the place of a variable's name: refused with the spec."""
    from wrapgen.errors import SpecError

    with pytest.raises(SpecError, match=r"auth|bearer_env"):
        build(START + f"auth: {auth}")


@pytest.mark.parametrize("answer", [b'{"expires_in": 1%s}' % (b"0" * 400), b"[" * 100_000, b"5", b"\xff"])
def test_a_token_server_that_answers_nonsense_stops_the_call(answer, model, build, monkeypatch):
    """Numbers and nesting that Python can't hold are no token, and no crash."""
    monkeypatch.setenv("CLIENT_ID", "id")
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    model.answer = lambda request: Reply(answer)
    oauth = f"{{token_url: '{model.url}/token', client_id_env: CLIENT_ID, client_secret_env: CLIENT_SECRET}}"
    answered = build(START + f"auth: {{oauth2: {oauth}}}").batch(["a"])
    assert answered["$summary"]["stopped"]["type"] == "AuthenticationError"


def test_a_token_file_that_is_not_there_stops_the_call(model, build, tmp_path):
    """Also one that has gone since; once it is back the call goes on with it."""
    path = tmp_path / "token"
    wrapper = build(START + f"auth: {{bearer_file: '{path}'}}")
    model.answer = Guard(SECRET)
    assert "No such file" in wrapper.batch(["a"])["$summary"]["stopped"]["message"]
    path.write_text(SECRET)
    assert wrapper.batch(["a"])["$results"] == [1]
    path.unlink()
    assert "No such file" in wrapper.batch(["a"])["$summary"]["stopped"]["message"]


def test_relative_paths_start_beside_the_spec(model, build, tmp_path, monkeypatch):
    """A token's file and a program are found there, wherever the process was started."""
    monkeypatch.setenv("WRAPGEN_BESIDE", str(tmp_path))
    (tmp_path / "token").write_text(SECRET)
    program = tmp_path / "say.sh"
    program.write_text("#!/bin/sh\ncat ./token\n")
    program.chmod(0o700)
    model.answer = Guard(SECRET)
    for auth in ("{bearer_file: ./token}", "{bearer_file: token}", "{command: [./say.sh]}"):
        assert build(START + f"auth: {auth}").call("a") == 1

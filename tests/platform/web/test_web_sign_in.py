"""Signing in and out: keys, cookies, forms from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_the_address_itself_shows_browsers_the_way(server: Any, browse: Callable[..., Any]) -> None:
    """A browser is sent from / to the page, and from there to the form; an API client still gets its 404."""
    assert browse().get("/").headers["location"] == "/web/"
    asked = browse().get("/web/")
    assert (asked.status_code, asked.headers["location"]) == (303, "/web/sign-in?next=%2Fweb%2F")
    assert server.request("GET", "/").json()["error"]["code"] == 1000
    assert server.facts["web"] == server.address + "/web/"


def test_a_key_signs_in_and_the_cookie_is_out_of_reach(server: Any, browse: Callable[..., Any]) -> None:
    """The token changes at sign-in, scripts and other sites can't have it, and the key is in no page."""
    someone = browse()
    before = someone.page("/web/sign-in").value("token")
    first = dict(someone.session.cookies)
    answer = someone.request("POST", "/web/sign-in", data={"token": before, "key": f" {server.key}\n"})
    cookie = answer.headers["set-cookie"].lower()
    assert answer.headers["location"] == "/web/"
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/web"))
    assert "secure" not in cookie  # this server has no TLS
    assert first.keys() == dict(someone.session.cookies).keys()
    assert first != dict(someone.session.cookies)
    assert server.key not in someone.get("/web/").text


@pytest.mark.parametrize(("kind", "status"), [("wrong", 401), ("empty", 401), ("admin", 403), ("odd", 401)])
def test_a_key_that_does_not_serve_is_refused(
    server: Any, browse: Callable[..., Any], kind: str, status: int
) -> None:
    """Wrong, empty, strange and admin keys get the form again with the reason."""
    key = {"wrong": "sim" + "x" * 25, "empty": "", "admin": server.admin_key, "odd": "é\ud800\0"}[kind]
    someone = browse()
    token = someone.page("/web/sign-in").value("token")
    body = {"token": token, "key": key.encode("utf-8", "surrogatepass")}
    answer = someone.request("POST", "/web/sign-in", data=body)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert someone.get("/web/").status_code == 303


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example/", "/web/\\evil", "/web/\r\nx: y", "/v1/"]
)
def test_signing_in_never_leads_elsewhere(server: Any, browse: Callable[..., Any], back: str) -> None:
    """Whatever `next` says, one ends up on a page of ours."""
    someone = browse()
    token = someone.page("/web/sign-in").value("token")
    body = {"token": token, "key": server.key, "next": back}
    assert someone.request("POST", "/web/sign-in", data=body).headers["location"] == "/web/"


def test_signing_out_ends_the_session_for_every_copy(server: Any, browse: Callable[..., Any]) -> None:
    """After sign-out the old cookie is worth nothing, also where somebody kept it."""
    someone, thief = browse(server.key), browse()
    thief.session.cookies.update(someone.session.cookies)
    assert thief.get("/web/").status_code == 200
    assert someone.post("/web/sign-out").headers["location"] == "/web/sign-in"
    assert thief.get("/web/").status_code == 303


def test_a_revoked_key_ends_its_sessions(server: Any, browse: Callable[..., Any]) -> None:
    """Its sessions end with it, and nobody else's."""
    mine = f"/v1/users/{server.facts['account']}/keys"
    made = server.request("POST", mine, json={"key_label": "soon gone"}).json()
    someone, other = browse(made["api_key"]), browse(server.key)
    identity = next(
        each["id"] for each in server.request("GET", mine).json() if each.get("key_label") == "soon gone"
    )
    assert server.request("DELETE", f"{mine}/{identity}").status_code == 204
    assert someone.get("/web/").status_code == 303
    assert other.get("/web/").status_code == 200


def test_tokens_are_kept_as_digests(server: Any, browse: Callable[..., Any]) -> None:
    """Whoever reads the database can't sign in with what is there."""
    someone = browse(server.key)
    (token,) = someone.session.cookies.values()
    found = b"".join(path.read_bytes() for path in server.home.glob("platform.sqlite*"))
    assert token.encode() not in found

"""Signing in and out: keys, cookies, forms from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from wrapgen.errors import NotAuthorized
from wrapgen.platform.domain.accounts import Accounts
from wrapgen.platform.storage.account_table import AccountTable
from wrapgen.platform.storage.database import Database
from wrapgen.platform.web.sessions import LIFETIME, Cookie, Sessions


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
    ("rights", "status"),
    [
        ({"allow_web_algo": False}, 403),
        ({"referer_host": "a.org"}, 403),
        ({"referer_host": "127.0.0.1", "allow_algo": False}, 303),
    ],
)
def test_a_key_signs_in_only_where_it_may_be_used(
    server: Any, browse: Callable[..., Any], rights: dict[str, Any], status: int
) -> None:
    """This is a web page of this host: keys for programs, or for the pages of another host, are refused."""
    body = {"permissions": rights}
    key = server.request("POST", "/v1/users/local/keys", json=body).json()["api_key"]
    someone = browse()
    token = someone.page("/web/sign-in").value("token")
    answer = someone.request("POST", "/web/sign-in", data={"token": token, "key": key})
    assert answer.status_code == status


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


def test_a_revoked_key_ends_its_sessions(revoked: Any, browser: Any) -> None:
    """Its sessions end with it, and nobody else's."""
    assert revoked.get("/web/").status_code == 303
    assert browser.get("/web/").status_code == 200


def test_a_session_ends_by_itself(tmp_path: Path) -> None:
    """After twelve hours its token stands for nobody; what has expired is removed at the next sign-in."""
    now = [1000.0]
    database = Database(tmp_path / "platform.sqlite")
    accounts = Accounts(AccountTable(database), lambda: now[0])
    accounts.create("user", "somebody", {})
    key, _ = accounts.create_key("somebody")
    sessions = Sessions(AccountTable(database), accounts, lambda: now[0])
    token = sessions.begin(key, "http://127.0.0.1")
    now[0] += LIFETIME - 1
    assert sessions.caller(token).account == "somebody"
    now[0] += 1
    with pytest.raises(NotAuthorized):
        sessions.caller(token)
    sessions.begin(key, "http://127.0.0.1")
    assert len(database.rows("SELECT * FROM sessions")) == 1
    database.close()


@pytest.mark.parametrize(("scheme", "port", "name"), [("https", 8443, "8443"), ("http", 80, "80")])
def test_the_cookie_is_for_one_server_and_for_tls_only_there(scheme: str, port: int, name: str) -> None:
    """Its name has the port, as browsers share cookies among ports; under TLS it never travels readable."""
    request = Request(
        {"type": "http", "scheme": scheme, "server": ("h", port), "path": "/web/", "headers": []}
    )
    cookie = Cookie.of(request)
    assert cookie.name == f"wrapgen_{name}"
    for answer in (cookie.give(Response(), "t"), cookie.take(Response())):
        assert ("Secure" in answer.headers["set-cookie"]) == (scheme == "https")


def test_tokens_are_kept_as_digests(server: Any, browse: Callable[..., Any]) -> None:
    """Whoever reads the database can't sign in with what is there."""
    someone = browse(server.key)
    (token,) = someone.session.cookies.values()
    found = b"".join(path.read_bytes() for path in server.home.glob("platform.sqlite*"))
    assert token.encode() not in found

"""Who gets to see which page: every page of the table, for everybody."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from typing import Any

import pytest

from wrapgen.platform.web.app import HEADERS, pages
from wrapgen.platform.web.page import WebPage

CLOSED = [page for page in pages() if not page.open]
READING = [page for page in CLOSED if page.method == "GET"]
WRITING = [page for page in CLOSED if page.method == "POST"]
OF_AN_ALGORITHM = [page for page in CLOSED if page.path.startswith("/web/algorithms/")]
OWNERS_ONLY = ("/builds/", "/source/", "/secrets")


def named(page: WebPage) -> str:
    return f"{page.method} {page.path}"


def path_of(page: WebPage, odd: Any, name: str = "") -> str:
    """A page's address with real words in it, as far as they are known here."""
    known = {
        "owner": odd.server.facts["account"],
        "name": name or odd.name,
        "version": "0.1.0",
        "build": odd.builds[0]["build_id"],
        "path": "src/Odd.py",
    }
    return re.sub(r"{(\w+)(?::\w+)?}", lambda found: known.get(found[1], "x"), page.path)


@pytest.mark.parametrize("page", READING, ids=named)
def test_nobody_reads_anything(page: WebPage, odd: Any, browse: Callable[..., Any], revoked: Any) -> None:
    """Without a session, or once its key is revoked, a browser is sent to the form; a script gets a 401."""
    path = path_of(page, odd)
    for someone in (browse(), revoked):
        answer = someone.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/web/sign-in?next=%2Fweb%2F")
        assert someone.get(path, headers={"Accept": "application/json"}).status_code == 401


@pytest.mark.parametrize("page", WRITING, ids=named)
def test_nobody_writes_anything(page: WebPage, odd: Any, browse: Callable[..., Any], revoked: Any) -> None:
    """Without a session a form is refused, also with the token of one that isn't, or no longer, signed in."""
    token = revoked.token
    assert revoked.post(path_of(page, odd), headers={"X-Token": token}).status_code == 401
    someone = browse()
    assert someone.post(path_of(page, odd)).status_code == (403 if page.open else 401)
    token = someone.page("/web/sign-in").value("token")
    answer = someone.request("POST", path_of(page, odd), data={"token": token}, headers={"X-Token": token})
    assert answer.status_code == 401


@pytest.mark.parametrize("page", WRITING, ids=named)
def test_every_form_needs_its_sessions_token(
    page: WebPage, odd: Any, server: Any, browse: Callable[..., Any]
) -> None:
    """No token, another session's, or another site in the headers: all are refused, and nothing happens."""
    someone, other = browse(server.key), browse(server.key)
    path, host = path_of(page, odd), {"Host": server.address.partition("://")[2]}
    assert someone.request("POST", path, data={"no": "token"}, headers={"X-Token": ""}).status_code == 403
    theirs = {"data": {"token": other.token}, "headers": {"X-Token": other.token}}
    assert someone.request("POST", path, **theirs).status_code == 403
    for sign in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
    ):
        headers = {**host, **sign, "X-Token": someone.token}
        assert someone.post(path, headers=headers).status_code == 403
    assert someone.get("/web/").status_code == 200


@pytest.mark.parametrize("page", OF_AN_ALGORITHM, ids=named)
def test_a_stranger_can_not_tell_a_private_algorithm_from_none(
    page: WebPage, odd: Any, stranger: str, browse: Callable[..., Any]
) -> None:
    """Every page of somebody's private algorithm answers 404, word for word as for one that never was."""
    someone = browse(stranger)
    answers = [
        someone.request(page.method, path_of(page, odd, name), data={"token": someone.token})
        for name in ("Odd", "Never")
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text == answers[1].text.replace("Never", "Odd")


@pytest.mark.parametrize("page", OF_AN_ALGORITHM, ids=named)
def test_a_restricted_key_sees_what_it_may(
    page: WebPage, odd: Any, restricted: str, browse: Callable[..., Any]
) -> None:
    """A key that may not manage algorithms sees its account's versions, but no builds or closed source."""
    someone = browse(restricted)
    answer = someone.request(page.method, path_of(page, odd), data={"token": someone.token, "input": "1"})
    refused = any(word in page.path for word in OWNERS_ONLY)
    assert answer.status_code in ((403, 404) if refused else (200,))


@pytest.mark.parametrize("page", READING, ids=named)
def test_every_page_answers_its_owner(page: WebPage, odd: Any, browser: Any) -> None:
    """No page fails, whatever words its address has; each is whole HTML with every header."""
    for path in (path_of(page, odd), re.sub(r"{[^}]+}", "%3Cb%3E%F0%9F%90%8D%00", page.path)):
        answer = browser.get(path)
        assert answer.status_code < 500, answer.text
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert answer.headers["cache-control"] == "no-store"


def test_unknown_pages_say_so(browser: Any, browse: Callable[..., Any]) -> None:
    """An address that is none answers 404 with every header, signed in or not; a wrong method answers 405."""
    for someone in (browser, browse()):
        answer = someone.get("/web/nothing/here")
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (404, "nosniff")
    assert browser.request("PUT", "/web/").status_code == 405
    assert browser.get("/web/static/app.py").status_code == 404


def test_a_form_that_is_none_or_too_large_is_refused(odd: Any, browser: Any) -> None:
    """A POST must be a form, of bounded size; nothing larger is read into memory."""
    path = f"{odd.page}/versions/0.1.0"
    said = browser.request("POST", path, data="{}", headers={"Content-Type": "application/json"})
    assert said.status_code == 415
    large = f"token={browser.token}&input=".encode() + b"x" * (256 * 1024)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.request("POST", path, data=large, headers=form).status_code == 413
    assert (
        browser.request("POST", path, data=b"x", headers={"Content-Type": "multipart/form-data"}).status_code
        == 400
    )


@pytest.mark.parametrize("host", ["h:port", "[", "[::1", "<b>", 'h"><script>', "h:99999", ""])
def test_a_strange_host_does_no_harm(server: Any, odd: Any, browser: Any, html: Any, host: str) -> None:
    """Whatever a Host or Origin header says, pages answer, and it stays text."""
    place = server.address.partition("://")[2]
    cookie = "; ".join(f"{name}={value}" for name, value in browser.session.cookies.items())
    headers = {"Host": host, "Cookie": cookie, "Accept": "text/html"}

    def ask(method: str, path: str, **more: str) -> tuple[int, str]:
        # Not with requests, which itself stumbles over such headers.
        connection = http.client.HTTPConnection(place, timeout=60)
        connection.request(method, path, f"token={browser.token}", {**headers, **more})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    status, text = ask("GET", f"{odd.page}/versions/0.1.0")
    assert status == 200
    assert len(html(text).all("script")) == 1
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{host}x"}
    assert ask("POST", "/web/sign-out", **form)[0] == 403
    assert ask("GET", "/web/nothing")[0] == 404


def test_no_template_has_script_or_style_of_its_own() -> None:
    """The policy forbids inline script and style, so no template has any, nor an event handler."""
    from wrapgen.platform.web.render_process import HERE

    for path in (HERE / "templates").iterdir():
        text = path.read_text("utf-8")
        assert not re.search(r"<style|\sstyle=|\son\w+\s*=|javascript:|\|\s*safe\b", text), path.name
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text)), path.name

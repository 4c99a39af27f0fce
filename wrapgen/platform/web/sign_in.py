"""Signing in with an API key, and out again."""

from __future__ import annotations

from starlette.responses import Response

from wrapgen.errors import NotAuthorized
from wrapgen.platform.api.errors import facts
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Told, Visit, WebPage
from wrapgen.platform.web.sessions import Cookie, Sessions


def ask(visit: Visit) -> Response:
    """GET /web/sign-in: the form, which carries a token of its own session-to-be."""
    if visit.account is not None:
        return visit.go(_back(visit.query("next")))
    return Cookie.of(visit.request).give(_form(visit, visit.query("next")), visit.token)


def sign_in(visit: Visit) -> Response:
    """POST /web/sign-in: a session under a new token; the one that the form was made with ends."""
    sessions: Sessions = visit.request.app.state.sessions
    try:
        token = sessions.begin(visit.text("key").strip(), visit.address)
    except NotAuthorized as error:
        return _form(visit, visit.text("next"), error)
    sessions.end(visit.token)
    return Cookie.of(visit.request).give(visit.go(_back(visit.text("next"))), token)


def sign_out(visit: Visit) -> Response:
    """POST /web/sign-out"""
    sessions: Sessions = visit.request.app.state.sessions
    sessions.end(visit.token)
    return Cookie.of(visit.request).take(visit.go(f"{ROOT}/sign-in"))


def _form(visit: Visit, back: str, error: NotAuthorized | None = None) -> Response:
    status = facts(error)[0] if error else 200
    return visit.html("sign_in.html", {"next": _back(back), "error": error and Told.of(error)}, status)


def _back(path: str) -> str:
    """Where to go after signing in: a page of ours, whatever the query says."""
    inside = path.startswith(f"{ROOT}/") and path.isprintable() and "\\" not in path
    return path if inside else f"{ROOT}/"


PAGES = (
    WebPage(f"{ROOT}/sign-in", ask, open=True),
    WebPage(f"{ROOT}/sign-in", sign_in, method="POST", open=True),
    WebPage(f"{ROOT}/sign-out", sign_out, method="POST"),
)

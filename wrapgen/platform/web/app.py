"""The web page as an ASGI application: sessions and form tokens before a page, headers and errors after.

What the pages show is in the modules that MODULES lists.
"""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wrapgen.errors import NotAuthorized, ServerFault, WrapgenError
from wrapgen.platform import Platform
from wrapgen.platform.api.auth import KNOWN
from wrapgen.platform.api.errors import facts, headers, management_body, respond_router, routed, words
from wrapgen.platform.domain.data_rights import require
from wrapgen.platform.storage.account_table import AccountTable
from wrapgen.platform.web import shown
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import (
    FORM_BYTES,
    Told,
    Unrendered,
    Visit,
    WebPage,
    read_form,
    require_same_site,
    wants_html,
)
from wrapgen.platform.web.render_process import static_files
from wrapgen.platform.web.renderer import Renderer
from wrapgen.platform.web.sessions import Cookie, Sessions, new_token

MODULES = (
    "sign_in",
    "overview",
    "algorithm",
    "console",
    "source",
    "data",
    "data_file",
    "activity",
    "charts",
    "workers",
)
"""Modules of this package with `PAGES`, in the order of their links."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # Not `no-referrer`: browsers then say `Origin: null` with forms, as they do with another site's.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""On every answer under /web; a page is also never kept by caches."""


def pages() -> list[WebPage]:
    """Every page, in the order in which paths are tried."""
    return [page for name in MODULES for page in _module(name).PAGES]


def _module(name: str) -> Any:
    return importlib.import_module(f"wrapgen.platform.web.{name}")


class Web:
    """Everything under /web.

    Args:
        platform: what is served.
        clock: gives epoch seconds.
    """

    def __init__(self, platform: Platform, clock: Callable[[], float] = time.time) -> None:
        self._platform = platform
        self._sessions = Sessions(AccountTable(platform.state.database), platform.state.accounts, clock)
        self._renderer = Renderer(platform.bounds.pages_open)
        static = static_files()
        routes = [
            Route(
                page.path, partial(self._answer, page), methods=[page.method], name=page.handler.__qualname__
            )
            for page in pages()
        ]
        routes += [
            Route(f"{ROOT}/static/{{name}}", static.answer, methods=["GET"]),
            Route(ROOT, _door, methods=["GET"]),
        ]
        handlers: dict[Any, Any] = {
            WrapgenError: self._refuse,
            HTTPException: self._refuse_route,
            Exception: self._fail,
        }
        app = Starlette(routes=routes, exception_handlers=handlers)
        app.router.redirect_slashes = False
        app.state.sessions = self._sessions
        app.state.limiter = CapacityLimiter(platform.bounds.page_threads)
        self._app: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: one request under ROOT."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_missing(message["headers"])]
            await send(message)

        await self._app(scope, receive, guarded)

    async def _answer(self, page: WebPage, request: Request) -> Response:
        async with self._renderer.admitted() as request.state.spent:
            response = await self._respond(page, request)
        return await self._rendered(response)

    async def _rendered(self, response: Response) -> Response:
        if isinstance(response, Unrendered):
            return response.fill(await self._renderer.render(response.job))
        return response

    async def _respond(self, page: WebPage, request: Request) -> Response:
        visit = request.state.visit = await run_in_threadpool(self._visit, request)
        if visit.account is None and not page.open:
            return self._sign_in_first(visit)
        if page.method == "GET":
            return await self._open(page, visit)
        require_same_site(request)
        bounds = self._platform.bounds
        most = page.form_bytes if visit.account else bounds.sign_in_bytes
        if most > FORM_BYTES:  # files, which wait on disk
            require(visit.caller.permissions.data_write, "hosted data", "write")
        form = await read_form(request, most, visit.token, bounds.form_fields)
        try:
            visit = request.state.visit = replace(visit, form=form)
            if visit.account is not None:
                await run_in_threadpool(visit.recheck)
            return await self._open(page, visit)
        finally:
            await form.close()

    async def _open(self, page: WebPage, visit: Visit) -> Response:
        if inspect.iscoroutinefunction(page.handler):
            answer: Awaitable[Response] = page.handler(visit)
            return await answer
        response: Response = await visit.in_thread(page.handler, visit)  # type: ignore[arg-type]
        return response

    def _visit(self, request: Request) -> Visit:
        token = Cookie.of(request).token
        visit = Visit(request, self._platform, token or new_token())
        try:
            visit = replace(visit, account=self._sessions.caller(visit.token))
            request.scope[KNOWN] = True
        except NotAuthorized:
            pass
        return visit

    def _sign_in_first(self, visit: Visit) -> Response:
        if visit.request.method == "GET" and wants_html(visit.request):
            return visit.go(f"{ROOT}/sign-in?{shown.query(next=visit.path)}")
        raise NotAuthorized("sign in first", hint=f"at {ROOT}/sign-in", reason="unauthenticated")

    async def _refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, WrapgenError)
        status = facts(error)[0]
        visit: Visit | None = getattr(request.state, "visit", None)
        if visit is None or not wants_html(request):
            body, kind = shown.compact(management_body(error)), "application/json"
            return Response(body, status, headers(error), media_type=kind)
        try:
            told = {"status": status, "error": Told.of(error)}
            return await self._rendered(visit.html("error.html", told, status))
        except ServerFault:  # it is the pages that can't be made now
            return Response(words(error), status, headers(error), media_type="text/plain")

    async def _refuse_route(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if not wants_html(request):
            return await respond_router(request, error)
        request.state.visit = await run_in_threadpool(self._visit, request)
        said = "there is no such page" if error.status_code == 404 else str(error.detail)
        return await self._refuse(request, routed(error.status_code, said))

    async def _fail(self, request: Request, error: Exception) -> Response:  # noqa: ARG002 (Starlette's signature)
        return await self._refuse(request, ServerFault("something went wrong on this side"))


def _door(request: Request) -> Response:  # noqa: ARG001 (Starlette's signature)
    return RedirectResponse(f"{ROOT}/", 308)


def _missing(pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """HEADERS that an answer doesn't bring itself."""
    there = {name.lower() for name, _ in pairs}
    wanted = {"cache-control": "no-store", **HEADERS}
    found = [(name.encode(), value.encode()) for name, value in wanted.items()]
    return [(name, value) for name, value in found if name not in there]

"""The platform as an ASGI application: calls first, then the web page and the routes of the other modules."""

from __future__ import annotations

import asyncio
import time
import traceback
import uuid
from collections.abc import Callable, Iterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wrapgen.errors import WrapgenError
from wrapgen.platform import Platform
from wrapgen.platform.api import (
    accounts,
    algorithms,
    connectors,
    data,
    environments,
    git,
    insights,
    keys,
    operations,
    scms,
    secrets,
)
from wrapgen.platform.api.auth import KNOWN, RIGHTS
from wrapgen.platform.api.calls import PREFIX, CallEndpoint
from wrapgen.platform.api.endpoint import Endpoint, endpoints_of
from wrapgen.platform.api.errors import cut_short, respond, respond_router, respond_unexpected
from wrapgen.platform.api.openapi import OpenApi
from wrapgen.platform.observe.server_log import ServerLog
from wrapgen.platform.web.app import Web
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import wants_html

APIS = (
    *algorithms.APIS,
    *secrets.APIS,
    *data.APIS,
    *accounts.APIS,
    *keys.APIS,
    *environments.APIS,
    *scms.APIS,
    *connectors.APIS,
    *insights.APIS,
    *operations.APIS,
)
"""What answers requests, by resource."""


class Application:
    """Everything that one platform answers.

    Args:
        platform: what is served.
    """

    def __init__(self, platform: Platform) -> None:
        self._call = CallEndpoint(platform)
        self._rest = _Logged(rest(platform), platform.observer.log)
        self._web = _Logged(Web(platform), platform.observer.log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: calls go straight to their endpoint, all else to the router."""
        target: ASGIApp = self._rest
        path = scope["path"]
        if path.startswith(PREFIX):
            target = self._call
        elif path == ROOT or path.startswith(ROOT + "/"):
            target = self._web
        await target(scope, receive, send)


def rest(platform: Platform) -> Starlette:
    """The application for everything but calls."""
    handlers: dict[int | type[Exception], Callable[[Request, Exception], object]] = {
        WrapgenError: respond,
        HTTPException: respond_router,
        Exception: respond_unexpected,
    }
    routes = [*(each.route() for each in endpoints(platform)), *git.routes(platform)]
    routes.append(Route("/", root_redirect))
    app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
    app.state.platform = platform
    app.router.redirect_slashes = False
    return app


def endpoints(platform: Platform) -> Iterator[Endpoint]:
    """All endpoints of the API, in the order in which they are asked."""
    described = OpenApi(platform)
    made = [*(api(platform) for api in APIS), described]
    found = [each for api in made for each in endpoints_of(api)]
    # An id has no owner before it: its routes must be tried first, or `ID/compile` looks like a name.
    found.sort(key=lambda each: "{id:uuid}" not in each.path)
    described.endpoints = found
    return iter(found)


class _Logged:
    """Logs each request that isn't a call, and tells the client its id in X-Request-Id."""

    def __init__(self, app: ASGIApp, log: ServerLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, began, status = f"req-{uuid.uuid4()}", time.monotonic(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = [(b"x-request-id", request_id.encode("ascii"))]
                if RIGHTS in scope:
                    more.append((RIGHTS.encode("ascii"), b"caller"))
                message["headers"] = [*message["headers"], *more]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:  # the server ends, and has waited long enough
            if not status:
                await _stopped(Request(scope, receive), watched)
        except Exception:
            self._note(scope)("fault", request_id=request_id, trace=traceback.format_exc())
        finally:
            self._note(scope)(
                "request",
                request_id=request_id,
                method=scope["method"],
                path=scope["path"][:200],
                status=status,
                seconds=round(time.monotonic() - began, 6),
            )

    def _note(self, scope: Scope) -> Callable[..., None]:
        return self._log.note if KNOWN in scope else self._log.note_stranger


async def _stopped(request: Request, send: Send) -> None:
    """Refuses a request that the server's end cuts short."""
    answer = await respond(request, cut_short())
    await answer(request.scope, request.receive, send)


def root_redirect(request: Request) -> Response:
    """The address itself: a browser is shown to the web page."""
    if not wants_html(request):
        raise HTTPException(404)
    return RedirectResponse(f"{ROOT}/", 303)

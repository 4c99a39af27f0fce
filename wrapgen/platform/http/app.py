"""The platform as an ASGI application: calls first, then the routes of the other modules."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from wrapgen.errors import WrapgenError
from wrapgen.platform import Platform
from wrapgen.platform.http.calls import PREFIX, CallEndpoint
from wrapgen.platform.http.errors import respond, respond_router, respond_unexpected

MODULES = ("algorithms", "data", "git", "accounts", "environments")
"""Modules of this package with `routes(platform)`, in the order in which they are asked."""


class Application:
    """Everything that one platform answers.

    Args:
        platform: what is served.
    """

    def __init__(self, platform: Platform) -> None:
        self._call = CallEndpoint(platform)
        self._rest = rest(platform)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: calls go straight to their endpoint, all else to the router."""
        target: ASGIApp = self._rest
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            target = self._call
        await target(scope, receive, send)


def rest(platform: Platform) -> Starlette:
    """The application for everything but calls."""
    handlers: dict[int | type[Exception], Callable[[Request, Exception], object]] = {
        WrapgenError: respond,
        HTTPException: respond_router,
        Exception: respond_unexpected,
    }
    routes = [route for name in MODULES for route in _routes(name, platform)]
    routes.append(Route("/health", health))
    app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
    app.state.platform = platform
    app.router.redirect_slashes = False
    return app


def _routes(name: str, platform: Platform) -> Iterable[BaseRoute]:
    module = importlib.import_module(f"wrapgen.platform.http.{name}")
    found: Iterable[BaseRoute] = module.routes(platform)
    return found


def health(request: Request) -> Response:
    """Whether new calls are taken: 200, or 503 while the server drains."""
    platform: Platform = request.app.state.platform
    if platform.calls.draining:
        return JSONResponse({"status": "draining"}, 503)
    return JSONResponse({"status": "ok"})

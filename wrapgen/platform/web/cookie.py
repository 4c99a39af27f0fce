"""The one cookie: named after the port, since a machine's browsers share cookies among all its ports."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from wrapgen.platform.web.navigation import ROOT


@dataclass(frozen=True)
class Cookie:
    """The session's cookie of one request.

    Args:
        name: what it is called here.
        token: its value; empty if there was none.
        secure: whether it may travel encrypted only.
    """

    name: str
    token: str
    secure: bool

    @classmethod
    def of(cls, request: Request) -> Cookie:
        """The cookie that a request brings, or would bring."""
        scheme = request.scope["scheme"]
        # The port that is listened on: a Host header may say anything.
        name = f"wrapgen_{request.scope['server'][1]}"
        return cls(name, request.cookies.get(name, ""), scheme == "https")

    def give(self, response: Response, token: str) -> Response:
        """The response, with a new token for the browser to keep until it is closed."""
        response.set_cookie(self.name, token, path=ROOT, secure=self.secure, httponly=True, samesite="strict")
        return response

    def take(self, response: Response) -> Response:
        """The response, after which the browser has no token."""
        response.delete_cookie(self.name, path=ROOT, secure=self.secure, httponly=True, samesite="strict")
        return response

"""What a page is, and one visit of it: who is there, what their form says, and the answer in HTML.

Signing in, the token of forms and where a form came from are checked before a page's own function runs, so
that no page can forget them.
"""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from wrapgen.errors import BadRequest, NotAuthorized, TooLarge, WrapgenError
from wrapgen.platform.api.endpoint import reply
from wrapgen.platform.domain.model import Caller
from wrapgen.platform.web.render_process import Context
from wrapgen.platform.web.sessions import Sessions, form_token, same

if TYPE_CHECKING:
    from wrapgen.platform import Platform

T = TypeVar("T")

TOKEN_FIELD = "token"  # noqa: S105  # a field's name
"""The form field, and with an `X-` before it the header, that carries a session's form token."""

FORM_BYTES = 12 * 1024 * 1024
"""Most bytes of a form: an input of the greatest size, and what a browser adds around it."""


HEAD_BYTES = 8 * 1024
"""Bytes at the beginning of a form in which its token has to stand; every form of ours has it first."""

FIELD_BYTES = 64 * 1024
"""Most bytes of a field of a larger form."""

FILES = 1000
"""Most files of a form."""

# It warns of every broken form; without a handler that lands on the server's standard error.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())

PLAIN_BYTES = 256 * 1024
"""Most bytes of a form without files: they can be that many fields, and each takes its time."""


@dataclass(frozen=True)
class WebPage:
    """One address of the web page.

    Args:
        path: with `{words}` in it, under ROOT.
        handler: answers a visit; a plain function runs in a thread.
        method: `GET` or `POST`; a POST only gets here with its session's token, from this same site.
        open: whether it is shown without signing in.
        form_bytes: most bytes of a POST's body, where somebody is signed in.
    """

    path: str
    handler: Callable[[Visit], Response] | Callable[[Visit], Awaitable[Response]]
    method: str = "GET"
    open: bool = False
    form_bytes: float = FORM_BYTES


class Unrendered(Response):
    """A page on its way to the process that renders it.

    Args:
        job: what that process is told.
        status: of the response.
    """

    def __init__(self, job: bytes, status: int) -> None:
        super().__init__(b"", status, media_type="text/html")
        self.job = job

    def fill(self, page: bytes) -> Response:
        """The response with the page as its body."""
        self.body = page
        self.headers["content-length"] = str(len(page))
        return self


@dataclass(frozen=True)
class Visit:
    """One request for a page.

    Args:
        request: as it came.
        platform: what is served.
        token: of the cookie; a new one if there was none.
        account: who is signed in, or None.
        form: what a POST brought.
    """

    request: Request
    platform: Platform
    token: str
    account: Caller | None = None
    form: FormData = field(default_factory=FormData)

    @property
    def caller(self) -> Caller:
        """Who is signed in.

        Raises:
            NotAuthorized: there is no session (401).
        """
        if self.account is None:
            raise NotAuthorized("no user is signed in", reason="unauthenticated")
        return self.account

    @property
    def path(self) -> str:
        """The page's path as links have it. (Starlette's `url` fails on a Host header that is no host.)"""
        return quote(self.request.scope["path"])

    @property
    def address(self) -> str:
        """Where the visitor sees this platform, without a path."""
        return f"{self.request.scope['scheme']}://{self.request.headers.get('host', '')}"

    def word(self, name: str) -> str:
        """A `{word}` of the page's path."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """A value of the query."""
        return self.request.query_params.get(name, default)

    def text(self, name: str, default: str = "") -> str:
        """A field of the form that is text; line ends as programs write them, not as forms do."""
        value = self.form.get(name, default)
        return value.replace("\r\n", "\n") if isinstance(value, str) else default

    def files(self, name: str) -> list[UploadFile]:
        """The files of the form that were chosen in a field."""
        found = self.form.getlist(name)
        return [each for each in found if isinstance(each, UploadFile) and each.filename]

    def recheck(self) -> None:
        """Refuses who is not signed in any more, after a form that took its time to come.

        Raises:
            NotAuthorized: the session has ended, or its key was revoked (401).
        """
        sessions: Sessions = self.request.app.state.sessions
        sessions.caller(self.token)

    async def in_thread(self, work: Callable[..., T], *words: Any) -> T:
        """What a function gives, which runs in one of the few threads for pages; the others serve the API."""
        limiter: CapacityLimiter = self.request.app.state.limiter
        return await to_thread.run_sync(self._timed, work, *words, limiter=limiter)

    def _timed(self, work: Callable[..., T], *words: Any) -> T:
        began = time.thread_time()
        try:
            return work(*words)
        finally:
            self.request.state.spent.append(time.thread_time() - began)

    def html(self, template: str, context: Context | None = None, status: int = 200) -> Unrendered:
        """The page that a template makes of a context, with the words that every page has.

        Both go to the process that renders: the context holds plain values, or is what makes it there.
        """
        common = {"path": self.path, "account": self.account, "form_token": form_token(self.token)}
        return Unrendered(pickle.dumps((template, context or {}, common)), status)

    def json(self, value: Any, status: int = 200) -> Response:
        """A value for a script of ours."""
        return reply(value, status)

    def go(self, path: str) -> Response:
        """On to another page, with GET."""
        return RedirectResponse(path, 303)


@dataclass(frozen=True)
class Told:
    """An error on a page: the sentence, and what to do about it."""

    message: str
    hint: str

    @classmethod
    def of(cls, error: WrapgenError) -> Told:
        """What is told of an error."""
        return cls(error.message, error.hint)


def wants_html(request: Request) -> bool:
    """Whether a person's browser asks, and not a script."""
    return "text/html" in request.headers.get("accept", "")


def require_same_site(request: Request) -> None:
    """Refuses what another site made a browser send.

    Raises:
        NotAuthorized: the browser says that the request comes from elsewhere (403).
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    # Only the host is compared: behind somebody's TLS the scheme differs.
    elsewhere = origin is not None and origin.partition("://")[2] != request.headers.get("host", "")
    if site not in ("same-origin", "none") or elsewhere:
        raise NotAuthorized("the request comes from another site")


async def read_form(request: Request, most: float, token: str, fields: int) -> FormData:
    """The fields and files of a POST; larger files wait on disk.

    Args:
        request: the POST.
        most: bytes of it; beyond FORM_BYTES it is one whose fields are short.
        token: its session's; a form that does not have it at its beginning is not read any further.
        fields: as many.

    Raises:
        BadRequest: it is no form, it is too large (413), or it ends in the middle.
        NotAuthorized: it does not begin with the token that its session's forms carry (403).
    """
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raise BadRequest("this address takes a form", reason="wrong-media-type")
    left = most if kind.startswith("multipart/") else min(most, PLAIN_BYTES)
    wanted = form_token(token)
    head, tail, found = b"", b"", same(request.headers.get(f"x-{TOKEN_FIELD}", ""), wanted)

    async def receive() -> Any:
        nonlocal left, head, tail, found
        message = await request.receive()
        body = message.get("body", b"")
        left -= len(body)
        if left < 0:
            raise TooLarge("the form is too large")
        if not found:
            head += body[:HEAD_BYTES]
            found = wanted.encode() in head
            if not found and len(head) >= HEAD_BYTES:
                raise _stale()
        tail = (tail + body)[-8:]
        return message

    longest = int(most) if most <= FORM_BYTES else FIELD_BYTES
    try:
        form = await Request(request.scope, receive).form(
            max_files=FILES, max_fields=fields, max_part_size=longest
        )
    except FormParserError as error:  # as older versions of Starlette let it through
        raise BadRequest(f"this is no form: {error}") from error
    if form.get(TOKEN_FIELD, wanted) != wanted or not found:
        await form.close()
        raise _stale()
    if kind.startswith("multipart/") and not tail.rstrip().endswith(b"--"):
        await form.close()
        raise BadRequest("the form ends in the middle")
    return form


def _stale() -> NotAuthorized:
    hint = "go back, load the page again and repeat"
    return NotAuthorized("this form is no longer valid", hint=hint)

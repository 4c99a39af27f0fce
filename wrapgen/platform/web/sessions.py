"""Who is signed in: random tokens of one cookie, kept as digests; each is good for an API key for a while.

The cookie is named after the port, as a machine's browsers share cookies among all its ports. The key
itself is not kept. A key that is revoked takes its sessions with it, in the database.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from wrapgen.errors import NotAuthorized
from wrapgen.platform.domain.accounts import Accounts
from wrapgen.platform.domain.model import Caller
from wrapgen.platform.storage.account_table import AccountTable
from wrapgen.platform.web.navigation import ROOT

LIFETIME = 12 * 3600.0
"""Seconds from sign-in until one has to sign in again."""


def new_token() -> str:
    """A cookie's value that can't be guessed; it means nothing until a session is kept under it."""
    return secrets.token_urlsafe(32)


def form_token(token: str) -> str:
    """What every form of a session carries: made from the cookie's token, which can't be had back from it."""
    return hmac.new(token.encode("utf-8", "replace"), b"form", hashlib.sha256).hexdigest()


def same(first: str, second: str) -> bool:
    """Whether two tokens are equal, in a time that doesn't tell where they differ."""
    return hmac.compare_digest(first.encode("utf-8", "replace"), second.encode("utf-8", "replace"))


class Sessions:
    """The sessions of one platform.

    Args:
        table: where they are kept.
        accounts: who keys stand for.
        clock: gives epoch seconds.
    """

    def __init__(self, table: AccountTable, accounts: Accounts, clock: Callable[[], float]) -> None:
        self._table = table
        self._accounts = accounts
        self._clock = clock

    def begin(self, key: str, page: str) -> str:
        """Signs in with an API key; the token of the new session. Forgets sessions that have expired.

        Args:
            key: what somebody typed.
            page: the address of the page that they see.

        Raises:
            NotAuthorized: there is no such key (401); or it is an admin key, or can't be used there (403).
        """
        caller = self._accounts.caller(key)
        if caller.admin:
            hint = "sign in with a standard key"
            raise NotAuthorized("an admin key serves the admin endpoints only", hint=hint)
        if not caller.permissions.allow_origin(page):
            raise NotAuthorized("this API key can't be used from here")
        token, now = new_token(), self._clock()
        with self._table.transaction():
            self._table.sessions.expire(now)
            expires_at = now + LIFETIME
            self._table.sessions.insert(hash=_digest(token), key_id=caller.key_id, expires_at=expires_at)
        return token

    def caller(self, token: str) -> Caller:
        """Whose token it is.

        Raises:
            NotAuthorized: it has ended (401).
        """
        found = self._table.sessions.first(hash=_digest(token))
        if found is None or found.expires_at <= self._clock():
            raise NotAuthorized("no user is signed in", reason="unauthenticated")
        return self._accounts.caller_of(found.key_id)

    def end(self, token: str) -> None:
        """Signs out; there may be no such session."""
        self._table.sessions.delete(hash=_digest(token))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


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

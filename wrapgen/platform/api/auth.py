"""Who sends a request: the Authorization header in each form that the vendor's clients send.

Route modules call `caller(request)`; the path of a call, which has no request object, calls `identify`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.requests import Request

from wrapgen.errors import NotAuthorized
from wrapgen.platform.domain.model import Caller

if TYPE_CHECKING:
    from wrapgen.platform import Platform
    from wrapgen.platform.calls.call import Call
    from wrapgen.platform.calls.service import CallService

SCHEMES = ("simple", "bearer")
"""Prefixes of a key; without one the header is the key itself (upstream `Algorithmia/client.py`)."""


RIGHTS = "x-algorithm-rights"
"""The header with which a running algorithm drops its owner's rights for one request, by the value `caller`.

An addition of ours: a wrapper opens URLs that its caller names, and must not lend them its owner's files. The
reply repeats the header where it was honoured.
"""


KNOWN = "wrapgen.known"
"""Where a request's scope says that it came with a good key; of other requests the log takes only so many."""


def key_of(header: str) -> str:
    """The key in an Authorization header.

    Raises:
        NotAuthorized: there is none.
    """
    scheme, _, rest = header.strip().partition(" ")
    key = rest.strip() if scheme.lower() in SCHEMES else header.strip()
    if not key:
        raise NotAuthorized("authorization required", reason="unauthenticated")
    return key


def identify(calls: CallService, authorization: str, origin: str) -> tuple[Caller, Call | None]:
    """Who sends a request, and the running call it belongs to if it is a worker's.

    Args:
        calls: knows the workers.
        authorization: that header.
        origin: that header: the address of the web page that sends the request, empty if none does.

    Raises:
        NotAuthorized: no key, or one of no account (401); or one that can't be used there (403).
    """
    found, call = calls.identify(key_of(authorization))
    # Where a call came from was asked when it came; its algorithm may send requests from wherever it runs.
    if found.algorithm is None:
        require_origin(found, origin)
    return found, call


def require_origin(found: Caller, origin: str) -> None:
    """Refuses a key that is limited to other places.

    Raises:
        NotAuthorized: it is (403).
    """
    if not found.permissions.allow_origin(origin):
        raise NotAuthorized("this API key can't be used from here")


def caller(request: Request) -> Caller:
    """Who the request acts for; an algorithm's worker acts for the algorithm's caller.

    Raises:
        NotAuthorized: as `identify`.
    """
    platform: Platform = request.app.state.platform
    headers = request.headers
    found = identify(platform.calls, headers.get("authorization", ""), headers.get("origin", ""))[0]
    request.scope[KNOWN] = True
    if headers.get(RIGHTS, "").lower() != "caller":
        return found
    if not found.key_id:
        raise NotAuthorized("an algorithm that is loading has no caller")
    request.scope[RIGHTS] = True
    return replace(found, owner_rights=False)


def recheck(request: Request) -> None:
    """Refuses a request whose key was revoked while its body came in: its sender decides how long that takes.

    Raises:
        NotAuthorized: as `caller`.
    """
    if KNOWN in request.scope:
        caller(request)


def standard(request: Request) -> Caller:
    """The caller of an ordinary endpoint.

    Raises:
        NotAuthorized: as `caller`; or an admin key, which serves the admin endpoints only (403).
    """
    found = caller(request)
    if found.admin:
        raise NotAuthorized(
            "an admin key serves the admin endpoints only",
            hint="use a standard key",
        )
    return found


def person(request: Request) -> Caller:
    """The caller of an endpoint that tells of accounts, which is no running algorithm's business.

    Raises:
        NotAuthorized: as `caller`; or an algorithm's worker, which acts for its caller in calls and data.
    """
    found = caller(request)
    if found.algorithm is not None:
        raise NotAuthorized("a running algorithm can't look at accounts")
    return found


def admin(request: Request) -> Caller:
    """The caller of an admin endpoint.

    Raises:
        NotAuthorized: as `caller`; or a standard key (403).
    """
    found = caller(request)
    if not found.admin:
        raise NotAuthorized("this endpoint needs an admin key")
    return found

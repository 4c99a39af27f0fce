"""Who sends a request: the Authorization header in each form that the vendor's clients send.

Route modules call `caller(request)`; the path of a call uses `key_of` and `Platform.identify` directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request

from wrapgen.errors import NotAuthorized
from wrapgen.platform.model import Caller

if TYPE_CHECKING:
    from wrapgen.platform import Platform

SCHEMES = ("simple", "bearer")
"""Prefixes of a key; without one the header is the key itself (upstream `Algorithmia/client.py`)."""


def key_of(header: str) -> str:
    """The key in an Authorization header.

    Raises:
        NotAuthorized: there is none.
    """
    scheme, _, rest = header.strip().partition(" ")
    key = rest.strip() if scheme.lower() in SCHEMES else header.strip()
    if not key:
        raise NotAuthorized("authorization required", status=401, api_code=2001)
    return key


def caller(request: Request) -> Caller:
    """Who the request acts for; an algorithm's worker acts for whoever called the algorithm.

    Raises:
        NotAuthorized: no key, or one that stands for nobody (401).
    """
    platform: Platform = request.app.state.platform
    return platform.identify(key_of(request.headers.get("authorization", "")))[0]


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
            status=403,
            api_code=2001,
        )
    return found


def person(request: Request) -> Caller:
    """The caller of an endpoint that tells of accounts, which is no running algorithm's business.

    Raises:
        NotAuthorized: as `caller`; or an algorithm's worker, which acts for its caller in calls and data.
    """
    found = caller(request)
    if found.algorithm is not None:
        raise NotAuthorized("a running algorithm can't look at accounts", status=403, api_code=2001)
    return found


def admin(request: Request) -> Caller:
    """The caller of an admin endpoint.

    Raises:
        NotAuthorized: as `caller`; or a standard key (403).
    """
    found = caller(request)
    if not found.admin:
        raise NotAuthorized("this endpoint needs an admin key", status=403, api_code=2001)
    return found

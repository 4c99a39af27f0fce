"""Whose account a path means, for those who may ask about it."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from wrapgen.errors import NotAuthorized
from wrapgen.platform.api import auth
from wrapgen.platform.domain.model import Account


async def user_of(request: Request) -> Account:
    """The user of the path: for admin keys any, for others themselves.

    Raises:
        NotFound, NotAuthorized: there is none, or it is another.
    """
    caller = auth.person(request)
    accounts = request.app.state.platform.state.accounts
    found: Account = await run_in_threadpool(accounts.get, request.path_params["user"], "user")
    if not caller.admin and found.name != caller.account:
        raise NotAuthorized(f"403: {found.name} is not you")
    return found


async def organization_of(request: Request) -> Account:
    """The organization of the path: for admin keys any, for others those they are members of.

    Raises:
        NotFound, NotAuthorized: there is none, or they are no members.
    """
    caller = auth.person(request)
    accounts = request.app.state.platform.state.accounts
    found: Account = await run_in_threadpool(accounts.get, request.path_params["org"], "organization")
    if not caller.admin and not caller.owns(found.name):
        raise NotAuthorized(f"403: you are no member of {found.name}")
    return found

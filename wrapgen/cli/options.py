"""Options that several commands share. Imports nothing heavy: `--help` reads this file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wrapgen.errors import UsageError

if TYPE_CHECKING:
    from wrapgen.client import Client

F = TypeVar("F", bound=Callable[..., Any])

_PLATFORM_OPTIONS = (
    click.option("--address", metavar="URL", help="The platform's API address. [ALGORITHMIA_API]"),
    click.option("--api-key", metavar="KEY", help="The API key; other users of the machine can see it here."),
    click.option("--key-env", metavar="NAME", help="The variable that holds the API key."),
    click.option(
        "--profile", metavar="NAME", help="A profile of ~/.algorithmia/config, made by `algo auth`."
    ),
    click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        help="The home of a local platform. [.wrapgen]",
    ),
)


def platform_options(function: F) -> F:
    """Adds the options that say which platform and key: address, api_key, key_env, profile, home.

    The command receives them by those names and hands them to `client_for`.
    """
    for option in reversed(_PLATFORM_OPTIONS):
        function = option(function)
    return function


def client_for(
    address: str | None,
    api_key: str | None,
    key_env: str | None,
    profile: str | None,
    home: Path | None,
    *,
    pool: int = 8,
) -> Client:
    """The client that the platform options name.

    Raises:
        UsageError: two options contradict each other, or the variable of --key-env is empty.
        NoCredentials: nothing names a platform or a key.
    """
    from wrapgen.client import connect

    if api_key and key_env:
        raise UsageError("give --api-key or --key-env, not both")
    if home is not None and profile is not None:
        raise UsageError("give --home or --profile, not both")
    if key_env:
        api_key = os.environ.get(key_env)
        if not api_key:
            raise UsageError(f"the variable {key_env} is not set", hint="put the API key there")
    return connect(address=address, key=api_key, home=home, profile=profile, pool=pool)

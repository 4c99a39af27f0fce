"""Options that several commands share, and the client that they name; imports nothing heavy."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wrapgen.errors import UsageError

if TYPE_CHECKING:
    from wrapgen.client import Client
    from wrapgen.run.input.shards import Shard

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)


class FileOrUrl(click.Path):
    """A file, or an object of a bucket, whose URL stays text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or the URL."""
        from wrapgen.run.bucket import is_remote

        return value if is_remote(value) else super().convert(value, param, ctx)


OUTPUT = FileOrUrl(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

_PLATFORM_OPTIONS = (
    click.option("--address", metavar="URL", help="The platform's API address. [ALGORITHMIA_API]"),
    click.option("--api-key", metavar="KEY", help="The API key; other users of the machine can see it here."),
    click.option("--key-env", metavar="NAME", help="The variable that holds the API key."),
    click.option(
        "--profile", metavar="NAME", help="A profile of ~/.algorithmia/config, made by `algo auth`."
    ),
    click.option("--home", type=FOLDER, help="The home of a local platform. [.wrapgen]"),
)


@dataclass(frozen=True)
class PlatformChoice:
    """What the platform options of a command say; nothing is opened or read before `client` is called."""

    address: str | None = None
    api_key: str | None = None
    key_env: str | None = None
    profile: str | None = None
    home: Path | None = None

    @property
    def key(self) -> str | None:
        """The API key, or the token of a served wrapper, that the options name; None without one.

        Raises:
            UsageError: two options contradict each other, or the variable of --key-env is empty.
        """
        if self.api_key and self.key_env:
            raise UsageError("give --api-key or --key-env, not both")
        key = os.environ.get(self.key_env) if self.key_env else self.api_key
        if self.key_env and not key:
            raise UsageError(f"the variable {self.key_env} is not set", hint="put the API key there")
        return key

    def client(self, *, pool: int = 1) -> Client:
        """The client that the options name, with so many connections kept open.

        Raises:
            UsageError: two options contradict each other, or the variable of --key-env is empty.
            NoCredentials: nothing names a platform or a key.
        """
        from wrapgen.client import connect

        key = self.key
        if self.home is not None and self.profile is not None:
            raise UsageError("give --home or --profile, not both")
        return connect(address=self.address, key=key, home=self.home, profile=self.profile, pool=pool)


def options(*added: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator that adds several options, in the order in which `--help` shows them."""

    def add(function: F) -> F:
        for option in reversed(added):
            function = option(function)
        return function

    return add


def platform_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say which platform and key, which the command gets as one `platform`."""

    @wraps(function)
    def run(*, address: Any, api_key: Any, key_env: Any, profile: Any, home: Any, **given: Any) -> Any:
        return function(platform=PlatformChoice(address, api_key, key_env, profile, home), **given)

    return options(*_PLATFORM_OPTIONS)(run)


def json_option(help: str = "Print one JSON object.") -> Callable[[F], F]:  # noqa: A002 - click's word
    """The option --json, which the command gets as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=help)


class NumberRange(click.FloatRange):
    """Numbers between bounds, of which `nan` is none; `inf` is one where no end is a choice."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Raises `BadParameter`, which says what it may be."""
        found = float(super().convert(value, param, ctx))
        if math.isnan(found):
            self.fail(f"{value} is not a number.", param, ctx)
        if math.isinf(found) and self.min_open:
            self.fail(f"{value} is no limit: leave the option out for none.", param, ctx)
        return found


def number_option(
    name: str,
    default: float,
    low: float | None = None,
    high: float | None = None,
    *,
    help: str,  # noqa: A002 - click's word
) -> Callable[[F], F]:
    """An option that takes a number from `low` to `high`, whole if its default is, and shows its default."""
    kind: Any = click.IntRange if isinstance(default, int) else NumberRange
    return click.option(name, type=kind(low, high), default=default, show_default=True, help=help)


workers_option = click.option("--workers", type=click.IntRange(min=1), help="The most calls to keep open.")


def _shard(_: click.Context, _option: click.Parameter, text: str | None) -> Shard | None:
    from wrapgen.run.input.shards import Shard

    return None if text is None else Shard.parse(text)


shard_option = click.option(
    "--shard",
    metavar="I/N",
    callback=_shard,
    help="Do only slice I of N, from 0/N on; wrapgen merge joins them. I/N%M: at most M work at once.",
)
chunk_option = number_option("--chunk", 1000, 1, 100_000, help="The most items in a call.")
equal_option = click.option(
    "--equal",
    type=click.Choice(["each", "once"]),
    default="each",
    show_default=True,
    help="Equal items: send each, or one of them and give its outcome to all.",
)
timeout_option = click.option(
    "--timeout", type=click.IntRange(2, 3000), help="Seconds each call gets. [the wrapper's limit + 30]"
)


def connected(function: Callable[..., None]) -> Callable[..., Any]:
    """Adds the platform options and --json, and hands the command a client for as long as it runs."""

    @wraps(function)
    def run(*, platform: PlatformChoice, **given: Any) -> None:
        with platform.client() as client:
            function(client, **given)

    return json_option("Print JSON.")(platform_options(run))

"""Which wrappers hold an older runtime: in folders by their files, hosted ones by what they answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wrapgen.build.runtime import FIRST, current, held, is_older, wrapper_folders
from wrapgen.client import Client
from wrapgen.errors import AlgorithmFailed, PlatformError
from wrapgen.publish.settings import TAGLINE


@dataclass(frozen=True)
class HeldRuntime:
    """The runtime of one wrapper.

    Args:
        where: its folder, or its newest release.
        runtime: the version; None if that can't be told.
        outdated: whether it is older than what is built now.
        unknown: why it can't be told.
    """

    where: str
    runtime: str | None
    outdated: bool
    unknown: str = ""


def in_folder(folder: Path) -> Iterator[HeldRuntime]:
    """Every wrapper at and below a folder."""
    for place in wrapper_folders(folder):
        version = held(place) or FIRST
        yield HeldRuntime(str(place), version, is_older(version, current()))


def on_platform(client: Client) -> Iterator[HeldRuntime]:
    """The newest release of each wrapper of the key's account, and with an admin key of every organization.

    Only algorithms that `wrapgen publish` made as wrappers are called, each once, for what it says of itself.

    Raises:
        PlatformError: the platform can't be reached, or does not list algorithms.
    """
    owners = [client.data.account() or ""]
    if client.connection.admin_key:
        owners += sorted(str(each["org_name"]) for each in client.accounts.organizations())
    for owner in owners:
        for content in client.accounts.algorithms(owner):
            reference = f"{owner}/{content['algoname']}"
            details = client.algorithms.get(reference).get("details") or {}
            if str(details.get("tagline") or "").startswith(TAGLINE):
                released = next(iter(client.versions(reference)), None)
                yield _described(client, f"{reference}/{released.version}" if released else reference)


def _described(client: Client, reference: str) -> HeldRuntime:
    try:
        version = client.call(reference, {"$batch": []}).result["$summary"]["wrapper"].get("runtime", FIRST)
    except (PlatformError, AlgorithmFailed) as error:
        return HeldRuntime(reference, None, outdated=False, unknown=error.message)
    except (TypeError, KeyError, AttributeError):
        return HeldRuntime(reference, None, outdated=False, unknown="it does not describe itself")
    return HeldRuntime(reference, str(version), is_older(str(version), current()))

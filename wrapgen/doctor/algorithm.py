"""The examination of an algorithm: its existence, version, rights and description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wrapgen.client import Client, Reference
from wrapgen.doctor.finding import Finding, fault, ok, unchecked
from wrapgen.errors import NotAuthorized, NotFound, PlatformError, RunError, UsageError
from wrapgen.protocol import ACCOUNT_CALLS
from wrapgen.run.hosts.description import Description
from wrapgen.run.hosts.lookup import find_host, resolve


def key(client: Client) -> Finding:
    """Whether the platform answers and knows the key.

    Raises:
        PlatformError: it does not answer; nothing else can be looked at.
    """
    where = client.connection.address
    try:
        account = client.data.account()
    except NotAuthorized as error:
        return fault("key", f"{where} refuses the key from {client.connection.source}: {error}", error.hint)
    return ok("key", f"{where} knows it as {account or 'an account without a name'}")


def settings(client: Client, name: str) -> tuple[Finding, Mapping[str, Any] | None]:
    """Whether an algorithm is there, and its settings if this key may see them."""
    try:
        content = client.algorithms.get(name)
    except NotFound:
        return fault("algorithm", f"there is no {name}", "publish it with: wrapgen publish DIR"), None
    except NotAuthorized as error:
        hint = "use a key that may manage algorithms of this owner, or ignore this if the key may call it"
        return unchecked("algorithm", f"this key may not look at {name}: {error}", hint), None
    found = content.get("settings")
    return ok("algorithm", f"{name} is there"), found if isinstance(found, dict) else {}


def rights(name: str, found: Mapping[str, Any], *, leaves_platform: bool) -> Iterator[Finding]:
    """Whether a wrapper may do what it must: call other algorithms, and reach a datastore elsewhere."""
    if found.get("pipeline_enabled") is False:
        yield fault(
            "pipeline",
            f"{name} may not call other algorithms, so every item would fail",
            "switch its setting pipeline_enabled on, or publish it again",
        )
    else:
        yield ok("pipeline", f"{name} may call other algorithms")
    if leaves_platform and found.get("network_access") == "isolated":
        yield fault(
            "network",
            f"{name} has no network access, but its datastore is outside of the platform",
            "set publish.network_access to full in the spec and publish again",
        )


def version(client: Client, reference: str, what: str) -> tuple[Finding, str | None]:
    """Whether a reference means a released version that this key may call; and which."""
    parsed = Reference.parse(reference)
    try:
        known = [each.version or "" for each in client.versions(parsed.path)]
        exact = resolve(reference, lambda _: known)
        number = exact.rpartition("/")[2]
        if len(number) < 40 and number not in known:
            newest = known[0] if known else "none"
            hint = f"the newest is {newest}; write a version that is there, or release this one"
            return fault(what, f"{parsed.path} has no version {number}", hint), None
    except NotFound:
        return fault(what, f"there is no {parsed.path}, or this key may not call it", "check the name"), None
    except NotAuthorized as error:
        hint = "if it is called anyway, all is well; else ask its owner"
        return unchecked(what, f"this key may not list the versions of {parsed.path}: {error}", hint), None
    except UsageError as error:
        return fault(what, error.message, error.hint), None
    pinned = "" if parsed.version == number else f", which {reference} means now"
    return ok(what, f"{exact} is released{pinned}"), exact


def description(client: Client, reference: str) -> tuple[Finding, Description | None]:
    """Whether a wrapper starts and describes itself; no item is sent and nothing is recorded."""
    try:
        told = find_host(lambda: client, reference, reference).describe()
    except (RunError, PlatformError) as error:
        return fault("wrapper", error.message, error.hint or "look into its error log"), None
    return ok("wrapper", f"{reference} answers: mode {told.mode}, target {told.target}"), told


def concurrency(parallel: int) -> Finding:
    """Whether the account's calls suffice for one call of the wrapper, and how many fit."""
    fitting = ACCOUNT_CALLS // (1 + parallel)
    if not fitting:
        return fault(
            "concurrency", f"{parallel} parallel calls exceed the account's {ACCOUNT_CALLS}", "lower it"
        )
    return ok(
        "concurrency",
        f"each call opens {parallel} more; {fitting} fit the {ACCOUNT_CALLS} an account may have",
    )


def times(timeout: float, item_timeout: float) -> Finding:
    """Whether one call of the target may take as long as the spec says it may."""
    if item_timeout > timeout:
        return fault(
            "limits",
            f"an item may take {item_timeout:g} s, but a call of the wrapper ends after {timeout:g} s",
            "lower dispatch.item_timeout or raise limits.timeout in the spec",
        )
    return ok("limits", f"{timeout:g} s for a call, {item_timeout:g} s for an item")

"""The two examinations: of a wrapper by its reference, and of a spec with what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wrapgen.client import Client, Reference
from wrapgen.doctor import algorithm, datastore
from wrapgen.doctor.finding import Finding, Level, fault, ok, unchecked
from wrapgen.errors import PlatformError, UsageError
from wrapgen.publish.environments import choose
from wrapgen.spec import Spec


def reference(client: Client, text: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Everything that can be checked about a wrapper on the platform by its reference alone.

    Args:
        client: with the key of its callers.
        text: `owner/name`, with or without a version.
        environ: this process's variables.

    Raises:
        UsageError: it is no reference.
        PlatformError: the platform does not answer.
    """
    parsed = Reference.parse(text)
    known = algorithm.key(client)
    yield known
    if known.level is Level.FAULT:
        return
    there, settings = algorithm.settings(client, parsed.path)
    yield there
    if there.level is Level.FAULT:
        return
    released, exact = algorithm.version(client, text, "version")
    yield released
    if exact is None:
        return
    answered, told = algorithm.description(client, exact)
    yield answered
    if told is None:
        return
    url = told.datastore
    if settings is not None:
        outside = url is not None and not url.startswith("data://")
        yield from algorithm.rights(parsed.path, settings, leaves_platform=outside)
    if not told.target.startswith("inline:"):
        yield algorithm.version(client, told.target, "target")[0]
    secrets = _secrets(client, parsed.path)
    if url is not None and secrets:
        hint = "examine its spec instead: wrapgen doctor spec.yaml"
        yield unchecked("collection", f"{url}: the wrapper may write with a key of its own", hint)
    elif url is not None:
        yield from datastore.where_records_go(
            client, url, wrapper=parsed.path, key_env=None, secrets=secrets, environ=environ
        )
    yield algorithm.times(told.timeout, told.item_timeout)
    yield algorithm.concurrency(told.parallel)


def spec(client: Client, wanted: Spec, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Everything about a spec: its target, its datastore, and its wrapper if it is published.

    Args:
        client: with the key of the wrapper's callers.
        wanted: the spec.
        environ: this process's variables.

    Raises:
        PlatformError: the platform does not answer.
    """
    known = algorithm.key(client)
    yield known
    if known.level is Level.FAULT:
        return
    if wanted.target.algorithm is not None:
        yield algorithm.version(client, wanted.target.algorithm, "target")[0]
    yield _environment(client, wanted.wrapper.environment)
    name = wanted.wrapper.name
    there, settings = algorithm.settings(client, name)
    yield there
    if settings is not None:
        yield from _published(client, wanted)
        outside = wanted.datastore is not None and not wanted.datastore.store.traits.hosted
        yield from algorithm.rights(name, settings, leaves_platform=outside)
    secrets = _secrets(client, name) if settings is not None else None
    yield from _records(client, wanted, secrets, environ)
    yield algorithm.times(wanted.limits.timeout, wanted.dispatch.item_timeout)
    yield algorithm.concurrency(0 if wanted.target.source else wanted.parallel)


def _environment(client: Client, name: str | None) -> Finding:
    try:
        chosen = choose(client.algorithms, "python3", name, None).environment
    except UsageError as error:
        return fault("environment", error.message, error.hint)
    return ok("environment", f"{chosen.name} is offered")


def _published(client: Client, wanted: Spec) -> Iterator[Finding]:
    """Whether the newest version is what the spec says."""
    released, exact = algorithm.version(client, wanted.wrapper.name, "version")
    yield released
    if exact is None:
        return
    answered, told = algorithm.description(client, exact)
    yield answered
    if told is not None and told.spec != wanted.digest:
        hint = "build and publish it again"
        yield fault("spec", f"{exact} was made from another spec than this one", hint)


def _records(
    client: Client, wanted: Spec, secrets: list[str] | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    store, name, known = wanted.datastore, wanted.wrapper.name, secrets
    if store is None:
        return
    if store.credentials is not None:
        told, names = datastore.credentials(client, store.credentials)
        yield told
        known = None if names is None else [*names, *(secrets or [])]
    yield from datastore.where_records_go(
        client, store.store.where, wrapper=name, key_env=store.key_env, secrets=known, environ=environ
    )
    if wanted.record.id_key_env is not None:
        yield datastore.secret("id_key_env", name, wanted.record.id_key_env, secrets)


def _secrets(client: Client, name: str) -> list[str] | None:
    try:
        return client.algorithms.secrets(name)
    except PlatformError:
        return None


def faults(findings: list[Finding]) -> int:
    """How many of them are faults."""
    return sum(finding.level is Level.FAULT for finding in findings)

"""What would fail of a spec whose target needs no platform: server, credentials, code, records."""

from __future__ import annotations

import os
import shutil
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from wrapgen.doctor.discovery import Ask, asking
from wrapgen.doctor.finding import Finding, Level, fault, ok, unchecked
from wrapgen.errors import AlgorithmFailed, Unreachable, WrapgenError
from wrapgen.files import absolute, path_of_folder
from wrapgen.local.spec_host import LocalWrapper
from wrapgen.spec import Spec
from wrapgen.spec.target import Auth

_ENTRY = {"open-inference": "/v2/models/{name}", "kserve-v1": "/v1/models/{name}"}
"""Where a server tells of one model, by protocol."""

_REFUSED = ("AuthenticationError", "PaymentRequiredError")


def examine(wrapper: LocalWrapper, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Everything that can be checked about a spec on this machine alone.

    Sends the first of the spec's `publish.examples` to its target, as `wrapgen call` would, if there is one.

    Args:
        wrapper: made from the spec.
        environ: this process's variables.
    """
    spec = wrapper.spec
    found: list[Finding] = []
    if spec.target.endpoint is not None:
        found += _credentials(spec.target.auth, wrapper.beside, environ)
        found = found or [ok("credentials", _told(spec.target.auth))]
        yield from found
        for finding in _reached(spec, wrapper.beside, environ):
            found.append(finding)
            yield finding
    yield from _records(spec, wrapper.beside)
    if any(each.level is Level.FAULT for each in found):
        yield unchecked("probe", "not tried, for what is wrong above")  # it would be waited for
    else:
        yield _probe(wrapper)


def _credentials(auth: Auth | None, beside: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What is missing of the credentials that the spec names."""
    if auth is None:
        return
    names = [
        auth.bearer_env,
        *([auth.oauth2.client_id_env, auth.oauth2.client_secret_env] if auth.oauth2 else []),
    ]
    for name in filter(None, names):
        if not environ.get(name):
            yield fault("credentials", f"the variable {name} is not set", f"export {name}=...")
    if auth.bearer_file and not (beside / auth.bearer_file).is_file():
        yield fault("credentials", f"there is no file {auth.bearer_file}", "mount or write it")
    if auth.command and not _is_program(auth.command[0], beside):
        yield fault(
            "credentials", f"there is no program {auth.command[0]}", "install it, or correct auth.command"
        )


def _is_program(name: str, beside: Path) -> bool:
    """Whether the system finds a program, started beside the spec."""
    return shutil.which(str(beside / name) if "/" in name else name) is not None


def _told(auth: Auth | None) -> str:
    return "what the spec names is there" if auth else "the spec names none"


def _reached(spec: Spec, beside: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What the server answers, if the certificates for asking it can be used."""
    try:
        ask = _asker(spec, beside, environ)
    except OSError as error:  # ssl.SSLError is one
        said = f"a certificate that target.tls names can't be used: {error.strerror or error}"
        yield fault("server", said, "write the path of a PEM file; a relative one starts at the spec")
        return
    yield from _server(spec, ask)


def _asker(spec: Spec, beside: Path, environ: Mapping[str, str]) -> Ask:
    """Asks the server as far as that works without the wrapper: with a token of a variable or a file."""
    auth, tls = spec.target.auth, spec.target.tls
    token = environ.get(auth.bearer_env, "") if auth and auth.bearer_env else ""
    if auth and auth.bearer_file and (beside / auth.bearer_file).is_file():
        token = (beside / auth.bearer_file).read_text("utf-8").strip()
    context = None
    if tls is not None:
        context = ssl.create_default_context(cafile=str(beside / tls.ca) if tls.ca else None)
        if tls.certificate:
            context.load_cert_chain(beside / tls.certificate, beside / tls.key if tls.key else None)
    return asking(token, context)


def _server(spec: Spec, ask: Ask) -> Iterator[Finding]:
    """Whether it answers at all, and what it says of the model."""
    url = spec.expanded.url
    root = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    name = spec.target.model.name if spec.target.model else ""
    entry = _ENTRY.get(spec.target.protocol, "").format(name=quote(name, safe=""))
    where = f"{root}{entry}" if entry else url.partition("?")[0]
    try:
        page = ask(where)
    except Unreachable as error:
        yield fault("server", error.message, "is it started, and the address right?")
        return
    took = f"{page.seconds * 1000:,.0f} ms"
    yield ok("server", f"{root} answers, status {page.status} after {took}")
    if page.status in (401, 403):
        yield fault(
            "metadata", f"status {page.status}", "see target.auth: the server wants other credentials"
        )
    elif entry and page.status == 404:
        yield fault("metadata", f"the server has no model {name}", "see target.model")
    elif entry and isinstance(page.value, dict):
        versions = ", ".join(map(str, page.value.get("versions") or [])) or "no version named"
        yield ok("metadata", f"model {name}: {versions}")


def _records(spec: Spec, beside: Path) -> Iterator[Finding]:
    """Whether a folder of records can be written."""
    for store in (spec.datastore.store, *spec.datastore.copy_stores) if spec.datastore else ():
        if not store.traits.in_folder:
            yield unchecked(
                "records", f"{store.where}: only the wrapper itself reaches it", "call it once and see"
            )
            continue
        folder = path_of_folder(absolute(store.url or "", beside))
        there = next(each for each in (folder, *folder.parents) if os.path.exists(each))  # noqa: PTH110 - false for a path that is too long
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            yield ok("records", f"{folder} can be written")
        else:
            yield fault("records", f"{folder} can't be written", "name another folder, or correct its rights")


def _probe(wrapper: LocalWrapper) -> Finding:
    """What one call of the wrapper brings, and how long it takes."""
    examples = wrapper.spec.publish.examples
    if not examples:
        hint = "name an item under publish.examples, and it is sent"
        return unchecked("probe", "the spec has no item to try", hint)
    try:
        with wrapper.host(1) as host:
            began = time.monotonic()
            wrapper.call(host, examples[0], wrapper.spec.dispatch.item_timeout + 30)
    except AlgorithmFailed as error:
        what = (
            "see target.auth" if error.error_type in _REFUSED else "see target.request and publish.examples"
        )
        return fault("probe", error.message, what)
    except WrapgenError as error:
        return fault("probe", error.message, error.hint or "see the spec")
    return ok("probe", f"the first example has a result after {(time.monotonic() - began) * 1000:,.0f} ms")

"""What ties several values of a spec together, one function per rule.

Each rule gets the document as written, in which anything may be missing or wrong, and yields nothing where a
value that it needs is not usable: `validate` reports that by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from wrapgen.spec import names
from wrapgen.spec.store import StoreAddress, parse_store
from wrapgen.spec.target import AUTH_SOURCES, ENDPOINT_KEYS
from wrapgen.spec.tree import Path

Fault: TypeAlias = tuple[Path, str, str]
"""Where, what is wrong, what to write."""


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _text(section: dict[str, Any], key: str) -> str | None:
    value = section.get(key)
    return value if isinstance(value, str) else None


def _one_target(document: dict[str, Any]) -> Iterator[Fault]:
    target = document.get("target")
    if not isinstance(target, dict):
        return
    named = [key for key in ("algorithm", "source", "endpoint") if target.get(key) is not None]
    if len(named) > 1:
        kinds = {"algorithm": "an algorithm", "source": "a source folder", "endpoint": "an endpoint"}
        said = f"a target is either {kinds[named[0]]} or {kinds[named[-1]]}"
        yield ("target", named[-1]), said, "remove one of them"
    elif not named:
        yield (
            ("target",),
            "the target names no algorithm",
            "write algorithm: owner/name/version, source: ./folder, or endpoint: https://...",
        )


def _endpoint_keys(document: dict[str, Any]) -> Iterator[Fault]:
    target = _section(document, "target")
    if target.get("endpoint") is None:
        for key in ENDPOINT_KEYS:
            if key in target and (target.get("algorithm") is not None or target.get("source") is not None):
                yield ("target", key), f"{key} is about an endpoint, and this target is none", f"remove {key}"
        for key in ("rpm", "tpm"):
            if _section(document, "dispatch").get(key) is not None and target:
                yield (
                    ("dispatch", key),
                    f"{key} is about an endpoint, and this target is none",
                    f"remove {key}",
                )
        if str(target.get("result", "whole")).startswith("$") or isinstance(
            target.get("result"), (dict, list)
        ):
            yield ("target", "result"), "a path of results is about an endpoint", "write whole or first"
        return
    auth = target.get("auth")
    sources = [key for key in AUTH_SOURCES if isinstance(auth, dict) and auth.get(key) is not None]
    if isinstance(auth, dict) and len(sources) != 1:
        said = f"auth names {' and '.join(sources) or 'no source'}, and credentials come from one"
        yield ("target", "auth"), said, f"write one of {', '.join(AUTH_SOURCES)}"
    if _section(document, "publish").get("network_access") == "isolated":
        said = "with network_access: isolated the wrapper can't reach an endpoint"
        yield ("publish", "network_access"), said, "write network_access: full"


def _no_self_call(document: dict[str, Any]) -> Iterator[Fault]:
    reference = _text(_section(document, "target"), "algorithm") or ""
    name = _text(_section(document, "wrapper"), "name") or ""
    bare = "/".join(reference.removeprefix("algo://").split("/")[:2])
    if name and bare.lower() == name.lower():
        yield (
            ("wrapper", "name"),
            "the wrapper would call itself: it has its target's name",
            f"write for example {name}Batch",
        )


def _list_input(document: dict[str, Any]) -> Iterator[Fault]:
    target = _section(document, "target")
    if target.get("input") != "list":
        return
    size = target.get("batch_size")
    if isinstance(size, int) and size > 1:
        yield (
            ("target", "batch_size"),
            "batch_size sends lists of items, but with input: list one list is one item",
            "remove batch_size or input: list",
        )
    if _section(document, "dispatch").get("on_error") == "raise":
        yield (
            ("dispatch", "on_error"),
            "on_error: raise is about bare lists, and with input: list a bare list is one item",
            "remove on_error or input: list",
        )


def _datastore_by_mode(document: dict[str, Any]) -> Iterator[Fault]:
    mode = _section(document, "wrapper").get("mode")
    store = document.get("datastore", {})
    if store is None:
        yield ("datastore",), "datastore is empty", "give it a url:, or remove it (mode: batch)"
    if mode == "batch":
        if "datastore" in document and store is not None:
            yield (
                ("datastore",),
                "mode batch records nothing, so there is no datastore",
                "write mode: both, or remove datastore",
            )
        if _section(document, "record"):
            yield (
                ("record",),
                "mode batch records nothing, so records have no id",
                "write mode: both, or remove record",
            )
    elif mode in ("log", "both") and "datastore" not in document:
        yield (
            ("wrapper", "mode"),
            f"mode {mode} records every item, and there is no datastore",
            "add a section datastore: with url:",
        )
    if mode == "log" and _section(document, "dispatch").get("on_error") == "raise":
        yield (
            ("dispatch", "on_error"),
            "on_error: raise is about bare lists, and in mode log a bare list is one item",
            "remove on_error, or write mode: both",
        )


def _one_url(document: dict[str, Any]) -> Iterator[Fault]:
    store = document.get("datastore")
    if not isinstance(store, dict) or _section(document, "wrapper").get("mode") == "batch":
        return
    url, variable = store.get("url"), store.get("url_env")
    if url is not None and variable is not None:
        yield ("datastore", "url_env"), "a datastore has either url or url_env", "remove one of them"
    elif url is None and variable is None:
        yield (
            ("datastore",),
            "the datastore has no url",
            "write url: data://owner/collection, or url_env: VARIABLE",
        )


def _stores(document: dict[str, Any]) -> Iterator[tuple[Path, StoreAddress]]:
    """The datastores whose URLs can be read, each with its place."""
    section = _section(document, "datastore")
    copies = section.get("copies")
    written: list[tuple[Path, Any]] = [(("datastore", "url"), section.get("url"))]
    written += [
        (("datastore", "copies", n), url) for n, url in enumerate(copies if isinstance(copies, list) else [])
    ]
    for path, url in written:
        store = _store(url)
        if store:
            yield path, store


def _store(url: Any) -> StoreAddress | None:
    try:
        return parse_store(url) if isinstance(url, str) else None
    except names.Refused:
        return None


def _each_store_once(document: dict[str, Any]) -> Iterator[Fault]:
    seen: set[str | None] = set()
    for path, store in _stores(document):
        if store.url in seen:
            yield path, f"{store.url} is a datastore of this spec already", "remove it from copies"
        seen.add(store.url)


def _key_needs_data(document: dict[str, Any]) -> Iterator[Fault]:
    first = _section(document, "datastore")
    stores = dict(_stores(document))
    known = ("datastore", "url") in stores or "url_env" in first
    kinds = [store.traits for store in stores.values()]
    if _text(first, "key_env") and known and not any(kind.uses_platform for kind in kinds):
        yield (
            ("datastore", "key_env"),
            "key_env is the key for a data URL, and there is none",
            "remove key_env",
        )
    if first.get("gzip") is True and known and not any(kind.takes_gzip for kind in kinds):
        said = "gzip is for objects in a data URL or a folder, and there is none"
        yield ("datastore", "gzip"), said, "remove gzip"


def _isolated(document: dict[str, Any]) -> Iterator[Fault]:
    if _section(document, "publish").get("network_access") != "isolated":
        return
    for path, store in _stores(document):
        if not (store.traits.hosted or store.traits.in_folder or store.dialect == "sqlite"):
            yield (
                path,
                f"with network_access: isolated the wrapper can't reach {store.where}",
                "write network_access: full",
            )
    if _text(_section(document, "datastore"), "url_env"):
        yield (
            ("datastore", "url_env"),
            "with network_access: isolated the wrapper can reach no database",
            "write network_access: full",
        )


def _times(document: dict[str, Any]) -> Iterator[Fault]:
    item = _section(document, "dispatch").get("item_timeout")
    whole = _section(document, "limits").get("timeout")
    if isinstance(item, int) and isinstance(whole, int) and whole < item <= 3000:
        yield (
            ("limits", "timeout"),
            f"a call has {whole} s, less than the {item} s of item_timeout for one item",
            f"write timeout: {min(item * 2, 3000)}, or a shorter item_timeout",
        )


def _record_ids(document: dict[str, Any]) -> Iterator[Fault]:
    record = _section(document, "record")
    first = 1 if _section(document, "target").get("endpoint") is None else 2
    chosen, key, version = (
        record.get("id", "random"),
        record.get("id_key_env"),
        record.get("id_version", first),
    )
    if first == 2 and version == 1:
        said = "ids of version 1 do not say what an endpoint was asked: another prompt would keep them"
        yield ("record", "id_version"), said, "remove id_version"
    if not isinstance(chosen, str):
        return
    if isinstance(key, str) and chosen == "random":
        yield (
            ("record", "id_key_env"),
            "id_key_env is the secret of ids that come from the item, and record.id is random",
            "write id: content or a path, or remove id_key_env",
        )
    elif isinstance(key, str) and version == 1:
        yield ("record", "id_key_env"), "id_key_env needs ids of version 2", "add id_version: 2"
    if version == 2 and key is None and reveals(chosen, _section(document, "datastore").get("redact")):
        yield (
            ("record",),
            "with redact, this id needs a secret: an id can confirm a guess of what is redacted",
            "add id_key_env: VARIABLE, the environment variable that holds the secret",
        )


def reveals(chosen: str, redact: Any) -> bool:
    """Whether ids, made without a secret, tell something of what is redacted."""
    paths = redact if isinstance(redact, (list, tuple)) else []
    return bool(paths) and (chosen == "content" or any(_overlap(chosen, path) for path in paths))


def _overlap(first: Any, second: Any) -> bool:
    """Whether one of two paths leads to the other's value or through it; False if one can't be read."""
    try:
        steps = zip(names.parse_path(first), names.parse_path(second), strict=False)
    except (names.Refused, AttributeError):
        return False
    return all(one == two or (two is None and isinstance(one, int)) for one, two in steps)


def _already(document: dict[str, Any]) -> Iterator[Fault]:
    store = _section(document, "datastore")
    if document.get("already") != "skip":
        return
    kind = {path: each.traits for path, each in _stores(document)}.get(("datastore", "url"))
    if _section(document, "wrapper").get("mode") == "batch":
        yield ("already",), "mode batch records nothing that could be skipped", "remove already"
    elif kind is not None and not kind.searchable:
        yield (
            ("already",),
            "already: skip looks results up in the datastore, and only an SQL datastore can be searched",
            "write a postgresql://, mysql:// or sqlite:// URL, or already: call",
        )
    if store.get("redact"):
        yield (
            ("already",),
            "already: skip returns recorded results, and redact takes parts of them away",
            "remove redact, or write already: call",
        )


def _replicas(document: dict[str, Any]) -> Iterator[Fault]:
    serve = _section(document, "serve")
    least, most = serve.get("min_replicas", 1), serve.get("max_replicas", 4)
    if type(least) is int and type(most) is int and least > most:
        key = "max_replicas" if "max_replicas" in serve else "min_replicas"
        yield ("serve", key), f"min_replicas is {least}, more than max_replicas, {most}", "raise max_replicas"
    alone = (
        _section(document, "target").get("source") and _section(document, "dispatch").get("parallel", 1) == 1
    )
    if alone and type(serve.get("calls")) is int and serve["calls"] > 1:
        said = "calls at once need a source that is thread-safe, which dispatch.parallel of 2 or more says"
        yield ("serve", "calls"), said, "remove calls, or write dispatch: {parallel: 2}"


RULES: tuple[Callable[[dict[str, Any]], Iterator[Fault]], ...] = (
    _one_target,
    _endpoint_keys,
    _no_self_call,
    _list_input,
    _datastore_by_mode,
    _one_url,
    _each_store_once,
    _key_needs_data,
    _isolated,
    _times,
    _record_ids,
    _already,
    _replicas,
)
"""What ties several values together. A rule more is an entry more."""

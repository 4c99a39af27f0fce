"""The main module's imports and parts, and config.py's constants: the only Python chosen from the spec."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from wrapgen.build import plan
from wrapgen.build.inline import main_module
from wrapgen.spec import Spec
from wrapgen.spec.names import parse_path
from wrapgen.spec.store import StoreAddress

WIDTH = 110
"""Characters of a line, as the linters want them."""


def imports(spec: Spec) -> list[str]:
    """The import lines of the main module, sorted as the linters want them."""
    modules = {store.traits.modules[0] for store in plan.stores(spec)}
    modules |= {name for name, is_used in plan.PARTS.items() if is_used(spec)}
    if spec.datastore:
        modules.add("ignored_failures" if plan.ignores_failures(spec) else "records")
    if connected(spec):
        modules.add("platform")
    if plan.endpoint(spec) and not plan.sub_batches(spec):
        modules.add("work")
    listed = f"from .runtime import {', '.join(sorted(modules))}"
    if len(listed) > WIDTH:
        listed = "from .runtime import " + _collection("()", sorted(modules), 0, WIDTH)
    return [
        "import os",
        "from typing import Any",
        "",
        f"from . import config, hooks{', mapping' if plan.endpoint(spec) else ''}",
        *([listed] if modules else []),
        "from .runtime.files import Files",
        "from .runtime.wrapper import Wrapper",
    ]


def connected(spec: Spec) -> list[str]:
    """The statement that connects to the platform, where that is needed to open something."""
    opens = "server" in opened(spec)
    if plan.has_credentials(spec):
        use = "credentials_file.use(platform.connect(), config.CREDENTIALS)"
        return [f"server = {use}" if opens else use]
    return ["server = platform.connect()"] if opens else []


def serving(spec: Spec) -> list[str]:
    """The statements that hand the wrapper to the platform's runner; the only use of a platform some have."""
    imported = [] if connected(spec) else ["    from .runtime import platform", ""]
    return [*imported, "    platform.serve(apply, load)"]


def opened(spec: Spec) -> str:
    """The expression for the wrapper with what `load` opens: target, files and datastore."""
    module = "algorithm_lists" if plan.sub_batches(spec) else "algorithm"
    target = f"{module}.Target(server, config.TARGET, config.LIMITS)"
    if plan.inline(spec):
        target = "inline.Target(config.TARGET)"
    if plan.endpoint(spec):
        target = _endpoint(spec)
    if spec.datastore is None:
        return _call("assemble", [target, "Files(config.WRAPPER)"])
    files = _call("Files", ["config.WRAPPER", _collection("[]", _private(spec), 12)], 8)
    store = _opened(spec.datastore.store, "config.DATASTORE")
    if spec.datastore.copies:
        opened = [
            f'config.COPIES[{number}]["url"]: {_opened(each, f"config.COPIES[{number}]")}'
            for number, each in enumerate(spec.datastore.copy_stores)
        ]
        store = _call("copies.Copies", [store, _collection("{}", opened, 12)], 8)
    return _call("assemble", [target, files, store])


def _endpoint(spec: Spec) -> str:
    """The expression for an endpoint with the parts that its spec asks for."""
    parts = ["mapping", "config.TARGET", "config.LIMITS"]
    if plan.authenticates(spec):
        module = "aws_signature" if plan.signs(spec) else "endpoint_credentials"
        parts.append(f"auth={module}.Credentials(config.TARGET)")
    if plan.limits_rates(spec):
        parts.append('rates=rates.Rates(config.RATES["dispatch"])')
    if plan.has_schemas(spec):
        names = [key.upper() if getattr(spec.target, key) else "" for key in ("item_schema", "result_schema")]
        given = [f"config.{name}" if name else "None" for name in names]
        given += ["correction.ask_again"] if plan.asks_again(spec) else []
        parts.append(f"schemas=schemas.Schemas({', '.join(given)})")
    return _call("endpoint.Endpoint", parts, 8)


def _call(name: str, arguments: list[str], indent: int = 4) -> str:
    """A call as the formatters write it; `indent` is that of its line."""
    return name + _collection("()", arguments, indent, len("return ") + len(name))


def _collection(brackets: str, elements: list[str], indent: int, before: int = 0) -> str:
    """On one line where that is short, else an element a line."""
    flat = f"{brackets[0]}{', '.join(elements)}{brackets[1]}"
    if "\n" not in flat and indent + before + len(flat) < WIDTH:
        return flat
    inner = " " * (indent + 4)
    return brackets[0] + "\n" + "".join(f"{inner}{one},\n" for one in elements) + " " * indent + brackets[1]


def _private(spec: Spec) -> list[str]:
    """The expressions for the URLs of what the wrapper keeps for itself: its records and its credentials."""
    assert spec.datastore is not None
    stores = [("config.DATASTORE", spec.datastore.store)]
    stores += [(f"config.COPIES[{number}]", each) for number, each in enumerate(spec.datastore.copy_stores)]
    places = [f'{name}["{key}"]' for name, store in stores for key in store.traits.private]
    if plan.has_credentials(spec):
        places.append('config.CREDENTIALS.rpartition("/")[0]')
    return places


def _opened(store: StoreAddress, settings: str) -> str:
    kind = store.traits
    return f"{kind.modules[0]}.Datastore({'server, ' if kind.uses_platform else ''}{settings})"


def assembled(spec: Spec) -> str:
    """The expression for the wrapper, with what the spec asks for in place of the runtime's own parts."""
    found = ["config", "hooks", "target", "files"]
    if spec.datastore:
        found += [
            "datastore",
            f"recorder={'ignored_failures' if plan.ignores_failures(spec) else 'records'}.Recorder",
        ]
    if plan.redacts(spec):
        found.append('redaction=redaction.Redaction(config.RECORDS["redact"])')
    if plan.endpoint(spec):
        kind = "sublists.Lists" if plan.sub_batches(spec) else "work.Work"
        found.append(f"work=endpoint_work.judging({kind})")
    elif plan.sub_batches(spec):
        found.append("work=sublists.Lists")
    if plan.takes_first(spec):
        found.append("work=first_element.First")
    if plan.one_by_one(spec):
        found.append("engine=serial.Engine")
    if plan.has_record_ids(spec):
        found.append("record_id=record_id.from_settings(config.RECORDS, config.TARGET)")
    if plan.skips_known(spec):
        found.append("already=earlier_results.unknown")
    return _call("Wrapper", found)


COMMENTS = {
    "MODE": "batch, log or both: with log, a list is one item like anything else.",
    "RATES": "What the endpoint allows in a minute, and what a million tokens cost.",
    "RECORDS": "What identifies a record where the caller does not, and what it holds.",
}
"""What is not plain from a constant's name."""


def comment(name: str) -> str:
    """The line of comment above a constant, if it needs one."""
    return f"# {COMMENTS[name]}\n" if name in COMMENTS else ""


def annotated(name: str, value: Any) -> str:
    """A constant's name, with its type where that is not plain."""
    if isinstance(value, dict):
        return f"{name}: dict[str, Any]"
    return f"{name}: list[dict[str, Any]]" if isinstance(value, list) else name


def constants(spec: Spec) -> list[tuple[str, Any]]:
    """The constants of config.py, in order: name and value."""
    found: list[tuple[str, Any]] = [
        ("WRAPPER", spec.wrapper.name),
        ("MODE", spec.wrapper.mode),
        ("SPEC", spec.digest),
        ("TARGET", _target(spec)),
        ("LIMITS", _limits(spec)),
        ("ON_ERROR", spec.dispatch.on_error),
        ("LOG", spec.log),
    ]
    if plan.endpoint(spec):
        found += _endpoint_constants(spec)
    if spec.datastore:
        found.append(("DATASTORE", _opening(spec, spec.datastore.store)))
        if spec.datastore.copies:
            found.append(("COPIES", [_opening(spec, store) for store in spec.datastore.copy_stores]))
        if spec.datastore.credentials:
            found.append(("CREDENTIALS", spec.datastore.credentials))
        found.append(("RECORDS", _records(spec)))
    return found


def _target(spec: Spec) -> dict[str, Any]:
    module = {"module": main_module(spec), "source": _source_digest(spec)} if plan.inline(spec) else {}
    return {
        "reference": spec.target_reference,
        **module,
        **(_endpoint_settings(spec) if plan.endpoint(spec) else {}),
        "input": spec.target.input,
        "result": "whole" if plan.endpoint(spec) else spec.target.result,
        "batch_size": spec.target.batch_size,
    }


def _endpoint_settings(spec: Spec) -> dict[str, Any]:
    """What calling an endpoint takes beside its mapping."""
    expanded, target = spec.expanded, spec.target
    keys = expanded.keys
    fixed = {name: one for name, one in expanded.headers.items() if isinstance(one, str)}
    return {
        "source": _asked(spec),
        "url": expanded.url,
        "content_type": keys.get("content_type", "application/json"),
        "answer": keys.get("answer", "json"),
        "headers": fixed,
        "gzip": target.gzip,
        "tls": target.tls.model_dump(exclude_none=True) if target.tls else None,
        "price": target.price.of_tokens if target.price else None,
        "most_tokens": _most_tokens(spec),
        **({"auth": keys["auth"]} if "auth" in keys else {}),
    }


def _asked(spec: Spec) -> str:
    """A digest of all that decides what a result is: the address with its query, the request, the result."""
    expanded = spec.expanded
    keys = {key: one for key, one in expanded.keys.items() if key not in ("auth", "errors", "reports")}
    schema = hashlib.sha256(spec.attached.get(spec.target.result_schema or "", b"")).hexdigest()
    model = spec.target.model.model_dump() if spec.target.model else None
    asked = [expanded.url, keys, bool(expanded.preset.get("tensors")), model, schema]
    return "sha256:" + hashlib.sha256(json.dumps(asked, sort_keys=True).encode("ascii")).hexdigest()


def _endpoint_constants(spec: Spec) -> list[tuple[str, Any]]:
    """What its optional parts need: rates and prices, schemas."""
    found: list[tuple[str, Any]] = []
    if plan.limits_rates(spec) or spec.target.price:
        most, price = _most_tokens(spec), spec.target.price
        cost = None
        if price and most is not None:
            fixed = len(json.dumps(spec.expanded.keys.get("request")))
            cost = round((most * price.output + fixed * price.input) / 1e6, 12)
        limits = {"parallel": spec.parallel, "rpm": spec.dispatch.rpm, "tpm": spec.dispatch.tpm}
        prices = price.of_tokens if price else None
        found.append(("RATES", {"dispatch": limits, "price": prices, "max_cost_item": cost}))
    for key in ("item_schema", "result_schema"):
        name = getattr(spec.target, key)
        if name:
            found.append((key.upper(), json.loads(spec.attached.get(name, b"{}"))))
    return found


def _most_tokens(spec: Spec) -> int | None:
    """The most tokens that one answer can have, by price or request; None where nothing limits it."""
    expanded, price = spec.expanded, spec.target.price
    if not expanded.keys.get("reports", {}).get("tokens_out"):
        return 0
    if price and price.most_tokens is not None:
        return price.most_tokens
    request: Any = expanded.keys.get("request")
    if not isinstance(request, dict):
        return None
    found = [request.get(path.removeprefix("$.")) for path in expanded.preset.get("most_tokens", ())]
    return next((one for one in found if type(one) is int), None)


def _source_digest(spec: Spec) -> str:
    digest = hashlib.sha256()
    for path, content in sorted(spec.source_files.items()):
        digest.update(f"{path} {hashlib.sha256(content).hexdigest()}\n".encode("utf-8", "surrogatepass"))
    return f"sha256:{digest.hexdigest()}"


def _item_id(spec: Spec) -> str | list[str | int | None]:
    """`random`, `content`, or the steps of a path."""
    return list(parse_path(spec.record.id)) if spec.record.id.startswith("$") else spec.record.id


def _opening(spec: Spec, store: StoreAddress) -> dict[str, Any]:
    """What a datastore's module needs to open it."""
    assert spec.datastore is not None
    values = {
        "url": store.url,
        "url_env": store.url_env,
        "key_env": spec.datastore.key_env,
        "gzip": spec.datastore.gzip and store.traits.takes_gzip,
        "oversize": f"data://{spec.wrapper.name}_oversize",
    }
    return {name: values[name] for name in store.traits.settings}


def _limits(spec: Spec) -> dict[str, int]:
    return {
        "timeout": spec.limits.timeout,
        "request_bytes": spec.limits.request_bytes,
        "response_bytes": spec.limits.response_bytes,
        "parallel": spec.parallel,
        "attempts": spec.dispatch.attempts,
        "item_timeout": spec.dispatch.item_timeout,
    }


def _records(spec: Spec) -> dict[str, Any]:
    assert spec.datastore is not None
    facts: dict[str, Any] = {"id": _item_id(spec)}
    if plan.has_record_ids(spec):
        facts["id_version"] = spec.id_version
        facts["id_key_env"] = spec.record.id_key_env
    facts["input"] = spec.datastore.input
    facts["on_failure"] = spec.datastore.on_failure
    if plan.redacts(spec):
        facts["redact"] = [list(parse_path(path)) for path in spec.datastore.redact]
    return facts

"""The main module's imports and constants: the only Python that is chosen line by line from the spec."""

from __future__ import annotations

from typing import Any

from wrapgen.build import plan
from wrapgen.build.inline import main_module
from wrapgen.spec import Spec
from wrapgen.spec.names import parse_path
from wrapgen.spec.store import Store
from wrapgen.wire import PROTOCOL


def imports(spec: Spec) -> list[str]:
    """The import lines of the main module, sorted as the linters want them."""
    credentials = ["credentials"] if plan.has_credentials(spec) else []
    modules = ["adk_quirks", *credentials, *_datastore_modules(spec), "hooked", "protocol"]
    names = {
        "answer": ["Answer", "describe"],
        "deadline": ["Deadline"],
        "items": ["Items"],
        "sideband": ["Sideband"],
        "inline" if plan.inline(spec) else "target": ["Target"],
        "batches" if plan.sub_batches(spec) else "work": ["Work"],
    }
    if plan.one_by_one(spec):
        names["serial"] = ["Attempts", "Dispatch"]
    else:
        names |= {"attempts": ["Attempts"], "dispatch": ["Dispatch"]}
    if spec.datastore:
        names["redaction" if plan.redacts(spec) else "records"] = ["Recorder"]
    if plan.has_copies(spec):
        names["copies"] = ["Copies"]
    ours = [f"from .{module} import {', '.join(names[module])}" for module in sorted(names)]
    return [
        "import Algorithmia",
        "from Algorithmia import ADK",
        "",
        f"from . import {', '.join(modules)}",
        *ours,
    ]


_MODULES = {"data": "datastore_data", "sql": "datastore_sql", "sqs": "datastore_sqs_oversize"}
"""The module that opens each kind of datastore."""


def _datastore_modules(spec: Spec) -> list[str]:
    return sorted(_MODULES[kind] for kind in plan.store_kinds(spec))


def datastores(spec: Spec) -> list[tuple[str, str]]:
    """What `load` opens: the key in the state, and the expression that opens it."""
    if spec.datastore is None:
        return []
    found = [("datastore", f"{_MODULES[spec.datastore.store.kind]}.Datastore(client, DATASTORE)")]
    if spec.datastore.copies:
        modules = [_MODULES[store.kind] for store in spec.datastore.copy_stores]
        opened = "".join(
            f'            COPIES[{number}]["url"]: {module}.Datastore(client, COPIES[{number}]),\n'
            for number, module in enumerate(modules)
        )
        found.append(("copies", f"{{\n{opened}        }}"))
    return found


def client(spec: Spec) -> str:
    """The expression for the vendor's client, once the environment has what datastores are opened with."""
    made = "Algorithmia.client()"
    return f"credentials.use({made}, CREDENTIALS)" if plan.has_credentials(spec) else made


def recorded_in(spec: Spec) -> str:
    """The expression for what a call's records are written to."""
    if plan.has_copies(spec):
        return 'Copies(state["datastore"], state["copies"], deadline, answer.summary)'
    return 'state["datastore"]'


COMMENTS = {
    "BARE_LISTS": "Whether a list is a batch; if not, it is one item like anything else.",
    "RAISING": "The forms of a call that fail when an item fails.",
    "ITEM_ID": "What tells items apart where the caller names no run and no ids.",
    "DESCRIPTION": 'What {"$batch": []} is answered with, beside the limits.',
}
"""What is not plain from a constant's name."""


def constants(spec: Spec) -> list[tuple[str, Any]]:
    """The constants of the main module, in order: name and value."""
    found: list[tuple[str, Any]] = [
        ("WRAPPER", spec.wrapper.name),
        ("TARGET", _target(spec)),
        ("BARE_LISTS", plan.bare_lists(spec)),
        ("RAISING", _raising(spec)),
        ("ITEM_ID", _item_id(spec)),
        ("LIMITS", _limits(spec)),
    ]
    if spec.datastore:
        found.append(("DATASTORE", _opening(spec, spec.datastore.store)))
        if spec.datastore.copies:
            found.append(("COPIES", [_opening(spec, store) for store in spec.datastore.copy_stores]))
        if spec.datastore.credentials:
            found.append(("CREDENTIALS", spec.datastore.credentials))
        found.append(("RECORDS", _records(spec)))
    return [*found, ("DESCRIPTION", description(spec))]


def _target(spec: Spec) -> dict[str, Any]:
    called = {"module": main_module(spec)} if plan.inline(spec) else {"algorithm": spec.target.algorithm}
    return {
        **called,
        "result": spec.target.result,
        "batch_size": spec.target.batch_size,
        "request_bytes": spec.limits.request_bytes,
    }


def _item_id(spec: Spec) -> str | list[str | int | None]:
    """`random`, `content`, or the steps of a path."""
    return list(parse_path(spec.record.id)) if spec.record.id.startswith("$") else spec.record.id


def _opening(spec: Spec, store: Store) -> dict[str, Any]:
    """What a datastore's module needs to open it."""
    assert spec.datastore is not None
    if store.kind == "sql":
        return {"url": store.url, "url_env": store.url_env}
    opening = {"url": store.url, "key_env": spec.datastore.key_env, "gzip": spec.datastore.gzip}
    if store.kind == "sqs":  # a record that is too large for a message
        opening |= {"gzip": False, "oversize": f"data://{spec.wrapper.name}_oversize"}
    return opening


def _raising(spec: Spec) -> list[str]:
    """The forms that raise a failure instead of answering it."""
    return ["item", "list"] if spec.dispatch.on_error == "raise" else ["item"]


def _limits(spec: Spec) -> dict[str, int]:
    return {
        "timeout": spec.limits.timeout,
        "request_bytes": spec.limits.request_bytes,
        "response_bytes": spec.limits.response_bytes,
        "parallel": spec.parallel,
        "batch_size": spec.target.batch_size,
        "attempts": spec.dispatch.attempts,
        "item_timeout": spec.dispatch.item_timeout,
    }


def _records(spec: Spec) -> dict[str, Any]:
    assert spec.datastore is not None
    facts: dict[str, Any] = {
        "target": spec.target_reference,
        "wrapper": f"{spec.wrapper.name}@{spec.digest[:19]}",
        "input": spec.datastore.input,
    }
    if plan.redacts(spec):
        facts["redact"] = [list(parse_path(path)) for path in spec.datastore.redact]
    return facts


def description(spec: Spec) -> dict[str, Any]:
    """What the wrapper answers to `{"$batch": []}`, but for its limits."""
    store = spec.datastore.store if spec.datastore else None
    return {
        "protocol": PROTOCOL,
        "mode": spec.wrapper.mode,
        "spec": spec.digest,
        "target": spec.target_reference,
        "datastore": {"url": store.where} if store else None,
    }

"""The main module's imports and constants: the only Python that is chosen line by line from the spec."""

from __future__ import annotations

from typing import Any

from wrapgen.build import plan
from wrapgen.spec import Spec
from wrapgen.wire import PROTOCOL


def imports(spec: Spec) -> list[str]:
    """The import lines of the main module, sorted as the linters want them."""
    ours = ["from . import adk_quirks, protocol"]
    names = {
        "answer": ["Answer", "describe"],
        "attempts": ["Attempts"],
        "deadline": ["Deadline"],
        "dispatch": ["Dispatch"],
        "items": ["Items"],
        "sideband": ["Sideband"],
        "target": ["Target"],
        "work": ["Work"],
    }
    if spec.datastore:
        names["records"] = ["Recorder"]
        names[f"datastore_{spec.datastore.store.kind}"] = ["Datastore"]
    ours += [f"from .{module} import {', '.join(names[module])}" for module in sorted(names)]
    return ["import Algorithmia", "from Algorithmia import ADK", "", *ours]


def constants(spec: Spec) -> list[tuple[str, Any]]:
    """The constants of the main module, in order: name and value."""
    found: list[tuple[str, Any]] = [
        ("WRAPPER", spec.wrapper.name),
        ("TARGET", _target(spec)),
        ("BARE_LISTS", plan.bare_lists(spec)),
        ("RAISING", _raising(spec)),
        ("ITEM_ID", spec.record.id),
        ("LIMITS", _limits(spec)),
    ]
    if spec.datastore:
        store = spec.datastore.store
        found.append(
            ("DATASTORE", {"url": store.url, "url_env": store.url_env, "key_env": spec.datastore.key_env})
        )
        found.append(("RECORDS", _records(spec)))
    return [*found, ("DESCRIPTION", description(spec))]


def _target(spec: Spec) -> dict[str, Any]:
    return {
        "algorithm": spec.target.algorithm,
        "result": spec.target.result,
        "batch_size": spec.target.batch_size,
        "request_bytes": spec.limits.request_bytes,
    }


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
    return {
        "target": spec.target_reference,
        "wrapper": f"{spec.wrapper.name}@{spec.digest[:19]}",
        "input": spec.datastore.input,
    }


def description(spec: Spec) -> dict[str, Any]:
    """What the wrapper answers to `{"$batch": []}`."""
    store = spec.datastore.store if spec.datastore else None
    return {
        "protocol": PROTOCOL,
        "mode": spec.wrapper.mode,
        "spec": spec.digest,
        "target": spec.target_reference,
        "limits": _limits(spec),
        "datastore": {"url": store.where} if store else None,
    }

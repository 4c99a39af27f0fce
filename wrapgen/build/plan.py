"""Which files a wrapper gets. "What a spec does not use is not emitted."

A template that is not named in `CONDITIONS` is always emitted; one that is, when its condition holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from wrapgen.spec import Spec
from wrapgen.spec.store import KINDS, StoreAddress

HOOKS = "src/hooks.py"
"""The user's own file: written where there is none, else never written, compared or removed."""

Condition: TypeAlias = Callable[[Spec], bool]


def records(spec: Spec) -> bool:
    """Whether the wrapper records."""
    return spec.datastore is not None


def stores(spec: Spec) -> list[StoreAddress]:
    """The datastores in use, copies included, in the order of `KINDS` and of dialects."""
    if spec.datastore is None:
        return []
    found = (spec.datastore.store, *spec.datastore.copy_stores)
    return sorted(found, key=lambda store: ([*KINDS].index(store.kind), store.dialect))


def calls_platform(spec: Spec) -> bool:
    """Whether a wrapper needs a platform: for its target, or for its records."""
    return spec.target.algorithm is not None or any(store.traits.uses_platform for store in stores(spec))


def _stores_with(module: str, spec: Spec) -> bool:
    return any(module in store.traits.modules for store in stores(spec))


def has_copies(spec: Spec) -> bool:
    """Whether records also go to further datastores."""
    return spec.datastore is not None and bool(spec.datastore.copies)


def has_credentials(spec: Spec) -> bool:
    """Whether credentials come from a file on the platform."""
    return spec.datastore is not None and spec.datastore.credentials is not None


def redacts(spec: Spec) -> bool:
    """Whether parts of what is recorded are blanked."""
    return spec.datastore is not None and bool(spec.datastore.redact)


def ignores_failures(spec: Spec) -> bool:
    """Whether a datastore that is unavailable costs its records only."""
    return spec.datastore is not None and spec.datastore.on_failure == "ignore"


def inline(spec: Spec) -> bool:
    """Whether the target's code is part of the wrapper."""
    return spec.target.source is not None


def endpoint(spec: Spec) -> bool:
    """Whether the target is a model behind HTTP."""
    return spec.target.endpoint is not None


def algorithm(spec: Spec) -> bool:
    """Whether the target is an algorithm of the platform."""
    return not inline(spec) and not endpoint(spec)


def authenticates(spec: Spec) -> bool:
    """Whether requests to the endpoint carry credentials."""
    return endpoint(spec) and "auth" in spec.expanded.keys


def signs(spec: Spec) -> bool:
    """Whether they are signed for AWS."""
    return authenticates(spec) and bool(spec.expanded.keys["auth"].get("aws"))


def limits_rates(spec: Spec) -> bool:
    """Whether requests or tokens of the endpoint are counted against a rate."""
    return endpoint(spec) and (spec.dispatch.rpm is not None or spec.dispatch.tpm is not None)


def has_schemas(spec: Spec) -> bool:
    """Whether items or results of the endpoint are checked."""
    return endpoint(spec) and bool(spec.target.item_schema or spec.target.result_schema)


def asks_again(spec: Spec) -> bool:
    """Whether the endpoint is told what was wrong with its result."""
    return has_schemas(spec) and bool(spec.expanded.preset.get("correct"))


def sub_batches(spec: Spec) -> bool:
    """Whether the target is sent lists of items."""
    return spec.target.batch_size > 1


def takes_first(spec: Spec) -> bool:
    """Whether the target answers one item with a list of one."""
    return spec.target.result == "first" and not sub_batches(spec)


def bare_lists(spec: Spec) -> bool:
    """Whether a bare list is a batch (form 2); otherwise it is one item."""
    return spec.wrapper.mode != "log" and spec.target.input == "item"


def one_by_one(spec: Spec) -> bool:
    """Whether all work is done in the calling thread: an inline target not declared thread-safe."""
    return inline(spec) and spec.parallel == 1


def has_record_ids(spec: Spec) -> bool:
    """Whether the spec takes records' ids from the items."""
    return records(spec) and spec.record.id != "random"


def skips_known(spec: Spec) -> bool:
    """Whether items that have a recorded result are not sent to the target."""
    return records(spec) and spec.already == "skip"


PARTS: dict[str, Condition] = {
    "algorithm": lambda spec: algorithm(spec) and not sub_batches(spec),
    "algorithm_lists": lambda spec: algorithm(spec) and sub_batches(spec),
    "aws_signature": signs,
    "copies": has_copies,
    "correction": asks_again,
    "credentials_file": has_credentials,
    "earlier_results": skips_known,
    "endpoint": endpoint,
    "endpoint_credentials": lambda spec: authenticates(spec) and not signs(spec),
    "endpoint_work": endpoint,
    "first_element": takes_first,
    "inline": inline,
    "record_id": has_record_ids,
    "rates": limits_rates,
    "redaction": redacts,
    "schemas": has_schemas,
    "serial": one_by_one,
    "sublists": sub_batches,
}
"""The optional parts of the runtime that the main module names: when each is used."""

_TESTS: dict[str, Condition] = {
    "already": skips_known,
    "ids": has_record_ids,
    "records": records,
    "redaction": redacts,
    "sublists": sub_batches,
}
"""The wrapper's own tests that try one part: when that is used."""

CONDITIONS: dict[str, Condition] = {
    **{f"src/runtime/{name}.py": condition for name, condition in PARTS.items()},
    "src/runtime/algorithm.py": algorithm,
    "src/runtime/http_answer.py": endpoint,
    "src/runtime/http_body.py": endpoint,
    "src/runtime/item_notes.py": endpoint,
    "src/runtime/ignored_failures.py": ignores_failures,
    "src/runtime/network.py": endpoint,
    "src/runtime/json_paths.py": endpoint,
    "src/runtime/patterns.py": has_schemas,
    "src/runtime/statuses.py": lambda spec: not inline(spec),
    "src/runtime/tensors.py": lambda spec: endpoint(spec) and bool(spec.expanded.preset.get("tensors")),
    "src/runtime/records.py": records,
    "src/runtime/keys.py": records,
    "src/runtime/waits.py": endpoint,
    "src/runtime/timeouts.py": lambda spec: has_copies(spec) or skips_known(spec),
    **{
        f"src/runtime/{module}.py": partial(_stores_with, module)
        for kind in KINDS.values()
        for module in kind.modules
    },
    **{"/".join(("tests", f"test_{name}.py")): condition for name, condition in _TESTS.items()},
}
"""By the template's path without `.jinja`: when it is needed."""


def plan(spec: Spec, templates: Iterable[str]) -> dict[str, str]:
    """The files of a wrapper.

    Args:
        spec: a valid spec.
        templates: the paths of the templates there are.

    Returns:
        from each file's path in the wrapper to its template's path.
    """
    files = {}
    for template in sorted(templates):
        path = template.removesuffix(".jinja")
        condition = CONDITIONS.get(path)
        if condition is None or condition(spec):
            files[path.replace("__Name__", spec.wrapper.algorithm_name)] = template
    return files

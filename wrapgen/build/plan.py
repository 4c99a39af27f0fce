"""Which files a wrapper gets. "What a spec does not use is not emitted."

A template that is not named in `CONDITIONS` is always emitted; one that is, when its condition holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from wrapgen.spec import Spec

HOOKS = "src/hooks.py"
"""The user's own file: written where there is none, else never written, compared or removed."""

MANIFEST = ".wrapgen.json"
"""What the build wrote, so that a later one can tell a file edited by hand."""

Condition: TypeAlias = Callable[[Spec], bool]


def records(spec: Spec) -> bool:
    """Whether the wrapper records."""
    return spec.datastore is not None


def store_kinds(spec: Spec) -> frozenset[str]:
    """The kinds of datastore in use, copies included: `data`, `sql`, `sqs`."""
    if spec.datastore is None:
        return frozenset()
    return frozenset({spec.datastore.store.kind, *(store.kind for store in spec.datastore.copy_stores)})


def has_copies(spec: Spec) -> bool:
    """Whether records also go to further datastores."""
    return spec.datastore is not None and bool(spec.datastore.copies)


def has_credentials(spec: Spec) -> bool:
    """Whether credentials come from a file on the platform."""
    return spec.datastore is not None and spec.datastore.credentials is not None


def redacts(spec: Spec) -> bool:
    """Whether parts of what is recorded are blanked."""
    return spec.datastore is not None and bool(spec.datastore.redact)


def inline(spec: Spec) -> bool:
    """Whether the target's code is part of the wrapper."""
    return spec.target.source is not None


def sub_batches(spec: Spec) -> bool:
    """Whether the target is sent lists of items."""
    return spec.target.batch_size > 1


def bare_lists(spec: Spec) -> bool:
    """Whether a bare list is a batch (form 2); otherwise it is one item."""
    return spec.wrapper.mode != "log" and spec.target.input == "item"


def one_by_one(spec: Spec) -> bool:
    """Whether all work is done in the calling thread: an inline target not declared thread-safe."""
    return inline(spec) and spec.parallel == 1


CONDITIONS: dict[str, Condition] = {
    "src/attempts.py": lambda spec: not one_by_one(spec),
    "src/batches.py": sub_batches,
    "src/copies.py": has_copies,
    "src/credentials.py": has_credentials,
    "src/dispatch.py": lambda spec: not one_by_one(spec),
    "src/inline.py": inline,
    "src/records.py": records,
    "src/redaction.py": redacts,
    "src/serial.py": one_by_one,
    "src/work.py": lambda spec: not sub_batches(spec),
    "src/datastore_data.py": lambda spec: bool({"data", "sqs"} & store_kinds(spec)),
    "src/datastore_sql.py": lambda spec: "sql" in store_kinds(spec),
    "src/datastore_sqs.py": lambda spec: "sqs" in store_kinds(spec),
    "src/datastore_sqs_oversize.py": lambda spec: "sqs" in store_kinds(spec),
    "src/target.py": lambda spec: not inline(spec),
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

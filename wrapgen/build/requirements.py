"""What a wrapper needs installed: the vendor's client and, only if the spec asks, a datastore library."""

from __future__ import annotations

import re

from wrapgen.build import plan
from wrapgen.spec import Spec

CLIENT = ("algorithmia>=2.0.5,<3", "algorithmia-adk>=1.2.4,<2")
"""The ADK imports the client without declaring it (platform contract, section 10), so both are named."""

DATABASES = {"postgresql": "psycopg2-binary>=2.9", "mysql": "PyMySQL>=1.0", "sqlite": ""}
"""The driver for each dialect, by the name that `Store.dialect` gives it."""


def lines(spec: Spec) -> list[str]:
    """The lines of requirements.txt; those of an inline target's own come last, as its author wrote them."""
    needed = list(CLIENT)
    kinds = plan.store_kinds(spec)
    if "sql" in kinds:
        needed.append("SQLAlchemy>=2.0,<3")
        needed += _drivers(spec)
    if "sqs" in kinds:
        needed.append("boto3>=1.26")
    theirs = spec.source_files.get("requirements.txt", b"").decode("utf-8", "replace").splitlines()
    ours = {_project(line) for line in needed}
    return needed + [line for line in theirs if line.strip() and _project(line) not in ours]


def _drivers(spec: Spec) -> list[str]:
    """The driver of each dialect in use; of every one where only an environment variable knows."""
    assert spec.datastore is not None
    stores = [store for store in (spec.datastore.store, *spec.datastore.copy_stores) if store.kind == "sql"]
    dialects = {store.dialect for store in stores}
    chosen = sorted(DATABASES) if "" in dialects else sorted(dialects)
    return [DATABASES[dialect] for dialect in chosen if DATABASES[dialect]]


def _project(line: str) -> str:
    """The project's name in a requirement, as package indexes compare it."""
    match = re.match(r"\s*([A-Za-z0-9._-]+)", line)
    return re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""

"""The cases of TEST_CASES.json: what the platform's CI action and `wrapgen publish` try against a build."""

from __future__ import annotations

from typing import Any

from wrapgen import protocol
from wrapgen.build import plan
from wrapgen.spec import Spec

_RUNS = {"expected_output": None, "type": "NO_EXCEPTION"}
"""Any result will do. The action reads `expected_output` of every case (algorithmia_ci/test_algo.py)."""


def cases(spec: Spec) -> list[dict[str, Any]]:
    """What can be expected of a wrapper without knowing its target, then the spec's own examples.

    None has the type EXCEPTION, which can't pass in the CI action.
    """
    found: list[dict[str, Any]] = [{"case_name": "describes itself", "input": {"$batch": []}, **_RUNS}]
    if plan.bare_lists(spec):
        found.append(
            {"case_name": "an empty list", "input": [], "expected_output": [], "type": "EXACT_MATCH"},
        )
    for number, item in enumerate(spec.publish.examples, 1):
        # A trial goes the whole way and leaves no record.
        tried = item if spec.datastore is None else {"$batch": [protocol.to_wire(item)], "$trial": True}
        found.append({"case_name": f"example {number}", "input": tried, **_RUNS})
    return found

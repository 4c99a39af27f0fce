"""The cases of TEST_CASES.json: what the platform's CI action and `wrapgen publish` try against a build."""

from __future__ import annotations

from typing import Any

from wrapgen.build import plan
from wrapgen.spec import Spec


def cases(spec: Spec) -> list[dict[str, Any]]:
    """What can be expected of a wrapper without knowing its target, then the spec's own examples.

    No case has the type EXCEPTION: the CI action compares it with a text that its own client never produces,
    so such a case can't pass.
    """
    found: list[dict[str, Any]] = [
        {"case_name": "describes itself", "input": {"$batch": []}, "type": "NO_EXCEPTION"}
    ]
    if plan.bare_lists(spec):
        found.append(
            {"case_name": "an empty list", "input": [], "expected_output": [], "type": "EXACT_MATCH"},
        )
    for number, item in enumerate(spec.publish.examples, 1):
        found.append({"case_name": f"example {number}", "input": item, "type": "NO_EXCEPTION"})
    return found

"""The user's hooks in ``src/hooks.py``, run as the wrapper runs them.

``before`` gets the examples of the spec. To try the others too, say in ``src/hooks.py`` which result goes
with which item: ``EXAMPLES = [(item, the target's result)]``.
"""

from __future__ import annotations

import copy
import inspect
import json
from typing import Any
from unittest import mock

from src import hooks
from src.runtime.protocol import ATTEMPT, Failure

from .standins import FOLDER, RECORDS, WrapperTest

CONTEXT = {"run": "run", "id": "x", "index": 7, "try": 2}
ARGUMENTS = {"before": 1, "after": 2, "error": 4, "load": 0}


def examples() -> list[Any]:
    """The items of the spec's examples."""
    cases = json.loads((FOLDER / "TEST_CASES.json").read_text())
    return [case["input"] for case in cases if case["case_name"].startswith("example ")]


def run(name: str, *arguments: Any) -> Any:
    """What a hook makes of these arguments; the first of them where there is no such hook."""
    hook = getattr(hooks, name, None)
    if hook is None:
        return arguments[-1] if name == "after" else arguments[0] if name == "before" else arguments[1:]
    arguments = copy.deepcopy(arguments)
    wants = "context" in inspect.signature(hook).parameters
    return hook(*arguments, context=dict(CONTEXT)) if wants else hook(*arguments)


def always(result: Any) -> Any:
    """A target that answers every item so."""
    return lambda _: copy.deepcopy(result)


class HooksTest(WrapperTest):
    """Each hook that is defined."""

    with_hooks = True

    def send(self, item: Any) -> Any:
        """The result of an item in a batch."""
        call = {"$batch": [item], "$run": "run", "$ids": ["x"], "$index": 7, "$try": 2}
        return self.call(call)["$results"][0]

    def test_each_takes_what_it_is_given(self) -> None:
        for name, count in ARGUMENTS.items():
            hook = getattr(hooks, name, None)
            if hook is not None:
                given = [None] * count
                signature = inspect.signature(hook)
                named = {"context": CONTEXT} if "context" in signature.parameters else {}
                signature.bind(*given, **named)

    def test_before_changes_what_the_target_gets(self) -> None:
        items = [*examples(), *(item for item, _ in getattr(hooks, "EXAMPLES", []))]
        for item in items:
            with self.subTest(item=item):
                self.send(item)
                self.assertEqual(self.target.got[-1], run("before", item))

    def test_after_changes_what_the_caller_gets(self) -> None:
        for item, result in getattr(hooks, "EXAMPLES", []):
            with self.subTest(item=item):
                self.target.result = always(result)
                expected = run("after", run("before", item), result)
                self.assertEqual(self.send(item), expected)
                if RECORDS and not RECORDS.get("redact"):
                    self.assertEqual(self.datastore.records[-1]["result"], expected)

    def test_error_changes_how_a_failure_is_reported(self) -> None:
        if not hasattr(hooks, "error"):
            self.skipTest("there is no such hook")

        def refuse(item: Any) -> Any:
            raise Failure("InputError", "not this one", effect=ATTEMPT)

        self.target.result = refuse
        for item in examples() or ["an item"]:
            with self.subTest(item=item):
                kind, message, retryable = run(
                    "error", run("before", item), "InputError", "not this one", False
                )
                reported = self.send(item)["$error"]
                self.assertEqual(
                    [reported[key] for key in ("type", "message", "retryable")], [kind, message, retryable]
                )

    def test_a_hook_that_fails_fails_its_item_alone(self) -> None:
        def fail(item: Any) -> Any:
            raise Failure("InputError", "the hook's own")

        with mock.patch.multiple(hooks, before=fail, error=None, create=True):
            answered = self.call({"$batch": [1, 2], "$run": "run"})
        self.assertEqual({result["$error"]["message"] for result in answered["$results"]}, {"the hook's own"})

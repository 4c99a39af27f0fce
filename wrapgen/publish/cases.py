"""The cases of TEST_CASES.json, tried against a build before it is released.

The file is the one that the vendor's CI action reads (algorithmia-ci-action, README.md): `case_name`,
`input`, `expected_output`, `type` (EXACT_MATCH when absent) and `tree`, the keys that lead to the compared
value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wrapgen.errors import AlgorithmFailed, CaseFailed, UsageError
from wrapgen.files import read_regular

FILE = "TEST_CASES.json"

FILE_BYTES = 64 * 1024 * 1024
"""Most bytes of it: inputs of several calls."""

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "EXACT_MATCH": lambda got, expected: _same(got, expected),
    "GREATER_OR_EQUAL": lambda got, expected: bool(got >= expected),
    "LESS_OR_EQUAL": lambda got, expected: bool(got <= expected),
    "NO_EXCEPTION": lambda got, expected: True,  # noqa: ARG005
}

TYPES = (*_COMPARE, "EXCEPTION")
"""How a result can be judged; EXCEPTION wants the algorithm to fail."""


@dataclass(frozen=True)
class Case:
    """One input and what is to come of it."""

    name: str
    value: Any
    expected: Any
    type: str
    tree: tuple[str | int, ...]

    def check(self, call: Callable[[Any], Any]) -> None:
        """Tries the case.

        Args:
            call: takes the input, returns the result, raises AlgorithmFailed.

        Raises:
            CaseFailed: the result is not as expected, or the algorithm fails where it must not.
            PlatformError: the algorithm could not be called.
        """
        try:
            got = call(self.value)
        except AlgorithmFailed as error:
            if self.type == "EXCEPTION":
                return
            raise CaseFailed(name=self.name, expected=self._wanted(), got=str(error)) from error
        if self.type == "EXCEPTION":
            raise CaseFailed(name=self.name, expected="an error", got=_shown(got))
        try:
            for key in self.tree:
                got = got[key]
            fits = _COMPARE[self.type](got, self.expected)
        except (IndexError, KeyError, TypeError):
            fits = False
        if not fits:
            raise CaseFailed(name=self.name, expected=self._wanted(), got=_shown(got))

    def _wanted(self) -> str:
        words = {"EXACT_MATCH": "", "GREATER_OR_EQUAL": "at least ", "LESS_OR_EQUAL": "at most "}
        return words[self.type] + _shown(self.expected) if self.type in words else "no error"


def read(folder: Path) -> list[Case]:
    """The cases of a project; none when it has no file of them.

    Raises:
        UsageError: the file is not a list of cases.
    """
    path = folder / FILE
    try:
        content = json.loads(read_regular(path, FILE_BYTES))
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError) as error:
        raise UsageError(f"can't read {path}: {error}") from error
    if not isinstance(content, list):
        raise UsageError(f"{path} must hold a list of cases")
    return [_case(path, number, entry) for number, entry in enumerate(content, start=1)]


def _case(path: Path, number: int, entry: Any) -> Case:
    if not isinstance(entry, dict) or "input" not in entry:
        raise UsageError(f"{path}: case {number} is not an object with an input")
    kind = entry.get("type") or "EXACT_MATCH"
    if kind not in TYPES:
        raise UsageError(f"{path}: case {number} has the type {kind!r}", hint=f"one of {', '.join(TYPES)}")
    if kind not in ("EXCEPTION", "NO_EXCEPTION") and "expected_output" not in entry:
        raise UsageError(f"{path}: case {number} has no expected_output")
    tree = entry.get("tree") or []
    if not isinstance(tree, list):
        raise UsageError(f"{path}: the tree of case {number} is not a list of keys")
    name = str(entry.get("case_name") or f"case {number}")
    return Case(name, entry["input"], entry.get("expected_output"), kind, tuple(tree))


def _same(got: Any, expected: Any) -> bool:
    """Equality as JSON sees it: true is not 1."""
    if isinstance(got, bool) or isinstance(expected, bool):
        return got is expected
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(map(_same, got, expected))
    if isinstance(got, dict) and isinstance(expected, dict):
        return got.keys() == expected.keys() and all(_same(got[key], expected[key]) for key in got)
    return bool(got == expected)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text)} characters)"

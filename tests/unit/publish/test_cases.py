"""TEST_CASES.json: how a build is judged before it is released."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wrapgen.errors import AlgorithmFailed, CaseFailed, UsageError
from wrapgen.publish import cases


def case(**fields: object) -> dict[str, object]:
    return {"case_name": "it", "input": "x", **fields}


def check(tmp_path: Path, entry: dict[str, object], answer: object) -> None:
    (tmp_path / cases.FILE).write_text(json.dumps([entry]))
    (read,) = cases.read(tmp_path)

    def call(value: object) -> object:
        assert value == entry["input"]
        if isinstance(answer, Exception):
            raise answer
        return answer

    read.check(call)


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        (case(expected_output={"a": [1, 2.5]}), {"a": [1, 2.5]}),
        (case(expected_output=1), 1.0),
        (case(expected_output=None), None),
        (case(expected_output=0.7, type="GREATER_OR_EQUAL", tree=["accuracy"]), {"accuracy": 0.8}),
        (case(expected_output=3, type="LESS_OR_EQUAL", tree=[0, "n"]), [{"n": 3}]),
        (case(type="NO_EXCEPTION"), None),
        (case(type="EXCEPTION"), AlgorithmFailed("no")),
    ],
)
def test_a_case_that_fits_passes(tmp_path: Path, entry: dict[str, object], answer: object) -> None:
    """Each type of case accepts what it says."""
    check(tmp_path, entry, answer)


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        (case(expected_output={"a": 1}), {"a": 2}),
        (case(expected_output=1), True),
        (case(expected_output=[0]), [False]),
        (case(expected_output={"a": 1}), {"a": 1, "b": 2}),
        (case(expected_output=[1, 2]), [1]),
        (case(expected_output=0.7, type="GREATER_OR_EQUAL", tree=["accuracy"]), {"accuracy": 0.6}),
        (case(expected_output=0.7, type="GREATER_OR_EQUAL", tree=["accuracy"]), {}),
        (case(expected_output=0.7, type="GREATER_OR_EQUAL"), "text"),
        (case(expected_output=3, type="LESS_OR_EQUAL"), 4),
        (case(type="NO_EXCEPTION"), AlgorithmFailed("broken")),
        (case(expected_output=1), AlgorithmFailed("broken")),
        (case(type="EXCEPTION"), 1),
        (case(expected_output="x"), b"\x00"),
    ],
)
def test_a_case_that_does_not_fit_fails_with_both_sides(
    tmp_path: Path, entry: dict[str, object], answer: object
) -> None:
    """A failed case names itself, what was expected and what came."""
    with pytest.raises(CaseFailed, match=r"'it'[\s\S]*expected: [\s\S]*got: "):
        check(tmp_path, entry, answer)


def test_no_file_is_no_cases(tmp_path: Path) -> None:
    """A project need not have cases."""
    assert cases.read(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["{", "{}", "[1]", '[{"case_name": "x"}]', '[{"input": 1, "type": "MAGIC"}]', '[{"input": 1}]']
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    """A file that is no list of cases stops the publish before anything is pushed."""
    (tmp_path / cases.FILE).write_text(text)
    with pytest.raises(UsageError, match=cases.FILE):
        cases.read(tmp_path)

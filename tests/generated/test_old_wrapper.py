"""A wrapper that 0.1.0 made, and the same after an upgrade, answer and record alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from adk_worker import run_adk
from standins import Platform, Reply, error, result

from wrapgen.build import Placement, generate
from wrapgen.spec import load

OLD = Path(__file__).resolve().parents[1] / "golden" / "old" / "0.1.0"

CALLS: list[Any] = [
    {"$batch": []},
    "text",
    None,
    {"a": [1, 2]},
    "InputError",
    ["a", "InputError", {"$binary": "AAE="}, {"$literal": {"$error": 1}}],
    [],
    {"$batch": ["b", "c"], "$run": "r1", "$ids": ["x", "y"], "$try": 1},
    {"$batch": ["b", "InputError"], "$run": "r1", "$index": [7, 9], "$try": 2, "$timeout": 20},
    {"$batch": ["b"], "wrong": 1},
    {"$batch": ["b"], "$ids": []},
    {"$batch": 5},
    {"$batch": ["401"], "$run": "r2"},
    {"$batch": "data://bob/in/items.jsonl", "$output": "data://bob/out/results.jsonl", "$run": "r3"},
    "last",
]

SINCE = {"attempts", "bytes_in", "bytes_out", "errors", "p50_ms", "p99_ms", "refused", "unrecorded"}
"""What `$summary` tells since then, beside `runtime` in the description."""

MEASURED = {"duration_ms", "slowest", "started_at"}
"""What no two calls have in common."""


def first(value: Any) -> Reply:
    """A target that answers a list of one, and fails as it is told."""
    if value == "InputError":
        return error("InputError")
    if value == "401":
        return Reply(401, b"who")
    return result([value.decode("latin-1") if isinstance(value, bytes) else value])


@pytest.mark.parametrize("version", ["0.1.0", "now"])
def test_both_speak_one_protocol(edge_python: Path, tmp_path: Path, platform: Platform, version: str) -> None:
    """Every form, refusals, ids, indexes, items and results by URL: what 0.1.0 answered and recorded."""
    folder = Path(shutil.copytree(OLD, tmp_path / "wrapper"))
    if version == "now":
        Placement.of(generate(load(folder)), folder).write()
    expected = json.loads(OLD.with_name("0.1.0-answers.json").read_text())
    assert observed(edge_python, folder, platform) == expected


def observed(python: Path, folder: Path, platform: Platform) -> dict[str, Any]:
    """What a wrapper answers to all calls, and what it records of them."""
    platform.target = first
    platform.files["bob/in/items.jsonl"] = b'"one"\n{"two": 2}\n'
    platform.collections.add("bob/out")
    answers = run_adk(python, folder, platform, CALLS)
    lines = [
        json.loads(line)
        for path, body in platform.files.items()
        if path.startswith("acme/sentiment/r")  # a call without a run has a random one
        for line in body.splitlines()
    ]
    by_key = sorted(lines, key=lambda fields: (fields["run"], fields["id"]))
    return {
        "answers": [_lasting(answer.get("result", answer.get("error"))) for answer in answers],
        "records": [_lasting(fields) for fields in by_key],
        "results": platform.files["bob/out/results.jsonl"].decode(),
    }


def _lasting(value: Any) -> Any:
    """An answer without what is measured, what came later, and how an error is worded."""
    if isinstance(value, list):
        return [_lasting(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "error_type" in value:
        return {"error_type": value["error_type"]}
    left_out = MEASURED | (SINCE if "items" in value else {"runtime", "digest"})
    kept = {key: _lasting(each) for key, each in value.items() if key not in left_out}
    return {**kept, "message": "..."} if "message" in kept else kept

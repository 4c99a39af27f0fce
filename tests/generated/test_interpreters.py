"""Generated wrappers under every interpreter from 3.7 to 3.13: whole calls, as the platform makes them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from adk_worker import LONG, run_adk
from standins import Platform, Reply, error, result

from wrapgen.build import generate
from wrapgen.spec import parse

HERE = Path(__file__).resolve().parent
BOTH = """
version: 1
target: {{algorithm: nlp/Sentiment/1.0.5, batch_size: {batch_size}}}
wrapper: {{name: acme/SentimentBatch, mode: {mode}}}
datastore: {{url: "{url}"}}
dispatch: {{attempts: 2, on_error: {on_error}}}
"""


def build(folder: Path, text: str = BOTH, **values: Any) -> Path:
    facts = {"batch_size": 1, "mode": "both", "url": "data://acme/scores", "on_error": "collect", **values}
    generate(parse(text.format(**facts).encode(), "spec.yaml")).write(folder)
    return folder


def shout(value: Any) -> Reply:
    """A target that shouts, and fails as it is told."""
    answers = {
        "InputError": lambda: error("InputError"),
        "500": lambda: Reply(500, b"oops"),
        "401": lambda: Reply(401, b"who"),
        "drop": lambda: Reply(drop=True),
    }
    if isinstance(value, list):
        return (
            result([item.upper() for item in value]) if all(map(str.isalpha, value)) else error("InputError")
        )
    if isinstance(value, bytes):
        return result(value[::-1])
    if not isinstance(value, str):
        return result(value)
    return answers[value]() if value in answers else result(value.upper())


def test_every_form_is_answered_and_a_failure_ends_no_process(
    python: Path, tmp_path: Path, platform: Platform
) -> None:
    """All forms in one worker, bytes and text included; errors are raised with the target's type."""
    platform.target = shout
    answers = run_adk(
        python,
        build(tmp_path),
        platform,
        [
            {"$batch": []},
            "text",
            b"\x00\x01",
            None,
            "InputError",
            "drop",
            ["a", "InputError", {"$binary": "AAE="}, {"$literal": {"$error": 1}}],
            {"$batch": ["b", "500"], "$run": "r1", "$ids": ["x", "y"], "$try": 1},
            {"$batch": ["b"], "wrong": 1},
            ["a", "401", "b"],
            "last",
        ],
    )
    assert answers[0]["result"]["$summary"]["wrapper"]["protocol"] == 1
    assert answers[1] == {"result": "TEXT", "metadata": {"content_type": "text"}}
    assert answers[2] == {"result": "AQA=", "metadata": {"content_type": "binary"}}
    assert answers[3]["result"] is None
    assert answers[4]["error"]["error_type"] == "InputError"
    assert "Traceback" in answers[4]["error"]["stacktrace"]
    assert answers[5]["error"]["error_type"] == "ConnectionError"
    mixed = answers[6]["result"]
    assert (mixed[0], mixed[2], mixed[3]) == ("A", {"$binary": "AQA="}, {"$literal": {"$error": 1}})
    assert mixed[1]["$error"]["type"] == "InputError"
    assert answers[7]["result"]["$results"][1]["$error"]["attempts"] == 2
    assert answers[8]["error"]["error_type"] == "InputError"
    assert answers[9]["result"][1]["$error"]["type"] == "AuthenticationError"
    assert answers[10]["result"] == "LAST"
    recorded = [json.loads(line) for body in platform.files.values() for line in body.splitlines()]
    assert {fields["id"] for fields in recorded if fields["run"] == "r1"} == {"x", "y"}


def test_on_error_raise_and_mode_batch(edge_python: Path, tmp_path: Path, platform: Platform) -> None:
    """A list fails as the guide's loop does; without a datastore there is no code for records."""
    platform.target = shout
    text = BOTH.replace('datastore: {{url: "{url}"}}\n', "")
    folder = build(tmp_path, text, mode="batch", on_error="raise")
    answers = run_adk(
        edge_python, folder, platform, [["a", "b"], ["a", "InputError"], [], {"$batch": ["InputError"]}]
    )
    assert answers[0]["result"] == ["A", "B"]
    assert answers[1]["error"]["error_type"] == "InputError"
    assert answers[2]["result"] == []
    assert answers[3]["result"]["$results"][0]["$error"]["type"] == "InputError"
    assert platform.files == {}
    assert not list(folder.glob("src/*record*")) + list(folder.glob("src/datastore*"))


def test_sub_batches(edge_python: Path, tmp_path: Path, platform: Platform) -> None:
    """Lists go to the target, and the poison item is found."""
    platform.target = shout
    folder = build(tmp_path, batch_size=4)
    (answer,) = run_adk(edge_python, folder, platform, [{"$batch": ["a", "b", "3", "d", "e"], "$run": "r"}])
    results = answer["result"]["$results"]
    assert [results[0], results[1], results[3], results[4]] == ["A", "B", "D", "E"]
    assert results[2]["$error"]["type"] == "InputError"


def test_mode_log_takes_a_list_as_one_item(edge_python: Path, tmp_path: Path, platform: Platform) -> None:
    """Whatever comes bare is one item; form 3 is still a batch."""
    answers = run_adk(edge_python, build(tmp_path, mode="log"), platform, [[1, 2], {"$batch": [[1], [2]]}])
    assert answers[0]["result"] == [1, 2]
    assert answers[1]["result"]["$results"] == [[1], [2]]
    assert len(platform.files) == 2


def test_records_in_a_database(edge_python: Path, tmp_path: Path, platform: Platform) -> None:
    """SQLite through SQLAlchemy, as that interpreter has it; a better record stays."""
    platform.target = shout
    folder = build(tmp_path, url=f"sqlite:///{tmp_path}/records.db")
    calls = [{"$batch": ["a", "InputError"], "$run": "r", "$try": send} for send in (2, 1)]
    run_adk(edge_python, folder, platform, calls)
    with sqlite3.connect(tmp_path / "records.db") as database:
        rows = database.execute('SELECT id, "try", result FROM records ORDER BY id').fetchall()
    assert rows == [("0", 2, '"A"'), ("1", 2, None)]


def test_a_number_that_python_does_not_read_is_its_items_error(
    edge_python: Path, tmp_path: Path, platform: Platform
) -> None:
    """One of 5,000 digits fails alone, as an item and in a list; the vendor's ADK would end its process."""
    platform.target = shout
    values = [LONG, [1, {"n": LONG}, 2], "last"]
    single, several, last = run_adk(edge_python, build(tmp_path), platform, values)
    assert single["error"]["error_type"] == several["result"][1]["$error"]["type"] == "InputError"
    assert "4300 digits" in single["error"]["message"]
    assert [several["result"][0], several["result"][2], last["result"]] == [1, 2, "LAST"]

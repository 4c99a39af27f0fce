"""A thousand items against a target that fails in every way: what comes back, and what is recorded."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from flow import Kept, Wrapper
from runtime import algorithm_lists
from runtime import platform as api
from standins import Platform, Reply, error, result

NAN = Reply(body=b'{"result": {"score": NaN}, "metadata": {"content_type": "json", "duration": 0}}')
ALWAYS = {
    "input error": (lambda: error("InputError"), "InputError", False, 1),
    "raised": (lambda: error("AlgorithmError"), "AlgorithmError", False, 1),
    "out of memory": (lambda: error("OutOfMemoryError"), "OutOfMemoryError", False, 1),
    "worker gone": (lambda: error("SystemExit"), "SystemExit", True, 3),
    "loading": (lambda: error("LoadingError"), "LoadingError", True, 3),
    "timeout": (lambda: error("TimeoutError"), "TimeoutError", True, 3),
    "nan": (lambda: NAN, "ParsingError", False, 1),
    "no json": (lambda: Reply(200, b"<html>"), "ParsingError", True, 3),
    "empty": (lambda: Reply(200, b""), "ParsingError", True, 3),
    "no envelope": (lambda: Reply(200, {"score": 1}), "ParsingError", True, 3),
    "key refused, says the target": (lambda: error("AuthenticationError"), "AuthenticationError", False, 1),
    "400": (lambda: Reply(400, {"error": {"message": "bad"}}), "InputError", False, 1),
    "413": (lambda: Reply(413, b""), "TooLargeError", False, 1),
    "429": (lambda: Reply(429, b"", {"Retry-After": "0"}), "TooManyRequests", True, 0),
    "500": (lambda: Reply(500, b"oops"), "ServerError", True, 3),
    "503": (lambda: Reply(503, {"error": {"error_type": "SystemError"}}), "ServerError", True, 0),
    "502": (lambda: Reply(502, b""), "ServerError", True, 3),
    "504": (lambda: Reply(504, b""), "TimeoutError", True, 3),
    "dropped": (lambda: Reply(drop=True), "ConnectionError", True, 3),
    "cut off": (lambda: Reply(200, {"result": 1}, cut=9), "ConnectionError", True, 3),
}
"""What the target does to an item of that name every time; type, retryable and attempts that come back."""

ONCE = {"429 once": 429, "503 once": 503, "500 once": 500, "504 once": 504}
"""What it does to an item the first time only."""


def test_a_thousand_items_against_every_failure(platform: Platform) -> None:
    """Each failure stays with its item and has its type; the 700 good ones and the passing ones come back."""
    names = [*ALWAYS, *ONCE]
    items: list[Any] = [
        names[n // 10 % len(names)] + f" {n}" if n % 10 < 3 else f"good {n}" for n in range(996)
    ]
    items += [{"$binary": "not base64"}, {"$error": {}}, "x" * 2_000_000, {"$binary": "AAE="}]
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def answer(value: Any) -> Reply:
        if isinstance(value, bytes):
            return result(value)
        name = value.rpartition(" ")[0]
        with lock:
            seen[value] += 1
        if name in ONCE and seen[value] == 1:
            return Reply(ONCE[name], b"", {"Retry-After": "0"})
        return ALWAYS[name][0]() if name in ALWAYS else result(value.upper())

    platform.target = answer
    called = algorithm_lists.Target(
        api.connect(platform.client()), {"reference": "o/t/1.0.0"}, {"request_bytes": 1_000_000}
    )
    kept = Kept()
    reply = Wrapper(called.call, datastore=kept, wait=lambda seconds: False)({"$batch": items, "$run": "r"})
    results, summary = reply["$results"], reply["$summary"]
    assert len(results) == 1000
    recorded = {int(fields["id"]): fields for fields in kept.fields}
    for place, (item, got) in enumerate(zip(items[:996], results[:996], strict=True)):
        name = item.rpartition(" ")[0]
        if name not in ALWAYS:
            assert got == item.upper()
            assert recorded[place]["result"] == got
            assert recorded[place]["attempts"] == (2 if name in ("500 once", "504 once") else 1)
            continue
        _, kind, retryable, attempts = ALWAYS[name]
        failed = got["$error"]
        assert (failed["type"], failed["retryable"], failed["attempts"]) == (kind, retryable, attempts), name
        if attempts == 0:
            assert place not in recorded
        else:
            assert recorded[place]["error"] == {key: failed[key] for key in ("type", "message", "retryable")}
            assert recorded[place]["attempts"] == attempts
    kinds = [
        got["$error"]["type"] if isinstance(got, dict) and "$error" in got else "ok" for got in results[996:]
    ]
    assert kinds == ["InputError", "InputError", "TooLargeError", "ok"]
    texts = [item for item in items if isinstance(item, str)]
    throttled = sum(item.startswith(("429 ", "503 ")) and "once" not in item for item in texts)
    assert summary["untried"] == throttled
    assert summary["recorded"] == len(recorded) == 1000 - throttled
    assert summary["succeeded"] + summary["failed"] + summary["untried"] == 1000
    assert summary["stopped"] is None
    assert summary["calls"] == len(platform.calls)
    assert summary["throttled"] == 5 * throttled + sum(
        item.startswith(("429 once", "503 once")) for item in texts
    )
    counted = Counter(got["$error"]["type"] for got in results if isinstance(got, dict) and "$error" in got)
    assert summary["errors"] == counted
    assert summary["attempts"] == summary["calls"] - summary["throttled"]
    assert summary["bytes_in"] > 0 and summary["bytes_out"] > 0 and summary["p50_ms"] <= summary["p99_ms"]

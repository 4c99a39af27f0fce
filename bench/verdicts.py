"""The aims of the bench, and how far they were reached: figures only, all from the same run."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from bench.parts import registry

Data = dict[str, Any]


def verdicts(data: Data) -> list[tuple[str, str, str]]:
    """Aim, what was measured, `reached` or `missed`; an aim that could not be measured is left out."""
    rows = []
    for words, ask, holds, pattern in (*AIMS, *(aim for part in registry.TABLES for aim in part.AIMS)):
        try:
            value = ask(data)
        except (KeyError, IndexError, ZeroDivisionError, ValueError):  # StatisticsError is a ValueError
            continue
        rows.append((words, format(value, pattern), "reached" if holds(value) else "**missed**"))
    return rows


def rate(data: Data, name: str) -> float:
    """Items per second of a program of part 1, start-up included."""
    note, items = data["parts"]["batch"][name], data["about"]["items"]
    seconds = [
        each["seconds"]
        if each["items"] >= items
        else note["startup"] + (each["seconds"] - note["startup"]) * items / each["items"]
        for each in note["rounds"]
    ]
    return items / statistics.median(seconds)


def served(data: Data, name: str, key: str, what: str = "rate") -> float:
    """What wrk saw of a server of part 2, at so many `texts/connections`."""
    return statistics.median(each[key][what] for each in data["parts"]["serving"][name]["rounds"])


def peers(data: Data) -> list[str]:
    """The servers of part 2 that could be measured, ours left out."""
    notes = data["parts"]["serving"]
    return [name for name in notes if name != "wrapgen" and not notes[name].get("failed")]


def frameworks(data: Data) -> list[str]:
    """Those of them that are serving frameworks: all but bare FastAPI."""
    return [name for name in peers(data) if name != "FastAPI"]


def _ahead(key: str) -> Callable[[Data], float]:
    return lambda data: (
        served(data, "wrapgen", key) / max(served(data, name, key) for name in frameworks(data))
    )


def _tail(key: str) -> Callable[[Data], float]:
    return lambda data: (
        served(data, "wrapgen", key, "p99") / min(served(data, name, key, "p99") for name in frameworks(data))
    )


def _beside_fastapi(key: str) -> Callable[[Data], float]:
    return lambda data: served(data, "wrapgen", key) / served(data, "FastAPI", key)


def far(data: Data, name: str, delay: int) -> float:
    """Items per second of a program of part 3."""
    rounds = data["parts"]["distance"][name]["delays"][str(delay)]["rounds"]
    return statistics.median(each["items"] / each["seconds"] for each in rounds)


def generated(data: Data, name: str, what: str) -> float:
    """Milliseconds of a generator of part 4."""
    return statistics.median(ms for each in data["parts"]["generation"][name]["rounds"] for ms in each[what])


def _quickest_peer(data: Data) -> float:
    peers = [name for name in data["parts"]["generation"] if name != "wrapgen build"]
    return min(generated(data, name, "cold") for name in peers if data["parts"]["generation"][name]["rounds"])


def _share(ours: str, theirs: str) -> Callable[[Data], float]:
    return lambda data: rate(data, ours) / rate(data, theirs)


def _least(bound: float) -> Callable[[float], bool]:
    return lambda value: value >= bound


def _most(bound: float) -> Callable[[float], bool]:
    return lambda value: value <= bound


LISTS, PARALLEL = "wrapgen run, sub-batches", "wrapgen run, parallel"
AIMS: tuple[tuple[str, Callable[[Data], float], Callable[[float], bool], str], ...] = (
    (
        "sub-batches: at least 80 % of multiprocessing.Pool",
        _share(LISTS, "multiprocessing.Pool"),
        _least(0.8),
        ".0%",
    ),
    (
        "inline, one core: at least 85 % of the plain loop",
        _share("wrapgen run, inline, one call at a time", "plain loop"),
        _least(0.85),
        ".0%",
    ),
    (
        "parallel, one text a call: at least 4 × the hand-written thread pool",
        _share(PARALLEL, "thread pool of 16, vendor's client"),
        _least(4),
        ".1f",
    ),
    (
        "parallel, one text a call: ahead of hand-written aiohttp",
        _share(PARALLEL, "aiohttp to the platform"),
        _least(1),
        ".2f",
    ),
    (
        "run spec.yaml, inline, one process: at least 92 % of the plain loop",
        _share("wrapgen run spec.yaml, inline, one process", "plain loop"),
        _least(0.92),
        ".0%",
    ),
    (
        "run spec.yaml, inline: at least 90 % of multiprocessing.Pool",
        _share("wrapgen run spec.yaml, inline", "multiprocessing.Pool"),
        _least(0.9),
        ".0%",
    ),
    (
        "run spec.yaml to FastAPI, lists: at least 90 % of hand-written aiohttp",
        _share("wrapgen run spec.yaml, FastAPI, lists", "aiohttp to FastAPI, lists"),
        _least(0.9),
        ".0%",
    ),
    (
        "run spec.yaml to FastAPI, one text a call: ahead of hand-written aiohttp",
        _share("wrapgen run spec.yaml, FastAPI", "aiohttp to FastAPI"),
        _least(1),
        ".2f",
    ),
    (
        "run spec.yaml to MLServer, one text a call: ahead of mlserver infer",
        _share("wrapgen run spec.yaml, MLServer", "mlserver infer, one text a call"),
        _least(1),
        ".2f",
    ),
    (
        "run spec.yaml to MLServer, lists: ahead of mlserver infer",
        _share("wrapgen run spec.yaml, MLServer, lists", "mlserver infer, batches of 100"),
        _least(1),
        ".2f",
    ),
    (
        "run spec.yaml, chat: ahead of LiteLLM's batch_completion",
        _share("wrapgen run spec.yaml, chat", "LiteLLM's batch_completion"),
        _least(1),
        ".2f",
    ),
    ("serving, 16 connections: ahead of the best framework", _ahead("1/16"), _least(1), ".2f"),
    ("serving, 64 connections: ahead of the best framework", _ahead("1/64"), _least(1), ".2f"),
    ("serving, 1 connection: at least bare FastAPI", _beside_fastapi("1/1"), _least(1), ".2f"),
    ("serving, 16 connections: at least 1.1 of bare FastAPI", _beside_fastapi("1/16"), _least(1.1), ".2f"),
    ("serving, 64 connections: at least 1.1 of bare FastAPI", _beside_fastapi("1/64"), _least(1.1), ".2f"),
    ("serving, 16 connections: p99 beside the best framework's", _tail("1/16"), _most(1), ".2f"),
    ("serving, 64 connections: p99 beside the best framework's", _tail("1/64"), _most(1), ".2f"),
    (
        "serving, 100 texts: at least 95 % of the best of all others",
        lambda data: (
            served(data, "wrapgen", "100/16") / max(served(data, name, "100/16") for name in peers(data))
        ),
        _least(0.95),
        ".2f",
    ),
    (
        "serving, 100 texts: at least 93 % of what the processors score with nothing around it",
        lambda data: served(data, "wrapgen", "100/16") / statistics.median(data["about"]["limits"]),
        _least(0.93),
        ".0%",
    ),
    (
        "serving: no failed call",
        lambda data: float(
            sum(
                found["failed"]
                for each in data["parts"]["serving"]["wrapgen"]["rounds"]
                for key, found in each.items()
                if "/" in key
            )
        ),
        _most(0),
        ".0f",
    ),
    (
        "parallel at 20 ms: at least 10 × the guide's serial loop",
        lambda data: far(data, PARALLEL, 20) / far(data, "the guide's serial loop", 20),
        _least(10),
        ".1f",
    ),
    (
        "our Spark connector: ahead of mapInPandas with a call per row",
        _share("our Spark connector, parallel", "Spark mapInPandas, a call per row"),
        _least(1),
        ".2f",
    ),
    (
        "our Spark connector, sub-batches: at least 90 % of mapInPandas with lists",
        _share("our Spark connector, sub-batches", "Spark mapInPandas, lists"),
        _least(0.9),
        ".0%",
    ),
    (
        "our Ray connector: ahead of map_batches with a call per row",
        _share("our Ray connector, parallel", "Ray map_batches, a call per row"),
        _least(1),
        ".2f",
    ),
    (
        "our Ray connector, sub-batches: at least 90 % of map_batches with lists",
        _share("our Ray connector, sub-batches", "Ray map_batches, lists"),
        _least(0.9),
        ".0%",
    ),
    (
        "wrapgen build, cold: under 250 ms",
        lambda data: generated(data, "wrapgen build", "cold"),
        _most(250),
        ".0f",
    ),
    (
        "wrapgen build, cold: share of the quickest peer's time",
        lambda data: generated(data, "wrapgen build", "cold") / _quickest_peer(data),
        _most(1),
        ".0%",
    ),
    (
        "wrapgen --help: under 120 ms",
        lambda data: generated(data, "wrapgen build", "help"),
        _most(120),
        ".0f",
    ),
)

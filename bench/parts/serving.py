"""Part 2: servers under load, one after another, each started anew in every round."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from bench import load, measure, peers, tweets
from bench.hosting import Server
from bench.measure import Failed
from bench.options import Bench, in_turn
from bench.parts import apps
from bench.parts.programs import CASES
from bench.parts.surroundings import Surroundings

PART = "serving"
CONNECTIONS = (1, 16, 64)
TEXTS = (1, 100)
SECONDS = 3
OURS = "wrapgen"


@dataclass(frozen=True)
class Contestant:
    """A server, and how it wants its requests.

    Attributes:
        start: starts it.
        request: path and JSON for some texts.
    """

    start: Callable[[Bench, Surroundings], AbstractContextManager[Server]]
    request: Callable[[list[str]], tuple[str, Any]]


def _documents(texts: list[str]) -> Any:
    documents = [{"document": text} for text in texts]
    return documents[0] if len(documents) == 1 else documents


@contextmanager
def ours(bench: Bench, around: Surroundings) -> Iterator[Server]:
    """Our platform with as many workers as there are processors, as every peer has."""
    with around.platform("serving", "--workers", str(bench.cores)) as (home, server):
        around.target(home)
        yield server


def _peer(
    start: Callable[[Bench], AbstractContextManager[Server]],
) -> Callable[[Bench, Surroundings], AbstractContextManager[Server]]:
    return lambda bench, _: start(bench)


CONTESTANTS = {
    OURS: Contestant(ours, lambda texts: ("/v1/algo/nlp/SentimentAnalysis/1.0.5", _documents(texts))),
    "FastAPI": Contestant(
        _peer(apps.fastapi), lambda texts: ("/score" if len(texts) == 1 else "/scores", _documents(texts))
    ),
    "KServe": Contestant(
        _peer(apps.kserve), lambda texts: ("/v1/models/sentiment:predict", {"instances": texts})
    ),
    "LitServe": Contestant(_peer(apps.litserve), lambda texts: ("/predict", {"documents": texts})),
    "BentoML": Contestant(
        _peer(apps.bentoml),
        lambda texts: (
            ("/score", {"document": texts[0]}) if len(texts) == 1 else ("/scores", {"documents": texts})
        ),
    ),
    "MLServer": Contestant(
        _peer(apps.mlserver), lambda texts: ("/v2/models/sentiment/infer", apps.v2(texts))
    ),
    "Ray Serve": Contestant(_peer(apps.rayserve), lambda texts: ("/", texts)),
}


def minutes(bench: Bench) -> float:
    """About how long it takes."""
    loads = len(TEXTS) * (len(CONNECTIONS) * _seconds(bench) + 1)
    return bench.rounds * ((loads + 10) * len(_chosen(bench)) - 6) / 60  # ours starts sooner than the others


def _seconds(bench: Bench) -> int:
    """Of one load."""
    return 1 if bench.smoke else 2 if bench.quick else SECONDS


def _chosen(bench: Bench) -> dict[str, Contestant]:
    """Who is measured."""
    return CONTESTANTS if bench.peers and not bench.smoke else {OURS: CONTESTANTS[OURS]}


def measure_all(sides: Sequence[Surroundings]) -> None:
    """Measures what the store does not have yet."""
    for number in range(sides[0].bench.rounds):
        _note_limit(
            sides[0].bench, number
        )  # next to ours, which is first: the machine varies from minute to minute
        for name, contestant in CONTESTANTS.items():
            for side in in_turn(sides, number):
                if name in _chosen(side.bench):
                    _note_round(side, name, contestant, number)


def _note_round(around: Surroundings, name: str, contestant: Contestant, number: int) -> None:
    """Measures one server once, unless the store has it."""
    bench = around.bench
    note = bench.store.get(PART, name) or {"rounds": []}
    if note.get("failed") or len(note["rounds"]) > number:
        return
    try:
        note["rounds"].append(_round(bench, around, contestant))
    except Exception as error:
        note["failed"] = measure.reason(error)
        bench.say(f"  {name}: failed: {note['failed']}")
    else:
        bench.say(f"  {number + 1}. {name}")
    bench.store.put(PART, name, note)


def _note_limit(bench: Bench, number: int) -> None:
    """Notes how many requests of 100 texts all processors could answer if they did nothing but score."""
    limits = bench.store.data["about"].get("limits", [])
    if not bench.peers or bench.smoke or len(limits) > number:
        return
    try:
        python = peers.python("clients")
    except Failed as error:
        bench.say(f"  what the processors score alone: failed: {error}")
        return
    command = [str(python), str(CASES / "score_only.py"), tweets.SAMPLE, str(SECONDS)]
    each = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(bench.cores)]
    scored = sum(float(one.communicate()[0]) for one in each)
    bench.store.about(limits=[*limits, round(scored / max(TEXTS), 1)])


def _round(bench: Bench, around: Surroundings, contestant: Contestant) -> dict[str, Any]:
    with contestant.start(bench, around) as server:
        found: dict[str, Any] = {"startup": round(server.seconds, 3)}
        for texts in TEXTS[:1] if bench.smoke else TEXTS:
            path, body = contestant.request([tweets.SAMPLE] * texts)
            where = {"folder": bench.work / "load", "key": server.key}
            if not bench.smoke:
                with suppress(Failed):  # a slow one may answer nothing yet
                    load.wrk(server.address + path, body, connections=16, seconds=1, **where)
            for connections in CONNECTIONS[:1] if bench.smoke else CONNECTIONS:
                before = sum(measure.shares([server.pid]).values())
                seen = load.wrk(
                    server.address + path, body, connections=connections, seconds=_seconds(bench), **where
                )
                spent = sum(measure.shares([server.pid]).values()) - before
                each_ms = round(1000 * spent / (seen.rate * _seconds(bench)), 4)
                found[f"{texts}/{connections}"] = {**seen.as_json(), "cpu_ms": each_ms}
        return {**found, "memory_mb": round(measure.memory(server.pid), 1)}

"""SIGKILL at random moments of a run, against a platform that fails in many ways fixed by id and attempt.

The end is determined, so the output of every killed and resumed run equals the undisturbed one byte for byte.
"""

from __future__ import annotations

import json
import random
import threading

import pytest

ITEMS = 400
KILLS = 20


@pytest.fixture
def tweets(wrapgen):
    """An input."""
    path = wrapgen.folder / "in.jsonl"
    path.write_text("".join(json.dumps({"document": f"tweet {n} é"}) + "\n" for n in range(ITEMS)))
    return path


def faults(chance: random.Random) -> dict[str, list[str | None]]:
    """What each item meets at each attempt: some pass, some never do."""
    kinds = ["ServerError", "TimeoutError", "ConnectionError", "TooManyRequests"]
    found: dict[str, list[str | None]] = {}
    for index in chance.sample(range(ITEMS), 24):
        found[str(index)] = [chance.choice(kinds) for _ in range(chance.randint(1, 3))] + [None]
    for index in chance.sample(range(ITEMS), 6):
        found[str(index)] = ["InputError"]
    return found


def bad_weather(platform, seed: int, kinds=("429", "429 later", "500", "cut", "dropped", "short")) -> None:
    """Makes one call in five fail in one of the ways in which calls fail, told by the number of the call."""
    honest = platform.post

    def post(path, body):
        status, answer = honest(path, body)
        number = len(platform.called)
        chance = random.Random(f"{seed}-{number}")
        if body == b'{"$batch":[]}' or chance.random() > 0.2:
            return status, answer
        kind = chance.choice(kinds)
        if kind == "429":
            return 429, b'{"error":{"message":"too many"}}'
        if kind == "429 later":
            return 429, b'{"error":{"message":"too many"}}', {"Retry-After": "0"}
        if kind == "500":
            return 500, b"<html>oops"
        if kind == "cut":
            return 200, answer[: len(answer) // 2]
        if kind == "short":
            content = json.loads(answer)
            content["result"]["$results"].pop()
            return 200, json.dumps(content).encode()
        return None

    platform.post = post


def check_records(wrapper, plan) -> None:
    """Every key is recorded, no two sends of an item carry one try, and the best record is the outcome."""
    assert set(wrapper.records) == {str(n) for n in range(ITEMS)}
    for id_, seen in wrapper.records.items():
        tries = [number for number, _ in seen]
        assert tries == sorted(set(tries)), f"item {id_} was sent twice with one try: {seen}"
        final = "InputError" if plan.get(id_) == ["InputError"] else "result"
        assert final in {kind for _, kind in seen}, f"item {id_}: {seen}"


def kill_and_resume(wrapgen, platform, chance: random.Random, output) -> int:
    """Starts the run and kills it at two moments, then lets it get through; how often it was killed."""
    kills = 0
    nobody = threading.Event()
    while True:
        process = wrapgen.drive("in.jsonl", output.name)
        # After some calls, and a moment that is not a multiple of anything.
        wanted = len(platform.called) + chance.randint(1, 12)
        while kills < 2 and len(platform.called) < wanted and process.poll() is None:
            nobody.wait(0.001)
        nobody.wait(chance.random() * 0.02)
        if kills < 2 and process.poll() is None:
            process.kill()
            process.communicate()
            kills += 1
            continue
        _, err = process.communicate(timeout=120)
        assert process.returncode == 10, err
        return kills


def run_rounds(wrapgen, platform, memory_wrapper, rounds: int) -> None:
    """So many seeds: each an undisturbed expectation, a disturbed platform, and kills."""
    killed = 0
    seed = 0
    while killed < rounds:
        seed += 1
        chance = random.Random(seed)
        plan = faults(chance)
        platform.wrapper = memory_wrapper(faults=plan, attempts=9)
        honest = platform.post
        calm = wrapgen.folder / f"calm{seed}.jsonl"
        assert wrapgen.drive("in.jsonl", calm.name).wait(60) == 10
        platform.wrapper = memory_wrapper(faults=plan, attempts=9)
        bad_weather(platform, seed)
        output = wrapgen.folder / f"killed{seed}.jsonl"
        killed += kill_and_resume(wrapgen, platform, chance, output)
        platform.post = honest
        assert output.read_bytes() == calm.read_bytes(), f"seed {seed}"
        assert failed_ids(output) == {id_ for id_, kinds in plan.items() if kinds == ["InputError"]}
        check_records(platform.wrapper, plan)


def failed_ids(output) -> set[str]:
    """The ids in an output's file of failed items."""
    with output.with_name(output.name + ".errors.jsonl").open() as file:
        return {json.loads(line)["id"] for line in file}


def test_twenty_kills_change_nothing(wrapgen, platform, tweets, memory_wrapper):
    """Twenty seeded SIGKILLs of the runner leave the output as it would have been."""
    run_rounds(wrapgen, platform, memory_wrapper, KILLS)


@pytest.mark.soak
def test_a_thousand_kills_change_nothing(wrapgen, platform, tweets, memory_wrapper):
    """The same a thousand times."""
    run_rounds(wrapgen, platform, memory_wrapper, 1000)

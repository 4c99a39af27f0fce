"""SIGKILL of runner, platform or worker at seeded moments of a run, on a target that fails in every way.

What fails is fixed by id and attempt, so the end is determined: the output of a run that was killed equals
the undisturbed one byte for byte; the datastore holds each key once, never with a worse outcome than it had.
"""

from __future__ import annotations

import fnmatch
import json
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from evidence import Evidence
from hosted import Hosted
from weather import PASSING, POISON, Weather, faults_of

from wrapgen.client import Client, Connection
from wrapgen.errors import NotFound
from wrapgen.records.settle import settle
from wrapgen.run.input.shards import Shard
from wrapgen.run.ledger.folder import Folder, folder_for

ITEMS = 160
KILLS = 10
VICTIMS = ("runner", "platform", "worker")
URL = "data://acme/fickle"


class Stack:
    """The platform, the wrapper on it, the weather around it, and the runs through it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosted = Hosted(folder)
        self.weather = Weather()
        self.killed: Counter[str] = Counter()

    def start(self) -> None:
        """Starts the platform and publishes the wrapper."""
        self.hosted.start()
        self.weather.platform = f"127.0.0.1:{self.hosted.port}"
        self.hosted.publish(self.weather.address)
        self.data = Client(Connection(self.hosted.address, self.hosted.key, "the test"), pool=2).data
        rows = (json.dumps({"name": str(number)}) + "\n" for number in range(ITEMS))
        (self.folder / "in.jsonl").write_text("".join(rows))

    def run(self, output: str, seed: int, kills: int) -> bytes:
        """One run to its end, killed on the way; its output."""
        chance = random.Random(seed)
        self.weather.begin(seed, faults_of(seed, ITEMS))
        best: dict[str, int] = {}
        runner = self.runner(output)
        for _ in range(kills):
            self.weather.after(chance.randint(1, 8), lambda: runner.poll() is not None)  # noqa: B023
            victim = chance.choice(VICTIMS)
            if runner.poll() is not None:
                break
            if victim == "runner":
                runner.kill()
                runner.communicate()
                runner = self.runner(output)
            elif victim == "platform":
                self.hosted.kill()
            else:
                victim = self.kill_worker(chance)
            self.killed[victim] += 1
            best = self.not_worse(best, output)
        _, err = runner.communicate(timeout=240)
        assert runner.returncode == 10, err
        self.not_worse(best, output)
        return (self.folder / output).read_bytes()

    def in_shards(self, output: str, seed: int, of: int, kills: int) -> bytes:
        """The same by workers with a shard each, on machines of their own; the merged output.

        A worker that is killed is taken over by another machine, with a copy of the shard's state.
        """
        chance = random.Random(seed)
        self.weather.begin(seed, faults_of(seed, ITEMS))
        places = [f"machine{index}-{output}/{output}" for index in range(of)]
        runners = [self.runner(place, f"{index}/{of}") for index, place in enumerate(places)]
        for number in range(kills):
            self.weather.after(chance.randint(1, 4), lambda: all(one.poll() is not None for one in runners))
            alive = [index for index, one in enumerate(runners) if one.poll() is None]
            if not alive:
                break
            index = chance.choice(alive)
            runners[index].kill()
            runners[index].communicate()
            self.killed["shard"] += 1
            before, places[index] = places[index], f"taken{number}-{output}/{output}"
            state = folder_for(Shard(index, of).output(self.folder / before))
            if state.exists():
                shutil.copytree(state, folder_for(Shard(index, of).output(self.folder / places[index])))
            runners[index] = self.runner(places[index], f"{index}/{of}")
        for one in runners:
            _, err = one.communicate(timeout=240)
            assert one.returncode in (0, 10), err
        self.weather.calm()
        states = [str(Shard(index, of).output(Path(place))) for index, place in enumerate(places)]
        self.hosted("merge", "-o", output, *states, ends=10)
        found = Evidence(ITEMS)
        for state in states:
            found.ledger(Folder(folder_for(self.folder / state)))
        found.records(self.records(Path(output).stem))
        found.calls(self.folder / "home" / "logs", Path(output).stem)
        found.output(self.folder / output)
        assert not found.broken()
        return (self.folder / output).read_bytes()

    def kill_worker(self, chance: random.Random) -> str:
        """Kills a worker; its platform where none is alive, as just after such a kill."""
        if workers := self.hosted.workers():
            os.kill(chance.choice(workers), signal.SIGKILL)
            return "worker"
        self.hosted.kill()
        return "platform"

    def runner(self, output: str, *shard: str) -> Any:
        """Starts the run, or goes on with it."""
        (self.folder / output).parent.mkdir(exist_ok=True)
        words = [self.weather.address, self.hosted.reference, "in.jsonl", output, *shard]
        return self.hosted.spawn([str(Path(__file__).with_name("driver.py")), *words])

    def records(self, run: str) -> list[dict[str, Any]]:
        """Every record of a run that was ever written, superseded ones included."""
        try:
            objects = fnmatch.filter((entry.name for entry in self.data.files(URL)), f"{run}-*.jsonl")
        except NotFound:
            return []
        lines = [line for name in objects for line in self.data.read(f"{URL}/{name}").splitlines()]
        return [json.loads(line) for line in lines]

    def not_worse(self, before: dict[str, int], output: str) -> dict[str, int]:
        """How good the best record of each key is by now: as good as it was, or better."""
        best: dict[str, int] = {}
        for record in self.records(Path(output).stem):
            rank = 2 if "result" in record else 0 if record["error"]["retryable"] else 1
            best[record["id"]] = max(rank, best.get(record["id"], 0))
        worse = {key: (rank, best.get(key)) for key, rank in before.items() if best.get(key, -1) < rank}
        assert not worse
        return best

    def check(self, output: str, seed: int) -> None:
        """The datastore agrees with the output: each key once, and no two sends with one try."""
        run = Path(output).stem
        self.weather.calm()  # a call of a killed runner may still have been at work when the last one ended
        sends = Counter((record["id"], record["try"]) for record in self.records(run))
        assert max(sends.values()) == 1, f"recorded twice by one send: {sends.most_common(3)}"
        found = Evidence(ITEMS)
        found.ledger(Folder(folder_for(self.folder / output)))
        found.records(self.records(run))
        found.calls(self.folder / "home" / "logs", run)
        found.output(self.folder / output)
        assert not found.broken()
        poison = {name for name, plan in faults_of(seed, ITEMS).items() if plan[-1] == POISON}
        settle(self.data, URL, run)
        found = self.records(run)
        assert sorted(record["id"] for record in found) == sorted(str(number) for number in range(ITEMS))
        assert {record["id"] for record in found if "error" in record} == poison
        results = {record["id"]: record.get("result") for record in found}
        lines = [json.loads(line) for line in (self.folder / output).read_bytes().splitlines()]
        assert {line["id"]: line.get("result") for line in lines} == results

    def close(self) -> None:
        """Ends everything."""
        self.weather.stop()
        self.hosted.stop()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole of it, once for all tests here."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("workers are found in /proc, which this system does not have")
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


def kill_and_compare(stack: Stack, first_seed: int, kills: int) -> None:
    """Runs until so many kills were made, ten a run, each run held against its undisturbed twin."""
    seed, wanted = first_seed, stack.killed.total() + kills
    while stack.killed.total() < wanted:
        calm = stack.run(f"calm{seed}.jsonl", seed, 0)
        killed = stack.run(f"killed{seed}.jsonl", seed, min(10, wanted - stack.killed.total()))
        assert killed == calm, f"seed {seed}"
        stack.check(f"killed{seed}.jsonl", seed)
        seed += 1


def test_ten_kills_change_nothing(stack):
    """Ten SIGKILLs of runner, platform or worker leave output and records as they would have been."""
    kill_and_compare(stack, 1, KILLS)
    checked = stack.hosted("verify", "killed1.jsonl")
    assert {check["state"] for check in checked["checks"]} == {"ok"}
    assert set(stack.killed) >= set(VICTIMS)
    assert {*PASSING, "hang"} <= set(stack.weather.met)


def kill_shards_and_compare(stack: Stack, seed: int, of: int, kills: int) -> None:
    """A run in shards that are killed and taken over, held against its undisturbed twin in one."""
    calm = stack.run(f"whole{seed}.jsonl", seed, 0)
    assert stack.in_shards(f"shards{seed}.jsonl", seed, of, kills) == calm, f"seed {seed}"
    stack.check(f"shards{seed}.jsonl", seed)


def test_shards_that_are_killed_and_taken_over_are_one_run(stack):
    """Whatever is killed, the merged run is the undisturbed one, and its history breaks no rule."""
    kill_shards_and_compare(stack, 3, 3, 6)
    checked = stack.hosted("verify", "shards3.jsonl")
    assert {check["state"] for check in checked["checks"]} == {"ok"}
    assert stack.killed["shard"] > 2


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2000, 2020))
def test_many_shards_that_are_killed_are_one_run(stack, seed):
    """The same for other numbers of shards and many kills."""
    kill_shards_and_compare(stack, seed, 1 + seed % 7, 12)


@pytest.mark.soak
def test_a_thousand_kills_change_nothing(stack):
    """The same a thousand times; WRAPGEN_KILLS makes it another number."""
    kill_and_compare(stack, 1000, int(os.environ.get("WRAPGEN_KILLS", "1000")))

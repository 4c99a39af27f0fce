"""A run whose state is in a bucket: any machine shows, checks and resumes it, and the one before stops."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from bucket_server import S3, s3_server
from evidence import Evidence

from wrapgen import run
from wrapgen.client import Client, Connection
from wrapgen.errors import RunError, UsageError
from wrapgen.run.ledger.bucket_folder import open_state, state_to_read
from wrapgen.run.status import load

RUN = ("run", "acme/SentimentBatch/1.0.0")
ITEMS = 120


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    """A server that speaks S3."""
    with s3_server() as found:
        yield found


@pytest.fixture
def s3(server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The same without faults, and this process may look into it."""
    server.fault = lambda method, path: (0.0, "")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


class Machines:
    """Folders that share nothing but the platform and the bucket.

    Attributes:
        state: the URL of the state.
    """

    def __init__(self, folder: Path, platform, s3: S3, command) -> None:
        self.folder, self.platform, self.s3, self.count, self.command = folder, platform, s3, 0, command
        self.state = f"s3://runs/{folder.name}/state"

    def __call__(self):
        """The wrapgen command on one more machine, with the input."""
        self.count += 1
        here = self.folder / f"machine{self.count}"
        here.mkdir()
        (here / "in.jsonl").write_text("".join(f'"text {n}"\n' for n in range(ITEMS)))
        command = self.command(here, self.platform)
        (here / "tmp").mkdir()  # a killed runner leaves its copy of the state there
        command.environment |= {**self.s3.environment, "TMPDIR": str(here / "tmp")}
        return command

    def run(self, source: str = "in.jsonl") -> tuple[str, ...]:
        """The command."""
        return (*RUN, source, "-o", "out.jsonl", "--run", "r", "--chunk", "10", "--state", self.state)

    def broken(self, output: Path) -> list[str]:
        """The rules of histories that the run broke."""
        found = Evidence(ITEMS)
        kept = self.platform.wrapper.records
        found.records({"index": int(id_), "try": tries} for id_, each in kept.items() for tries, _ in each)
        with open_state(self.state) as state:
            found.ledger(state)
        found.output(output)
        return found.broken()


@pytest.fixture
def machines(tmp_path: Path, platform, s3: S3, wrapgen) -> Machines:
    """Machines that don't exist yet."""
    return Machines(tmp_path, platform, s3, type(wrapgen))


def test_another_machine_resumes_shows_and_checks_a_killed_run(machines, platform):
    """After kill -9 the same command goes on where no file of the run is, and others read it there."""
    reached, go_on = platform.hold_from(5)
    first = machines()
    killed = first.start(*machines.run())
    assert reached.wait(60)
    killed.kill()
    killed.communicate()
    go_on.set()
    assert not (first.folder / "out.jsonl.run").exists()
    second = machines()
    with state_to_read(machines.state) as folder:
        assert load(folder).state == "killed"
    ended = second(*machines.run())
    assert ended.returncode == 0, ended.stderr
    assert "resuming run r" in ended.stderr and f"ledger in {machines.state}" in ended.stdout
    assert not machines.broken(second.folder / "out.jsonl")
    checks = json.loads(second("verify", machines.state, "--json").stdout)["checks"]
    assert {check["name"]: check["state"] for check in checks if check["state"] != "ok"}.keys() <= {"records"}
    with state_to_read(machines.state) as folder:
        told = load(folder).as_json()
    assert (told["state"], told["folder"], told["sessions"]) == ("ok", machines.state, 2)
    with pytest.raises(RunError, match="there is no run in s3://"), state_to_read(machines.state + "-none"):
        pass


def test_a_frozen_machine_finds_its_run_taken_over(machines, platform):
    """Stopped by SIGSTOP and replaced, the first one ends with one clear error at its next write."""
    reached, go_on = platform.hold_from(4)
    first = machines()
    frozen = first.start(*machines.run())
    assert reached.wait(60)
    frozen.send_signal(signal.SIGSTOP)
    go_on.set()
    second = machines()
    ended = second(*machines.run(), "--take-over")
    assert ended.returncode == 0, ended.stderr
    frozen.send_signal(signal.SIGCONT)
    _, told = frozen.communicate(timeout=60)
    assert frozen.returncode == 8 and f"the run in {machines.state} was taken over by" in told
    assert "Traceback" not in told and not (first.folder / "out.jsonl").exists()
    assert not machines.broken(second.folder / "out.jsonl")


@pytest.mark.soak
def test_standard_input_is_kept_in_the_bucket(machines, platform):
    """What was read from standard input another machine reads from the bucket."""
    reached, go_on = platform.hold_from(3)
    first = machines()
    text = (first.folder / "in.jsonl").read_text()
    with (first.folder / "in.jsonl").open() as stdin:
        killed = first.start(*machines.run("-"), stdin=stdin)
        assert reached.wait(60)
    killed.kill()
    killed.communicate()
    go_on.set()
    second = machines()
    ended = second(*machines.run("-"), text="")
    assert ended.returncode == 0, ended.stderr
    assert len((second.folder / "out.jsonl").read_text().splitlines()) == len(text.splitlines())
    assert not machines.broken(second.folder / "out.jsonl")


def test_a_program_keeps_its_run_in_a_bucket(machines, platform):
    """`wrapgen.run` takes a URL as its state: another call with it has the outcomes without a call more."""
    with Client(Connection(platform.address, "simABCDEFGHIJKLMNOPQRSTUVWXY", "the test")) as client:
        found = []
        for _ in range(2):
            outcomes = run(RUN[1], ["a", "b", "c"], client=client, state=machines.state)
            found.append([outcome.result["seen"] for outcome in outcomes])
    assert found == [["a", "b", "c"]] * 2
    assert len(platform.wrapper.calls) == 1


def test_a_bucket_that_is_missing_or_refuses_is_one_clear_error(s3):
    """It is told before anything is sent, and says what to see to."""
    with open_state("s3://not-there/run") as state:
        with pytest.raises(RunError, match="s3://not-there/run can't be written") as told, state.locked():
            pass
        assert "credentials" in told.value.hint
    with pytest.raises(UsageError, match="s3://runs is a whole bucket"), open_state("s3://runs"):
        pass


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
def test_kills_and_a_bucket_that_fails_change_nothing(machines, platform, s3, seed):
    """Killed at random moments, frozen and replaced, by a bucket that is slow, refuses and loses answers."""
    chance = Random(seed)

    def fault(method: str, path: str) -> tuple[float, str]:
        kind = chance.random()
        return (
            chance.random() / 20,
            "refuse" if kind < 0.1 else "lose" if kind < 0.15 and method == "PUT" else "",
        )

    s3.fault = fault
    frozen = []
    for _ in range(6):
        platform.called.clear()
        reached, go_on = platform.hold_from(chance.randrange(2, 9))
        process = machines().start(*machines.run(), "--take-over")
        while not reached.wait(0.05) and process.poll() is None:
            pass
        if chance.random() < 0.5:
            process.kill()
            process.communicate()
        else:
            process.send_signal(signal.SIGSTOP)
            frozen.append(process)
        go_on.set()
    platform.gate = lambda _: None
    last = machines()
    ended = last(*machines.run(), "--take-over")
    for process in frozen:
        process.send_signal(signal.SIGCONT)
    codes = []
    for process in frozen:
        process.communicate(timeout=180)
        codes.append(process.returncode)
    assert ended.returncode == 0, ended.stderr
    assert set(codes) <= {0, 8}
    s3.fault = lambda method, path: (0.0, "")
    assert not machines.broken(last.folder / "out.jsonl")


def test_shards_that_share_only_a_bucket_become_one_run(machines, platform):
    """One is killed and resumed on another machine; a third machine merges them."""
    reached, go_on = platform.hold_from(3)
    first = machines()
    killed = first.start(*machines.run(), "--shard", "0/2")
    assert reached.wait(60)
    killed.kill()
    killed.communicate()
    go_on.set()
    second, third = machines(), machines()
    missing = third("merge", "-o", "out.jsonl", machines.state)
    assert missing.returncode == 8
    assert "shard 1/2 is missing; shard 0/2 is not finished: " in missing.stderr
    for index in (1, 0):
        ended = second(*machines.run(), "--shard", f"{index}/2", "--take-over")
        assert ended.returncode == 0, ended.stderr
    merged = third("merge", "-o", "out.jsonl", machines.state, "--json")
    assert merged.returncode == 0, merged.stderr
    lines = [json.loads(line) for line in (third.folder / "out.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(ITEMS))
    found = Evidence(ITEMS)
    kept = platform.wrapper.records
    found.records({"index": int(id_), "try": tries} for id_, each in kept.items() for tries, _ in each)
    for index in range(2):
        with open_state(f"{machines.state}/shard-{index}-of-2") as state:
            found.ledger(state)
    found.output(third.folder / "out.jsonl")
    assert not found.broken()


@pytest.mark.soak
def test_shards_write_to_a_bucket_and_are_merged_there(machines):
    """Outputs and states are beside each other in it, and so is the merged run, which can be merged again."""
    place, second = machines.state.rpartition("/")[0], machines()
    for index in range(2):
        done = second(
            "run", *RUN[1:], "in.jsonl", "-o", f"{place}/all.jsonl", "--run", "r2", "--shard", f"{index}/2"
        )
        assert done.returncode == 0, done.stderr
    again = machines()
    merged = again("merge", "-o", f"{place}/all.jsonl", "--json")
    assert merged.returncode == 0, merged.stderr
    told = json.loads(merged.stdout)
    assert told["output"] == f"{place}/all.jsonl" and not list(again.folder.glob("all*"))
    shown = json.loads(again("show", f"{place}/all.jsonl", "--json").stdout)
    assert (shown["state"], shown["items"]) == ("ok", ITEMS)
    assert again("merge", "-o", f"{place}/all.jsonl").returncode == 0

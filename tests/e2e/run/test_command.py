"""`wrapgen run` as a user meets it: a process, a platform over HTTP, files."""

from __future__ import annotations

import json
import random
import signal

import pytest

REF = "acme/SentimentBatch"


@pytest.fixture
def tweets(wrapgen):
    """An input of 3,000 items."""
    path = wrapgen.folder / "tweets.jsonl"
    path.write_text("".join(json.dumps({"document": f"tweet {n}"}) + "\n" for n in range(3000)))
    return path


def lines(path) -> list:
    """A file of JSON Lines, decoded."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_run_writes_every_outcome_in_order(wrapgen, platform, tweets):
    """The reference is resolved to the newest version, every item is scored, and the summary tells it."""
    ran = wrapgen("run", REF, "tweets.jsonl", "-o", "scores.jsonl", "--json")
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert summary["state"] == "ok" and summary["reference"] == f"{REF}/1.1.0"
    assert (summary["items"], summary["succeeded"], summary["failed"], summary["open"]) == (3000, 3000, 0, 0)
    assert [line["result"]["seen"]["document"] for line in lines(wrapgen.folder / "scores.jsonl")] == [
        f"tweet {n}" for n in range(3000)
    ]
    assert all(path.startswith(f"/v1/algo/{REF}/1.1.0?timeout=330") for path in platform.called[1:])
    assert not (wrapgen.folder / "scores.jsonl.errors.jsonl").exists()


def test_failed_items_have_an_exit_code_and_a_file(wrapgen, platform, tweets):
    """A finished run with failed items says so by exit code 10, names the file and keeps their input."""
    platform.wrapper.faults = {"7": ["InputError"], "2999": ["AlgorithmError"]}
    ran = wrapgen("run", REF, "tweets.jsonl", "-o", "scores.jsonl")
    assert ran.returncode == 10 and "scores.jsonl.errors.jsonl" in ran.stdout
    failed = lines(wrapgen.folder / "scores.jsonl.errors.jsonl")
    assert [(line["index"], line["input"]) for line in failed] == [
        (7, {"document": "tweet 7"}),
        (2999, {"document": "tweet 2999"}),
    ]


def test_a_killed_run_goes_on_where_it_was(wrapgen, platform, tweets):
    """After SIGKILL the same command resumes, sends nothing finished again, and the output is the same."""
    calm = wrapgen("run", REF, "tweets.jsonl", "-o", "calm.jsonl")
    assert calm.returncode == 0
    chance = random.Random(11)
    for round_ in range(3):
        output = wrapgen.folder / f"killed{round_}.jsonl"
        victim_at = len(platform.called) + chance.randrange(2, 12)
        reached, go_on = platform.hold_from(victim_at)
        process = wrapgen.start("run", REF, "tweets.jsonl", "-o", output.name)
        assert reached.wait(120)
        process.kill()
        process.communicate()
        go_on.set()
        platform.gate = lambda _: None
        before = len(platform.wrapper.calls)
        resumed = wrapgen("run", REF, "tweets.jsonl", "-o", output.name)
        assert resumed.returncode == 0 and "resuming" in resumed.stderr, resumed.stderr
        assert output.read_bytes() == (wrapgen.folder / "calm.jsonl").read_bytes()
        assert len(platform.wrapper.calls) > before


def test_interrupting_ends_cleanly_and_resumes(wrapgen, platform, tweets):
    """SIGINT lets open calls finish, sums up with exit code 12, and the run goes on later."""
    reached, go_on = platform.hold_from(4)
    process = wrapgen.start("run", REF, "tweets.jsonl", "-o", "scores.jsonl", "--json")
    assert reached.wait(120)
    process.send_signal(signal.SIGINT)
    assert any("stopping when the open calls are back" in line for line in process.stderr)
    go_on.set()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 12
    summary = json.loads(out)
    assert summary["state"] == "incomplete" and summary["reason"] == "interrupted"
    assert not (wrapgen.folder / "scores.jsonl").exists()
    platform.gate = lambda _: None
    assert wrapgen("run", REF, "tweets.jsonl", "-o", "scores.jsonl").returncode == 0


def test_a_second_interrupt_stops_now(wrapgen, platform, tweets):
    """Whoever interrupts twice does not wait for open calls; the ledger holds, and the run goes on later."""
    reached, go_on = platform.hold_from(4)
    process = wrapgen.start("run", REF, "tweets.jsonl", "-o", "scores.jsonl")
    assert reached.wait(120)
    process.send_signal(signal.SIGINT)
    assert any("again to stop now" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    go_on.set()
    platform.gate = lambda _: None
    assert wrapgen("run", REF, "tweets.jsonl", "-o", "scores.jsonl").returncode == 0


def test_a_newer_version_does_not_change_a_run_under_way(wrapgen, platform, tweets):
    """The ledger keeps the exact version; another one asked for outright is refused."""
    platform.wrapper.faults = {str(n): ["InputError"] for n in range(100, 300)}
    assert wrapgen("run", REF, "tweets.jsonl", "-o", "scores.jsonl").returncode == 11
    platform.versions.insert(0, "2.0.0")
    refused = wrapgen("run", f"{REF}/2.0.0", "tweets.jsonl", "-o", "scores.jsonl")
    assert refused.returncode == 8 and "the wrapper was acme/SentimentBatch/1.1.0" in refused.stderr
    platform.wrapper.faults = {}
    ran = wrapgen("run", REF, "tweets.jsonl", "-o", "scores.jsonl", "--budget", "100", "--json")
    assert json.loads(ran.stdout)["reference"] == f"{REF}/1.1.0"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", REF, "nowhere.jsonl", "-o", "out.jsonl"], "there is no nowhere.jsonl"),
        (["run", "acme", "tweets.jsonl", "-o", "out.jsonl"], "not an algorithm"),
        (["run", "spec.yaml", "tweets.jsonl", "-o", "out.jsonl"], "wrapgen init writes one"),
        (["run", f"{REF}/9.9", "tweets.jsonl", "-o", "out.jsonl"], "has no version 9.9"),
        (["run", REF, "bad.jsonl", "-o", "out.jsonl"], "bad.jsonl:2: not a line of JSON"),
        (["run", REF, "tweets.jsonl", "-o", "none/out.jsonl"], "there is no folder none"),
        (["run", REF, "tweets.jsonl", "-o", "out.jsonl", "--field", "text"], "there is no field 'text'"),
        (["run", REF, "tweets.jsonl", "-o", "bad.jsonl"], "bad.jsonl exists"),
        (["run", REF, "tweets.jsonl", "-o", "tweets.jsonl", "--fresh"], "tweets.jsonl is the input"),
        (["plan", REF, "tweets.jsonl", "-o", "bad.jsonl"], "bad.jsonl exists"),
    ],
)
def test_a_mistake_is_one_clear_message(wrapgen, tweets, words, says):
    """What can't be done is said in one line, without a traceback."""
    (wrapgen.folder / "bad.jsonl").write_text('{"a": 1}\n{"a": \n')
    ran = wrapgen(*words)
    assert ran.returncode in (2, 3, 8) and says in ran.stderr and "Traceback" not in ran.stderr

"""Ledger and spool that something altered: what does not match its digest is made again, and told."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from wrapgen.errors import NotAuthorized, RunError, UsageError
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.report.page import write_report
from wrapgen.run.status import load
from wrapgen.run.verify import Verification

OLD = Path(__file__).with_name("runs_of_0_1_0")
VALUES = list(range(120))
FAULTS = {"7": ["InputError"], "33": ["ServerError", None]}


def flip(data, random):
    """One byte is another."""
    at = random.randrange(len(data))
    data[at] ^= 1 << random.randrange(8)


def zero(data, random):
    """A block of zeros, as a file system leaves it."""
    at = random.randrange(len(data))
    end = min(len(data), at + random.randrange(1, 300))
    data[at:end] = bytes(end - at)


def cut(data, random):
    """The end is gone."""
    del data[random.randrange(len(data)) :]


def drop(data, random):
    """A line is gone."""
    lines = data.splitlines(keepends=True)
    del lines[random.randrange(len(lines))]
    data[:] = b"".join(lines)


def double(data, random):
    """A line stands twice."""
    lines = data.splitlines(keepends=True)
    lines.insert(random.randrange(len(lines)), lines[random.randrange(len(lines))])
    data[:] = b"".join(lines)


def swap(data, random):
    """Two lines have changed places."""
    lines = data.splitlines(keepends=True)
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    data[:] = b"".join(lines)


def digits(data, random):
    """A digit is another one: everything still looks right."""
    places = [at for at, byte in enumerate(data) if 48 <= byte < 58]
    if places:
        data[random.choice(places)] = 48 + random.randrange(10)


ATTACKS = (flip, zero, cut, drop, double, swap, digits)


def check_all(bench):
    """Every check by name."""
    with Verification(bench.folder / "out.jsonl.run") as verification:
        items = lambda: Selected(MemorySource(VALUES), Selection())  # noqa: E731
        checks = [
            verification.input(items),
            verification.ledger(),
            verification.items(),
            verification.output(items),
            verification.errors(),
        ]
    return {check.name: check.state for check in checks}


def begun(bench, memory_wrapper, kind="finished"):
    """A run that is finished, or was stopped half-way."""
    fails = {5: NotAuthorized("no", status=401)} if kind == "stopped" else {}
    bench.run(memory_wrapper(faults=FAULTS, calls_fail=fails), VALUES, workers=1, chunk=8)


RIGHT = b"".join(
    b'{"index":%d,"id":"%d","error":{"type":"InputError","message":"as planned for 7","retryable":false}}\n'
    % (n, n)
    if n == 7
    else b'{"index":%d,"id":"%d","result":{"seen": %d}}\n' % (n, n, n)
    for n in VALUES
)


def attacked(bench, memory_wrapper, seed):
    """A run one or two of whose files were altered, each in one to three ways."""
    random = Random(seed)
    kind = random.choice(["finished", "stopped"])
    begun(bench, memory_wrapper, kind)
    names = ["out.jsonl.run/ledger.jsonl", "out.jsonl.run/spool.jsonl"] + ["out.jsonl"] * (kind == "finished")
    for name in random.sample(names, random.choice([1, 1, 2])):
        path = bench.folder / name
        data = bytearray(path.read_bytes())
        for _ in range(random.choice([1, 1, 3])):
            if data:
                random.choice(ATTACKS)(data, random)
        path.write_bytes(data)


def attack(bench, memory_wrapper, seed):
    """Verifies an altered run and goes on with it: never wrong output with exit code 0 or 10."""
    attacked(bench, memory_wrapper, seed)
    is_right = not bench.output.exists() or bench.output.read_bytes() == RIGHT
    with suppress(RunError):
        states = check_all(bench)
        assert is_right or "faulty" in states.values(), states
    try:
        summary = bench.run(memory_wrapper(faults=FAULTS), VALUES)
    except (RunError, UsageError):
        return
    if summary.exit_code in (0, 10):
        assert bench.output.read_bytes() == RIGHT
        assert (summary.counts.succeeded, summary.counts.failed) == (119, 1)
        assert set(check_all(bench).values()) == {"ok"}
        assert load(bench.folder / "out.jsonl.run").counts.finished == 120
        assert write_report(bench.folder / "out.jsonl.run", None)["open"] == 0


@pytest.mark.parametrize("seed", range(40))
def test_altered_files_never_make_a_wrong_output(bench, memory_wrapper, seed):
    """Whatever is altered, a run ends right or in words, and verify notices what is wrong."""
    attack(bench, memory_wrapper, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(40, 1000))
def test_altered_files_never_make_a_wrong_output_for_long(bench, memory_wrapper, seed):
    """The same for many more seeds."""
    attack(bench, memory_wrapper, seed)


def test_what_is_damaged_is_sent_again_and_told(bench, memory_wrapper):
    """Only the items of the chunk that does not match go again; the run says so, and verify is content."""
    begun(bench, memory_wrapper)
    spool = bench.folder / "out.jsonl.run/spool.jsonl"
    spool.write_bytes(spool.read_bytes().replace(b'"seen": 42', b'"seen": 43'))
    assert check_all(bench)["ledger"] == "faulty"
    wrapper = memory_wrapper(faults=FAULTS)
    summary = bench.run(wrapper, VALUES)
    assert sorted(wrapper.attempts) == [str(n) for n in range(40, 48)]
    assert summary.damage == "the outcomes of 8 items in the spool do not match theirs"
    assert bench.output.read_bytes() == RIGHT
    assert set(check_all(bench).values()) == {"ok"}
    assert bench.run(wrapper, VALUES).damage == ""


def test_a_send_that_damage_hides_has_a_higher_try(bench, memory_wrapper):
    """What was sent before, by an entry that can't be read any more, goes again with a try of its own."""
    begun(bench, memory_wrapper, "stopped")
    ledger = bench.folder / "out.jsonl.run/ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"t":1,"first":0,', '"t":1,"first":1,'))
    wrapper = memory_wrapper(faults=FAULTS)
    summary = bench.run(wrapper, VALUES)
    assert summary.damage.startswith("1 entries of the ledger")
    assert min(call["$try"] for call in wrapper.calls) > 1
    assert bench.output.read_bytes() == RIGHT


@pytest.mark.parametrize("name", ["finished", "killed"])
def test_a_ledger_of_0_1_0_goes_on(bench, memory_wrapper, name):
    """A run that wrapgen 0.1.0 began is shown, verified as far as it can be, finished, and verified."""
    shutil.copytree(OLD / name, bench.folder, dirs_exist_ok=True)
    ledger = bench.folder / "out.jsonl.run/ledger.jsonl"
    ledger.write_text(ledger.read_text().replace("/data/finished", str(bench.folder)))
    known = load(ledger.parent)
    assert known.counts.items == 40 and known.state == (
        "killed" if name == "killed" else "finished-with-errors"
    )
    faults = {"3": ["InputError"]}
    values = list(range(40))
    with Verification(ledger.parent) as verification:
        assert verification.ledger().state == "not checked"
        assert verification.items().state == ("ok" if name == "finished" else "faulty")
    summary = bench.run(memory_wrapper(faults=faults), values, workers=1)
    assert (summary.exit_code, summary.counts.succeeded, summary.counts.failed) == (10, 39, 1)
    assert bench.output.read_bytes() == (OLD / "finished/out.jsonl").read_bytes()
    with Verification(ledger.parent) as verification:
        assert verification.ledger().state == "not checked" and verification.items().state == "ok"
    assert "d" in json.loads(ledger.read_text().splitlines()[-1])

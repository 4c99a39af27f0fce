"""Runs under seeds: whatever fails, no rule of a history is broken; and planted faults are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.faults import Faults
from simulation.mutants import MUTANTS
from simulation.published import add_range
from simulation.seeds import BUCKETS, command, first_caught, minimised, simulated, told, tried
from wrapgen.run.summary import EndState

EACH = 250
"""Seeds in one test."""


@pytest.mark.parametrize("first", range(1, 2001, EACH))
def test_no_seed_breaks_a_rule(first):
    """Kills, power cuts, full disks, losses, pages and delays leave a history that breaks no rule."""
    found = tried(range(first, first + EACH))
    replay = [f"make simulate SEEDS={seed}: {broken}" for seed, broken in found.failed.items()]
    assert not replay and found.sums["kills"] > 100


def test_no_seed_with_its_state_in_a_bucket_breaks_a_rule():
    """The same where every runner is another machine, and what they share is a bucket."""
    found = tried(range(BUCKETS, BUCKETS + 200))
    assert not [f"make simulate SEEDS={seed}: {broken}" for seed, broken in found.failed.items()]


@pytest.mark.soak
@pytest.mark.parametrize("first", [*range(1, 100_001, 10_000), BUCKETS])
def test_no_seed_of_many_breaks_a_rule(first):
    """The same for a hundred thousand, in ranges, each of which is published."""
    found = tried(range(first, first + 10_000))
    assert not [f"make simulate SEEDS={seed}: {broken}" for seed, broken in found.failed.items()]
    add_range(range(first, first + 10_000), found)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_fault_is_caught(name, monkeypatch):
    """Each line that a promise rests on, taken away, is noticed; with it the same seed breaks no rule."""
    mutant = MUTANTS[name]
    with monkeypatch.context() as patch:
        mutant.plant(patch)
        seed = first_caught(mutant.seeds, mutant.faults, mutant.items, mutant.first)
    assert seed is not None
    assert not simulated(seed, mutant.faults, mutant.items)[1]


@pytest.mark.parametrize(("files", "most"), [(("world.py", "disk.py"), 200), (("test_model.py",), 200)])
def test_what_has_to_be_read_stays_short(files, most):
    """The world that is passed in and the model are read in a sitting."""
    sources = [(Path(__file__).parent / name).read_text("utf-8") for name in files]
    assert sum(map(str.count, sources, "\n" * len(sources))) <= most


def test_the_same_seed_is_the_same_run():
    """A seed decides everything: its trace is the same, line by line."""
    assert list(told(7)) == list(told(7))


def test_without_faults_a_run_ends_in_one_session():
    """Where nothing fails a run, or the work on a queue, ends in its first session."""
    for seed in range(1, 11):
        system, broken = simulated(seed, Faults())
        assert not broken and system.sessions == 1
        assert system.summary is None or system.summary.state is EndState.OK


def test_a_failing_seed_is_made_small(monkeypatch):
    """What replays it names few faults and items, and breaks a rule again."""
    MUTANTS["open sends forgotten"].plant(monkeypatch)
    seed = next(seed for seed in range(1, 100) if simulated(seed)[1])
    seed, faults, items = minimised(seed)
    kinds = [name for name, share in vars(faults).items() if share]
    assert len(kinds) <= 2 and items <= 8
    assert simulated(seed, faults, items)[1]
    assert command(seed, faults, items).startswith(f"make simulate SEEDS={seed} FAULTS='")
    assert "a try was used twice" in "".join(told(seed, faults, items))

"""How a run looks off a terminal: a line now and then, or JSON."""

from __future__ import annotations

import json

import pytest

from wrapgen.cli.progress import Reporter
from wrapgen.run.scheduling.progress import Counts, Progress


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    """A clock at zero."""
    return Clock()


def moment(done: int) -> Progress:
    """A run of 1,000 items of which so many are done."""
    return Progress(Counts(items=1000, succeeded=done - 1, failed=1), open=4, concurrency=8, chunk=64)


def test_a_line_every_thirty_seconds(clock, capfd):
    """Between two lines at least 30 s pass; each has rate, time left, errors and concurrency."""
    with Reporter(as_json=False, already=100, clock=clock) as report:
        for second in range(91):
            clock.now = float(second)
            report(moment(100 + second * 5))
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "250 of 1,000 items, 5/s, 150 s left, 1 failed, 4 of 8 calls open, 64 a call"
    assert len(lines) == 3


def test_json_every_second(clock, capfd):
    """With --log-json each line is an object."""
    with Reporter(as_json=True, already=0, clock=clock) as report:
        for tenth in range(25):
            clock.now = tenth / 10
            report(moment(10))
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert len(lines) == 2 and lines[0]["finished"] == 10 and lines[0]["concurrency"] == 8

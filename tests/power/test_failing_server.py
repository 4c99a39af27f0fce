"""A platform whose n-th system call of a kind fails: clear answers, and all works after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from asked_platform import PIPES, WORTH, Asked, counts, failing, injected
from numbers_page import publish
from system_calls import can_trace

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(can_trace()), reason=f"system calls can't be failed: {can_trace()}"),
]


@pytest.fixture
def asked(quick: Path) -> Iterator[Asked]:
    """A platform with an algorithm."""
    found = Asked(quick)
    yield found
    found.life.process.terminate()
    assert found.life.process.wait(60) == 0


def test_a_platform_survives_every_failing_call(asked):
    """Each call of every kind fails in turn: clear errors, nothing acknowledged is lost."""
    tried, found = 0, []
    asked.lost(asked.round())
    for call, numbers in counts(asked.pid, asked.folder, lambda: asked.lost(asked.round())).items():
        for inject in (f"{call}:error={error}:when={at}" for error in WORTH[call] for at in numbers):
            with failing(asked.pid, asked.folder, inject) as log:
                done = asked.round()
            lines = injected(log)
            if ended := asked.life.process.poll() is not None:
                asked.restart()
            if any(word in line for line in lines for word in PIPES):
                asked.lost(asked.round())
                continue
            tried += len(lines)
            if ended:
                found.append(f"{lines}: it ended")
                continue
            wrong = [*done.wrong(calm=False), *asked.lost(done)]
            after = asked.round()
            wrong += [*after.wrong(calm=True), *asked.lost(after)]
            found += [f"{lines[:2]}: {wrong}"] if wrong else []
    assert not found, "\n".join(found)
    assert tried > 20
    publish("system calls of a platform failed, one at a time", tried)

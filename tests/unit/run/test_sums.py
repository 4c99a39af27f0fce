"""Numbers are counted in one place: whatever happens to a run, the sums add up and all tell the same."""

from __future__ import annotations

from random import Random

import pytest

from wrapgen.errors import NotAuthorized, ServerFault, Throttled, Unreachable
from wrapgen.run.ledger.folder import FileLog
from wrapgen.run.report.page import write_report
from wrapgen.run.status import load

VALUES = list(range(150))
TIMED_OUT = b'{"error":{"error_type":"TimeoutError","message":"the call timed out"}}'


class Killed(BaseException):
    """The process dies here."""


class DyingDisk:
    """A disk that dies at a write."""

    def __init__(self, writes):
        self.left = writes

    def write(self, log, data):
        self.left -= 1
        if self.left < 0:
            raise Killed
        FileLog.append(log, data)

    def sync(self, log):
        FileLog.sync(log)


def weather(random):
    """What calls meet, and what items."""
    bad = (
        lambda: Unreachable("reset"),
        lambda: ServerFault("broken", status=500),
        lambda: ServerFault("gateway", status=502),
        lambda: Throttled("slow down", status=429, retry_after=1),
        lambda: TIMED_OUT,
        lambda: b"<html>",
    )
    calls = {number: random.choice(bad)() for number in range(1, 60) if random.random() < 0.3}
    kinds = (["InputError"], ["ServerError"], ["ServerError", "ServerError", None])
    return {"calls_fail": calls, "faults": {str(n): random.choice(kinds) for n in random.sample(VALUES, 12)}}


def check_sums(bench, memory_wrapper, random):
    """A run of several sessions, killed or stopped between them; then what all readers say of it."""
    met = weather(random)
    options = {"workers": random.choice([1, 4]), "chunk": random.choice([5, 40]), "budget": 1.0}
    summary = None
    for session in range(random.choice([1, 1, 3])):
        dies = random.randrange(3, 20) if session < 2 and random.random() < 0.7 else 10_000
        wrapper = memory_wrapper(**met)
        if random.random() < 0.3:
            wrapper.calls_fail[random.randrange(3, 20)] = NotAuthorized("no", status=401)
        try:
            summary = bench.run(wrapper, VALUES, disk=DyingDisk(dies), **options)
        except Killed:
            summary = None
    folder = bench.folder / "out.jsonl.run"
    if not (folder / "ledger.jsonl").exists() or not (folder / "ledger.jsonl").stat().st_size:
        return
    facts, report = load(folder).as_json(), write_report(folder, None)
    calls = report["calls"]
    assert calls["sent"] == calls["answered"] + calls["lost"] + calls["unanswered"] + calls["open"]
    assert calls["lost"] == sum(facts["lost"].values()) == sum(one["count"] for one in report["lost"])
    assert calls["sent"] == facts["calls"]
    finished = facts["succeeded"] + facts["failed"]
    assert facts["items"] == finished + facts["open"]
    assert finished == sum(one["items"] for one in report["sends"])
    assert finished == sum(one["items"] for one in report["attempts"])
    assert finished == sum(one["finished"] for one in report["timeline"]["bins"])
    assert facts["failed"] == sum(one["count"] for one in report["errors"])
    if summary is not None and facts["sessions"] == 1:
        told = summary.as_json()
        assert told["calls"] == calls["sent"] and told["lost"] == calls["lost"]
        assert told["resent"] == calls["items_resent"] and told["throttled"] == calls["throttled"]
        assert told["target_calls"] == calls["of_target"]
        assert [told[name] for name in ("succeeded", "failed", "open")] == [
            facts[name] for name in ("succeeded", "failed", "open")
        ]


@pytest.mark.parametrize("seed", range(30))
def test_the_sums_add_up(bench, memory_wrapper, seed):
    """Terminal, report, show and ledger agree on calls, losses, resent items and outcomes."""
    check_sums(bench, memory_wrapper, Random(seed))

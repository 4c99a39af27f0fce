"""Runs that die at every write of their files, and come to the same end as one that was left alone."""

from __future__ import annotations

import pytest

from wrapgen.run.ledger.folder import FileLog
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.replay import indexes_of
from wrapgen.run.summary import EndState

FAULTS = {
    "5": ["ServerError", "ServerError", None],
    "17": ["InputError"],
    "33": ["TimeoutError", None],
    "60": ["ConnectionError", "ConnectionError", "ConnectionError", None],
}
VALUES = [{"document": f"text {n} é \U0001f600"} for n in range(90)]
OPTIONS = {"workers": 3, "chunk": 16, "attempts": 9}


class Killed(BaseException):
    """In place of SIGKILL: nothing after it runs."""


class DyingDisk:
    """Dies at the n-th effect, before it, in the middle of it or after it."""

    def __init__(self, at: int, how: str) -> None:
        self.left = at
        self.how = how

    def write(self, log: FileLog, data: bytes) -> None:
        self.left -= 1
        if self.left == 0:
            if self.how == "torn":
                FileLog.append(log, data[: len(data) // 2])
            elif self.how == "after":
                FileLog.append(log, data)
            raise Killed
        FileLog.append(log, data)

    def sync(self, log: FileLog) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed
        FileLog.sync(log)


@pytest.mark.parametrize("how", ["before", "torn", "after"])
def test_a_kill_at_every_write_changes_nothing(tmp_path, bench, memory_wrapper, how):
    """Killed at each effect in turn and resumed, a run gives the same bytes and resends nothing finished."""
    calm = bench.run(memory_wrapper(faults=FAULTS), VALUES, **OPTIONS)
    assert calm.state is EndState.ERRORS
    expected = bench.output.read_bytes()
    at = 0
    while True:
        at += 1
        here = type(bench)(tmp_path / f"{how}{at}")
        here.folder.mkdir()
        wrapper = memory_wrapper(faults=FAULTS)
        disk = DyingDisk(at, how)
        try:
            here.run(wrapper, VALUES, disk=disk, **OPTIONS)
        except Killed:
            before, finished = len(wrapper.calls), finished_items(here)
            here.run(wrapper, VALUES, **OPTIONS)
            resent = {index for call in wrapper.calls[before:] for index in indexes_sent(call)}
            assert not resent & finished, f"killed at effect {at}: finished items were sent again"
        assert here.output.read_bytes() == expected, f"killed at effect {at}"
        check_records(wrapper)
        if disk.left > 0:
            break
    assert at > 40


def finished_items(bench) -> set[int]:
    """The items whose outcome the ledger of a killed run holds."""
    sends, finished = {}, set()
    if not (bench.folder / "out.jsonl.run/ledger.jsonl").exists():
        return finished
    for entry in read_ledger(FileLog(bench.folder / "out.jsonl.run/ledger.jsonl")):
        if entry["e"] == "send":
            sends[entry["s"]] = indexes_of(entry)
        elif entry["e"] == "done":
            again = {at for at, _ in entry["again"]}
            finished |= {index for at, index in enumerate(sends[entry["s"]]) if at not in again}
    return finished


def indexes_sent(call) -> list[int]:
    """The run indexes of a call."""
    index, count = call["$index"], len(call["$batch"])
    return list(range(index, index + count)) if isinstance(index, int) else index


def check_records(wrapper) -> None:
    """Tries rise for every item, and what the datastore would keep is the outcome that the run reports."""
    for id_, seen in wrapper.records.items():
        tries = [one for one, _ in seen]
        assert tries == sorted(set(tries)), f"item {id_} was sent twice with one try: {seen}"
    assert set(wrapper.records) == {str(n) for n in range(len(VALUES))}

"""Power cuts in a run: from every state of its files that a cut may leave, it comes to the same end."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import short_run
from going_on import Moment, expected_outputs, go_on
from model_disk import Crash, ModelDisk, Tree
from numbers_page import publish
from system_calls import Replay, can_trace, record

from wrapgen.run.ledger.folder import FileLog
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.replay import indexes_of

pytestmark = pytest.mark.skipif(bool(can_trace()), reason=f"system calls can't be recorded: {can_trace()}")

LEDGER = "out.jsonl.run/ledger.jsonl"


@dataclass(frozen=True)
class Recorded:
    """A run whose system calls were kept, and what both of its outputs hold."""

    folder: Path
    outputs: tuple[bytes, bytes]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A short run, recorded; what the model disk holds at the end is what is really there."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "root").mkdir()
    done = record([sys.executable, short_run.__file__, str(folder / "root")], folder / "log")
    assert done.returncode == 0 and not done.stderr, done.stderr
    calm = tmp_path_factory.mktemp("calm")
    return Recorded(folder, expected_outputs(calm))


def finished(tree: Tree, folder: Path) -> frozenset[int]:
    """The items whose outcomes are final by the ledger of a state."""
    if LEDGER not in tree:
        return frozenset()
    (folder / "kept.jsonl").write_bytes(tree[LEDGER][2])
    sends, found = {}, set[int]()
    for entry in read_ledger(FileLog(folder / "kept.jsonl")):
        if entry["e"] == "send":
            sends[entry["s"]] = indexes_of(entry)
        elif entry["e"] == "done":
            again = {at for at, _ in entry["again"]}
            found |= {index for at, index in enumerate(sends[entry["s"]]) if at not in again}
        elif entry["e"] == "reopened":
            found -= set(entry["i"])
    return frozenset(found)


def states(recorded: Recorded, folder: Path, most: int, broken: str = "") -> list[tuple[Crash, Moment]]:
    """Every state with what was known; of equal states the latest, when most was known."""
    (folder / "empty").mkdir()
    disk, random = ModelDisk(folder / "empty"), Random(most)
    found: dict[int, tuple[Crash, Moment]] = {}
    sent: dict[str, int] = defaultdict(int)
    ended = [0]

    def seen(data: bytes) -> None:
        told = json.loads(data) if data.startswith(b"{") else {}
        ended[0] += "ended" in told
        sent.update(dict.fromkeys(told.get("ids", ()), told.get("try", 0)))
        moment = Moment(ended[0], dict(sent), finished(disk.kept(), folder))
        for crash in disk.crashes(random, most):
            found[crash.key] = crash, moment

    Replay(recorded.folder / "root", disk, seen, broken).play(recorded.folder / "log")
    if not broken:
        disk.compare(recorded.folder / "root")
    return list(found.values())


def check(crash: Crash, moment: Moment, folder: Path, outputs: tuple[bytes, bytes]) -> None:
    """Makes a folder of a state, and goes on from there."""
    folder.mkdir()
    crash.write(folder)
    go_on(moment, folder, outputs)


def faults(found: list[tuple[Crash, Moment]], recorded: Recorded, folder: Path) -> Iterator[str]:
    """What is wrong with a recovery, for each state with which something is."""
    for number, (crash, moment) in enumerate(found):
        try:
            check(crash, moment, folder / str(number), recorded.outputs)
        except Exception as error:  # noqa: PERF203 - whatever a user would meet
            yield f"{crash}: {error!r}"


def test_a_run_survives_power_cuts(recorded, quick):
    """From a choice of the states after each write, name and sync, a run goes on to the same output."""
    found = Random(1).sample(states(recorded, quick, 1), 150)
    assert not list(faults(found, recorded, quick))


@pytest.mark.parametrize("broken", ["file", "folder"])
def test_a_missing_sync_is_found(recorded, quick, broken):
    """Were files or folders not synced, some state would break a promise: the check sees it."""
    found = states(recorded, quick, 1, broken)
    Random(1).shuffle(found)
    assert next(faults(found, recorded, quick), None)


@pytest.mark.soak
def test_a_run_survives_every_power_cut(recorded, quick):
    """As above, from every state."""
    found = states(recorded, quick, 256)
    assert not list(faults(found, recorded, quick))
    publish("states of a run's folder after a power cut, each gone on with", len(found))

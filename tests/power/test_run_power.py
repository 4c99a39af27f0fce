"""Power cuts in a run: from every state of its files that a cut may leave, it comes to the same end."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
import short_run
from model_disk import Crash, ModelDisk, Tree
from short_run import FAILS, ShortWrapper
from system_calls import Replay, can_trace, record

from wrapgen.run.ledger.folder import FileLog, Folder, errors_for
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.replay import indexes_of

pytestmark = pytest.mark.skipif(bool(can_trace()), reason=f"system calls can't be recorded: {can_trace()}")

LEDGER, OUTPUT, ERRORS = "out.jsonl.run/ledger.jsonl", "out.jsonl", "out.jsonl.errors.jsonl"


@dataclass
class Moment:
    """What was known outside when the power went.

    Args:
        ended: how the runs ended that had.
        sent: the highest try of each id that had left.
        finished: indexes whose outcomes the ledger kept for good.
    """

    ended: tuple[str, ...] = ()
    sent: dict[str, int] = field(default_factory=dict)
    finished: frozenset[int] = frozenset()


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


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Tree]:
    """The system calls of a short run; its log, its folder and the final state."""
    folder = tmp_path_factory.mktemp("recorded")
    root, log = folder / "root", folder / "log"
    root.mkdir()
    done = record([sys.executable, short_run.__file__, str(root)], log)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return log, root, {}


def states(log: Path, folder: Path, most: int, seed: int) -> list[tuple[Crash, Moment]]:
    """Every state with what was known; of equal states the latest, of which most was known."""
    (folder / "empty").mkdir()
    disk, random = ModelDisk(folder / "empty"), Random(seed)
    found: dict[int, tuple[Crash, Moment]] = {}
    ended: list[str] = []
    sent: dict[str, int] = defaultdict(int)

    def seen(_: int, data: bytes) -> None:
        if data.startswith(b"{"):
            told = json.loads(data)
            if "ended" in told:
                ended.append(told["ended"])
            else:
                sent.update(dict.fromkeys(told["ids"], told["try"]))
        moment = Moment(tuple(ended), dict(sent), finished(disk.kept(), folder))
        for crash in disk.crashes(random, most):
            found[crash.key] = crash, moment

    Replay(root_of(log), disk, seen).play(log)
    return list(found.values())


def root_of(log: Path) -> Path:
    """The folder of the recorded run."""
    return log.with_name("root")


def check(crash: Crash, moment: Moment, folder: Path, outputs: tuple[bytes, bytes]) -> None:
    """Recovers from a state as a user would, and compares with what was promised."""
    crash.write(folder)
    files = {name: content for name, (_, _, content) in crash.tree.items()}
    phase = len(moment.ended)
    if phase == 0:
        assert files.get(OUTPUT, outputs[0]) == outputs[0]
    else:
        assert files[OUTPUT] in outputs[phase - 1 :]
    if phase == 1 and files[OUTPUT] == outputs[0]:
        assert ERRORS in files
    told: list[str] = []
    if phase and errors_for(folder / OUTPUT).exists():
        state = short_run.corrected_run(folder, ShortWrapper(told.append, set()))
        expected = ("ok", outputs[1])
    else:
        state = short_run.short_run(folder, ShortWrapper(told.append, set() if phase else FAILS))
        expected = ("ok", outputs[1]) if phase else ("finished-with-errors", outputs[0])
    assert (state.value, (folder / OUTPUT).read_bytes()) == expected
    assert errors_for(folder / OUTPUT).exists() == (not phase)
    resent: dict[str, int] = {}
    for call in map(json.loads, told):
        for id_ in call["ids"]:
            assert call["try"] > max(moment.sent.get(id_, 0), resent.get(id_, 0)), f"{id_} as try {call['try']}"
            assert phase or int(id_) not in moment.finished, f"{id_} was finished"
            resent[id_] = call["try"]
    assert phase < 2 or not told
    assert not Folder(folder / "out.jsonl.run").busy()


def check_all(log: Path, folder: Path, most: int, seed: int) -> int:
    """Checks every state; how many there were."""
    calm = folder / "calm"
    calm.mkdir()
    outputs = []
    for run, fails in ((short_run.short_run, FAILS), (short_run.corrected_run, set())):
        run(calm, ShortWrapper(lambda _: None, fails))
        outputs.append((calm / OUTPUT).read_bytes())
    found = states(log, folder, most, seed)
    for number, (crash, moment) in enumerate(found):
        place = folder / str(number)
        place.mkdir()
        try:
            check(crash, moment, place, (outputs[0], outputs[1]))
        except Exception as error:
            raise AssertionError(f"{crash}: {error!r}") from error
    return len(found)


def test_a_run_survives_power_cuts(recorded, tmp_path):
    """From a choice of the states after each write, name and sync, a run goes on to the same output."""
    assert check_all(recorded[0], tmp_path, 1, 1) > 100

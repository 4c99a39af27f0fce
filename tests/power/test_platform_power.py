"""Power cuts in a platform: whatever it acknowledged is there when its home is opened again."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import platform_life
import pytest
from model_disk import MANY, Crash, ModelDisk, Tree
from numbers_page import publish
from opened_home import Facts, Known, open_again
from system_calls import Replay, can_trace, record

PARTS = 16
"""Of all states, each tried by a test."""

pytestmark = pytest.mark.skipif(bool(can_trace()), reason=f"system calls can't be recorded: {can_trace()}")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a platform whose system calls were recorded, those of builds, git and uv too."""
    folder = tmp_path_factory.mktemp("life")
    (folder / "root").mkdir()
    done = record([sys.executable, platform_life.__file__, str(folder)], folder / "log")
    assert done.returncode == 0, done.stderr
    return folder


def states(
    life: Path, folder: Path, broken: str = "", share: float = 0.02, root: Path | None = None
) -> tuple[list[tuple[Crash, int]], Known]:
    """Every state with the last moment at which it may be found, and what was known when.

    Args:
        life: what was recorded.
        folder: an empty one.
        broken: what is not synced; see `Replay`.
        share: of the moments at which much is being installed, those whose states are among them.
        root: where it was recorded, if only the log is left.
    """
    (folder / "empty").mkdir()
    disk, random = ModelDisk(folder / "empty"), Random(1)
    found: dict[int, tuple[Crash, int]] = {}
    told: list[tuple[int, str, str, Any]] = []
    moment = answered = 0

    def seen(data: bytes) -> None:
        nonlocal moment, answered
        moment += 1
        if data.startswith((b'["is"', b'["may"')):
            before = told[-1][0] if told else 0
            when = answered if data.startswith(b'["is"') and answered > before else moment
            told.append((when, *json.loads(data)))
        elif data.startswith(b"HTTP/1.1 "):  # what was acknowledged is so from then on
            answered = moment
        if disk.pending > MANY and not data and random.random() > share:
            return
        for crash in disk.crashes(random, 1):
            found[crash.key] = crash, moment

    Replay(root or life / "root", disk, seen, broken).play(life / "log")
    if not broken and not root:
        disk.compare(life / "root")
    return list(found.values()), Known(told, disk.newest())


def check(crash: Crash, facts: Facts, folder: Path, last: Tree) -> None:
    """Makes a home of a state, and opens it."""
    folder.mkdir()
    crash.write(folder)
    open_again(facts, folder, last)


def replayed(life: Path, crash: Crash, broken: str = "", share: float = 0.02) -> str:
    """The command that tries one state again; the log of what was recorded is kept for it."""
    kept = Path(tempfile.gettempdir()) / f"wrapgen-power-{zlib.crc32(str(life).encode()):08x}"
    if not kept.exists():
        kept.mkdir()
        shutil.copy(life / "log", kept / "log")
    words = [sys.executable, str(Path(__file__).with_name("one_state.py")), str(kept), str(life / "root")]
    return shlex.join([*words, str(share), str(crash.key), *([broken] if broken else [])])


def faults(
    found: list[tuple[Crash, int]], known: Known, folder: Path, again: Callable[[Crash], str] = lambda _: ""
) -> Iterator[str]:
    """What is wrong with a home that is opened again, for each state with which something is.

    Args:
        found: the states.
        known: what may be found in them.
        folder: an empty one.
        again: the command that tries a state again.
    """
    for number, (crash, moment) in enumerate(found):
        place = folder / str(number)
        try:
            check(crash, known.at(moment), place, known.last)
        except Exception as error:  # whatever an operator would meet
            yield f"{crash}: {error!r}\n  replay: {again(crash)}"
        shutil.rmtree(place)


def test_a_platform_survives_power_cuts(life, quick):
    """What was acknowledged (data, keys, pushes, builds, void calls) is found in a choice of the states."""
    found, known = states(life, quick)
    assert not list(faults(Random(1).sample(found, 40), known, quick, partial(replayed, life)))


@pytest.mark.soak
@pytest.mark.parametrize("broken", ["file", "folder", "all"])
def test_a_missing_sync_is_found(life, quick, broken, monkeypatch):
    """Were files, folders or all else not synced, a state would break a promise; its command shows it."""
    found, known = states(life, quick, broken)
    Random(1).shuffle(found)
    monkeypatch.setattr(tempfile, "tempdir", str(quick))  # the log is not kept for long
    fault = next(faults(found, known, quick, partial(replayed, life, broken=broken)), None)
    assert fault
    what, _, command = fault.partition("\n  replay: ")
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout.startswith(what.partition(":")[0]), done


@pytest.fixture(scope="module")
def all_states(life: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple[Crash, int]], Known]:
    """Every state, those of each moment of an installation too, in no order."""
    found, known = states(life, tmp_path_factory.mktemp("states"), share=1.0)
    Random(1).shuffle(found)
    return found, known


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_a_platform_survives_every_power_cut(life, all_states, quick, part):
    """As above, from every state, in parts."""
    found, known = all_states
    assert not list(faults(found[part::PARTS], known, quick, partial(replayed, life, share=1.0)))
    tried = sum(len(found[each::PARTS]) for each in range(part + 1))
    publish("states of a platform's home after a power cut, each opened and compared", tried)

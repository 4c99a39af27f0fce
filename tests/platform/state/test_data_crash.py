"""A collection's folder and its row, which go together: after a crash, a full disk, a second deletion."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wrapgen.errors import NotFound
from wrapgen.platform.domain.credentials import read_credentials
from wrapgen.platform.domain.data_path import parse
from wrapgen.platform.domain.model import Caller
from wrapgen.platform.state import State
from wrapgen.platform.storage import folder_store as stored

KILLED = """
import os
import signal
import sys
from pathlib import Path
from wrapgen.platform.storage import folder_store as stored
from wrapgen.platform.domain.credentials import read_credentials
from wrapgen.platform.domain.data_path import parse
from wrapgen.platform.state import open_platform_state
state = open_platform_state(Path(sys.argv[1]))
caller = state.accounts.caller(read_credentials(state.home)["api_key"])
where = stored
step = getattr(where, sys.argv[2])

def killed(*values):
    if sys.argv[3] == "after":
        step(*values)
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] != "make_folder":
    state.data.create_collection(caller, parse(".my"), "col")
setattr(where, sys.argv[2], killed)
if sys.argv[2] == "make_folder":
    state.data.create_collection(caller, parse(".my"), "col")
state.data.delete_collection(caller, parse(".my/col"), force=sys.argv[2] == "remove_folder")
"""


@pytest.mark.parametrize(
    ("step", "moment", "stays"),
    [
        ("make_folder", "after", False),
        ("remove_empty", "before", True),
        ("remove_empty", "after", True),
        ("remove_folder", "before", False),
        ("remove_folder", "after", False),
    ],
)
def test_a_kill_between_folder_and_row(
    open_home: Callable[..., State], tmp_path: Path, first_home: Path, step: str, moment: str, stays: bool
) -> None:
    """Killed around each step, a collection is there and takes files, or it is gone with its folder."""
    home = tmp_path / "home"
    shutil.copytree(first_home, home)
    done = subprocess.run([sys.executable, "-c", KILLED, str(home), step, moment], check=False)
    assert done.returncode == -signal.SIGKILL
    state = open_home()
    caller = state.accounts.caller(read_credentials(home)["api_key"])
    assert state.data.list_directory(caller, parse(".my")).folders == (("col",) if stays else ())
    assert len(list((home / "data" / "collections").iterdir())) == int(stays)
    if not stays:
        state.data.create_collection(caller, parse(".my"), "col")
    keep(state, caller)


def test_a_database_that_can_not_commit_keeps_the_folder(
    state: State, local: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collection whose row could not be deleted takes files as before, without a restart."""
    state.data.create_collection(local, parse(".my"), "col")
    remove = stored.remove_empty

    def removed(folder: Path) -> bool:
        assert remove(folder)
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(stored, "remove_empty", removed)
    with pytest.raises(sqlite3.OperationalError):
        state.data.delete_collection(local, parse(".my/col"), force=False)
    keep(state, local)


@pytest.mark.parametrize("force", [False, True])
def test_a_collection_goes_once(
    state: State, local: Caller, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    """Of two deletions at once the later one hears that there is nothing any more."""
    state.data.create_collection(local, parse(".my"), "col")
    count = stored.names_in

    def overtaken(folder: Path) -> list[str]:
        monkeypatch.setattr(stored, "names_in", count)
        assert state.data.delete_collection(local, parse(".my/col"), force=force) == 1
        return count(folder)

    monkeypatch.setattr(stored, "names_in", overtaken)
    with pytest.raises(NotFound):
        state.data.delete_collection(local, parse(".my/col"), force=force)


def keep(state: State, caller: Caller) -> None:
    """Writes a file into the collection."""
    write = state.data.begin_write(caller, parse(".my/col/file"))
    write.append(b"kept")
    write.commit()
    assert b"".join(state.data.read(caller, parse(".my/col/file"))[0]) == b"kept"

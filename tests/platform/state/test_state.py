"""The home folder: opened by one server at a time, migrated, copied, killed and opened again."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wrapgen.errors import NotAuthorized, UsageError
from wrapgen.platform.domain.credentials import announce, read_credentials
from wrapgen.platform.domain.data_path import parse
from wrapgen.platform.domain.model import Caller
from wrapgen.platform.observe.call_record import CallRecord
from wrapgen.platform.state import State, open_platform_state
from wrapgen.platform.storage.database import Database, iso
from wrapgen.platform.storage.migrations import MIGRATIONS


def test_one_server_per_home(open_home: Callable[..., State], state: State) -> None:
    """A second opening is refused in words, and works again after the first has closed."""
    with pytest.raises(UsageError, match="already running"):
        open_home()
    state.close()
    open_home()


def test_keys_stay_across_openings(open_home: Callable[..., State], state: State) -> None:
    """Opening again neither makes new keys nor forgets the old ones."""
    before = read_credentials(state.home)
    announce(state.home, address="http://127.0.0.1:1", pid=1)
    state.close()
    again = open_home()
    after = read_credentials(again.home)
    assert {**before, "address": "http://127.0.0.1:1", "pid": 1} == after
    assert again.accounts.caller(before["api_key"]).account == "local"
    assert len(again.accounts.keys("local")) == 2


def test_revoked_keys_of_the_home_are_made_anew(open_home: Callable[..., State], state: State) -> None:
    """The next opening puts a key that works in the place of a revoked one, and keeps the other."""
    before = read_credentials(state.home)
    for name in ("admin_key", "api_key"):
        revoked = read_credentials(state.home)[name]
        state.accounts.revoke_key("local", state.accounts.caller(revoked).key_id)
        state.close()
        state = open_home()
        after = read_credentials(state.home)
        assert state.accounts.caller(after[name]).admin == (name == "admin_key")
        with pytest.raises(NotAuthorized):
            state.accounts.caller(before[name])
        assert (after["api_key"] == before["api_key"]) == (name == "admin_key")


def test_a_copy_of_the_folder_is_a_backup(tmp_path: Path, state: State, local: Caller) -> None:
    """What was acknowledged before the copy is in it, although the original was open."""
    state.data.create_collection(local, parse(".my"), "col")
    write = state.data.begin_write(local, parse(".my/col/file"))
    write.append(b"content")
    write.commit()
    shutil.copytree(state.home, tmp_path / "copy")
    copy = open_platform_state(tmp_path / "copy")
    try:
        caller = copy.accounts.caller(read_credentials(copy.home)["api_key"])
        assert copy.data.find(caller, parse(".my/col/file")).path.read_bytes() == b"content"
    finally:
        copy.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """An older wrapgen does not touch what it can't know."""
    file = tmp_path / "platform.sqlite"
    Database(file).close()
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(UsageError, match="this wrapgen knows"):
        Database(file)


@pytest.mark.parametrize("start", range(len(MIGRATIONS)))
def test_each_older_schema_is_brought_up_to_date(tmp_path: Path, start: int) -> None:
    """From every released schema the same tables come out."""

    def tables(file: Path) -> list[tuple[str, str]]:
        connection = sqlite3.connect(file)
        found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        connection.close()
        return found

    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    connection = sqlite3.connect(old)
    for script in MIGRATIONS[:start]:
        connection.executescript(script)
    connection.execute(f"PRAGMA user_version={start}")
    connection.close()
    Database(old).close()
    Database(new).close()
    assert tables(old) == tables(new)


def test_a_transaction_is_all_or_nothing(state: State) -> None:
    """A failure inside takes back what inner transactions did."""
    with pytest.raises(ZeroDivisionError), state.database.transaction():
        with state.database.transaction():
            state.database.execute("INSERT INTO accounts VALUES ('a', 'user', 'a', '{}', 0)")
        1 / 0  # noqa: B018
    assert state.database.row("SELECT * FROM accounts WHERE id = 'a'") is None


def test_a_commit_that_fails_is_taken_back(state: State) -> None:
    """What can't be committed leaves no transaction open: the next one works."""
    with pytest.raises(sqlite3.IntegrityError), state.database.transaction():
        state.database.execute("PRAGMA defer_foreign_keys = ON")
        state.database.execute("INSERT INTO default_collections VALUES ('none', 'none')")
    assert state.database.row("SELECT * FROM default_collections") is None
    with state.database.transaction():
        state.database.execute("INSERT INTO accounts VALUES ('a', 'user', 'a', '{}', 0)")
    assert state.database.row("SELECT * FROM accounts WHERE id = 'a'") is not None


def test_acknowledged_writes_are_on_disk() -> None:
    """WAL with synchronous=FULL: the commit returns after the disk has it."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "d")
        mode, level = database.row("PRAGMA journal_mode"), database.row("PRAGMA synchronous")
        assert mode is not None
        assert level is not None
        assert (mode[0], level[0]) == ("wal", 2)
        database.close()


KILLED = """
import sys
import tempfile
import time
from pathlib import Path
from wrapgen.platform.domain.credentials import read_credentials
from wrapgen.platform.domain.data_path import parse
from wrapgen.platform.state import open_platform_state
state = open_platform_state(Path(sys.argv[1]))
caller = state.accounts.caller(read_credentials(state.home)["api_key"])
number = int(sys.argv[2])
while True:
    name = f"c{number}"
    state.data.create_collection(caller, parse(".my"), name)
    write = state.data.begin_write(caller, parse(f".my/{name}/file"))
    write.append(name.encode() * 5000)
    write.commit()
    algorithm = state.algorithms.create(caller, "local", {"name": name})
    print(number, flush=True)
    number += 1
"""


def test_a_kill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path, first_home: Path) -> None:
    """A writer is killed five times between its steps: each acknowledged one is there, no half one is."""
    home, done = tmp_path / "home", 0
    shutil.copytree(first_home, home)
    for round_number in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(home), str(1000 * round_number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(2 + round_number)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().splitlines()]
        process.wait()
        process.stdout.close()
        state = open_platform_state(home)
        try:
            check(state, acknowledged)
            done += len(acknowledged)
        finally:
            state.close()
    assert done >= 20


def check(state: State, acknowledged: list[int]) -> None:
    """Each acknowledged step is whole; nothing is left of others that would be in the way."""
    caller = state.accounts.caller(read_credentials(state.home)["api_key"])
    for number in acknowledged:
        name = f"c{number}"
        stored = state.data.find(caller, parse(f".my/{name}/file"))
        assert stored.path.read_bytes() == name.encode() * 5000
        algorithm = state.algorithms.get(caller, "local", name)
        assert state.repositories.head(algorithm.id) == algorithm.first_commit
    assert not list((state.home / "data" / "incoming").iterdir())
    known = {f"{algorithm.id}.git" for algorithm in state.algorithms.all()}
    assert {entry.name for entry in (state.home / "repositories").iterdir()} == known
    folders = {entry.name for entry in (state.home / "data" / "collections").iterdir()}
    assert len(folders) == len(state.data.list_directory(caller, parse(".my")).folders)


def failure(number: int, algorithm_id: str, seconds: float) -> CallRecord:
    """An entry of the error log: a call that jane made."""
    return CallRecord(
        id=f"req-{number}",
        run="",
        parent="",
        root=f"req-{number}",
        account="jane",
        algorithm="local/Hello",
        version="0.1.0",
        started=seconds,
        seconds=0.0,
        received=1,
        worker=0,
        state="failed",
        error_type="InputError",
        message="bad",
        input="1",
        algorithm_id=algorithm_id,
    )


def test_a_database_error_does_not_end_the_log_of_failures(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    """Entries that can't be written are told of and lost; the ones after them are kept."""
    state.database.execute("ALTER TABLE failures RENAME TO away")
    state.errors.add(failure(1, "id", time.time()))
    with pytest.raises(sqlite3.OperationalError):
        state.errors.of_account("jane")
    state.database.execute("ALTER TABLE away RENAME TO failures")
    state.errors.add(failure(2, "id", time.time()))
    assert [entry["request_id"] for entry in state.errors.of_account("jane")] == ["req-2"]
    assert "1 entries of the error log are lost" in capsys.readouterr().err
    state.database.rows("PRAGMA query_only=ON")  # as on a disk that can only be read
    state.errors.add(failure(3, "id", time.time()))
    assert len(state.errors.of_account("jane")) == 1
    state.database.rows("PRAGMA query_only=OFF")
    state.errors.add(failure(4, "id", time.time()))
    assert [entry["request_id"] for entry in state.errors.of_account("jane")] == ["req-4", "req-2"]
    assert "can't be used: attempt to write a readonly database" in capsys.readouterr().err


def test_failures_are_listed_for_owner_and_caller(
    open_home: Callable[..., State], state: State, local: Caller
) -> None:
    """Newest first, at most 200, for seven days, and across a restart."""
    made = state.algorithms.create(local, "local", {"name": "Hello"})
    state.errors.add(failure(-1, made.id, time.time() - 8 * 24 * 3600))
    for number in range(250):
        state.errors.add(failure(number, made.id, time.time()))
    listed = state.errors.of_algorithm(made.id)
    assert [entry["request_id"] for entry in listed] == [f"req-{number}" for number in range(249, 49, -1)]
    assert {key: listed[0][key] for key in ("username", "algoname", "algoversion", "billable_to")} == {
        "username": "local",
        "algoname": "Hello",
        "algoversion": "0.1.0",
        "billable_to": "jane",
    }
    state.close()
    again = open_home()
    assert len(again.errors.of_account("jane")) == 200
    assert again.errors.of_owner("local") == listed
    assert again.errors.of_account("local") == []


def test_times_have_a_fraction_and_a_z() -> None:
    """The vendor's client parses times with one fixed pattern."""
    assert iso(1_584_550_833.0) == "2020-03-18T17:00:33.000Z"
    assert iso(1_584_550_833.25) == "2020-03-18T17:00:33.250Z"

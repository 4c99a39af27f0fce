"""A database that the machine refuses to write or read: one clear error, and no bug of ours."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from wrapgen.errors import ServerFault
from wrapgen.platform.state import open_platform_state
from wrapgen.platform.storage.database import Database


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """What stands in the place of a platform's database is told, by its file's state."""
    (tmp_path / "platform.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(ServerFault, match="the platform's database can't be used: file is not a database"):
        open_platform_state(tmp_path)


def test_a_full_database_is_told_and_stays_whole(tmp_path: Path) -> None:
    """A change that finds no space is refused with that reason; what was there before stays."""
    database = Database(tmp_path / "small.sqlite")
    database.rows("CREATE TABLE settings (text)")
    pages = database.rows("PRAGMA page_count")[0][0]
    database.rows(f"PRAGMA max_page_count={pages}")
    with pytest.raises(ServerFault, match="database or disk is full"), database.transaction():
        for number in range(1000):
            database.execute("INSERT INTO settings VALUES (?)", f"{number}" * 99)
    assert database.rows("SELECT count(*) FROM settings")[0][0] == 0
    with pytest.raises(sqlite3.OperationalError):
        database.rows("SELECT * FROM missing")
    database.close()

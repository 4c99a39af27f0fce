"""The table of seeds that were tried."""

from __future__ import annotations

from simulation import published
from simulation.seeds import Tried


def test_a_range_is_published_with_its_commit(tmp_path, monkeypatch):
    """A row says which commit was tried; rows of other ranges, and their commits, stay; the total adds up."""
    page = tmp_path / "simulation.md"
    page.write_text("| 1 to 10 | 10 | 1 | 2 | 3 | 4 | before abc |\n| total | 10 | 1 | 2 | 3 | 4 | |\n")
    monkeypatch.setattr(published, "PAGE", page)
    monkeypatch.setattr(published, "commit", lambda: "0123abcd and changes")
    found = Tried(10)
    found.sums.update(sessions=5, kills=6, cuts=7, events=1_008)
    for _ in range(2):
        published.add_range(range(11, 21), found)
    assert page.read_text().splitlines()[-3:] == [
        "| 1 to 10 | 10 | 1 | 2 | 3 | 4 | before abc |",
        "| 11 to 20 | 10 | 5 | 6 | 7 | 1,008 | 0123abcd and changes |",
        "| total | 20 | 6 | 8 | 10 | 1,012 | |",
    ]


def test_the_commit_is_that_of_the_code():
    """It is the one that git has checked out."""
    assert published.commit().startswith(published._git("rev-parse", "--short=8", "HEAD"))

"""A wrapper in memory: paths, reading, writing, comparing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wrapgen.wrapper import Wrapper


@pytest.mark.parametrize("path", ["", "/a", "../a", "a/../b", "a//b", "./a", "a\\b", "a/"])
def test_paths_stay_inside(path: str) -> None:
    """A path that leads out of the tree, or is not in its plain form, is refused."""
    with pytest.raises(ValueError, match="not a relative path"):
        Wrapper({path: b""})


def test_paths_that_differ_in_case_only_are_refused() -> None:
    """Such a pair is one file where file names have no case."""
    with pytest.raises(ValueError, match="case"):
        Wrapper({"src/A.py": b"", "src/a.py": b""})


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    """Bytes survive, caches and version control are not read, a missing folder is empty."""
    wrapper = Wrapper({"b/c.bin": bytes(range(256)), "a.txt": b"x\r\n"})
    wrapper.write(tmp_path / "w")
    for skipped in (".git/config", "b/__pycache__/c.pyc", "b/d.pyc"):
        (tmp_path / "w" / skipped).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "w" / skipped).write_bytes(b"")
    assert Wrapper.read(tmp_path / "w") == wrapper
    assert Wrapper.read(tmp_path / "w", only=["a.txt", "none"]) == {"a.txt": b"x\r\n"}
    assert Wrapper.read(tmp_path / "none") == Wrapper({})
    assert list(wrapper) == ["a.txt", "b/c.bin"]


def test_the_digest_is_of_paths_and_bytes() -> None:
    """Order does not count; a moved or changed file does."""
    one = Wrapper({"a": b"1", "b": b"2"})
    assert one.digest == Wrapper({"b": b"2", "a": b"1"}).digest
    assert (
        len({one.digest, Wrapper({"a": b"12", "b": b""}).digest, Wrapper({"a": b"1", "c": b"2"}).digest}) == 3
    )


def test_a_file_is_written_whole_with_the_users_mode(tmp_path: Path) -> None:
    """No temporary file stays, the mode is the user's, and an unchanged file is not touched."""
    before = os.umask(0o027)
    try:
        Wrapper({"a": b"1"}).write(tmp_path)
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    written = (tmp_path / "a").stat().st_ino
    Wrapper({"a": b"1"}).write(tmp_path)
    assert (tmp_path / "a").stat().st_ino == written


def test_differences_are_told_by_file() -> None:
    """Added, removed and changed files, as unified diffs that name both sides."""
    first = Wrapper({"a": b"1\n2\n", "b": b"x", "c": b"\xff\x00"})
    second = Wrapper({"a": b"1\n3\n", "c": b"\xfe\x00", "d": b"new\n"})
    changes = {change.path: change for change in first.diff(second)}
    assert {path: change.kind for path, change in changes.items()} == {
        "a": "changed",
        "b": "removed",
        "c": "changed",
        "d": "added",
    }
    assert changes["a"].unified("one", "two") == "--- one/a\n+++ two/a\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n"
    assert (
        changes["b"].unified() == "--- a/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\\ No newline at end of file\n"
    )
    assert changes["c"].unified() == "Binary file c changed\n"
    assert first.diff(first) == ()

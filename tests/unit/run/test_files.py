"""The files of a run: private, there after a power cut, and none where nothing began."""

from __future__ import annotations

import os
from stat import S_IMODE

import pytest

from wrapgen.errors import RunError
from wrapgen.files import make_folder, whole
from wrapgen.run.input.files import find
from wrapgen.run.ledger.folder import Folder


@pytest.fixture
def synced(monkeypatch):
    """The folders whose entries were forced to disk, by inode, in order."""
    found, real = [], os.fsync

    def fsync(descriptor):
        real(descriptor)
        found.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_files_of_a_run_are_private(bench, memory_wrapper):
    """Folder, ledger, spool, output, errors file: nobody else can read them; a mode that was set stays."""
    bench.run(memory_wrapper(faults={"1": ["InputError"]}), [1, 2, 3])
    files = [path for path in bench.folder.rglob("*") if path.is_file()]
    assert {S_IMODE(path.stat().st_mode) for path in files} == {0o600} and len(files) == 6
    assert S_IMODE((bench.folder / "out.jsonl.run").stat().st_mode) == 0o700
    bench.output.chmod(0o640)
    bench.run(memory_wrapper(), [1, 2, 3])
    assert S_IMODE(bench.output.stat().st_mode) == 0o640


def test_made_and_renamed_files_are_forced_to_disk(bench, memory_wrapper, synced):
    """The folder of every file that is made or renamed is synced, and the folder above a new folder."""
    bench.run(memory_wrapper(faults={"1": ["InputError"]}), [1, 2, 3])
    run, outputs = (path.stat().st_ino for path in (bench.folder / "out.jsonl.run", bench.folder))
    assert synced.count(run) >= 3  # lock, ledger, spool
    assert synced.count(outputs) >= 3  # the run's folder, output, errors file


def test_every_new_folder_is_forced_to_disk(tmp_path, synced):
    """Of several folders that are made at once, each is in the synced entries of the one above it."""
    make_folder(tmp_path / "a/b/c")
    assert synced == [path.stat().st_ino for path in (tmp_path, tmp_path / "a", tmp_path / "a/b")]


def test_a_file_is_whole_or_not_there(tmp_path):
    """A block that fails leaves the old content under the name."""
    path = tmp_path / "x"
    with whole(path) as file:
        file.write(b"old")
    with pytest.raises(ZeroDivisionError), whole(path) as file:
        file.write(b"ne")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("content", ['{"a": 1}\n{"a"\n', '{"id": 1}\n{"id": 1}\n'])
def test_a_refused_input_leaves_nothing_behind(bench, memory_wrapper, content):
    """A row that can't be read, or an id that stands twice, ends a run before it has a folder."""
    from wrapgen.run.input.items import Selection

    path = bench.folder / "in.jsonl"
    path.write_text(content)
    selection = Selection(id="id") if "id" in content else Selection()
    with pytest.raises(RunError) as refused:
        bench.run(memory_wrapper(), [], source=find(str(path)), selection=selection)
    assert [found.name for found in bench.folder.iterdir()] == ["in.jsonl"]
    assert "show" not in (refused.value.hint or refused.value.advice)


@pytest.mark.parametrize("name", ["ledger.jsonl", "spool.jsonl", "lock"])
def test_a_file_of_the_run_that_is_none_is_named(bench, memory_wrapper, name):
    """With a folder in its place, reading what became of the run is one clear error, or does without it."""
    bench.run(memory_wrapper(), [1, 2, 3])
    folder = Folder(bench.folder / "out.jsonl.run")
    (folder.path / name).unlink()
    (folder.path / name).mkdir()
    assert not folder.busy()
    with pytest.raises(RunError, match=r"out\.jsonl\.run.*: Is a directory"):
        bench.run(memory_wrapper(), [1, 2, 3])
    if name == "ledger.jsonl":
        with pytest.raises(RunError, match="can't be read: Is a directory"):
            folder.header()

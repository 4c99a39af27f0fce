"""Where a datastore of files may be: not where the platform removes it with the worker."""

from __future__ import annotations

import os

import pytest
from runtime import datastore_file, datastore_sql
from runtime.datastore_folder import BESIDE, TEMPORARY, WRITABLE, kept_place


@pytest.fixture
def worker(monkeypatch, tmp_path):
    """A worker's folders: what is removed with it, and within it what is kept."""
    monkeypatch.delenv(BESIDE, raising=False)
    monkeypatch.setenv(TEMPORARY, os.pathsep.join((str(tmp_path / "own"), "/dev/shm")))
    monkeypatch.setenv(WRITABLE, str(tmp_path / "own" / "kept"))
    return tmp_path


def test_records_never_go_where_they_vanish_with_the_worker(worker, monkeypatch):
    """Its own folder, shared memory and links to them are refused; what is kept within them is not."""
    (worker / "own").mkdir()
    (worker / "link").symlink_to(worker / "own")
    for lost in ("own", "own/records.db", "link/records.db", "own/kept/../records.db", "/dev/shm/records.db"):
        with pytest.raises(ValueError, match="would vanish with the worker"):
            kept_place(str(worker / lost))
    for kept in ("own/kept/records.db", "own/kept", "owned/records.db", "records.db"):
        assert kept_place(str(worker / kept)) == worker / kept
    monkeypatch.setenv(BESIDE, str(worker / "own"))
    with pytest.raises(ValueError, match="would vanish"):
        kept_place("records.db")


def test_every_datastore_of_files_asks(worker):
    """A folder of JSON Lines and an SQLite file are refused when the wrapper is loaded."""
    for url in (f"sqlite:///{worker}/own/records.db", "sqlite:////dev/shm/records.db"):
        with pytest.raises(ValueError, match="would vanish with the worker"):
            datastore_sql.Datastore({"url": url, "url_env": None, "key_env": None})
    with pytest.raises(ValueError, match="would vanish with the worker"):
        datastore_file.Datastore({"url": f"file://{worker}/own/records", "gzip": False})


def test_a_folder_that_can_not_be_is_refused_before_an_item_costs_anything(tmp_path):
    """A file, or a link to nothing, where the folder or one above it should be."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "file/records", "link", "link/records"):
        with pytest.raises(ValueError, match="is not a folder"):
            datastore_file.Datastore({"url": f"file://{tmp_path / name}", "gzip": False})
    datastore_file.Datastore({"url": f"file://{tmp_path}/new/records", "gzip": False})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "/".join(["x" * 200] * 20)])
def test_a_path_that_no_file_system_takes_is_refused_before_an_item_costs_anything(tmp_path, name):
    """A name of more than 255 bytes, or a path of more than 4,096, is found when the wrapper is loaded."""
    with pytest.raises(ValueError, match="no records can be in"):
        datastore_file.Datastore({"url": f"file://{tmp_path / name}", "gzip": False})

"""What holds for every store of the platform's bytes: one suite for a folder and for S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrapgen.errors import Conflict, NotFound
from wrapgen.platform.storage import folder_store, s3
from wrapgen.platform.storage.objects import PART, ObjectStore

CREDENTIALS = {"access_key_id": "an-id", "secret_access_key": "a-secret"}


class Place:
    """A directory in a store."""

    def __init__(self, store: ObjectStore, path: str) -> None:
        self.store = store
        self.path = path

    def put(self, name: str, content: bytes) -> str:
        """Writes a file; its URL."""
        write = self.store.write(f"{self.path}/{name}", "the:url")
        write.append(content)
        return write.commit()

    def get(self, name: str) -> bytes:
        """The bytes of a file."""
        parts, size = self.store.read(f"{self.path}/{name}")
        content = b"".join(parts)
        assert len(content) == size
        return content


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A directory of each kind of store, with one file in it."""
    if request.param == "folder":
        store = folder_store.FolderStore(tmp_path)
        store.make_directory("top/here")
        found = Place(store, "top/here")
    else:
        storage, bucket = request.getfixturevalue("storage"), request.getfixturevalue("bucket")
        found = Place(s3.S3Store({"endpoint_url": storage, **CREDENTIALS}), f"{bucket}/{tmp_path.name}")
    found.put("first", b"x")
    return found


def test_what_was_written_is_read(place: Place) -> None:
    """Bytes come back as they went in, whatever there are of them; a later write replaces an earlier one."""
    for content in (b"", b"\x00\xff\n", b"y" * (2 * PART + 1)):
        assert place.put("file name.bin", content) == "the:url"
        assert place.get("file name.bin") == content
        found = place.store.find(f"{place.path}/file name.bin")
        assert found is not None
        assert (found.name, found.size) == ("file name.bin", len(content))
        assert found.modified > 1_600_000_000


def test_a_write_shows_nothing_before_its_end(place: Place) -> None:
    """What is on its way is not there, and what was given up leaves no trace."""
    write = place.store.write(f"{place.path}/late")
    write.append(b"half")
    with pytest.raises(NotFound):
        place.store.find(f"{place.path}/late")
    write.abandon()
    assert [each.name for each in place.store.page(place.path, None).files] == ["first"]


def test_a_directory_is_no_file(place: Place) -> None:
    """It is found as none; what is neither is not there, and can't be read."""
    assert place.store.find(place.path) is None
    for missing in ("none", "none/none"):
        with pytest.raises(NotFound):
            place.store.find(f"{place.path}/{missing}")
        with pytest.raises(NotFound):
            place.store.read(f"{place.path}/{missing}")


def test_listings_are_paged(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file comes once, in order; the last page has no marker."""
    monkeypatch.setattr(s3, "PAGE", 5)
    defaults = {"limit": 5, "prefix": "", "oldest": 0.0}
    monkeypatch.setattr(folder_store.FolderStore.page, "__kwdefaults__", defaults)
    for number in range(11):
        place.put(f"n{number:02}", b"x" * number)
    names, sizes, marker = [], [], None
    while not sizes or marker is not None:
        page = place.store.page(place.path, marker)
        names += [each.name for each in page.files]
        sizes.append(len(page.files))
        marker = page.marker
    assert (names, sizes) == (["first", *(f"n{number:02}" for number in range(11))], [5, 5, 2])


def test_files_and_directories_go(place: Place) -> None:
    """A file goes alone; a directory that holds some only by force, and then with all of them."""
    place.put("second", b"2")
    place.store.delete_file(f"{place.path}/second")
    with pytest.raises(NotFound):
        place.store.find(f"{place.path}/second")
    with pytest.raises(Conflict):
        place.store.delete_directory(place.path, force=False)
    assert place.get("first") == b"x"
    assert place.store.delete_directory(place.path, force=True) == 1
    with pytest.raises(NotFound):
        place.store.find(place.path)

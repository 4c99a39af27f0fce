"""Collections and files: paths, rights, whole writes, listings, expiry."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapgen.errors import BadRequest, Conflict, NotAuthorized, NotFound
from wrapgen.platform.domain.data_path import DataPath, parse
from wrapgen.platform.domain.model import Caller, Permissions
from wrapgen.platform.state import State
from wrapgen.platform.storage import folder_store as stored


def put(state: State, caller: Caller, path: str, content: bytes = b"x") -> str:
    write = state.data.begin_write(caller, parse(path))
    write.append(content)
    return write.commit()


def read(state: State, caller: Caller, path: str) -> bytes:
    return b"".join(state.data.read(caller, parse(path))[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", DataPath()),
        ("/", DataPath()),
        (".my", DataPath(".my")),
        (".my/col/", DataPath(".my", "col")),
        ("data://acme/col/file.txt", DataPath("acme", "col", "file.txt")),
        (".session/f", DataPath(".session", "", "f")),
        (".algo/temp/f", DataPath(".algo", "temp", "f")),
        (".algo/nlp/Name/perm", DataPath(".algo", "nlp/Name/perm")),
        (".algo/nlp/Name/temp/f", DataPath(".algo", "nlp/Name/temp", "f")),
    ],
)
def test_paths_are_read(text: str, expected: DataPath) -> None:
    """A trailing slash and the scheme mean nothing."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a/b/c/d",
        "a/../b",
        "a/./b",
        "a//b",
        "../etc/passwd",
        "a/b/..",
        "a/b/\x00",
        "a/b/new\nline",
        "s3://bucket/x",
        ".session/a/b",
        ".algo/x",
        ".algo/a/b/other/f",
        "a/b/" + "x" * 251,
        "a/b/\udcff",
    ],
)
def test_paths_that_can_not_be(text: str) -> None:
    """Folders in collections, climbing up and control characters are refused in words."""
    with pytest.raises(BadRequest):
        parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_path_or_an_error_of_ours(text: str) -> None:
    """No text leads out of the data folder, or to another kind of error."""
    try:
        path = parse(text)
    except BadRequest:
        return
    assert ".." not in (path.owner, path.file)
    assert ".." not in path.collection.split("/")
    assert "/" not in path.owner + path.file


@pytest.mark.parametrize(
    "name", ["a b.txt", "ü.json", "日本語", ".hidden", "-rf", "%2e%2e", "a+b", "x" * 250, "~", "con", "a:b*?"]
)
def test_odd_names_are_kept_as_they_are(state: State, local: Caller, name: str) -> None:
    """Any name that is not dangerous comes back in the listing as it was sent."""
    state.data.create_collection(local, parse(".my"), "odd")
    assert put(state, local, f".my/odd/{name}", b"content") == f"data://local/odd/{name}"
    assert [file.name for file in state.data.list_directory(local, parse(".my/odd")).files] == [name]
    assert read(state, local, f".my/odd/{name}") == b"content"


def test_a_file_needs_its_collection(state: State, local: Caller) -> None:
    """Collections are not made on the way."""
    with pytest.raises(NotFound, match="data://local/none not found"):
        put(state, local, ".my/none/file")


def test_a_write_shows_whole_or_not_at_all(state: State, local: Caller) -> None:
    """Until it is committed the old content is read; an abandoned write leaves nothing behind."""
    state.data.create_collection(local, parse(".my"), "col")
    put(state, local, ".my/col/file", b"old")
    write = state.data.begin_write(local, parse(".my/col/file"))
    write.append(b"ne")
    assert read(state, local, ".my/col/file") == b"old"
    write.append(b"w")
    write.commit()
    write.abandon()
    assert read(state, local, ".my/col/file") == b"new"
    other = state.data.begin_write(local, parse(".my/col/other"))
    other.append(b"half")
    other.abandon()
    assert [file.name for file in state.data.list_directory(local, parse(".my/col")).files] == ["file"]
    assert not list((state.home / "data" / "incoming").iterdir())


def test_a_reader_keeps_what_it_opened(state: State, local: Caller) -> None:
    """A file that is replaced while it is read is read to its old end."""
    state.data.create_collection(local, parse(".my"), "col")
    put(state, local, ".my/col/file", b"old content")
    parts, size = state.data.read(local, parse(".my/col/file"))
    put(state, local, ".my/col/file", b"new")
    assert (b"".join(parts), size) == (b"old content", 11)


def test_a_collection_deleted_under_a_write(state: State, local: Caller) -> None:
    """The write fails in words and leaves nothing."""
    state.data.create_collection(local, parse(".my"), "col")
    write = state.data.begin_write(local, parse(".my/col/file"))
    state.data.delete_collection(local, parse(".my/col"), force=False)
    with pytest.raises(NotFound, match="is gone"):
        write.commit()
    write.abandon()
    assert not list((state.home / "data" / "incoming").iterdir())


def test_deleting_collections(state: State, local: Caller) -> None:
    """An empty one counts one; one with files wants force, and without it loses nothing."""
    state.data.create_collection(local, parse(".my"), "col")
    assert state.data.delete_collection(local, parse(".my/col"), force=False) == 1
    state.data.create_collection(local, parse(".my"), "col")
    for name in "abc":
        put(state, local, f".my/col/{name}")
    with pytest.raises(Conflict, match="3 files"):
        state.data.delete_collection(local, parse(".my/col"), force=False)
    assert len(state.data.list_directory(local, parse(".my/col")).files) == 3
    assert state.data.delete_collection(local, parse(".my/col"), force=True) == 3
    with pytest.raises(NotFound):
        state.data.list_directory(local, parse(".my/col"))


def test_a_collection_is_made_once(state: State, local: Caller) -> None:
    """Making it again is a conflict that leaves its files alone."""
    state.data.create_collection(local, parse(".my"), "col")
    put(state, local, ".my/col/file")
    with pytest.raises(Conflict, match="exists already"):
        state.data.create_collection(local, parse("local"), "col")
    assert read(state, local, ".my/col/file") == b"x"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".hidden", "x" * 101, "a\nb"])
def test_collection_names_that_can_not_be(state: State, local: Caller, name: str) -> None:
    """A collection's name is part of addresses, so it is held to more than a file's."""
    with pytest.raises(BadRequest):
        state.data.create_collection(local, parse(".my"), name)


def test_listings_are_paged(state: State, local: Caller) -> None:
    """Every file comes once, in order; the last page has no marker, even when it is just full."""
    state.data.create_collection(local, parse(".my"), "many")
    folder = next((state.home / "data" / "collections").iterdir())
    for number in range(30):
        (folder / f"_{number:04}").write_bytes(b"")
    names, marker, pages = [], None, 0
    while True:
        page = state.data.list_directory(local, parse(".my/many"), marker=marker, limit=10)
        names += [file.name for file in page.files]
        pages, marker = pages + 1, page.marker
        if marker is None:
            break
    assert names == [f"{number:04}" for number in range(30)]
    assert pages == 3


def test_a_marker_of_nobodys_is_refused(state: State, local: Caller) -> None:
    """Markers are opaque; a wrong one is an error with the contract's number."""
    state.data.create_collection(local, parse(".my"), "col")
    with pytest.raises(BadRequest, match="marker") as caught:
        state.data.list_directory(local, parse(".my/col"), marker="ÿ")
    assert caught.value.reason == "unknown-marker"


READERS = {"private": (), "algorithms": ("algo://.my/*",), "public": ("user://*",)}


@pytest.mark.parametrize("acl", READERS)
@pytest.mark.parametrize(
    ("who", "readable", "writable"),
    [
        ("owner", {"private", "algorithms", "public"}, True),
        ("member", {"private", "algorithms", "public"}, True),
        ("stranger", {"public"}, False),
        ("stranger in the owner's algorithm", {"algorithms", "public"}, False),
        ("stranger in another's algorithm", {"public"}, False),
        ("owner in another's algorithm", {"private", "algorithms", "public"}, True),
        ("owner with a read-only key", {"private", "algorithms", "public"}, False),
        ("owner with a key without data", set(), False),
    ],
)
def test_who_may_read_and_write(
    state: State, local: Caller, other: Caller, acl: str, who: str, readable: set[str], writable: bool
) -> None:
    """The matrix of ACLs and callers: reading by ACL, writing by owners; hidden from who can't read."""
    state.accounts.create("organization", "acme", {})
    owner = replace(local, organizations=frozenset({"acme"}))
    state.data.create_collection(owner, parse("acme"), "col", READERS[acl])
    put(state, owner, "acme/col/file")
    caller = {
        "owner": owner,
        "member": replace(other, organizations=frozenset({"acme"})),
        "stranger": other,
        "stranger in the owner's algorithm": replace(other, algorithm="Acme/Batch"),
        "stranger in another's algorithm": replace(other, algorithm="evil/Batch"),
        "owner in another's algorithm": replace(owner, algorithm="evil/Batch"),
        "owner with a read-only key": replace(owner, permissions=Permissions(data_write=False)),
        "owner with a key without data": replace(
            owner, permissions=Permissions(data_read=False, data_write=False)
        ),
    }[who]

    def allowed(action: Callable[[], object]) -> bool:
        try:
            action()
        except (NotAuthorized, NotFound) as error:
            hidden = caller.permissions.data_read and acl not in readable
            assert isinstance(error, NotFound if hidden else NotAuthorized)
            return False
        return True

    assert allowed(lambda: read(state, caller, "acme/col/file")) is (acl in readable)
    assert allowed(lambda: state.data.list_directory(caller, parse("acme/col"))) is (acl in readable)
    assert allowed(lambda: put(state, caller, "acme/col/file")) is writable
    assert allowed(lambda: state.data.set_readers(caller, parse("acme/col"), READERS[acl])) is writable
    assert allowed(lambda: state.data.delete_file(caller, parse("acme/col/file"))) is writable
    assert allowed(lambda: state.data.delete_collection(caller, parse("acme/col"), force=True)) is writable
    if not writable:
        with pytest.raises(NotAuthorized):
            state.data.create_collection(caller, parse("acme"), "new")


def test_an_acl_is_one_of_three(state: State, local: Caller) -> None:
    """Other entries are refused, in words."""
    state.data.create_collection(local, parse(".my"), "col")
    for readers in (("user://jane",), ("user://*", "algo://.my/*")):
        with pytest.raises(BadRequest, match="must be"):
            state.data.set_readers(local, parse(".my/col"), readers)


def test_the_root_lists_the_callers_own_name_first(state: State, local: Caller) -> None:
    """The vendor's client takes the first folder for the account's name."""
    state.accounts.create("organization", "Aaa", {})
    caller = replace(local, organizations=frozenset({"aaa"}))
    assert state.data.list_directory(caller, parse("")).folders == ("local", "Aaa")


def test_a_stranger_sees_public_collections_only(state: State, local: Caller, other: Caller) -> None:
    """A listing of another account does not tell what is private."""
    for name, readers in (("open", ("user://*",)), ("shut", ()), ("mine", None)):
        state.data.create_collection(local, parse(".my"), name, readers)
    assert state.data.list_directory(other, parse("local")).folders == ("open",)
    assert state.data.list_directory(local, parse(".my")).folders == ("mine", "open", "shut")


def test_algorithm_data_is_each_users_own(state: State, local: Caller, other: Caller) -> None:
    """In .algo a user sees the files of its own calls, whatever account the algorithm has."""
    state.algorithms.create(local, "local", {"name": "Batch"})
    inside = replace(other, algorithm="local/Batch")
    assert put(state, inside, ".algo/temp/result") == "data://.algo/local/Batch/temp/result"
    assert read(state, other, ".algo/LOCAL/batch/temp/result") == b"x"
    with pytest.raises(NotFound):
        read(state, local, ".algo/local/Batch/temp/result")
    with pytest.raises(NotFound):
        read(state, other, ".algo/temp/result")


def test_temporary_files_vanish_after_a_day(open_home: Callable[..., State]) -> None:
    """Files in temp expire by the clock, those in perm stay."""
    shift = [0.0]
    state = open_home("other", clock=lambda: time.time() + shift[0])
    state.accounts.create("user", "jane", {})
    key, _ = state.accounts.create_key("jane")
    caller = state.accounts.caller(key)
    state.algorithms.create(caller, "jane", {"name": "Batch"})
    inside = replace(caller, algorithm="jane/Batch")
    put(state, inside, ".algo/temp/old")
    put(state, inside, ".algo/perm/old")
    shift[0] = 25 * 3600.0
    with pytest.raises(NotFound):
        read(state, inside, ".algo/temp/old")
    assert state.data.list_directory(inside, parse(".algo/temp")).files == ()
    assert read(state, inside, ".algo/perm/old") == b"x"
    assert state.data.sweep() == 1


def test_a_session_has_files_until_it_ends(state: State, local: Caller) -> None:
    """A session's files are its own, whoever else is calling, and go with it."""
    one, two = replace(local, session="one"), replace(local, session="../two")
    put(state, one, ".session/f", b"1")
    put(state, two, ".session/f", b"2")
    assert read(state, one, ".session/f") == b"1"
    assert [file.name for file in state.data.list_directory(one, parse(".session")).files] == ["f"]
    state.data.end_session("one")
    with pytest.raises(NotFound):
        read(state, one, ".session/f")
    assert read(state, two, ".session/f") == b"2"
    with pytest.raises(NotFound, match="only inside an algorithm"):
        read(state, local, ".session/f")


def test_a_file_that_comes_while_its_collection_goes(
    state: State, local: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is there when an empty collection would be removed keeps it; else it is a 404."""
    state.data.create_collection(local, parse(".my"), "col")
    write = state.data.begin_write(local, parse(".my/col/file"))
    write.append(b"content")
    count, sync = stored.names_in, stored.sync_folder

    def counted(folder: Path) -> list[str]:
        found = count(folder)
        monkeypatch.setattr(stored, "names_in", count)
        write.commit()
        return found

    monkeypatch.setattr(stored, "names_in", counted)
    with pytest.raises(Conflict, match="not empty: 1 files"):
        state.data.delete_collection(local, parse(".my/col"), force=False)
    assert b"".join(state.data.read(local, parse(".my/col/file"))[0]) == b"content"

    def removed(folder: Path) -> None:
        monkeypatch.setattr(stored, "sync_folder", sync)
        state.data.delete_collection(local, parse(".my/col"), force=True)
        sync(folder)

    late = state.data.begin_write(local, parse(".my/col/late"))
    monkeypatch.setattr(stored, "sync_folder", removed)
    with pytest.raises(NotFound, match="gone"):
        late.commit()

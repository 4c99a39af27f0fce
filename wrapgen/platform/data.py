"""Hosted data: collections, files, and who may read and write them.

Collections are rows, files are files: each is written beside its place, forced to disk and renamed, so that
a reader sees the old or the new whole and a kill leaves neither half. No HTTP here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Row
from typing import IO

from wrapgen.errors import BadRequest, Conflict, NotAuthorized, NotFound
from wrapgen.platform.accounts import Accounts
from wrapgen.platform.database import Database
from wrapgen.platform.datapath import DataPath, check_collection
from wrapgen.platform.model import Caller

PAGE = 1000
"""Entries of one page of a listing."""

TEMP_SECONDS = 24 * 3600
"""How long a file in `.algo/.../temp` lives."""

OWN_ALGORITHMS = "algo://.my/*"
EVERYONE = "user://*"
DEFAULT_READERS = (OWN_ALGORITHMS,)
"""Who besides the owner reads a new collection: the owner's algorithms, whoever calls them."""


@dataclass(frozen=True)
class StoredFile:
    """A file that is there: its name, place on disk, size in bytes and epoch seconds of its last write."""

    name: str
    path: Path
    size: int
    modified: float


@dataclass(frozen=True)
class Listing:
    """One page of a directory.

    Args:
        folders: names of accounts or collections.
        files: the files, by name.
        marker: what to ask the next page with; None on the last.
        readers: the collection's read ACL; None where there is none to show.
    """

    folders: tuple[str, ...] = ()
    files: tuple[StoredFile, ...] = ()
    marker: str | None = None
    readers: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Place:
    """Where a directory's files are, and what the caller may do there."""

    folder: Path
    url: str
    readable: bool
    writable: bool
    readers: tuple[str, ...] | None = None
    expires: bool = False
    implicit: bool = False


class Write:
    """A file being written; nothing is visible before `commit`, and `abandon` leaves no trace."""

    def __init__(self, part: Path, target: Path, url: str) -> None:
        self.url = url
        self._part = part
        self._target = target
        self._file: IO[bytes] = part.open("xb", buffering=0)

    def append(self, chunk: bytes) -> None:
        """Adds bytes."""
        self._file.write(chunk)

    def commit(self) -> str:
        """Makes the file appear, whole and on disk; its full URL.

        Raises:
            NotFound: the collection was deleted meanwhile.
        """
        os.fsync(self._file.fileno())
        self._file.close()
        try:
            self._part.replace(self._target)
        except FileNotFoundError as error:
            self._part.unlink(missing_ok=True)
            raise NotFound(f"the collection of {self.url} is gone", status=404) from error
        _sync_folder(self._target.parent)
        return self.url

    def abandon(self) -> None:
        """Throws away what was written; after `commit` it does nothing."""
        self._file.close()
        self._part.unlink(missing_ok=True)


class Data:
    """The hosted data of one home.

    Args:
        database: holds the collections' rows.
        root: the folder for files.
        accounts: who owners are.
        clock: gives epoch seconds.
    """

    def __init__(
        self, database: Database, root: Path, accounts: Accounts, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._root = root
        self._accounts = accounts
        self._clock = clock
        self._incoming = root / "incoming"
        # Whatever is still coming in belongs to a server that is no more; so do its sessions.
        for leftover in (self._incoming, root / "sessions"):
            shutil.rmtree(leftover, ignore_errors=True)
            leftover.mkdir(parents=True)
        self._remove_orphans()

    # -- directories -----------------------------------------------------------------------------------

    def create_collection(
        self, caller: Caller, parent: DataPath, name: str, readers: tuple[str, ...] | None = None
    ) -> str:
        """Makes an empty collection under an account; its full URL.

        Args:
            caller: must be the owner, with a key that may write data.
            parent: the account's directory.
            name: the collection's.
            readers: the read ACL; None takes the default.

        Raises:
            NotAuthorized: the account is another's.
            BadRequest: the name can't be, or collections can't be made there.
            Conflict: there is one of that name.
        """
        if parent.collection or parent.file or parent.owner in ("", ".session", ".algo"):
            raise BadRequest(f"{parent} can't hold collections", status=400, api_code=2015)
        check_collection(name)
        owner = self._owner(caller, parent)
        _require(caller.owns(owner) and caller.permissions.data_write, f"data://{owner}/{name}", "write")
        account, id = self._accounts.get(owner), str(uuid.uuid4())
        _folder(self._files(id))
        with self._database.transaction():
            if self._collection(owner, name) is not None:
                shutil.rmtree(self._files(id), ignore_errors=True)
                raise Conflict(f"data://{owner}/{name} exists already", status=409)
            self._database.execute(
                "INSERT INTO collections VALUES (?, ?, ?, ?, ?)",
                id,
                account.id,
                name,
                json.dumps(check_readers(DEFAULT_READERS if readers is None else readers)),
                self._clock(),
            )
        return f"data://{owner}/{name}"

    def set_readers(self, caller: Caller, path: DataPath, readers: tuple[str, ...]) -> None:
        """Replaces a collection's read ACL.

        Raises:
            NotFound, NotAuthorized, BadRequest: as for `create_collection`.
        """
        row = self._own_collection(caller, path)
        self._database.execute(
            "UPDATE collections SET readers = ? WHERE id = ?", json.dumps(check_readers(readers)), row["id"]
        )

    def delete_collection(self, caller: Caller, path: DataPath, *, force: bool) -> int:
        """Removes a collection; how many things went (an empty collection counts one).

        Raises:
            NotFound, NotAuthorized: it is not there, or another's.
            Conflict: it holds files and `force` is not given; nothing was removed.
        """
        row = self._own_collection(caller, path)
        folder = self._files(row["id"])
        names = os.listdir(folder) if folder.is_dir() else []
        if names and not force:
            raise Conflict(
                f"{path} is not empty: {len(names)} files", hint="delete it with force=true", status=409
            )
        self._database.execute("DELETE FROM collections WHERE id = ?", row["id"])
        trash = self._incoming / f"trash-{uuid.uuid4().hex}"
        if folder.is_dir():
            folder.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)
        return max(1, len(names))

    def list_directory(self, caller: Caller, path: DataPath, *, marker: str | None = None) -> Listing:
        """One page of a directory: accounts, an account's collections, or files.

        Raises:
            NotFound, NotAuthorized: it is not there, or not for the caller.
            BadRequest: the marker is not one of ours.
        """
        after = _read_marker(marker)
        if not path.owner:
            names = [caller.account]
            groups = (self._accounts.get(name).name for name in sorted(caller.organizations))
            return Listing(folders=(*names, *groups))
        if not path.collection and path.owner not in (".session", ".algo"):
            return self._collections(caller, path, after)
        place = self._place(caller, path)
        _require(place.readable, place.url, "read")
        if not place.folder.is_dir() and not place.implicit:
            raise NotFound(f"{place.url} not found", status=404)
        files, more = self._page(place, after)
        return Listing(files=files, marker=_marker(files[-1].name) if more else None, readers=place.readers)

    # -- files -----------------------------------------------------------------------------------------

    def find(self, caller: Caller, path: DataPath) -> StoredFile:
        """A file to be read.

        Raises:
            NotFound, NotAuthorized: it is not there, or not for the caller.
        """
        place = self._place(caller, path)
        _require(place.readable, f"{place.url}/{path.file}", "read")
        found = self._stored(place, path.file)
        if found is None:
            raise NotFound(f"{place.url}/{path.file} not found", status=404)
        return found

    def begin_write(self, caller: Caller, path: DataPath) -> Write:
        """Starts writing a file, new or instead of an old one.

        Raises:
            NotFound: there is no such collection.
            NotAuthorized: only owners write, with a key that may.
            BadRequest: the path names no file.
        """
        place = self._writable(caller, path)
        if place.implicit:
            _folder(place.folder)
        target = place.folder / _disk_name(path.file)
        return Write(self._incoming / uuid.uuid4().hex, target, f"{place.url}/{path.file}")

    def delete_file(self, caller: Caller, path: DataPath) -> None:
        """Removes a file.

        Raises:
            NotFound, NotAuthorized: it is not there, or another's.
        """
        place = self._writable(caller, path)
        if self._stored(place, path.file) is None:
            raise NotFound(f"{place.url}/{path.file} not found", status=404)
        (place.folder / _disk_name(path.file)).unlink(missing_ok=True)

    def is_directory(self, caller: Caller, path: DataPath) -> bool:
        """Whether a path without a file, or one that no file answers to, is a directory for the caller."""
        return not path.file

    def end_session(self, session: str) -> None:
        """Removes what a top-level call and the calls below it kept in `.session`."""
        shutil.rmtree(self._root / "sessions" / _word(session), ignore_errors=True)

    def sweep(self) -> int:
        """Removes expired temporary files; how many."""
        removed, limit = 0, self._clock() - TEMP_SECONDS
        for file in self._root.glob("algorithms/*/*/temp/*"):
            if file.stat().st_mtime < limit:
                file.unlink(missing_ok=True)
                removed += 1
        return removed

    # -- places ----------------------------------------------------------------------------------------

    def _place(self, caller: Caller, path: DataPath) -> _Place:
        """The directory of a path.

        Raises:
            NotFound: there is no such collection, account or algorithm.
        """
        reads, writes = caller.permissions.data_read, caller.permissions.data_write
        if path.owner == ".session":
            if caller.session is None:
                raise NotFound(".session exists only inside an algorithm", status=404)
            folder = self._root / "sessions" / _word(caller.session)
            return _Place(folder, "data://.session", reads, writes, implicit=True)
        if path.owner == ".algo":
            return self._algorithm_place(caller, path)
        owner = self._owner(caller, path)
        row = self._collection(owner, path.collection)
        if row is None:
            raise NotFound(f"data://{owner}/{path.collection} not found", status=404)
        readers = tuple(json.loads(row["readers"]))
        mine = caller.owns(owner)
        return _Place(
            self._files(row["id"]),
            f"data://{owner}/{row['name']}",
            reads and (mine or _may_read(caller, owner, readers)),
            writes and mine,
            readers=readers,
        )

    def _algorithm_place(self, caller: Caller, path: DataPath) -> _Place:
        reference, _, kind = path.collection.rpartition("/")
        reference = reference or caller.algorithm or ""
        owner, _, name = reference.partition("/")
        row = self._database.row(
            "SELECT algorithms.id, algorithms.name, accounts.name AS owner FROM algorithms "
            "JOIN accounts ON accounts.id = owner_id WHERE lower(accounts.name) = ? AND lower(algorithms.name) = ?",
            owner.lower(),
            name.lower(),
        )
        if row is None or not kind:
            raise NotFound(f"{path} not found", hint="use .algo/OWNER/NAME/temp/FILE", status=404)
        # Each user has files of their own there: what one user's calls keep, another's never see.
        account = self._accounts.get(caller.account)
        folder = self._root / "algorithms" / row["id"] / account.id / kind
        reads, writes = caller.permissions.data_read, caller.permissions.data_write
        url = f"data://.algo/{row['owner']}/{row['name']}/{kind}"
        return _Place(folder, url, reads, writes, expires=kind == "temp", implicit=True)

    def _writable(self, caller: Caller, path: DataPath) -> _Place:
        if not path.file:
            raise BadRequest(f"{path} names no file", status=400, api_code=2015)
        place = self._place(caller, path)
        _require(place.writable, f"{place.url}/{path.file}", "write")
        return place

    def _own_collection(self, caller: Caller, path: DataPath) -> Row:
        owner = self._owner(caller, path) if path.owner not in ("", ".session", ".algo") else ""
        if not owner or not path.collection or path.file:
            raise BadRequest(f"{path} is not a collection", status=400, api_code=2015)
        row = self._collection(owner, path.collection)
        if row is None:
            raise NotFound(f"data://{owner}/{path.collection} not found", status=404)
        _require(caller.owns(owner) and caller.permissions.data_write, str(path), "write")
        return row

    def _owner(self, caller: Caller, path: DataPath) -> str:
        """The account a path means, as it was registered."""
        name = caller.account if path.owner == ".my" else path.owner
        try:
            return self._accounts.get(name).name
        except NotFound as error:
            raise NotFound(f"data://{name} not found", status=404) from error

    def _collections(self, caller: Caller, path: DataPath, after: str) -> Listing:
        owner = self._owner(caller, path)
        _require(caller.permissions.data_read, f"data://{owner}", "read")
        rows = self._database.rows(
            "SELECT collections.* FROM collections JOIN accounts ON accounts.id = owner_id "
            "WHERE accounts.name = ? AND collections.name > ? ORDER BY collections.name",
            owner,
            after,
        )
        mine = caller.owns(owner)
        names = [
            row["name"] for row in rows if mine or _may_read(caller, owner, tuple(json.loads(row["readers"])))
        ]
        more = len(names) > PAGE
        return Listing(folders=tuple(names[:PAGE]), marker=_marker(names[PAGE - 1]) if more else None)

    def _collection(self, owner: str, name: str) -> Row | None:
        return self._database.row(
            "SELECT collections.* FROM collections JOIN accounts ON accounts.id = owner_id "
            "WHERE lower(accounts.name) = lower(?) AND collections.name = ?",
            owner,
            name,
        )

    # -- the disk --------------------------------------------------------------------------------------

    def _files(self, collection_id: str) -> Path:
        return self._root / "collections" / collection_id

    def _stored(self, place: _Place, name: str) -> StoredFile | None:
        path = place.folder / _disk_name(name)
        try:
            facts = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if place.expires and facts.st_mtime < self._clock() - TEMP_SECONDS:
            return None
        return StoredFile(name, path, facts.st_size, facts.st_mtime)

    def _page(self, place: _Place, after: str) -> tuple[tuple[StoredFile, ...], bool]:
        try:
            names = sorted(name[1:] for name in os.listdir(place.folder) if name[1:] > after)
        except FileNotFoundError:
            return (), False
        files: list[StoredFile] = []
        for name in names:
            stored = self._stored(place, name)
            if stored is None:
                continue
            if len(files) == PAGE:
                return tuple(files), True
            files.append(stored)
        return tuple(files), False

    def _remove_orphans(self) -> None:
        known = {row["id"] for row in self._database.rows("SELECT id FROM collections")}
        for folder in (self._root / "collections").glob("*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def check_readers(readers: tuple[str, ...]) -> tuple[str, ...]:
    """A read ACL, as it is.

    Raises:
        BadRequest: it is none of the three there are.
    """
    if readers not in ((), (OWN_ALGORITHMS,), (EVERYONE,)):
        raise BadRequest(
            f'acl.read must be [], ["{OWN_ALGORITHMS}"] or ["{EVERYONE}"]', status=400, api_code=2015
        )
    return readers


def _may_read(caller: Caller, owner: str, readers: tuple[str, ...]) -> bool:
    if EVERYONE in readers:
        return True
    author = (caller.algorithm or "").partition("/")[0]
    return OWN_ALGORITHMS in readers and author.lower() == owner.lower()


def _require(allowed: bool, what: str, verb: str) -> None:
    if not allowed:
        raise NotAuthorized(f"not allowed to {verb} {what}", status=403, api_code=2001)


def _disk_name(name: str) -> str:
    """The prefix makes any name harmless: no dot, no reserved word can begin it."""
    return "_" + name


def _word(session: str) -> str:
    """A session's folder: whatever its id looks like."""
    return hashlib.sha256(session.encode()).hexdigest()[:32]


def _folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _marker(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode("ascii")


def _read_marker(marker: str | None) -> str:
    if not marker:
        return ""
    try:
        return base64.urlsafe_b64decode(marker.encode("ascii")).decode("utf-8")
    except ValueError as error:
        raise BadRequest("unknown marker", status=400, api_code=5002) from error

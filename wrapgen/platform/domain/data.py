"""Hosted data: collections, files, and who may read and write them.

Collections are rows, files are files (`stored`); which directory a path means, and the rights, are in
`places`. No HTTP here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wrapgen.errors import BadRequest, Conflict, NotFound
from wrapgen.platform.domain.accounts import Accounts
from wrapgen.platform.domain.data_path import DataPath, check_collection
from wrapgen.platform.domain.data_rights import EVERYONE, OWN_ALGORITHMS, Place, Places, may_read, require
from wrapgen.platform.domain.model import Caller, Collection
from wrapgen.platform.storage.algorithm_table import AlgorithmTable
from wrapgen.platform.storage.data_table import CollectionTable
from wrapgen.platform.storage.database import STORAGE_ERRORS
from wrapgen.platform.storage.objects import (
    PAGE,
    DirectoryStore,
    ObjectWrite,
    Parts,
    StoredObject,
    make_marker,
    read_marker,
)

TEMP_SECONDS = 24 * 3600
"""How long a file in `.algo/.../temp` lives."""

SWEEP_SECONDS = 3600
"""How often, at most, expired files are looked for while the server runs."""

DEFAULT_READERS = (OWN_ALGORITHMS,)
"""Who besides the owner reads a new collection: the owner's algorithms, for any caller."""


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
    files: Sequence[StoredObject] = ()
    marker: str | None = None
    readers: tuple[str, ...] | None = None


class Data:
    """The hosted data of one home.

    Args:
        collections, algorithms: what there is.
        store: holds the files.
        accounts: who owners are.
        clock: gives epoch seconds.
    """

    def __init__(
        self,
        collections: CollectionTable,
        algorithms: AlgorithmTable,
        store: DirectoryStore,
        accounts: Accounts,
        clock: Callable[[], float],
    ) -> None:
        self._table = collections
        self._algorithms = algorithms
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._places = Places(collections, algorithms, store, accounts)
        store.empty("sessions")  # those of a server that is no more
        self._match_folders()
        self._swept = 0.0
        self.sweep()

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
            raise BadRequest(f"{parent} can't hold collections")
        check_collection(name)
        owner = self._places.owner(caller, parent)
        require(caller.owns(owner) and caller.permissions.data_write, f"data://{owner}/{name}", "write")
        acl = check_readers(DEFAULT_READERS if readers is None else readers)
        made = Collection(str(uuid.uuid4()), owner, name, acl)
        with self._table.transaction():
            if self._table.first(owner=owner, name=name) is not None:
                raise Conflict(f"data://{owner}/{name} exists already")
            self._store.make_directory(self._places.files(made.id))
            self._table.insert(made, owner_id=self._accounts.get(owner).id, created_at=self._clock())
        return f"data://{owner}/{name}"

    def set_readers(self, caller: Caller, path: DataPath, readers: tuple[str, ...]) -> None:
        """Replaces a collection's read ACL.

        Raises:
            NotFound, NotAuthorized, BadRequest: as for `create_collection`.
        """
        found = self._places.own_collection(caller, path)
        self._table.update(found.id, readers=check_readers(readers))

    def delete_collection(self, caller: Caller, path: DataPath, *, force: bool) -> int:
        """Removes a collection; how many things went (an empty collection counts one).

        Raises:
            NotFound, NotAuthorized: it is not there, or another's.
            Conflict: it holds files and `force` is not given; nothing was removed.
        """
        found = self._places.own_collection(caller, path)
        files = self._places.files(found.id)
        count = self._store.count(files)
        try:
            with self._table.transaction():
                if not self._table.delete(id=found.id):
                    raise NotFound(f"{path} not found")  # somebody else was quicker
                if not force:
                    self._store.delete_directory(files, force=False)
        except Conflict as error:
            hint = "delete it with force=true"
            raise Conflict(f"{path} is not empty: {max(1, count)} files", hint=hint) from error
        except STORAGE_ERRORS:  # the disk is full, say: the row stays, and so must its folder
            self._store.make_directory(files)
            raise
        if force:
            self._store.delete_directory(files, force=True)
        return max(1, count)

    def list_directory(
        self,
        caller: Caller,
        path: DataPath,
        *,
        marker: str | None = None,
        limit: int = PAGE,
        prefix: str = "",
    ) -> Listing:
        """One page of a directory: accounts, an account's collections, or files.

        Args:
            caller: who asks.
            path: of the directory.
            marker: of the page before.
            limit: files of a page.
            prefix: only files whose names start with it.

        Raises:
            NotFound, NotAuthorized: it is not there, or not for the caller.
            BadRequest: the marker is not one of ours.
        """
        if not path.owner:
            groups = (self._accounts.get(name).name for name in sorted(caller.organizations))
            return Listing(folders=(caller.account, *groups))
        if not path.collection and path.owner not in (".session", ".algo"):
            return self._collections(caller, path, read_marker(marker))
        place = self._places.of(caller, path)
        oldest = self._oldest(place)
        page = self._store.page(place.path, marker, limit=limit, prefix=prefix, oldest=oldest)
        return Listing(files=page.files, marker=page.marker, readers=place.readers)

    def hosted(self, caller: Caller) -> list[Collection]:
        """The caller's own collections, by name.

        Raises:
            NotAuthorized: the key may not read data.
        """
        require(caller.permissions.data_read, f"data://{caller.account}", "read")
        return self._table.all(owner=caller.account)

    def choose_default(self, owner: str, algorithm_id: str, collection_id: str) -> None:
        """Makes one of its owner's collections an algorithm's default one; the caller has checked the rights.

        Raises:
            NotFound: the owner has no such collection.
        """
        if self._table.first(owner=owner, id=collection_id) is None:
            raise NotFound(f"{owner} has no collection {collection_id}")
        self._table.set_default(algorithm_id, collection_id)

    def readable(self, caller: Caller) -> list[Collection]:
        """Every collection that the caller may read, by owner and name: own ones, and what others allow.

        Raises:
            NotAuthorized: the key may not read data.
        """
        require(caller.permissions.data_read, f"data://{caller.account}", "read")
        return [each for each in self._table.all() if may_read(caller, each)]

    # -- files -----------------------------------------------------------------------------------------

    def find(self, caller: Caller, path: DataPath) -> StoredObject:
        """A file to be read.

        Raises:
            NotFound, NotAuthorized: it is not there, or not for the caller.
        """
        return self._found(self._places.of(caller, path), path)

    def read(self, caller: Caller, path: DataPath) -> tuple[Parts, int]:
        """The bytes of a file, part by part, and how many there are.

        Raises:
            NotFound, NotAuthorized: it is not there, or not for the caller.
        """
        place = self._places.of(caller, path)
        self._found(place, path)
        return self._store.read(f"{place.path}/{path.file}")

    def begin_write(self, caller: Caller, path: DataPath) -> ObjectWrite:
        """Starts writing a file, new or instead of an old one.

        Raises:
            NotFound: there is no such collection.
            NotAuthorized: only owners write, with a key that may.
            BadRequest: the path names no file.
        """
        place = self._writable(caller, path)
        if place.implicit:
            self._store.make_directory(place.path)
        if place.expires and self._clock() - self._swept > SWEEP_SECONDS:
            self.sweep()
        return self._store.write(f"{place.path}/{path.file}", f"{place.url}/{path.file}")

    def delete_file(self, caller: Caller, path: DataPath) -> None:
        """Removes a file.

        Raises:
            NotFound, NotAuthorized: it is not there, or another's.
        """
        place = self._writable(caller, path)
        self._found(place, path)
        self._store.delete_file(f"{place.path}/{path.file}")

    def end_session(self, session: str) -> None:
        """Removes what a top-level call and the calls below it kept in `.session`."""
        self._store.delete_directory(self._places.session(session), force=True)

    def forget_algorithm(self, algorithm_id: str) -> None:
        """Removes what an algorithm that is no more kept in `.algo`, for all users."""
        self._store.delete_directory(self._places.kept(algorithm_id), force=True)

    def sweep(self) -> int:
        """Removes expired temporary files; how many."""
        self._swept = self._clock()
        oldest = self._swept - TEMP_SECONDS
        return self._store.remove_old("algorithms/*/*/temp/*", lambda written: written < oldest)

    def _writable(self, caller: Caller, path: DataPath) -> Place:
        if not path.file:
            raise BadRequest(f"{path} names no file")
        place = self._places.of(caller, path)
        require(place.writable, f"{place.url}/{path.file}", "write")
        return place

    def _found(self, place: Place, path: DataPath) -> StoredObject:
        try:
            found = self._store.find(f"{place.path}/{path.file}")
        except NotFound:
            found = None
        if found is None or found.modified < self._oldest(place):
            raise NotFound(f"{place.url}/{path.file} not found")
        return found

    def _oldest(self, place: Place) -> float:
        return self._clock() - TEMP_SECONDS if place.expires else 0.0

    def _collections(self, caller: Caller, path: DataPath, after: str) -> Listing:
        owner = self._places.owner(caller, path)
        require(caller.permissions.data_read, f"data://{owner}", "read")
        found = [each for each in self._table.all(owner=owner) if each.name > after]
        names = [each.name for each in found if may_read(caller, each)]
        more = len(names) > PAGE
        return Listing(folders=tuple(names[:PAGE]), marker=make_marker(names[PAGE - 1]) if more else None)

    def _match_folders(self) -> None:
        """Repairs what a crash between disk and database left: folders without a row, and the reverse."""
        collections = {each.id for each in self._table.all()}
        algorithms = {each.id for each in self._algorithms.all()}
        self._store.keep_only("collections", collections)
        self._store.keep_only("algorithms", algorithms)
        for each in collections:
            self._store.make_directory(self._places.files(each))


def check_readers(readers: tuple[str, ...]) -> tuple[str, ...]:
    """A read ACL, as it is.

    Raises:
        BadRequest: it is none of the three there are.
    """
    if readers not in ((), (OWN_ALGORITHMS,), (EVERYONE,)):
        raise BadRequest(f'acl.read must be [], ["{OWN_ALGORITHMS}"] or ["{EVERYONE}"]')
    return readers

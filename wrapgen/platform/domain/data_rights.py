"""Which directory a data path means for a caller, and what the caller may do there. No file is touched.

A collection that its caller may not read is not there for them: asking doesn't tell which names others gave.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from wrapgen.errors import BadRequest, NotAuthorized, NotFound
from wrapgen.platform.domain.accounts import Accounts
from wrapgen.platform.domain.data_path import DataPath
from wrapgen.platform.domain.model import Algorithm, Caller, Collection
from wrapgen.platform.storage.algorithm_table import AlgorithmTable
from wrapgen.platform.storage.data_table import CollectionTable
from wrapgen.platform.storage.objects import DirectoryStore

OWN_ALGORITHMS = "algo://.my/*"
EVERYONE = "user://*"


@dataclass(frozen=True)
class Place:
    """A directory that holds files, and that the caller may read.

    Args:
        path: where they are in the store.
        url: its full URL.
        writable: whether the caller may write too.
        readers: the read ACL; None where there is none (`.session`, `.algo`).
        expires: whether files vanish after a day.
    """

    path: str
    url: str
    writable: bool
    readers: tuple[str, ...] | None = None
    expires: bool = False

    @property
    def implicit(self) -> bool:
        """Whether it exists without having been made."""
        return self.readers is None


class Places:
    """The directories of one home.

    Args:
        collections, algorithms: what there is.
        store: holds the files.
        accounts: who owners are.
    """

    def __init__(
        self,
        collections: CollectionTable,
        algorithms: AlgorithmTable,
        store: DirectoryStore,
        accounts: Accounts,
    ) -> None:
        self._collections = collections
        self._algorithms = algorithms
        self._store = store
        self._accounts = accounts

    def of(self, caller: Caller, path: DataPath) -> Place:
        """The directory of a path, for reading.

        Raises:
            NotAuthorized: the key may not read data.
            NotFound: there is no such collection, account, algorithm or session for the caller.
        """
        require(caller.permissions.data_read, str(path), "read")
        if path.owner == ".session":
            return self._session(caller)
        if path.owner == ".algo":
            return self._algorithm(caller, path)
        found = self._collection(caller, path)
        return Place(
            self.files(found.id),
            f"data://{found.owner}/{found.name}",
            caller.permissions.data_write and caller.owns(found.owner),
            readers=found.readers,
        )

    def own_collection(self, caller: Caller, path: DataPath) -> Collection:
        """A collection that the caller may change.

        Raises:
            BadRequest: the path is no collection's.
            NotFound, NotAuthorized: it is not there for the caller, or another's.
        """
        if not path.collection or path.file or path.owner in (".session", ".algo"):
            raise BadRequest(f"{path} is not a collection")
        require(caller.permissions.data_write, str(path), "write")
        found = self._collection(caller, path)
        require(caller.owns(found.owner), str(path), "write")
        return found

    def owner(self, caller: Caller, path: DataPath) -> str:
        """The account a path means, as it was registered.

        Raises:
            NotFound: there is none.
        """
        name = caller.account if path.owner == ".my" else path.owner
        try:
            return self._accounts.get(name).name
        except NotFound as error:
            raise NotFound(f"data://{name} not found") from error

    def _collection(self, caller: Caller, path: DataPath) -> Collection:
        """A collection that its ACL lets the caller read; NotFound for any other."""
        owner = self.owner(caller, path)
        found = self._collections.first(owner=owner, name=path.collection)
        if found is None or not may_read(caller, found):
            raise NotFound(f"data://{owner}/{path.collection} not found")
        return found

    def files(self, collection_id: str) -> str:
        """Where a collection's files are."""
        return f"collections/{collection_id}"

    def kept(self, algorithm_id: str) -> str:
        """Where an algorithm's own files are, with a folder for each user."""
        return f"algorithms/{algorithm_id}"

    def session(self, session: str) -> str:
        """Where a session's files are, whatever its id looks like."""
        return f"sessions/{hashlib.sha256(session.encode()).hexdigest()[:32]}"

    def _session(self, caller: Caller) -> Place:
        if caller.session is None:
            raise NotFound(".session exists only inside an algorithm")
        return Place(self.session(caller.session), "data://.session", caller.permissions.data_write)

    def _algorithm(self, caller: Caller, path: DataPath) -> Place:
        reference, _, kind = path.collection.rpartition("/")
        owner, _, name = (reference or caller.algorithm or "").partition("/")
        found = self._algorithms.find(owner, name)
        # Each user has files of their own there: what one user's calls keep, another's never see.
        place = f"{self.kept(found.id)}/{self._accounts.get(caller.account).id}" if found else ""
        if found is None or not (self._may_see(caller, found) or self._store.has_directory(place)):
            raise NotFound(f"{path} not found", hint="use .algo/OWNER/NAME/temp/FILE")
        return Place(
            f"{place}/{kind}",
            f"data://.algo/{found.owner}/{found.name}/{kind}",
            caller.permissions.data_write,
            expires=kind == "temp",
        )

    def _may_see(self, caller: Caller, found: Algorithm) -> bool:
        """Whether an algorithm is there for a caller: one that is another's and private is not."""
        runs = (caller.algorithm or "").lower() == f"{found.owner}/{found.name}".lower()
        return runs or caller.owns(found.owner) or self._algorithms.versions.has_public(found.id)


def may_read(caller: Caller, found: Collection) -> bool:
    """Whether an ACL lets a caller read; the owner always may, and so may algorithms the owner calls."""
    if caller.owns(found.owner) or EVERYONE in found.readers:
        return True
    author = (caller.algorithm or "").partition("/")[0]
    own = OWN_ALGORITHMS in found.readers and author.lower() == found.owner.lower()
    return caller.owner_rights and own


def require(allowed: bool, what: str, verb: str) -> None:
    """Raises NotAuthorized, in words, unless it is allowed."""
    if not allowed:
        raise NotAuthorized(f"not allowed to {verb} {what}")

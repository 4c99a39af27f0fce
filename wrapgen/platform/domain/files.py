"""Files wherever an address leads: hosted data, or other storage that an account has a connector for."""

from __future__ import annotations

from wrapgen.errors import BadRequest
from wrapgen.platform.domain.connectors import Connectors
from wrapgen.platform.domain.data import Data, Listing
from wrapgen.platform.domain.data_path import DataPath
from wrapgen.platform.domain.model import Caller
from wrapgen.platform.storage.objects import (
    ConnectorPath,
    ObjectStore,
    ObjectWrite,
    Parts,
    StoredObject,
    split,
)

Address = DataPath | ConnectorPath
"""A path in hosted data or in other storage."""


class Files:
    """Hosted data and other storage, for those who need not know which.

    Each method may raise NotFound or NotAuthorized: what is asked for is not there, or not for the caller.
    """

    def __init__(self, data: Data, connectors: Connectors) -> None:
        self._data = data
        self._connectors = connectors

    def find(self, caller: Caller, at: Address) -> StoredObject | None:
        """The file at an address; None if a directory may be there."""
        if isinstance(at, ConnectorPath):
            return self._open(caller, at, write=False).find(at.path)
        return self._data.find(caller, at) if at.file else None

    def read(self, caller: Caller, at: Address) -> tuple[Parts, int]:
        """The bytes of a file, part by part, and how many there are."""
        if isinstance(at, ConnectorPath):
            return self._open(caller, at, write=False).read(at.path)
        return self._data.read(caller, at)

    def list(self, caller: Caller, at: Address, marker: str | None = None) -> Listing:
        """One page of a directory."""
        if isinstance(at, DataPath):
            return self._data.list_directory(caller, at, marker=marker)
        page = self._open(caller, at, write=False).page(at.path, marker)
        return Listing(page.folders, page.files, page.marker)

    def begin_write(self, caller: Caller, at: Address) -> ObjectWrite:
        """Starts writing a file, new or instead of an old one."""
        if isinstance(at, DataPath):
            return self._data.begin_write(caller, at)
        return self._open(caller, at, write=True).write(at.path)

    def create_directory(
        self, caller: Caller, parent: Address, name: str, readers: tuple[str, ...] | None
    ) -> str:
        """Makes a collection; elsewhere nothing, as a file below a directory makes it. Its full URL."""
        if isinstance(parent, DataPath):
            return self._data.create_collection(caller, parent, name, readers)
        self._open(caller, parent, write=True)
        made = ConnectorPath(parent.connector, f"{parent.path}/{name}")
        split(made)
        return str(made)

    def set_readers(self, caller: Caller, at: Address, readers: tuple[str, ...]) -> None:
        """Replaces a collection's read ACL; other storage has rules of its own."""
        if isinstance(at, ConnectorPath):
            self._open(caller, at, write=True)
            raise BadRequest(f"{at} has no ACL here")
        self._data.set_readers(caller, at, readers)

    def delete(self, caller: Caller, at: Address, *, force: bool) -> int:
        """Removes a file, or a directory; how many files.

        Raises:
            Conflict: the directory holds files, and `force` is not given.
        """
        if isinstance(at, ConnectorPath):
            store = self._open(caller, at, write=True)
            if store.find(at.path) is None:
                return store.delete_directory(at.path, force=force)
            store.delete_file(at.path)
        elif at.file:
            self._data.delete_file(caller, at)
        else:
            return self._data.delete_collection(caller, at, force=force)
        return 1

    def _open(self, caller: Caller, at: ConnectorPath, *, write: bool) -> ObjectStore:
        return self._connectors.open(caller, at.connector, split(at)[0], write=write)

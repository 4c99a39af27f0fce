"""Where a visitor is in hosted data or other storage: the path in a page's address, and what they may do."""

from __future__ import annotations

from wrapgen.errors import BadRequest
from wrapgen.platform.domain.data_path import DataPath, parse
from wrapgen.platform.domain.data_rights import EVERYONE, OWN_ALGORITHMS
from wrapgen.platform.domain.files import Address
from wrapgen.platform.storage.objects import ConnectorPath, split
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Visit
from wrapgen.platform.web.shown import query

AUDIENCES = {
    "private": ((), "nobody else", "Private: nobody else reads it"),
    "algorithms": ((OWN_ALGORITHMS,), "the owner's algorithms", "The owner's algorithms, for any caller"),
    "public": ((EVERYONE,), "everyone with a key", "Public: everyone with a key"),
}
"""By the word in forms: the read ACL, who that is, and how it is offered."""


def place_of(text: str) -> Address:
    """The place that an address names, such as `data://acme/scores` or `s3://bucket/folder`.

    Raises:
        BadRequest: it is none.
    """
    scheme, separator, path = text.partition("://")
    if separator and scheme != "data":
        found = ConnectorPath(scheme, path.strip("/"))
        split(found)
        return found
    return parse(text)


def data_place(visit: Visit, text: str) -> DataPath:
    """The place in hosted data that an address names, with the visitor's own name for `.my`.

    Raises:
        BadRequest: it is none.
    """
    found = place_of(text)
    if isinstance(found, ConnectorPath):
        raise BadRequest(f"{found} is read-only here")
    if found.owner == ".my":
        return DataPath(visit.caller.account, found.collection, found.file)
    return found


def visitor_place(visit: Visit, text: str) -> Address:
    """The place that an address names, hosted or not.

    Raises:
        BadRequest: it is none.
    """
    found = place_of(text)
    return found if isinstance(found, ConnectorPath) else data_place(visit, text)


def above(at: Address) -> Address:
    """The directory that holds a file."""
    if isinstance(at, ConnectorPath):
        return ConnectorPath(at.connector, at.path.rpartition("/")[0])
    return DataPath(at.owner, at.collection)


def may_write(visit: Visit, path: DataPath) -> bool:
    """Whether forms that change a place are worth showing; the services decide again."""
    return visit.caller.permissions.data_write and (path.owner == ".algo" or visit.caller.owns(path.owner))


def audience(readers: tuple[str, ...] | None) -> str:
    """The word in AUDIENCES for a read ACL; empty where there is none."""
    return next((word for word, (acl, _, _) in AUDIENCES.items() if acl == readers), "")


def address(page: str, at: object, **more: object) -> str:
    """The link to a page of a place."""
    return f"{ROOT}/data/{page}?{query(at=at, **more)}"

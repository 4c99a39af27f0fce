"""The data browser: collections, their files and readers; what changes them, each after a form of its own.

Every step asks the services that the API asks, as the visitor; what they refuse is refused here.
"""

from __future__ import annotations

from itertools import groupby

from starlette.responses import Response

from wrapgen.errors import BadRequest
from wrapgen.platform.domain.data_path import DataPath
from wrapgen.platform.domain.data_rights import require
from wrapgen.platform.domain.model import Collection
from wrapgen.platform.storage.objects import ConnectorPath
from wrapgen.platform.web import data_file
from wrapgen.platform.web.data_address import (
    AUDIENCES,
    address,
    audience,
    data_place,
    may_write,
    visitor_place,
)
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Visit, WebPage

FILES = 200
"""Files of a page."""


def overview(visit: Visit) -> Response:
    """GET /web/data"""
    caller, state = visit.caller, visit.platform.state
    collections = state.data.readable(caller)
    mine: dict[str, list[Collection]] = {
        name: [] for name in state.data.list_directory(caller, data_place(visit, "")).folders
    }
    owned = {name.lower(): name for name in mine}
    others = [each for each in collections if each.owner.lower() not in owned]
    for each in collections:
        if each.owner.lower() in owned:
            mine[owned[each.owner.lower()]].append(each)
    context = {
        "mine": mine,
        "others": [(owner, list(found)) for owner, found in groupby(others, lambda each: each.owner)],
        "connectors": state.connectors.of_account(caller.account),
        "audiences": AUDIENCES,
        "audience": audience,
        "address": address,
        "writable": caller.permissions.data_write,
    }
    return visit.html("data.html", context)


def open_place(visit: Visit) -> Response:
    """GET /web/data/open?at=URL: a collection, a file, or what an account has."""
    at = visitor_place(visit, visit.query("at").lstrip())
    if isinstance(at, DataPath) and not at.owner:
        return visit.go(f"{ROOT}/data")
    file = visit.platform.state.files.find(visit.caller, at)
    if file is not None:
        return data_file.show(visit, at, file)
    return _list(visit, at) if isinstance(at, DataPath) else _list_connector(visit, at)


def _list(visit: Visit, at: DataPath) -> Response:
    marker, prefix = visit.query("marker"), visit.query("prefix")
    listing = visit.platform.state.data.list_directory(
        visit.caller, at, marker=marker or None, limit=FILES, prefix=prefix
    )
    context = {
        "at": at,
        "listing": listing,
        "later": bool(marker),
        "prefix": prefix,
        "audience": audience(listing.readers),
        "audiences": AUDIENCES,
        "writable": may_write(visit, at) and bool(at.collection),
        "stored": visit.query("stored") if visit.query("stored").isdecimal() else "",
        "address": address,
    }
    return visit.html("collection.html", context)


def _list_connector(visit: Visit, at: ConnectorPath) -> Response:
    context = {
        "at": at,
        "above": at.path.rpartition("/")[0],
        "page": visit.platform.state.files.list(visit.caller, at, visit.query("marker") or None),
        "address": address,
    }
    return visit.html("connector.html", context)


def create(visit: Visit) -> Response:
    """POST /web/data/create: a collection."""
    parent = data_place(visit, visit.text("owner"))
    readers = _readers(visit.text("audience"))
    made = visit.platform.state.data.create_collection(
        visit.caller, parent, visit.text("name").strip(), readers
    )
    return visit.go(address("open", made))


def allow(visit: Visit) -> Response:
    """POST /web/data/readers: who reads a collection."""
    at = data_place(visit, visit.text("at"))
    visit.platform.state.data.set_readers(visit.caller, at, _readers(visit.text("audience")))
    return visit.go(address("open", at))


def ask_delete(visit: Visit) -> Response:
    """GET /web/data/delete?at=URL: what would go, and whether that is meant."""
    at = data_place(visit, visit.query("at"))
    data = visit.platform.state.data
    if not at.collection or (at.owner == ".algo" and not at.file):
        raise BadRequest(f"{at} is not a collection")
    require(may_write(visit, at), str(at), "write")
    listing = None if at.file else data.list_directory(visit.caller, at, limit=FILES)
    file = data.find(visit.caller, at) if at.file else None
    return visit.html("delete.html", {"at": at, "listing": listing, "file": file, "address": address})


def delete(visit: Visit) -> Response:
    """POST /web/data/delete: a file, or a collection with all that is in it."""
    at = data_place(visit, visit.text("at"))
    if at.file:
        visit.platform.state.data.delete_file(visit.caller, at)
        return visit.go(address("open", DataPath(at.owner, at.collection)))
    visit.platform.state.data.delete_collection(visit.caller, at, force=True)
    return visit.go(f"{ROOT}/data")


def _readers(word: str) -> tuple[str, ...]:
    if word not in AUDIENCES:
        raise BadRequest("choose who may read it")
    return AUDIENCES[word][0]


PAGES = (
    WebPage(f"{ROOT}/data", overview),
    WebPage(f"{ROOT}/data/open", open_place),
    WebPage(f"{ROOT}/data/create", create, method="POST"),
    WebPage(f"{ROOT}/data/readers", allow, method="POST"),
    WebPage(f"{ROOT}/data/delete", ask_delete),
    WebPage(f"{ROOT}/data/delete", delete, method="POST"),
)

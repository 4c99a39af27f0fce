"""Endpoints of data, hosted or behind a connector (platform contract, section 4)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from wrapgen.errors import BadRequest
from wrapgen.platform.api import auth
from wrapgen.platform.api.endpoint import ApiResult, Ask, body_of, decoded, endpoint, reply
from wrapgen.platform.domain.data import Listing
from wrapgen.platform.domain.data_path import parse
from wrapgen.platform.domain.data_rights import EVERYONE, OWN_ALGORITHMS
from wrapgen.platform.domain.files import Address
from wrapgen.platform.storage.database import iso
from wrapgen.platform.storage.objects import PART, ConnectorPath, ObjectWrite, Parts, StoredObject

if TYPE_CHECKING:
    from wrapgen.platform import Platform

_SLASH = re.compile(rb"%2[fF]")


class _Anything(PathConvertor):
    """The rest of a path whatever it holds; Starlette's own ends at a line break, and answers 404."""

    regex = "(?s:.*)"


register_url_convertor("anything", _Anything())


class Acl(Struct):
    """Who reads a collection."""

    read: list[str]


class DirectoryFields(Struct):
    """What a request says of a collection."""

    name: str | None = None
    acl: Acl | None = None


class FolderName(Struct):
    """A directory in a listing."""

    name: str


class FileFacts(Struct):
    """A file in a listing; its size in bytes."""

    filename: str
    size: int
    last_modified: str


class DirectoryListing(Struct, omit_defaults=True):
    """One page of a directory: each only where there is any (platform contract, section 4)."""

    folders: list[FolderName] = []
    files: list[FileFacts] = []
    marker: str | None = None
    acl: Acl | None = None


class DirectoryQuery(Struct):
    """What a query says of a listing: where it goes on, and whether to show who reads."""

    marker: str | None = None
    acl: str = ""


class DeleteQuery(Struct):
    """Whether a directory that holds files goes with them (`true`)."""

    force: str = ""


class DeletedCount(Struct):
    """How many files went."""

    deleted: int


class AclFlags(Struct):
    """Who reads a collection: everyone, a group, its owner, the owner's algorithms."""

    read_w: bool
    read_g: bool
    read_u: bool
    read_a: bool


class HostedCollection(Struct):
    """A collection of the caller's."""

    id: str
    object_id: str
    collection_name: str
    username: str
    acl: AclFlags
    location: str


def places(verb: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Marks what answers for a method at each spelling of an address."""

    def mark(method: Callable[..., object]) -> Callable[..., object]:
        for place in ("/v1/connector/{connector}", "/v1/data"):
            method = endpoint(verb, place)(endpoint(verb, f"{place}/{{path:anything}}")(method))
        return method

    return mark


class DataApi:
    """One method per HTTP method."""

    def __init__(self, platform: Platform) -> None:
        self._files = platform.state.files
        self._data = platform.state.data

    @endpoint("GET", "/v1/hostedData")
    def hosted_data(self, ask: Ask) -> ApiResult[list[HostedCollection]]:
        """Lists the caller's collections."""
        shown = [
            HostedCollection(
                id=each.id,
                object_id=f"collec-{each.id}",
                collection_name=each.name,
                username=each.owner,
                acl=AclFlags(
                    read_w=EVERYONE in each.readers,
                    read_g=False,
                    read_u=True,
                    read_a=OWN_ALGORITHMS in each.readers,
                ),
                location=f"data://{each.owner}/{each.name}",
            )
            for each in self._data.hosted(ask.caller)
        ]
        return ApiResult(shown)

    # HEAD first: a route for GET would take it too, and read the file for nothing.
    @places("HEAD")
    def head(self, ask: Ask) -> Response:
        """Says what is there, without a body; for directories too, as the Node client asks (src/Data.ts)."""
        at = path_of(ask.request)
        found = self._files.find(ask.caller, at)
        if found is None and not isinstance(at, ConnectorPath):
            self._files.list(ask.caller, at)
        return Response(b"", headers=_facts(found) if found else {"X-Data-Type": "directory"})

    @places("GET")
    async def get(self, ask: Ask, query: DirectoryQuery) -> DirectoryListing | Response:
        """Gives the bytes of a file, or lists a directory."""
        return await run_in_threadpool(self._get, ask, query)

    def _get(self, ask: Ask, query: DirectoryQuery) -> DirectoryListing | Response:
        at = path_of(ask.request)
        found = self._files.find(ask.caller, at)
        if found is None:
            listing = self._files.list(ask.caller, at, query.marker)
            shown = reply(_listing(listing, acl=query.acl.lower() == "true"))
            shown.headers["X-Data-Type"] = "directory"
            return shown
        parts, size = self._files.read(ask.caller, at)
        first = next(parts, b"")
        headers = {**_facts(found), "Content-Length": str(size)}
        if len(first) == size:
            parts.close()
            return Response(first, headers=headers)
        return StreamingResponse(streamed(first, parts, partial(auth.recheck, ask.request)), headers=headers)

    @places("PUT")
    async def put(self, ask: Ask) -> ApiResult[str] | Response:
        """Takes a file: the bytes as they come, whatever the content type says."""
        at = path_of(ask.request)
        write = await run_in_threadpool(self._files.begin_write, ask.caller, at)
        try:
            await written(write, ask.request.stream(), partial(auth.recheck, ask.request))
            return ApiResult(await run_in_threadpool(write.commit))
        except ClientDisconnect:
            return Response(b"", 400)  # it is not read; the half file is gone
        finally:
            await run_in_threadpool(write.abandon)

    @places("POST")
    async def post(self, ask: Ask) -> ApiResult[str]:
        """Makes a collection, whose name comes as JSON, or bare (nodejs, src/Data.ts, create)."""
        at, body = path_of(ask.request), await body_of(ask.request)
        if ask.request.headers.get("content-type", "").startswith("text/plain"):
            fields = DirectoryFields(body.decode("utf-8", "replace").strip())
        else:
            fields = decoded(body, DirectoryFields, ask.request)
        readers = tuple(fields.acl.read) if fields.acl else None
        make = self._files.create_directory
        return ApiResult(await run_in_threadpool(make, ask.caller, at, fields.name or "", readers))

    @places("PATCH")
    def patch(self, ask: Ask, body: DirectoryFields) -> Response:
        """Changes who reads a collection."""
        at = path_of(ask.request)
        if body.acl is None and not isinstance(at, ConnectorPath):
            raise BadRequest('the body must be {"acl": {"read": [...]}}')
        self._files.set_readers(ask.caller, at, tuple(body.acl.read) if body.acl else ())
        return Response(b"")

    @places("DELETE")
    def delete(self, ask: Ask, query: DeleteQuery) -> ApiResult[DeletedCount]:
        """Removes a file or a collection."""
        force = query.force.lower() == "true"
        return ApiResult(DeletedCount(self._files.delete(ask.caller, path_of(ask.request), force=force)))


APIS = (DataApi,)


def path_of(request: Request) -> Address:
    """The path that a request's address names.

    The Java client encodes the whole path as a form field would be: slashes as %2F, spaces as + (java,
    data/DataObject.java). Others leave slashes alone, and then a + is a +.

    Raises:
        BadRequest: it is not UTF-8, or not a data path.
    """
    connector = request.path_params.get("connector")
    raw: bytes = request.scope["raw_path"].partition(b"?")[0]
    if _SLASH.search(raw):
        raw = raw.replace(b"+", b" ")
    try:
        whole = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("a data path must be UTF-8") from error
    text = whole.removeprefix("/v1/data" if connector is None else "/v1/connector").strip("/")
    if connector is not None:
        scheme, _, path = text.partition("/")
    elif "://" in text:
        scheme, _, path = text.partition("://")
    else:
        scheme, path = "data", text
    return parse(path) if scheme == "data" else ConnectorPath(scheme, path.strip("/"))


async def written(write: ObjectWrite, chunks: AsyncIterator[bytes], still: Callable[[], None]) -> None:
    """Writes what comes in, a part at a time, as long as `still` does not raise."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= PART:
            await run_in_threadpool(still)
            await run_in_threadpool(write.append, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(write.append, bytes(waiting))
    still()


async def streamed(first: bytes, parts: Parts, still: Callable[[], None]) -> AsyncIterator[bytes]:
    """The first part and all that follow it, as long as `still` does not raise; then closes the file."""
    try:
        yield first
        while part := await run_in_threadpool(next, parts, b""):
            await run_in_threadpool(still)
            yield part
    finally:
        parts.close()


def _listing(listing: Listing, *, acl: bool) -> DirectoryListing:
    return DirectoryListing(
        folders=[FolderName(name) for name in listing.folders],
        files=[FileFacts(each.name, each.size, iso(each.modified)) for each in listing.files],
        marker=listing.marker or None,
        acl=Acl(list(listing.readers)) if acl and listing.readers is not None else None,
    )


def _facts(file: StoredObject) -> dict[str, str]:
    return {
        "X-Data-Type": "file",
        "Content-Length": str(file.size),
        "Content-Type": "application/octet-stream",
        "Last-Modified": formatdate(file.modified, usegmt=True),
    }

"""Routes of hosted data (platform contract, section 4): listings, whole files streamed both ways."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from functools import partial
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from wrapgen.errors import BadRequest
from wrapgen.platform.api import auth
from wrapgen.platform.api.connectors import ConnectorRoutes
from wrapgen.platform.api.exchange import body_of, empty, fields_of, reply
from wrapgen.platform.domain.data import Listing
from wrapgen.platform.domain.data_path import DataPath, parse
from wrapgen.platform.domain.data_rights import EVERYONE, OWN_ALGORITHMS
from wrapgen.platform.storage.database import iso
from wrapgen.platform.storage.objects import ConnectorPath
from wrapgen.platform.storage.stored import StoredFile

if TYPE_CHECKING:
    from wrapgen.platform import Platform

PIECE = 1024 * 1024
"""Bytes that are read or written at a time: memory stays flat whatever a file's size."""

Handle = Callable[[Request], Awaitable[Response]]
"""An endpoint."""

_SLASH = re.compile(rb"%2[fF]")


class _Anything(PathConvertor):
    """The rest of a path whatever it holds; Starlette's own ends at a line break, and answers 404."""

    regex = "(?s:.*)"


register_url_convertor("anything", _Anything())


def routes(platform: Platform) -> list[Route]:
    """The routes under /v1/data and its other spelling, /v1/connector/data."""
    api, others = DataRoutes(platform), ConnectorRoutes(platform)
    places = ["/v1/data", "/v1/data/{path:anything}"]
    places += [f"/v1/connector/{{connector}}{rest}" for rest in ("", "/{path:anything}")]
    found = [Route("/v1/hostedData", api.hosted, methods=["GET"])]
    # HEAD first: a route for GET would take it too, and read the file for nothing.
    for name in ("HEAD", "GET", "PUT", "POST", "PATCH", "DELETE"):
        handle = _either(getattr(api, name.lower()), getattr(others, name.lower()))
        found += [Route(place, handle, methods=[name]) for place in places]
    return found


def _either(hosted: Handle, other: Callable[[Request, ConnectorPath], Awaitable[Response]]) -> Handle:
    """An endpoint for hosted data, or for another storage where the address names one."""

    async def handle(request: Request) -> Response:
        path = path_of(request)
        if isinstance(path, ConnectorPath):
            return await other(request, path)
        request.state.path = path
        return await hosted(request)

    handle.hosted = hosted  # type: ignore[attr-defined]  # what the OpenAPI document describes
    return handle


class DataRoutes:
    """One method per HTTP method; each only translates."""

    def __init__(self, platform: Platform) -> None:
        self._state = platform.state

    async def get(self, request: Request) -> Response:
        """GET a file's bytes, or a directory's listing."""
        caller, path = auth.standard(request), request.state.path
        if path.file:
            found = await run_in_threadpool(self._state.data.find, caller, path)
            stream, size, first = await run_in_threadpool(begin, found)
            headers = {**_file_headers(found), "Content-Length": str(size)}
            if stream is None:
                return Response(first, headers=headers)
            still = partial(auth.recheck, request)
            return StreamingResponse(pieces(stream, first, still), headers=headers)
        marker = request.query_params.get("marker")
        listing = await run_in_threadpool(
            lambda: self._state.data.list_directory(caller, path, marker=marker)
        )
        shown = reply(_listing(listing, acl=request.query_params.get("acl", "").lower() == "true"))
        shown.headers["X-Data-Type"] = "directory"
        return shown

    async def head(self, request: Request) -> Response:
        """HEAD: headers only; for directories too, which the Node client asks for (nodejs, src/Data.ts)."""
        caller, path = auth.standard(request), request.state.path
        if path.file:
            found = await run_in_threadpool(self._state.data.find, caller, path)
            return Response(b"", headers=_file_headers(found))
        await run_in_threadpool(self._state.data.list_directory, caller, path)
        return Response(b"", headers={"X-Data-Type": "directory"})

    async def hosted(self, request: Request) -> Response:
        """GET /v1/hostedData: the caller's collections (platform contract, section 4)."""
        found = await run_in_threadpool(self._state.data.hosted, auth.standard(request))
        shown = [
            {
                "id": each.id,
                "object_id": f"collec-{each.id}",
                "collection_name": each.name,
                "username": each.owner,
                "acl": {
                    "read_w": EVERYONE in each.readers,
                    "read_g": False,
                    "read_u": True,
                    "read_a": OWN_ALGORITHMS in each.readers,
                },
                "location": f"data://{each.owner}/{each.name}",
            }
            for each in found
        ]
        return reply({"result": shown})

    async def put(self, request: Request) -> Response:
        """PUT a file: the bytes as they come, whatever the content type says."""
        caller, path = auth.standard(request), request.state.path
        write = await run_in_threadpool(self._state.data.begin_write, caller, path)
        try:
            waiting = bytearray()
            async for chunk in request.stream():
                waiting += chunk
                if len(waiting) >= PIECE:
                    await run_in_threadpool(write.append, bytes(waiting))
                    waiting.clear()
            await run_in_threadpool(write.append, bytes(waiting))
            auth.recheck(request)
            return reply({"result": await run_in_threadpool(write.commit)})
        except ClientDisconnect:
            return empty(400)  # nobody reads it; the half file is gone
        finally:
            await run_in_threadpool(write.abandon)

    async def post(self, request: Request) -> Response:
        """POST a new collection's name to its parent: as JSON, or bare (nodejs, src/Data.ts, create)."""
        caller, path = auth.standard(request), request.state.path
        readers = None
        if request.headers.get("content-type", "").startswith("text/plain"):
            name = (await body_of(request)).decode("utf-8", "replace").strip()
        else:
            fields = await fields_of(request)
            name, readers = str(fields.get("name") or ""), _readers(fields)
        url = await run_in_threadpool(self._state.data.create_collection, caller, path, name, readers)
        return reply({"result": url})

    async def patch(self, request: Request) -> Response:
        """PATCH a collection's ACL."""
        caller, path = auth.standard(request), request.state.path
        readers = _readers(await fields_of(request))
        if readers is None:
            raise BadRequest('the body must be {"acl": {"read": [...]}}')
        await run_in_threadpool(self._state.data.set_readers, caller, path, readers)
        return empty(200)

    async def delete(self, request: Request) -> Response:
        """DELETE a file or a collection."""
        caller, path = auth.standard(request), request.state.path
        if path.file:
            await run_in_threadpool(self._state.data.delete_file, caller, path)
            return reply({"result": {"deleted": 1}})
        force = request.query_params.get("force", "").lower() == "true"
        deleted = await run_in_threadpool(
            lambda: self._state.data.delete_collection(caller, path, force=force)
        )
        return reply({"result": {"deleted": deleted}})


def path_of(request: Request) -> DataPath | ConnectorPath:
    """The path that a request's address names.

    The Java client encodes the whole path as a form field would be: slashes as %2F, spaces as + (java,
    data/DataObject.java). Others leave slashes alone, and then a + is a +.

    Raises:
        NotAuthorized: the request has no good key, which is looked at first.
        BadRequest: it is not UTF-8, or not a data path.
    """
    auth.standard(request)
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


def _readers(fields: dict[str, Any]) -> tuple[str, ...] | None:
    acl = fields.get("acl")
    if acl is None:
        return None
    read = acl.get("read") if isinstance(acl, dict) else None
    if not isinstance(read, list) or not all(isinstance(entry, str) for entry in read):
        raise BadRequest('acl must be {"read": [...]}')
    return tuple(read)


def _listing(listing: Listing, *, acl: bool) -> dict[str, Any]:
    """`files`, `folders` and `marker` only where there are any (platform contract, section 4)."""
    shown: dict[str, Any] = {}
    if listing.folders:
        shown["folders"] = [{"name": name} for name in listing.folders]
    if listing.files:
        shown["files"] = [
            {"filename": file.name, "size": file.size, "last_modified": iso(file.modified)}
            for file in listing.files
        ]
    if listing.marker:
        shown["marker"] = listing.marker
    if acl and listing.readers is not None:
        shown["acl"] = {"read": list(listing.readers)}
    return shown


def _file_headers(file: StoredFile) -> dict[str, str]:
    return {
        "X-Data-Type": "file",
        "Content-Length": str(file.size),
        "Content-Type": "application/octet-stream",
        "Last-Modified": formatdate(file.modified, usegmt=True),
    }


def begin(file: StoredFile) -> tuple[IO[bytes] | None, int, bytes]:
    """The file's first piece; and the open file with the rest, unless that was all."""
    stream, size = file.open()
    first = stream.read(PIECE)
    if len(first) < size:
        return stream, size, first
    stream.close()
    return None, size, first


async def pieces(stream: IO[bytes], first: bytes, still: Callable[[], None]) -> AsyncIterator[bytes]:
    """The first piece and all that follow it, as long as `still` does not raise; closes the file."""
    try:
        yield first
        while piece := await run_in_threadpool(stream.read, PIECE):
            await run_in_threadpool(still)
            yield piece
    finally:
        stream.close()

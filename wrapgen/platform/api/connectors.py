"""The data API for paths of connectors, and the admin endpoints that configure them.

Decides nothing about storage: that is the connector's. A file on its way in waits on disk, not in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from wrapgen.errors import BadRequest
from wrapgen.platform.api import auth
from wrapgen.platform.api.exchange import body_of, empty, fields_of, reply
from wrapgen.platform.storage.database import iso
from wrapgen.platform.storage.objects import Connector, ConnectorPath, Item, Page, split

if TYPE_CHECKING:
    from wrapgen.platform import Platform

SPOOL = 4 * 1024 * 1024
"""Bytes of an upload that are kept in memory; what is larger goes to disk."""


def routes(platform: Platform) -> list[Route]:
    """The admin endpoints; the data API's own routes call `ConnectorRoutes` for paths of connectors."""
    api = ConnectorRoutes(platform)
    place = "/v1/admin/users/{user}/connectors"
    return [
        Route(place, api.listed, methods=["GET"]),
        Route(f"{place}/{{connector}}", api.configure, methods=["PUT"]),
        Route(f"{place}/{{connector}}", api.remove, methods=["DELETE"]),
    ]


class ConnectorRoutes:
    """One method per HTTP method of the data API, and the admin endpoints."""

    def __init__(self, platform: Platform) -> None:
        self._state = platform.state

    async def get(self, request: Request, path: ConnectorPath) -> Response:
        """GET a file's bytes, or a directory's listing."""
        connector = await self._open(request, path, write=False)
        found = await run_in_threadpool(connector.find, path.path)
        if found is None:
            marker = request.query_params.get("marker")
            page = await run_in_threadpool(connector.page, path.path, marker)
            shown = reply(_listing(page))
            shown.headers["X-Data-Type"] = "directory"
            return shown
        pieces, size = await run_in_threadpool(connector.read, path.path)
        headers = {**_headers(found), "Content-Length": str(size)}
        return StreamingResponse(_stream(pieces, request), headers=headers)

    async def head(self, request: Request, path: ConnectorPath) -> Response:
        """HEAD: headers only."""
        connector = await self._open(request, path, write=False)
        found = await run_in_threadpool(connector.find, path.path)
        return Response(b"", headers=_headers(found) if found else {"X-Data-Type": "directory"})

    async def put(self, request: Request, path: ConnectorPath) -> Response:
        """PUT a file."""
        connector = await self._open(request, path, write=True)
        with tempfile.SpooledTemporaryFile(SPOOL, dir=str(self._state.data.incoming)) as spool:
            async for chunk in request.stream():
                await run_in_threadpool(spool.write, chunk)
            auth.recheck(request)
            spool.seek(0)
            # boto3 closes the file it is given; the context does that again, which does no harm.
            await run_in_threadpool(connector.write, path.path, spool)
        return reply({"result": str(path)})

    async def post(self, request: Request, path: ConnectorPath) -> Response:
        """POST a directory's name to its parent: there is nothing to make, a file below it makes it."""
        await self._open(request, path, write=True)
        if request.headers.get("content-type", "").startswith("text/plain"):
            name = (await body_of(request)).decode("utf-8", "replace").strip()
        else:
            name = str((await fields_of(request)).get("name") or "")
        made = ConnectorPath(path.connector, f"{path.path}/{name}")
        split(made)
        return reply({"result": str(made)})

    async def patch(self, request: Request, path: ConnectorPath) -> Response:
        """PATCH: other storage has rules of its own."""
        await self._open(request, path, write=True)
        raise BadRequest(f"{path} has no ACL here")

    async def delete(self, request: Request, path: ConnectorPath) -> Response:
        """DELETE a file, or what is below a directory."""
        connector = await self._open(request, path, write=True)
        if await run_in_threadpool(connector.find, path.path) is not None:
            await run_in_threadpool(connector.delete_file, path.path)
            return reply({"result": {"deleted": 1}})
        force = request.query_params.get("force", "").lower() == "true"
        deleted = await run_in_threadpool(lambda: connector.delete_directory(path.path, force=force))
        return reply({"result": {"deleted": deleted}})

    # -- admin -----------------------------------------------------------------------------------------

    async def listed(self, request: Request) -> Response:
        """GET /v1/admin/users/:user/connectors"""
        auth.admin(request)
        user = request.path_params["user"]
        return reply({"results": await run_in_threadpool(self._state.connectors.of_account, user)})

    async def configure(self, request: Request) -> Response:
        """PUT /v1/admin/users/:user/connectors/:name"""
        auth.admin(request)
        fields, words = await fields_of(request), request.path_params
        made = await run_in_threadpool(
            self._state.connectors.configure, words["user"], words["connector"], fields
        )
        return reply(made)

    async def remove(self, request: Request) -> Response:
        """DELETE /v1/admin/users/:user/connectors/:name"""
        auth.admin(request)
        words = request.path_params
        await run_in_threadpool(self._state.connectors.remove, words["user"], words["connector"])
        return empty()

    async def _open(self, request: Request, path: ConnectorPath, *, write: bool) -> Connector:
        caller, (bucket, _) = auth.standard(request), split(path)
        return await run_in_threadpool(
            lambda: self._state.connectors.open(caller, path.connector, bucket, write=write)
        )


def _headers(item: Item) -> dict[str, str]:
    return {
        "X-Data-Type": "file",
        "Content-Length": str(item.size),
        "Content-Type": "application/octet-stream",
        "Last-Modified": formatdate(item.modified, usegmt=True),
    }


def _listing(page: Page) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if page.folders:
        shown["folders"] = [{"name": name} for name in page.folders]
    if page.files:
        shown["files"] = [
            {"filename": each.name, "size": each.size, "last_modified": iso(each.modified)}
            for each in page.files
        ]
    if page.marker:
        shown["marker"] = page.marker
    return shown


async def _stream(pieces: Iterator[bytes], request: Request) -> AsyncIterator[bytes]:
    async for piece in iterate_in_threadpool(pieces):
        auth.recheck(request)
        yield piece

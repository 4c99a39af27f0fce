"""One file of the data browser: its beginning, its bytes to take away, and files on their way in."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import IO, Any
from urllib.parse import quote, unquote

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response, StreamingResponse

from wrapgen.errors import BadRequest, NotFound
from wrapgen.platform.api.data import PIECE, begin, pieces
from wrapgen.platform.domain.data_path import DataPath, parse
from wrapgen.platform.storage.objects import Connector, ConnectorPath
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Page, Visit
from wrapgen.platform.web.places import address, connect, data_place, may_write, place_of
from wrapgen.platform.web.preview import READ_BYTES, preview


def show(visit: Visit, at: DataPath) -> Response:
    """The page of a file in hosted data."""
    file = visit.platform.state.data.find(visit.caller, at)
    stream, size = file.open()
    with stream:
        head = stream.read(READ_BYTES)
    context = {
        "at": at,
        "above": DataPath(at.owner, at.collection),
        "file": file,
        "writable": may_write(visit, at),
        "address": address,
    }
    return visit.html("file.html", partial(_context, context, file.name, head, len(head) == size))


def show_connector(visit: Visit, at: ConnectorPath, connector: Connector) -> Response:
    """The page of a file in other storage."""
    file = connector.find(at.path)
    found, size = connector.read(at.path)
    head = _head(found)
    context = {
        "at": at,
        "above": ConnectorPath(at.connector, at.path.rpartition("/")[0]),
        "file": file,
        "writable": False,
        "address": address,
    }
    begin = head[:READ_BYTES]
    return visit.html("file.html", partial(_context, context, at.path, begin, size <= READ_BYTES))


def _context(facts: dict[str, Any], name: str, head: bytes, whole: bool) -> dict[str, Any]:
    """What the page shows; made where it is rendered."""
    return {**facts, "preview": preview(name, head, whole=whole)}


def _head(found: Iterator[bytes]) -> bytes:
    head = bytearray()
    for piece in found:
        head += piece
        if len(head) >= READ_BYTES:
            break
    close = getattr(found, "close", None)
    if close is not None:
        close()
    return bytes(head)


async def download(visit: Visit) -> Response:
    """GET /web/data/download?at=URL: the bytes, for keeping and never for showing."""
    at = place_of(visit.query("at"))
    if isinstance(at, ConnectorPath):
        connector = await run_in_threadpool(connect, visit, at)
        if await run_in_threadpool(connector.find, at.path) is None:
            raise NotFound(f"{at} is not a file")
        found, size = await run_in_threadpool(connector.read, at.path)
        return _attachment(at.path.rpartition("/")[2], size, iterate_in_threadpool(found))
    file = await run_in_threadpool(visit.platform.state.data.find, visit.caller, data_place(visit, str(at)))
    stream, size, first = await run_in_threadpool(begin, file)
    return _attachment(
        file.name, size, _whole(first) if stream is None else pieces(stream, first, visit.recheck)
    )


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _attachment(name: str, size: int, content: AsyncIterator[bytes]) -> Response:
    # Old programs read the first name, all others the second (RFC 6266).
    plain = "".join(mark if (mark.isalnum() and mark.isascii()) or mark in "._- " else "_" for mark in name)
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return StreamingResponse(content, headers=headers, media_type="application/octet-stream")


async def upload(visit: Visit) -> Response:
    """POST /web/data/upload: files into a collection, each whole or not at all."""
    at, files = data_place(visit, visit.text("at")), visit.files("files")
    if at.file or not at.collection or not files:
        raise BadRequest(f"no files for a collection: {at}")
    for file in files:
        await run_in_threadpool(_store, visit, parse(f"{at}/{_unescaped(file.filename or '')}"), file.file)
    return visit.go(address("open", at, stored=len(files)))


def _store(visit: Visit, at: DataPath, content: IO[bytes]) -> None:
    write = visit.platform.state.data.begin_write(visit.caller, at)
    try:
        while piece := content.read(PIECE):
            write.append(piece)
        visit.recheck()
        write.commit()
    finally:
        write.abandon()


def _unescaped(name: str) -> str:
    """A file's name: browsers write its quotes and line ends as in addresses, and nothing else."""
    for code in ("%22", "%0D", "%0A"):
        name = name.replace(code, unquote(code))
    return name


PAGES = (
    Page(f"{ROOT}/data/download", download),
    Page(f"{ROOT}/data/upload", upload, method="POST", form_bytes=math.inf),
)

"""One file of the data browser: its beginning, its bytes to take away, and files on their way in."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from functools import partial
from typing import IO, Any
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from wrapgen.errors import BadRequest, NotFound
from wrapgen.platform.api.data import streamed
from wrapgen.platform.domain.data_path import DataPath, parse
from wrapgen.platform.domain.files import Address
from wrapgen.platform.storage.objects import PART, StoredObject
from wrapgen.platform.web.data_address import above, address, data_place, may_write, visitor_place
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Visit, WebPage
from wrapgen.platform.web.preview import READ_BYTES, preview


def _context(facts: dict[str, Any], name: str, head: bytes, whole: bool) -> dict[str, Any]:
    """What the page shows; made where it is rendered."""
    return {**facts, "preview": preview(name, head, whole=whole)}


def show(visit: Visit, at: Address, file: StoredObject) -> Response:
    """The page of a file."""
    parts, size = visit.platform.state.files.read(visit.caller, at)
    head = bytearray()
    while len(head) < READ_BYTES and (part := next(parts, b"")):
        head += part
    parts.close()
    context = {
        "at": at,
        "above": above(at),
        "file": file,
        "writable": isinstance(at, DataPath) and may_write(visit, at),
        "address": address,
    }
    begin = bytes(head[:READ_BYTES])
    return visit.html("file.html", partial(_context, context, file.name, begin, size <= READ_BYTES))


async def download(visit: Visit) -> Response:
    """GET /web/data/download?at=URL: the bytes, for keeping and never for showing."""
    at, files = visitor_place(visit, visit.query("at")), visit.platform.state.files
    file = await run_in_threadpool(files.find, visit.caller, at)
    if file is None:
        raise NotFound(f"{at} is not a file")
    parts, size = await run_in_threadpool(files.read, visit.caller, at)
    return _attachment(file.name, size, streamed(b"", parts, visit.recheck))


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
        while part := content.read(PART):
            write.append(part)
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
    WebPage(f"{ROOT}/data/download", download),
    WebPage(f"{ROOT}/data/upload", upload, method="POST", form_bytes=math.inf),
)

"""A form with files, taken in as it comes: fields first, then file by file, never a whole one in memory."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any
from urllib.parse import unquote

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from wrapgen.errors import BadRequest, TooLarge

FIELD_BYTES = 64 * 1024
"""Most bytes of all fields before the first file."""

PART_HEAD_BYTES = 8 * 1024
"""Most bytes of the headers of one field or file."""

_BEGIN, _DATA, _END = range(3)

# It warns of every broken form; without a handler that lands on the server's standard error.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())


class Upload:
    """One form on its way in.

    Args:
        request: a POST of `multipart/form-data`; anything else has no fields, and no files to give.
        most: fields that it may have.
    """

    def __init__(self, request: Request, most: int) -> None:
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        boundary = options.get(b"boundary")
        self._is_form = kind == b"multipart/form-data" and bool(boundary)
        names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end")
        callbacks: Any = {f"on_{name}": getattr(self, f"_{name}") for name in (*names, "headers_finished")}
        self._parser = MultipartParser(boundary or b"none", callbacks)
        self._chunks = request.stream()
        self._events: deque[tuple[int, Any]] = deque()
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._most = most

    async def fields(self) -> dict[str, str]:
        """The fields that come before the first file.

        Raises:
            BadRequest: the form is broken, or they are too long.
        """
        found: dict[str, str] = {}
        left = FIELD_BYTES
        if not self._is_form:
            return found
        while (event := await self._peek()) is not None and event[1][1] is None:
            name, value = event[1][0], bytearray()
            self._most -= 1
            if self._most < 0:
                raise TooLarge("the form has too many fields")
            self._events.popleft()
            while piece := await self.read():
                value += piece
                left -= len(piece)
                if left < 0:
                    raise TooLarge("the form's fields are too long")
            found[name] = value.decode("utf-8", "replace")
        return found

    async def next_file(self) -> str | None:
        """The name of the next file that was chosen, None at the end; the one before has to be read by then.

        Raises:
            BadRequest: the form is broken, has fields behind files, or is none.
        """
        if not self._is_form:
            raise BadRequest("this address takes a form with files", reason="wrong-media-type")
        while (event := await self._peek()) is not None:
            filename = event[1][1]
            self._events.popleft()
            if filename is None:
                raise BadRequest("the form has fields behind files")
            if filename:
                return str(filename)
            while await self.read():  # a field for files in which none was chosen
                pass
        return None

    async def read(self) -> bytes:
        """The next piece of the file; nothing at its end.

        Raises:
            BadRequest: the form is broken, or ends in the middle.
        """
        event = await self._peek()
        if event is None:
            raise BadRequest("the form ends in the middle of a file")
        self._events.popleft()
        return event[1] if event[0] == _DATA else b""

    async def _peek(self) -> tuple[int, Any] | None:
        """What comes next; None at the form's end."""
        while not self._events:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return None
            self._feed(chunk)
        return self._events[0]

    def _feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise BadRequest(f"the form is broken: {error}") from error

    # -- what the parser says --------------------------------------------------------------------------

    def _part_begin(self) -> None:
        self._headers = {}
        self._header_bytes = 0

    def _header_field(self, data: bytes, start: int, end: int, place: int = 0) -> None:
        self._header_bytes += end - start + 1
        if self._header_bytes > PART_HEAD_BYTES:
            raise TooLarge("the head of a part of the form is too long")
        self._header[place].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_field(data, start, end, 1)

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        filename = options.get(b"filename")
        self._events.append((_BEGIN, (_text(options.get(b"name", b"")), filename and _unescaped(filename))))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append((_DATA, data[start:end]))

    def _part_end(self) -> None:
        self._events.append((_END, b""))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _unescaped(name: bytes) -> str:
    """A file's name: browsers write its quotes and line ends as in addresses, and nothing else."""
    text = _text(name)
    for code in ("%22", "%0D", "%0A"):
        text = text.replace(code, unquote(code))
    return text

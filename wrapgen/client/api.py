"""What every group of management calls shares: JSON to the platform, and objects, lists and pages from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wrapgen.client.transport import Transport
from wrapgen.errors import ServerFault
from wrapgen.protocol import dumps

PAGE = 50
"""Entries asked for at a time (platform contract, section 1)."""


class ApiCalls:
    """Calls with the connection's own key, or with another one; every value is the API's own object."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _send(self, method: str, path: str, fields: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """One exchange with fields as its body; the parsed answer, None where it is empty."""
        if fields is not None:
            options.update(body=dumps(fields), content_type="application/json")
        return self._transport.json(method, path, **options)

    def _object(
        self, method: str, path: str, fields: Mapping[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        found = self._send(method, path, fields, **options)
        if not isinstance(found, dict):
            raise ServerFault(f"{method} {path}: the platform answered no object")
        return found

    def _list(self, path: str, *names: str, **options: Any) -> list[dict[str, Any]]:
        """The objects in a list, or in the first of some fields of an object that is there."""
        found = self._send("GET", path, **options)
        if isinstance(found, dict):
            found = next((found[name] for name in names if name in found), None)
        if not isinstance(found, list):
            raise ServerFault(f"GET {path}: the platform answered no list")
        return [entry for entry in found if isinstance(entry, dict)]

    def _pages(
        self, path: str, query: Mapping[str, Any] | None = None, **options: Any
    ) -> Iterator[dict[str, Any]]:
        """Every object of a listing; pages are fetched as they are needed."""
        marker: str | None = None
        while True:
            asked = {**(query or {}), "limit": PAGE, "marker": marker}
            page = self._object("GET", path, query=asked, **options)
            entries = page.get("results")
            if not isinstance(entries, list):
                raise ServerFault(f"GET {path}: the answer has no results")
            yield from (entry for entry in entries if isinstance(entry, dict))
            following = page.get("marker")
            if not following or following == marker:
                return
            marker = str(following)

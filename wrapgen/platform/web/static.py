"""Style sheets, scripts and pictures: read once, addressed by what is in them, so browsers may keep them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Static:
    """The files of one folder.

    Args:
        folder: holds files of the KINDS; others are not served.
        more: further files' texts, by name.
    """

    def __init__(self, folder: Path, more: Mapping[str, str]) -> None:
        found = [path for path in sorted(folder.iterdir()) if path.suffix in KINDS]
        self._files = {path.name: path.read_bytes() for path in found}
        self._files.update((name, text.encode()) for name, text in more.items())

    def address(self, name: str) -> str:
        """Where a file is; another address when its content is another."""
        return f"/web/static/{name}?v={hashlib.sha256(self._files[name]).hexdigest()[:12]}"

    def answer(self, request: Request) -> Response:
        """GET /web/static/:name"""
        name = request.path_params["name"]
        if name not in self._files:
            raise HTTPException(404)
        kept = (
            {"cache-control": "public, max-age=31536000, immutable"} if request.scope["query_string"] else {}
        )
        return Response(self._files[name], headers=kept, media_type=KINDS[Path(name).suffix])

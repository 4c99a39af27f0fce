"""The source of an algorithm at one version or commit, coloured by Pygments."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup
from starlette.responses import Response

from wrapgen.errors import NotFound
from wrapgen.platform.repositories import File
from wrapgen.platform.web.hosted import PLACE, hosted
from wrapgen.platform.web.page import ROOT, Page, Visit

if TYPE_CHECKING:
    from pygments.formatters import HtmlFormatter

SHOWN_BYTES = 512 * 1024
"""Larger files are for downloading."""

COLOURED_BYTES = 96 * 1024
"""Larger files stay plain: colouring takes a second per megabyte, and calls are served meanwhile."""

STYLES = {"light": "default", "dark": "github-dark"}


def source(visit: Visit) -> Response:
    """GET the list of files, and one of them"""
    seen, reference, path = hosted(visit), visit.word("version"), visit.request.path_params.get("path", "")
    commit = seen.commit(reference)
    files = seen.repositories.files(seen.algorithm.id, commit)
    chosen = _chosen(files, path)
    data = b""
    if chosen is not None and (chosen.size <= SHOWN_BYTES or visit.query("download")):
        data = seen.repositories.content(seen.algorithm.id, chosen)
        if visit.query("download"):
            return _download(chosen, data)
    context = {"seen": seen, "reference": reference, "commit": commit, "files": files, "chosen": chosen}
    return visit.html("source.html", {**context, "text": _text(chosen, data) if chosen else None})


def style(visit: Visit) -> Response:  # noqa: ARG001 (every page gets its visit)
    """GET the colours of source"""
    kept = {"cache-control": "public, max-age=86400"}
    return Response(_style(), headers=kept, media_type="text/css; charset=utf-8")


def _chosen(files: list[File], path: str) -> File | None:
    """The file of a path; of no path, the one that a reader wants first.

    Raises:
        NotFound: there is no such file.
    """
    found = {file.path: file for file in files}
    if path:
        if path not in found:
            raise NotFound(f"there is no file {path} in this commit", status=404)
        return found[path]
    first = [file for file in files if file.path.startswith("src/") and not file.path.endswith("__init__.py")]
    return found.get("README.md") or next(iter([*first, *files]), None)


def _text(file: File, data: bytes) -> Markup | None:
    """A file's text, each line an element of its own; None if it is not for reading."""
    if file.size > SHOWN_BYTES or b"\0" in data:
        return None
    from pygments import highlight
    from pygments.lexers import TextLexer, get_lexer_for_filename
    from pygments.util import ClassNotFound

    text = data.decode("utf-8", "replace")
    lexer = TextLexer(stripnl=False, ensurenl=True)
    if len(data) <= COLOURED_BYTES:
        with contextlib.suppress(ClassNotFound):  # plain, then
            lexer = get_lexer_for_filename(file.path, stripnl=False, ensurenl=True)
    return Markup(highlight(text, lexer, _formatter("light")))  # noqa: S704  # Pygments escapes every token


def _download(file: File, data: bytes) -> Response:
    """A file as it is; browsers keep it, and never show it."""
    name = "".join(char if char.isalnum() or char in "._-" else "_" for char in file.path.rpartition("/")[2])
    headers = {"content-disposition": f'attachment; filename="{name.encode("ascii", "replace").decode()}"'}
    return Response(data, headers=headers, media_type="application/octet-stream")


def _formatter(scheme: str) -> HtmlFormatter[str]:
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(style=STYLES[scheme], cssclass="source", linespans="L", wrapcode=True)


@cache
def _style() -> str:
    light, dark = (_rules(scheme) for scheme in STYLES)
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def _rules(scheme: str) -> str:
    return "\n".join(_formatter(scheme).get_token_style_defs(".source"))  # type: ignore[no-untyped-call]


PAGES = (
    Page(f"{ROOT}/source.css", style, open=True),
    Page(f"{PLACE}/source/{{version}}", source),
    Page(f"{PLACE}/source/{{version}}/{{path:path}}", source),
)

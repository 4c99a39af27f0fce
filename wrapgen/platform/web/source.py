"""The source of an algorithm at one version or commit, coloured by Pygments."""

from __future__ import annotations

import signal
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape
from starlette.responses import Response

from wrapgen.errors import NotFound
from wrapgen.platform.storage.repositories import File
from wrapgen.platform.web.hosted import PLACE, commit_of, hosted
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Visit, WebPage

if TYPE_CHECKING:
    from pygments.formatters import HtmlFormatter

SHOWN_BYTES = 512 * 1024
"""Larger files are for downloading."""

SHOWN_LINES = 10_000
"""Files of more lines too."""

SHOWN_FILES = 1000
"""Files of a commit that are listed."""

COLOURED_BYTES = 96 * 1024
"""Larger files stay plain."""

STYLES = {"light": "default", "dark": "github-dark"}


def source(visit: Visit) -> Response:
    """GET the list of files, and one of them"""
    seen, reference, path = hosted(visit), visit.word("version"), visit.request.path_params.get("path", "")
    commit, repositories = commit_of(visit, seen, reference), visit.platform.state.repositories
    files = repositories.files(seen.algorithm.id, commit)
    chosen = _chosen(files, path)
    data = b""
    if chosen is not None and (chosen.size <= SHOWN_BYTES or visit.query("download")):
        data = repositories.content(seen.algorithm.id, chosen)
        if visit.query("download"):
            return _download(chosen, data)
    context = {"seen": seen, "reference": reference, "commit": commit, "chosen": chosen}
    context |= {"files": files[:SHOWN_FILES], "hidden": max(0, len(files) - SHOWN_FILES)}
    seconds = visit.platform.bounds.colour_seconds
    return visit.html("source.html", partial(_context, context, chosen, data, seconds))


def _context(facts: dict[str, Any], chosen: File | None, data: bytes, seconds: int) -> dict[str, Any]:
    """What the page shows; made where it is rendered."""
    return {**facts, "text": _text(chosen, data, seconds) if chosen else None}


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
            raise NotFound(f"there is no file {path} in this commit")
        return found[path]
    first = [file for file in files if file.path.startswith("src/") and not file.path.endswith("__init__.py")]
    return found.get("README.md") or next(iter([*first, *files]), None)


def _text(file: File, data: bytes, seconds: int) -> Markup | None:
    """A file's text, each line an element of its own; None if it is not for reading."""
    if file.size > SHOWN_BYTES or b"\0" in data or data.count(b"\n") > SHOWN_LINES:
        return None
    if len(data) <= COLOURED_BYTES and (coloured := _coloured(file.path, data, seconds)) is not None:
        return coloured
    lines = data.decode("utf-8", "replace").removesuffix("\n").split("\n")
    shown = (f'<span id="L-{number}">{escape(line)}\n</span>' for number, line in enumerate(lines, 1))
    return Markup(f'<div class="source"><pre><code>{"".join(shown)}</code></pre></div>')  # noqa: S704 - escaped


class _TooSlow(Exception):
    """Some lexers of Pygments take hours for a small text that was made for it."""


@lru_cache(maxsize=16)
def _coloured(path: str, data: bytes, seconds: int) -> Markup | None:
    """A file's text in colours; None where that takes too much."""
    from pygments import highlight
    from pygments.lexers import get_lexer_for_filename
    from pygments.util import ClassNotFound

    def stop(*_: object) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        lexer = get_lexer_for_filename(path.rpartition("/")[2], stripnl=False, ensurenl=True)
        text = highlight(data.decode("utf-8", "replace"), lexer, _formatter("light"))
    except (ClassNotFound, _TooSlow, MemoryError, RecursionError):
        return None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return Markup(text) if 0 < len(text) <= 16 * SHOWN_BYTES else None  # noqa: S704  # Pygments escapes


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
    WebPage(f"{ROOT}/source.css", style, open=True),
    WebPage(f"{PLACE}/source/{{version}}", source),
    WebPage(f"{PLACE}/source/{{version}}/{{path:path}}", source),
)

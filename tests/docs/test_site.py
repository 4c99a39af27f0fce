"""The documentation site builds without a warning, and every link in it leads somewhere."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Links(HTMLParser):
    """The anchors of a page, and what it refers to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors = {""}
        self.links: set[str] = set()
        self.needed: set[str] = set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {given.get("id") or "", given.get("name") or ""}
        if tag == "a" and given.get("href"):
            self.links.add(given["href"] or "")
        elif tag in ("img", "script"):
            self.needed.add(given.get("src") or "")
        elif tag == "link":
            self.needed.add(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Links]:
    """Every page of the site, built as `make docs` does, by its path."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    command += ["-d", str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return {page: Links(page) for page in sorted((folder / "html").rglob("*.html"))}


def test_every_page_of_docs_is_in_the_site(site: dict[Path, Links]) -> None:
    """No page of docs/ is left out."""
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= {page.stem for page in site}


def test_links_and_anchors_lead_somewhere(site: dict[Path, Links]) -> None:
    """A link in the site leads to a page that is there, at an anchor that is on it."""
    dead = []
    for page, found in site.items():
        for link in found.links:
            parts = urlsplit(link)
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if parts.scheme in ("http", "https"):
                continue
            if not target.is_file() or (
                target in site and unquote(parts.fragment) not in site[target].anchors
            ):
                dead.append(f"{page.name}: {link}")
    assert not dead


def test_the_site_needs_no_network(site: dict[Path, Links]) -> None:
    """Scripts, styles, fonts and pictures are files of the site."""
    for page, found in site.items():
        for needed in found.needed:
            parts = urlsplit(needed)
            assert not parts.netloc, f"{page.name}: {needed}"
            local = parts.scheme == "data" or not parts.path or (page.parent / unquote(parts.path)).is_file()
            assert local, f"{page.name}: {needed}"

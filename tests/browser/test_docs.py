"""The documentation site, built as people get it and opened from a disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-d", str(folder / "doctrees"), str(ROOT / "docs")]
    subprocess.run([*command, str(folder / "html")], check=True, timeout=400)
    return folder / "html"


@pytest.mark.parametrize("name", ["index", "quickstart", "spec"])
def test_a_page_is_good_on_every_screen(name, page, site, axe, fits):
    """Text, pictures and wide tables fit a phone, have no serious fault for anybody, and need no network."""
    page.goto((site / f"{name}.html").as_uri())
    fits(page)
    axe(page)


def test_every_page_fits(page, site, fits):
    """No page makes a reader scroll sideways; what is wide scrolls in a box of its own."""
    for path in sorted(site.glob("*.html")):
        page.goto(path.as_uri())
        fits(page)


def test_searching_works_from_a_disk(page, site):
    """The search finds pages without a server."""
    page.goto((site / "search.html").as_uri() + "?q=ledger")
    found = page.get_by_role("link", name="Running a million items")
    found.last.wait_for()
    assert found.count() >= 1

"""The documentation site, built as people get it and opened from a disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-d", str(folder / "doctrees"), str(ROOT / "docs")]
    subprocess.run([*command, str(folder / "html")], check=True, timeout=240)
    return folder / "html"


def test_the_first_page_is_good_on_every_screen(page, site, axe, fits):
    """The overview fits a phone, has no serious fault for anybody, and asks nothing of a network."""
    page.goto((site / "index.html").as_uri())
    assert page.get_by_role("heading", level=1).text_content().startswith("wrapgen")
    fits(page)
    axe(page)

"""`wrapgen docs`: pages of the documentation without a network."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from wrapgen.cli.docs import command, find_docs
from wrapgen.errors import UsageError


def told(*words: str) -> str:
    """What the command prints."""
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_every_page_is_listed_and_printed() -> None:
    """The list has each page with its title, and a page comes as it is in its file."""
    listed = told()
    for path in find_docs().glob("*.md"):
        assert re.search(rf"^{path.stem} +\S", listed, re.MULTILINE)
    page = find_docs() / "running.md"
    assert told("running") == told("docs/running.md") == page.read_text("utf-8").rstrip("\n") + "\n"
    assert json.loads(told("--json", "running"))["path"] == str(page)
    assert json.loads(told("--json"))["pages"]["spec"] == "The spec"


def test_a_page_that_is_not_there_names_those_that_are() -> None:
    """A wrong name is one error that lists the pages."""
    with pytest.raises(UsageError, match="no page 'runing'") as caught:
        CliRunner().invoke(command, ["runing"], catch_exceptions=False)
    assert "running" in (caught.value.hint or "")


def test_links_between_pages_lead_to_pages() -> None:
    """No page links outside the folder that comes with the package."""
    for path in find_docs().glob("*.md"):
        for target in re.findall(r"\]\(([^):#]+)[^):]*\)", path.read_text("utf-8")):
            assert (path.parent / target).exists() and not target.startswith(".."), f"{path.name}: {target}"

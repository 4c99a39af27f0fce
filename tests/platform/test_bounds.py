"""`wrapgen serve --limit NAME=NUMBER`: every bound is in the docs and can be set; wrong ones are errors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from wrapgen.errors import UsageError
from wrapgen.platform.domain.bounds import Bounds

DOCS = Path(__file__).parents[2] / "docs" / "platform.md"


def test_every_bound_is_documented_and_can_be_set() -> None:
    """The page about the platform has a name for each; the same name sets it, and nothing else."""
    for name in asdict(Bounds()):
        shown = name.replace("_", "-")
        assert f"`{shown}`" in DOCS.read_text("utf-8"), shown
        assert asdict(Bounds.read([f"{shown}=7"])) == {**asdict(Bounds()), name: 7}


@pytest.mark.parametrize(
    "word", ["", "=", "head-bytes", "head-bytes=", "head-bytes=0", "head-bytes=-1", "head-bytes=1e3", "no=1"]
)
def test_wrong_bounds_are_errors(word: str) -> None:
    """A name that there isn't lists those there are; a number is whole and not zero."""
    with pytest.raises(UsageError, match="limit"):
        Bounds.read([word])

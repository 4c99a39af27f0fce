"""What `wrapgen publish` reads of a folder that somebody else made: regular files, and only so much."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wrapgen.errors import UsageError
from wrapgen.files import read_regular
from wrapgen.publish import Project
from wrapgen.publish.cases import read


@pytest.mark.parametrize("name", ["algorithmia.conf", "TEST_CASES.json"])
@pytest.mark.parametrize("kind", ["endless", "pipe", "large", "folder"])
def test_a_file_without_end_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    """A link to a device, a pipe that nobody writes to and a file of a terabyte are errors, at once."""
    (tmp_path / "algorithmia.conf").write_text(json.dumps({"username": "local", "algoname": "Odd"}))
    path = tmp_path / name
    path.unlink(missing_ok=True)
    if kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)
    with pytest.raises(UsageError, match=f"can't read .*{name}"):
        read(Project.read(tmp_path).folder)


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    """Up to its limit, through a link too."""
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 5) == b"12345"
    with pytest.raises(UsageError, match="more than 4 bytes"):
        read_regular(tmp_path / "file", 4)

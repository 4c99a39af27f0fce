"""A build touches nothing outside of its folder, whatever links and manifests lie in it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from wrapgen.wrapper import Wrapper


@pytest.fixture
def outside(folder: Path) -> Path:
    """A folder beside the wrapper's own, with files of the names that a wrapper has."""
    place = folder / "outside"
    for name in ("config.py", "old.py", "deep/old.py"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"# {name}\n")
    return place


def _forge(wrapper: Path, outside: Path, names: dict[str, str]) -> None:
    """A manifest that claims files outside, with their true digests: from claimed path to path outside."""
    claimed = {
        path: hashlib.sha256((outside / name).read_bytes()).hexdigest() for path, name in names.items()
    }
    wrapper.mkdir(parents=True, exist_ok=True)
    (wrapper / ".wrapgen.json").write_text(json.dumps({"generator": "wrapgen", "files": claimed}))


@pytest.mark.parametrize("flags", [(), ("--force",), ("--check",), ("--diff",)])
@pytest.mark.parametrize("linked", ["src", "tests", ".github"])
def test_nothing_is_written_through_a_linked_folder(folder, outside, wrapgen, linked, flags):
    """A link in place of a folder of the wrapper is an error that names it, also with --force."""
    before = Wrapper.read(outside)
    (folder / "w").mkdir()
    (folder / "w" / linked).symlink_to(outside)
    code, _, told = wrapgen("build", "--output", "w", *flags)
    assert code == 2 and f"{linked} is a link" in told and "put a folder in its place" in told
    assert Wrapper.read(outside) == before
    assert sorted(path.name for path in (folder / "w").iterdir()) == [linked]


@pytest.mark.parametrize(
    "names",
    [
        {"old/old.py": "old.py"},
        {"old/deep/old.py": "deep/old.py"},
        {"../outside/old.py": "old.py"},
        {"old.py/../../outside/old.py": "old.py"},
        {".git/old.py": "old.py"},
    ],
    ids=["link", "below a link", "parent", "parent within", "never a wrapper's"],
)
def test_a_forged_manifest_removes_nothing_outside(folder, outside, wrapgen, names):
    """Files that a manifest claims are removed only if they lie in the wrapper's folder itself."""
    before = Wrapper.read(outside)
    _forge(folder / "w", outside, names)
    for link in ("old", ".git"):
        (folder / "w" / link).symlink_to(outside)
    wrapgen("build", "--output", "w")
    wrapgen("build", "--output", "w", "--force")
    assert Wrapper.read(outside) == before


def test_a_file_in_place_of_a_folder_is_told(folder, wrapgen):
    """A plain file named like a folder of the wrapper is an error, and stays."""
    (folder / "w").mkdir()
    (folder / "w" / "src").write_text("mine")
    code, _, told = wrapgen("build", "--output", "w", "--force")
    assert code == 2 and "src" in told
    assert (folder / "w" / "src").read_text() == "mine"


def test_the_folder_itself_may_be_a_link(folder, outside, wrapgen):
    """The folder that the user names is theirs to place; links only count inside of it."""
    (folder / "w").symlink_to(outside)
    assert wrapgen("build", "--output", "w")[0] == 0
    assert (outside / "spec.yaml").is_file()


@pytest.mark.parametrize("manifest", ["pipe", "device", "link", "deep", "large", "list"])
def test_a_manifest_that_is_none_counts_as_missing(folder, outside, wrapgen, manifest):
    """A pipe, a device, a link to elsewhere, JSON without end: nothing waits for it; the build goes on."""
    place = folder / "w" / ".wrapgen.json"
    place.parent.mkdir()
    made = {
        "pipe": lambda: os.mkfifo(place),
        "device": lambda: place.symlink_to("/dev/zero"),
        "link": lambda: place.symlink_to(outside / "manifest"),
        "deep": lambda: place.write_text("[" * 100_000),
        "large": lambda: place.write_text(" " * (2 << 20)),
        "list": lambda: place.write_text('{"files": []}'),
    }
    (outside / "manifest").write_text('{"files": {"old": "x"}}')
    (folder / "w" / "old").write_text("kept")
    made[manifest]()
    code, _, told = wrapgen("build", "spec.yaml", "--output", "w", "--check")
    assert code in (2, 4), told
    code, _, told = wrapgen("build", "spec.yaml", "--output", "w", "--force")
    assert code == 0, told
    assert (outside / "manifest").read_text() == '{"files": {"old": "x"}}'
    assert (folder / "w" / "old").read_text() == "kept"


def test_a_file_too_large_for_a_wrapper_is_not_read(folder, wrapgen):
    """What stands at the path of a wrapper's file may have been put there by anyone."""
    (folder / "w" / "src").mkdir(parents=True)
    os.truncate(os.open(folder / "w" / "src" / "config.py", os.O_CREAT | os.O_WRONLY), 1 << 40)
    code, _, told = wrapgen("build", "spec.yaml", "--output", "w", "--check")
    assert code == 2 and "more than" in told, told

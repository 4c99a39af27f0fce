"""`wrapgen diff`: three levels of drift on a real platform, each named when it differs and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from shouting import SPEC, TARGET, User, publish_target


@pytest.fixture
def own(user: User, tmp_path: Path) -> User:
    """The same user in a folder with a fresh copy of spec and wrapper."""
    made = User(tmp_path, user.home)
    (tmp_path / "spec.yaml").write_text(SPEC)
    made.wrapgen("build")
    return made


def test_nothing_differs_after_publishing(own: User) -> None:
    """Files, release (its description and its source) and target are all as the spec says."""
    assert own.diff() == {"files": ["ok"], "release": ["ok", "ok"], "target": ["ok"]}


def test_an_edited_file_differs_on_two_levels(own: User) -> None:
    """A file edited by hand is neither what the spec generates nor what was released."""
    readme = own.folder / "generated" / "ShoutBatch" / "README.md"
    readme.write_text(readme.read_text() + "mine\n")
    assert own.diff() == {"files": ["fault"], "release": ["ok", "fault"], "target": ["ok"]}


def test_a_changed_spec_differs_from_files_and_release(own: User) -> None:
    """Until it is built, files and description differ; once built, the release does in both ways."""
    (own.folder / "spec.yaml").write_text(SPEC + "dispatch: {attempts: 5}\n")
    assert own.diff() == {"files": ["fault"], "release": ["fault", "ok"], "target": ["ok"]}
    own.wrapgen("build")
    assert own.diff() == {"files": ["ok"], "release": ["fault", "fault"], "target": ["ok"]}


def test_what_was_never_published_is_told(own: User) -> None:
    """A wrapper that is not on the platform is a fault of that level only."""
    (own.folder / "spec.yaml").write_text(SPEC.replace("acme/ShoutBatch", "acme/Unpublished"))
    own.wrapgen("build")
    assert own.diff() == {"files": ["ok"], "release": ["fault"], "target": ["ok"]}


def test_without_a_platform_the_files_are_still_compared(own: User) -> None:
    """Where no platform is known, the first level is told and the others are not checked."""
    out = own.wrapgen("diff")
    assert "files: ok" in out and out.count("not checked") == 2


def test_a_newer_target_differs(own: User) -> None:
    """When the target has a newer release than the spec names, only that level differs."""
    assert publish_target(own, TARGET + "# newer\n") != "nlp/Shout/0.1.0"
    assert own.diff() == {"files": ["ok"], "release": ["ok", "ok"], "target": ["fault"]}
    (own.folder / "spec.yaml").write_text(SPEC.replace("nlp/Shout/0.1.0", "nlp/Shout"))
    own.wrapgen("build")
    assert own.diff()["target"] == ["fault"]

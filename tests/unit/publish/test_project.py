"""A project's folder: its name, and which of its files are pushed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wrapgen.errors import UsageError
from wrapgen.publish import Project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small algorithm project."""
    conf = {"username": "nlp", "algoname": "Echo", "langauge": "python3"}
    (tmp_path / "algorithmia.conf").write_text(json.dumps(conf))
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "Echo.py").write_text("def apply(x):\n    return x\n")
    return tmp_path


def test_the_conf_names_the_algorithm(folder: Path) -> None:
    """Owner, name and language come from algorithmia.conf, with its misspelt key."""
    project = Project.read(folder)
    assert (str(project.reference), project.language, project.spec) == ("nlp/Echo", "python3", None)


def test_another_name_can_be_given(folder: Path) -> None:
    """--as publishes a project under another name."""
    assert str(Project.read(folder, name="acme/Echo2").reference) == "acme/Echo2"
    with pytest.raises(UsageError, match="owner/name"):
        Project.read(folder, name="acme/Echo/1.0.0")


def test_version_control_and_caches_are_not_pushed(folder: Path) -> None:
    """What git, Python and editors leave behind stays at home, at any depth."""
    for path in (".git/config", "src/__pycache__/Echo.pyc", ".venv/bin/python", "src/x.pyc", "a/.DS_Store"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x")
    (folder / ".adk").touch()
    (folder / ".github").mkdir()
    (folder / ".github" / "ci.yml").touch()
    names = [path.as_posix() for path in Project.read(folder).files()]
    assert names == [".adk", ".github/ci.yml", "algorithmia.conf", "src/Echo.py"]


def test_a_git_file_of_a_submodule_is_not_pushed(folder: Path) -> None:
    """A `.git` that is a file, as in a work tree, is left out too."""
    (folder / ".git").write_text("gitdir: ../elsewhere")
    assert ".git" not in [path.as_posix() for path in Project.read(folder).files()]


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Files from elsewhere are not published by accident."""
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("s")
    for aim in (secret, folder / "src", secret.parent):
        (folder / "data").symlink_to(aim)
        with pytest.raises(UsageError, match="link"):
            list(Project.read(folder).files())
        (folder / "data").unlink()
    (folder / "data").symlink_to("algorithmia.conf")
    assert Path("data") in list(Project.read(folder).files())


def test_a_folder_without_conf_is_no_project(tmp_path: Path) -> None:
    """The error says what was expected to be there."""
    with pytest.raises(UsageError, match=r"algorithmia\.conf"):
        Project.read(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        Project.read(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"username": "a b", "algoname": "x"}'])
def test_a_broken_conf_is_one_clear_error(tmp_path: Path, text: str) -> None:
    """Whatever stands in algorithmia.conf, there is no traceback."""
    (tmp_path / "algorithmia.conf").write_text(text)
    with pytest.raises(UsageError):
        Project.read(tmp_path)

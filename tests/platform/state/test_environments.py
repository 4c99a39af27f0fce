"""Environments: the interpreters that this machine really has."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wrapgen.errors import BadRequest
from wrapgen.platform.building.environments import Environments
from wrapgen.platform.state import State
from wrapgen.platform.storage.platform_tables import InterpreterTable


def test_the_running_interpreter_is_offered(state: State) -> None:
    """Each environment names a version and an executable that really runs it."""
    name = f"python{sys.version_info[0]}{sys.version_info[1]}"
    assert name in [each.name for each in state.environments.offered()]
    for each in state.environments.offered():
        code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
        said = subprocess.run([each.interpreter, "-c", code], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == each.version


def test_ids_are_the_same_in_every_home(open_home: Callable[..., State], state: State) -> None:
    """Settings that name an environment survive restarts and moves."""
    other = open_home("other")
    assert [each.id for each in other.environments.offered()] == [
        each.id for each in state.environments.offered()
    ]
    assert all(each.id != each.specification_id for each in state.environments.offered())


def test_a_missing_environment_lists_those_offered(state: State) -> None:
    """The error tells what to name instead."""
    with pytest.raises(BadRequest, match="python99 is not offered here; offered: python3"):
        state.environments.named("python99")


def test_the_default_is_the_newest_hosted_version(state: State) -> None:
    """An algorithm whose author names no environment gets the newest that there is."""
    assert state.environments.default().number == max(each.number for each in state.environments.offered())


def looked(state: State, folder: Path) -> list[str]:
    """Names offered with nothing but one folder on the path (and the running interpreter)."""
    found = Environments(InterpreterTable(state.database), {"PATH": str(folder), "HOME": str(folder)})
    return [each.name for each in found.offered()]


def test_what_does_not_run_is_not_offered(state: State, tmp_path: Path) -> None:
    """Broken executables, other programs and dangling links are passed over."""
    (tmp_path / "python3.4").symlink_to(tmp_path / "gone")
    for name, text in (("python3.5", "#!/bin/sh\nexit 1\n"), ("python3.14", "#!/bin/sh\necho hello\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "python3.99").mkdir()
    assert looked(state, tmp_path) == [f"python{sys.version_info[0]}{sys.version_info[1]}"]


def test_a_shim_stands_for_what_is_installed(state: State, tmp_path: Path) -> None:
    """Behind pyenv's shims the versions themselves are found, whether or not the shim would run."""
    (tmp_path / "shims").mkdir()
    (tmp_path / "shims" / "python3.8").write_text("#!/bin/sh\nexit 127\n")
    (tmp_path / "shims" / "python3.8").chmod(0o755)
    real = next(each for each in state.environments.offered()).interpreter
    folder = tmp_path / "versions" / "any" / "bin"
    folder.mkdir(parents=True)
    (folder / "python3").write_text(f'#!/bin/sh\nexec "{real}" "$@"\n')
    (folder / "python3").chmod(0o755)
    assert state.environments.offered()[0].name in looked(state, tmp_path / "shims")


def test_what_was_learned_is_not_run_again(state: State, tmp_path: Path) -> None:
    """A second look at an unchanged interpreter starts no process; a changed one is looked at anew."""
    script, count = tmp_path / "python3", tmp_path / "count"
    script.write_text(f'#!/bin/sh\necho run >> {count}\nexec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    for _ in range(3):
        looked(state, tmp_path)
    assert count.read_text() == "run\n"
    script.write_text(script.read_text() + "# changed\n")
    looked(state, tmp_path)
    assert count.read_text() == "run\nrun\n"

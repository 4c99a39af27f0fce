"""What is in the virtual environment of a build, whatever made it, and whatever pip is told elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from wrapgen.platform.building.installers import Installers
from wrapgen.platform.building.requirements import Requirements
from wrapgen.platform.building.virtualenvs import Virtualenvs


class Commands:
    """Runs the commands of a build without a sandbox and keeps what they were."""

    sandboxed = False

    def __init__(self, installers: Installers) -> None:
        self.installers = installers
        self.words: list[list[str]] = []

    def install(self, words: list[str], cwd: Path, own: Path, *, trusted: bool) -> str | None:
        self.words.append(words)
        done = subprocess.run(
            words, cwd=cwd, env=self.installers.variables, capture_output=True, text=True, timeout=120
        )
        return None if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with one small package."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    about = "tiny-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "VALUE = 1\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return folder


def runs(python: Path, program: str) -> bool:
    return subprocess.run([python, "-I", "-c", program], capture_output=True).returncode == 0


@pytest.mark.parametrize("which", [0, -1])
def test_older_code_finds_setuptools(state, which: int, tmp_path: Path) -> None:
    """uv makes the environment, on Python 3.6 too, and `pkg_resources` is there as on the hosted platform."""
    environment = state.environments.offered()[which]
    commands = Commands(Installers(os.environ))
    made = Virtualenvs(tmp_path / "venvs", commands.installers)
    wanted = Requirements.read("six\n")
    python, _ = made.find_or_make(environment.interpreter, wanted, tmp_path, "", commands)
    assert python is not None and runs(python, "import pkg_resources, six")
    assert not [words for words in commands.words if "pip" in words and Path(words[0]).name != "uv"]


def test_settings_of_pip_that_break_builds_are_left_out(tmp_path: Path, wheels: Path) -> None:
    """Of pip's files a build gets where to look, and not `user` or `target`; what it lacks is named."""
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(
        f"[global]\nno-index = true\nfind-links =\n    {wheels}\n    {tmp_path}\n"
        "require-virtualenv = true\n[install]\nuser = true\ntarget = /nowhere\nno-deps = true\n"
    )
    installers = Installers({"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PIP_USER": "1"})
    commands = Commands(installers)
    made = Virtualenvs(tmp_path / "venvs", installers)
    python, _ = made.find_or_make(Path(sys.executable), Requirements.read("tiny\n"), tmp_path, "", commands)
    assert python is not None and runs(python, "import tiny")
    assert [line.partition(": ")[2] for line in installers.ignored if str(tmp_path) in line] == [
        *("require-virtualenv", "user", "target", "no-deps"),
    ]


def test_a_file_of_pip_that_cant_be_read_is_named(tmp_path: Path) -> None:
    """It does not end the build, and it is not passed over without a word."""
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip" / "pip.conf").write_text("index-url = nowhere\n")
    installers = Installers({"HOME": str(tmp_path), "PATH": "/bin"})
    assert [line for line in installers.ignored if "can't be read" in line]

"""Which environment an algorithm is built in, of those that platforms offer in their different ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wrapgen.client import HostedEnvironment
from wrapgen.errors import UsageError
from wrapgen.publish.environments import choose, wish_of


class Offered:
    """A platform's languages and environments, as its API objects."""

    def __init__(self, offer: dict[str, list[dict[str, Any]]]) -> None:
        self.offer = offer

    def languages(self) -> list[str]:
        return list(self.offer)

    def environments(self, language: str) -> list[HostedEnvironment]:
        return [HostedEnvironment.read(each, language) for each in self.offer[language]]


def entry(label: str, machine: str = "CPU") -> dict[str, Any]:
    return {"id": f"id of {label}", "display_name": label, "machine_type": machine}


CLUSTER = Offered(
    {
        "java": [entry("Java 11")],
        "python3": [
            entry("Python 3.8 - TensorFlow 2.3", "GPU"),
            entry("Python 3.8 - TensorFlow"),
            entry("Python 3.8"),
            entry("Python 3.6"),
            entry("Python 3.9 - GPU", "GPU"),
        ],
    }
)
PER_VERSION = Offered({"python37": [entry("x")], "python38": [entry("y")], "python310": [entry("z")]})


@pytest.mark.parametrize(
    ("offer", "language", "name", "chosen"),
    [
        (CLUSTER, "python3", None, "Python 3.8"),
        (CLUSTER, "python3-1", None, "Python 3.8"),
        (CLUSTER, "python3", "python36", "Python 3.6"),
        (CLUSTER, "python3", "Python38", "Python 3.8"),
        (CLUSTER, "python3", "python 3.8 - tensorflow", "Python 3.8 - TensorFlow"),
        (CLUSTER, "python3", "python39", "Python 3.9 - GPU"),
        (CLUSTER, "java", None, "Java 11"),
        (PER_VERSION, "python3", None, "z"),
        (PER_VERSION, "python3", "python310", "z"),
        (Offered({"python3": [entry("Python 3.12"), entry("Python 3.11")]}), "python3", None, "Python 3.12"),
    ],
)
def test_the_newest_plain_environment_is_taken_or_the_named_one(
    offer: Offered, language: str, name: str | None, chosen: str
) -> None:
    """The newest Python is taken, machines without a GPU before those with one."""
    assert choose(offer, language, name, None).environment.id == f"id of {chosen}"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("language", "name"), [("python3", "python27"), ("ruby", None), ("python2", None), ("Python27", None)]
)
def test_what_is_not_offered_lists_what_is(language: str, name: str | None) -> None:
    """The error names each environment of the language once."""
    with pytest.raises(UsageError) as caught:
        choose(CLUSTER, language, name, None)  # type: ignore[arg-type]
    python = language.lower().startswith("python")
    assert caught.value.hint == f"it offers: {'python36, python38, python39' if python else 'none'}"


MANY = Offered({"python3": [entry(f"Python 3.{minor}") for minor in (8, 9, 10, 11, 12, 13)]})


@pytest.mark.parametrize(
    ("version", "project", "chosen"),
    [
        ("3.11\n", "", "3.11"),
        ("# ours\n3.11.4  # for wheels\n", "", "3.11"),
        ("cpython-3.10.2-linux", "", "3.10"),
        ("myenv\n3.9\n", "", "3.9"),
        (">=3.9,<3.12", "", "3.11"),
        ("3.10", ">=3.12", "3.10"),
        ("", ">=3.9", "3.13"),
        ("", "<3.11", "3.10"),
        ("", "~=3.9", "3.13"),
        ("", "==3.11.*", "3.11"),
        ("", ">=3.8.5,<3.9.2,!=3.9.1", "3.9"),
        ("pypy3.9-7.3", "", "3.13"),
        ("", "", "3.13"),
    ],
)
def test_the_folder_may_ask_for_a_version(tmp_path: Path, version: str, project: str, chosen: str) -> None:
    """`.python-version` comes before `requires-python`; the reason names the one that counted."""
    if version:
        (tmp_path / ".python-version").write_text(version)
    if project:
        (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "x"\nrequires-python = "{project}"\n')
    found = choose(MANY, "python3", None, wish_of(tmp_path))  # type: ignore[arg-type]
    assert found.environment.label == f"Python {chosen}"
    counted = ".python-version" if version[:1] in "3>#c" and version else project and "requires-python"
    assert (counted or "newest offered") in found.reason


def test_an_old_project_asks_in_its_setup_cfg(tmp_path: Path) -> None:
    """`python_requires` counts where nothing newer says anything, and what can't be read is an error."""
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = x\n[options]\npython_requires = >=3.8, <3.11\n")
    found = choose(MANY, "python3", None, wish_of(tmp_path))  # type: ignore[arg-type]
    assert found.environment.label == "Python 3.10" and "python_requires in setup.cfg" in found.reason
    (tmp_path / "setup.cfg").write_text("[flake8]\nmax-line-length = 100 % 3\n")
    assert wish_of(tmp_path) is None
    (tmp_path / "setup.cfg").write_text("python_requires = >=3.8")
    with pytest.raises(UsageError, match=r"can't read .*setup\.cfg"):
        wish_of(tmp_path)


def test_a_wish_that_nothing_offered_fits_says_so(tmp_path: Path) -> None:
    """The error names where the wish is written, and what is offered."""
    (tmp_path / ".python-version").write_text("3.14")
    with pytest.raises(UsageError, match=r"\.python-version, which says 3\.14") as caught:
        choose(MANY, "python3", None, wish_of(tmp_path))  # type: ignore[arg-type]
    assert "python313" in caught.value.hint


@pytest.mark.parametrize("text", ["requires-python = [", '[project]\nrequires-python = "three"'])
def test_a_project_file_that_cant_be_read_is_told(tmp_path: Path, text: str) -> None:
    """Not a traceback, and not ignored."""
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError):
        wish_of(tmp_path)

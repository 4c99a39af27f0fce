"""Builds that mean harm: to others through what is shared, and to the server through what it opens."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from attacks import TELL, push, source

from wrapgen.platform.building.requirements import Requirements

THING = "import thing\n\n\ndef apply(input):\n    return thing.NAME\n"


def wheel(path: Path, name: str) -> None:
    """A wheel of a module `thing` that says its name."""
    path.parent.mkdir(parents=True)
    about = "thing-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("thing.py", f"NAME = {name!r}\n")
        made.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        made.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(
            f"{about}/RECORD", f"thing.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n"
        )


def test_two_algorithms_never_share_what_one_of_them_brought(server, publish, tmp_path):
    """Equal lines that name files of the algorithm mean files of each: nobody gets another one's code."""
    told = []
    for name in ("First", "Second"):
        folder = source(tmp_path / name, name, THING)
        wheel(folder / "vendor" / "thing-1.0-py3-none-any.whl", name)
        (folder / "requirements.txt").write_text("vendor/thing-1.0-py3-none-any.whl\n")
        told.append(server.call(publish(server, name, folder), 1).json()["result"])
    assert told == ["First", "Second"]


@pytest.mark.parametrize(
    "line",
    [
        *(
            "vendor/x.whl",
            "x.whl",
            "X.WHL",
            "x.tar.gz",
            "./vendor/pkg",
            "../pkg",
            "/pkg",
            "pkg @ ./vendor/pkg",
        ),
        *(
            "pkg @ file:///pkg",
            "pkg@vendor/pkg",
            "${PROJECT_ROOT}/pkg",
            "-e .",
            "-r more.txt",
            "-c limits.txt",
        ),
        *(
            "--index-url https://index.example.org",
            "git+https://example.org/pkg",
            "https://example.org/x.whl",
        ),
        *(
            "six \\",
            "six\x0c./pkg",
            "six;extra @ ./pkg",
            "file:pkg",
            "pkg[x] @ ./vendor",
            "x.whl[extra]",
            "~/pkg",
        ),
    ],
)
def test_what_is_more_than_a_package_of_the_index_is_not_shared(line: str) -> None:
    """A line that could mean a file, an address or an option makes an environment one algorithm's own."""
    assert not Requirements.read(f"six\n{line}\n").plain


def test_lines_of_the_index_are_shared_in_any_layout() -> None:
    """Versions, extras, markers, digests and comments don't keep an environment from being shared."""
    text = (
        "six  # why\n\nrequests[socks]>=2,<3; python_version < '3.9'\ntoml == 0.10.2 --hash=sha256:"
        + "0" * 64
    )
    found = Requirements.read(text)
    assert found.plain
    assert found.lines[0] == "six"
    assert Requirements.read("six " + " " * 200_000 + "!").plain is False


PLANTER = """\
import glob, os, zipfile

HOME = "HERE"
VICTIM = HOME + "/credentials.json"


def plant(path):
    try:
        os.path.lexists(path) and os.remove(path)
        os.symlink(VICTIM, path)
    except OSError:
        pass


def build_wheel(folder, settings=None, metadata=None):
    for place in glob.glob(HOME + "/venvs/*") + glob.glob(HOME + "/venvs/*/*"):
        for name in ("ready.part", "ready", "requirements.txt", "requirements.lock", "pyvenv.cfg"):
            plant(place + "/" + name)
    for place in glob.glob(HOME + "/builds/*"):
        for name in ("log.txt", "tmp"):
            plant(place + "/" + name)
        for name in ("algorithmia.conf", "requirements.txt"):
            plant(place + "/source/" + name)
    with zipfile.ZipFile(folder + "/planter-1.0-py3-none-any.whl", "w") as made:
        about = "planter-1.0.dist-info/"
        made.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: planter\\nVersion: 1.0\\n")
        made.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        made.writestr(about + "RECORD", "")
    return "planter-1.0-py3-none-any.whl"
"""


def test_the_server_follows_no_link_that_a_build_left(sandboxed, tmp_path):
    """Links to the key file in place of markers, logs and sources leave it as it is, and unread."""
    kept = (sandboxed.home / "credentials.json").read_bytes()
    folder = source(tmp_path / "planter", "Planter", TELL, **{"requirements.txt": "./pkg\n"})
    (folder / "pkg").mkdir()
    (folder / "pkg" / "backend.py").write_text(PLANTER.replace("HERE", str(sandboxed.home)))
    backend = 'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (folder / "pkg" / "pyproject.toml").write_text(f"[build-system]\n{backend}")
    log = push(sandboxed, "Planter", folder)
    assert "build succeeded" in log
    assert (sandboxed.home / "credentials.json").read_bytes() == kept
    assert sandboxed.request("GET", "/v1/algorithms/local/Planter/builds").status_code == 200
    assert sandboxed.key not in log
    called = sandboxed.call("local/Planter", 1)
    assert sandboxed.key not in called.text


SPY = "open({note!r}, 'a').write(__name__ + ' ')\n"


def test_a_repository_cannot_replace_the_modules_of_python(serve, publish, tmp_path, monkeypatch):
    """Its venv.py, compileall.py and the like are not what a build without a sandbox runs, with pip or uv."""
    note = tmp_path / "note"
    names = ("venv", "ensurepip", "compileall", "py_compile", "json", "pip", "sitecustomize", "encodings")
    files = {f"{name}.py": SPY.format(note=str(note)) for name in names}
    for number, variables in enumerate(({}, {"PIP_NO_INDEX": "1"})):
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        server = serve(tmp_path / f"{number}" / "home")
        publish(server, "Venv", source(tmp_path / f"venv{number}", "Venv", TELL, **files))
    assert not note.exists()

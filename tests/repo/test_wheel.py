"""The wheel: it holds the templates, installs in a clean environment elsewhere, and generates there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from wrapgen.build import generate
from wrapgen.spec import load
from wrapgen.wrapper import Wrapper

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "examples" / "sentiment" / "spec.yaml"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout, built as a release would be."""
    folder = tmp_path_factory.mktemp("dist")
    _run("python", "-m", "build", "--installer", "uv", "--wheel", "--outdir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_template(wheel):
    """Every file under templates/, hidden ones too, and all that pages are made of is inside; no test is."""
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = ROOT / "templates"
    wanted = {
        f"wrapgen/_templates/{path.relative_to(templates).as_posix()}"
        for path in templates.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    pages = [
        path for path in (ROOT / "wrapgen").rglob("*") if path.suffix in (".css", ".html", ".svg", ".js")
    ]
    wanted |= {path.relative_to(ROOT).as_posix() for path in pages}
    assert wanted <= names and "wrapgen/run/report/report.html" in wanted
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]
    assert "wrapgen/py.typed" in names
    web = ROOT / "wrapgen" / "platform" / "web"
    pages = {
        path.relative_to(ROOT).as_posix()
        for kind in ("templates", "static")
        for path in (web / kind).iterdir()
    }
    assert len(pages) > 5 and pages <= names


def test_an_installed_wheel_generates_elsewhere(wheel, tmp_path):
    """In an environment of its own, far from the checkout, the command generates the same bytes."""
    environment = tmp_path / "venv"
    _run("uv", "venv", "--quiet", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    _run("uv", "pip", "install", "--quiet", "--python", python, wheel)
    (tmp_path / "spec.yaml").write_bytes(SPEC.read_bytes())
    _run(environment / "bin" / "wrapgen", "build", "spec.yaml", cwd=tmp_path)
    built = Wrapper.read(tmp_path / "generated" / "SentimentBatch")
    assert built == generate(load(SPEC))
    found = _run(python, "-c", "import wrapgen; print(wrapgen.__file__)", cwd=tmp_path)
    assert str(environment) in found
    assert "SentimentBatch" in _run(environment / "bin" / "wrapgen", "client", "--curl", cwd=tmp_path)
    page = (ROOT / "docs" / "quickstart.md").read_text("utf-8")
    assert (
        _run(environment / "bin" / "wrapgen", "docs", "quickstart", cwd=tmp_path) == page.rstrip("\n") + "\n"
    )


def test_links_of_the_description_lead_somewhere(wheel):
    """The package's description names files of the source distribution, and `wrapgen docs` has its pages."""
    names = set(zipfile.ZipFile(wheel).namelist())
    included = re.search(
        r"wheel.*sdist\]\ninclude = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL
    )
    for target in re.findall(r"\]\(([^):#]+)[^):]*\)", (ROOT / "README.md").read_text("utf-8")):
        assert (ROOT / target).exists() and f'"{target.split("/")[0]}"' in included[1], target
        if target.startswith("docs/"):
            assert target.replace("docs/", "wrapgen/_docs/", 1) in names, target


def _run(*words, cwd=None):
    script = Path(sys.executable).parent / str(words[0])
    command = [str(script) if script.exists() else str(words[0]), *map(str, words[1:])]
    variables = {**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}", "UV_SYSTEM_CERTS": "true"}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

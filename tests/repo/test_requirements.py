"""What is installed: every set-up takes exactly the locked versions, and the lowest that are allowed work."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "requirements"
LAYERS = ("platform", "dev", "ray", "spark")
KNOWN = {
    "certifi": "2024.7.4",  # trusted a root that was withdrawn (CVE-2024-39689)
    "click": "8.4.2",  # ran text from outside in a shell (CVE-2026-7246)
    "jinja2": "3.1.6",  # templates left the sandbox (CVE-2025-27516)
    "pyarrow": "23.0.1",  # read freed memory (CVE-2026-25087)
    "pygments": "2.20",  # a page of source could take for ever (CVE-2026-4539)
    "pymysql": "1.1.1",  # SQL injection by keys of a dict (CVE-2024-36039)
    "python-multipart": "0.0.31",  # part headers of any size (CVE-2026-42561), bodies (CVE-2026-53540)
    "starlette": "1.3.1",  # limits of forms (CVE-2026-54283), Host (CVE-2026-48710), ranges (CVE-2025-62727)
    "uv": "0.11.15",  # wheels wrote and removed files elsewhere (GHSA-pjjw-68hj-v9mw)
}
"""Problems that are known, and the first version without them."""


UNLOCKED = ("az", "gs")
"""Extras that no set-up installs: their tests are skipped where a user's environment lacks them."""


def lock() -> ModuleType:
    """The module that writes the files."""
    specification = importlib.util.spec_from_file_location("lock", FOLDER / "lock.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def pins(*names: str) -> dict[str, list[Requirement]]:
    """What some files pin, by package."""
    found: dict[str, list[Requirement]] = {}
    for name in names:
        for line in (FOLDER / f"{name}.txt").read_text("utf-8").splitlines():
            if line and line[0] not in "# ":
                pin = Requirement(line.rstrip(" \\"))
                found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def asked(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, of the core and some extras; of all that are locked by default."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = project["optional-dependencies"]
    names = extras or [each for each in optional if each not in UNLOCKED]
    lists = [project["dependencies"], *(optional[each] for each in names)]
    wanted = [Requirement(text) for each in lists for text in each]
    return [each for each in wanted if each.name != "wrapgen"]


def version(pin: Requirement) -> Version:
    """The one version of a pin."""
    (only,) = pin.specifier
    assert only.operator == "==", pin
    return Version(only.version)


def floor(wanted: Requirement) -> Version:
    """The lowest version that is allowed."""
    (lowest,) = (each.version for each in wanted.specifier if each.operator == ">=")
    return Version(lowest)


@pytest.mark.parametrize("name", [*LAYERS, "lowest"])
def test_every_pin_has_hashes_and_no_source(name):
    """A lock names versions and hashes, never a registry: that is the business of the machine."""
    text = (FOLDER / f"{name}.txt").read_text("utf-8")
    assert "://" not in text and not re.search(r"^\s*--(?!hash=)", text, re.MULTILINE)
    for package, lines in lock().blocks(text).items():
        for part in re.split(rf"(?m)^(?={re.escape(package)}==)", lines)[1:]:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", part), package


def test_locks_hold_all_that_is_asked_for():
    """Each requirement of pyproject.toml is locked at versions that it allows: `make lock` was run."""
    locked = pins(*LAYERS)
    for wanted in asked():
        found = locked[canonicalize_name(wanted.name)]
        assert found and all(wanted.specifier.contains(version(pin)) for pin in found), wanted
    assert {"hatchling", "setuptools"} <= locked.keys()  # what builds from source is locked too


def test_no_package_is_in_two_layers():
    """What one layer has no other pins again; of engines each can be left out, and they agree on versions."""
    *below, ray, spark = LAYERS
    for engine in (ray, spark):
        names = [name for layer in (*below, engine) for name in pins(layer)]
        assert len(names) == len(set(names))
    one, other = pins(ray), pins(spark)
    assert all(one[name] == other[name] for name in one.keys() & other.keys())


def test_the_lowest_versions_are_those_that_are_allowed():
    """What the tests of the floors install is each floor itself, not what something else made of it."""
    lowest = pins("lowest")
    for wanted in asked(*lock().FLOORS):
        assert [version(pin) for pin in lowest[canonicalize_name(wanted.name)]] == [floor(wanted)], wanted


def test_no_floor_has_a_known_problem():
    """Nobody gets a version with a problem that is known, however old the environment is."""
    floors = {canonicalize_name(wanted.name): floor(wanted) for wanted in asked()}
    good = {name: Version(KNOWN[name]) for name in KNOWN.keys() & floors.keys()}
    assert good and not {name: str(floors[name]) for name in good if floors[name] < good[name]}


def test_the_set_up_installs_only_what_is_locked():
    """The set-up's one pip resolves nothing and fetches nothing to build with; files come by hash."""
    text = (ROOT / ".ci" / "setup").read_text("utf-8")
    assert text.count("pip install") == text.count("pip install --quiet --disable-pip-version-check") == 1
    assert "--disable-pip-version-check --no-deps --no-build-isolation" in text
    uses = re.findall(r"(?<!pip )\binstall (--[\w-]+ ?[\w.\"$@-]*)", text)
    assert {use for use in uses if not use.startswith("--require-hashes")} == {"--editable ."}, uses


@pytest.mark.soak
def test_the_core_passes_its_tests_with_the_lowest_versions(tmp_path):
    """Everything that is allowed works: the core's tests pass with each dependency at its floor."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "lowest")], check=True)
    python = str(tmp_path / "lowest" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--require-hashes", "-r", str(FOLDER / "lowest.txt")], check=True)
    subprocess.run([*pip, "--editable", str(ROOT)], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    tests = ["tests/unit", "tests/platform", "tests/contract/publish"]
    tests += ["--ignore", "tests/platform/test_schemathesis.py"]  # which wants newer libraries itself
    done = subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "--numprocesses", "2", *tests],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2400,
    )
    assert done.returncode == 0, done.stdout[-5000:]

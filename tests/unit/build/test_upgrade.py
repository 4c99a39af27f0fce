"""Older runtimes: build says so, outdated lists them, upgrade rebuilds; wrappers of 0.1.0 count as such."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from wrapgen.build import generate, runtime
from wrapgen.spec import load
from wrapgen.wrapper import Wrapper

OLD = Path(__file__).resolve().parents[2] / "golden" / "old" / "0.1.0"
HOOKS = "def before(item):\n    return item\n"


@pytest.fixture
def old(folder: Path) -> Path:
    """A copy of a wrapper that 0.1.0 made, with hooks of its user's."""
    copy = Path(shutil.copytree(OLD, folder / "old"))
    (copy / "src" / "hooks.py").write_text(HOOKS)
    return copy


def newest() -> str:
    """The version that a build writes, as the template says it."""
    return runtime.current()


def test_the_runtime_has_a_version_of_its_own():
    """Every wrapper says the version of its runtime, newer than what 0.1.0 made."""
    assert runtime.is_older(runtime.FIRST, newest())
    assert runtime.version_of(generate(load(OLD))) == newest()
    assert runtime.held(OLD) == "0.1.0"


def test_a_wrapper_of_0_1_0_is_rebuilt_without_force(folder, old, wrapgen):
    """Its modules give way to the runtime, its hooks stay, and one line says that it was older."""
    code, out, said = wrapgen("build", "old")
    assert code == 0, said
    assert said == f"old: the runtime there is 0.1.0, the newest is {newest()}\n"
    assert "old: written" in out
    held = Wrapper.read(old)
    expected = dict(generate(load(old)))
    assert held["src/hooks.py"].decode() == HOOKS
    assert {**held, "src/hooks.py": b""} == {**expected, "src/hooks.py": b""}
    assert not any(path.startswith("src/d") for path in held)
    assert wrapgen("build", "old", "--check") == (0, f"old: up to date, {len(held)} files\n", "")


def test_an_edited_wrapper_of_0_1_0_is_kept(folder, old, wrapgen):
    """A module that its user changed is told, and nothing is written."""
    (old / "src" / "records.py").write_text("# mine\n")
    before = Wrapper.read(old)
    for words in (["build", "old"], ["upgrade", "old"]):
        code, _, said = wrapgen(*words)
        assert code == 4 and "edited by hand: src/records.py" in said
        assert Wrapper.read(old) == before


def test_outdated_lists_the_wrappers_below_a_folder(folder, old, wrapgen):
    """Wrappers with an older runtime, at any depth, with what to do; exit code 4 while there are any."""
    wrapgen("build", "--output", "deep/er/new")
    wrapgen("build", "--output", "job", "--spark")
    code, out, _ = wrapgen("outdated")
    assert (code, out.splitlines()) == (
        4,
        [f"old: runtime 0.1.0, newest {newest()}; wrapgen upgrade old", "2 wrappers, 1 outdated"],
    )
    assert wrapgen("outdated", "deep", "job") == (0, "1 wrapper, 0 outdated\n", "")
    told = json.loads(wrapgen("outdated", "--json")[1])
    assert told["newest"] == newest()
    assert [(each["where"], each["runtime"]) for each in told["wrappers"]] == [
        ("deep/er/new", newest()),
        ("old", "0.1.0"),
    ]
    assert wrapgen("outdated", "nowhere")[0] == 2


def test_upgrade_rebuilds_several_and_shows_one_diff(folder, old, wrapgen):
    """Each is rebuilt from its own spec; a dry run only shows; what is up to date stays."""
    shutil.copytree(OLD, folder / "other")
    wrapgen("build", "--output", "new")
    before = Wrapper.read(old)
    code, shown, _ = wrapgen("upgrade", "old", "other", "new", "--dry-run")
    assert code == 0 and Wrapper.read(old) == before
    code, out, _ = wrapgen("upgrade", "old", "other", "new")
    assert code == 0
    diff, _, last = out.partition("old: runtime")
    assert diff == shown.partition("old: runtime")[0]
    assert "--- old/src/records.py\n+++ /dev/null" in diff and "+++ generated/src/config.py" in diff
    assert "src/hooks.py\n" not in diff and "--- new/" not in diff
    assert last.splitlines()[0].startswith(f" 0.1.0 is {newest()}, ")
    assert last.splitlines()[2] == f"new: runtime {newest()} up to date, 0 files changed"
    assert (old / "src" / "hooks.py").read_text() == HOOKS
    assert wrapgen("outdated")[0] == 0


def test_upgrade_writes_all_or_nothing(folder, old, wrapgen):
    """One wrapper that was edited keeps the others from being written."""
    shutil.copytree(OLD, folder / "other")
    (folder / "other" / "README.md").write_text("mine")
    before = Wrapper.read(old)
    assert wrapgen("upgrade", "old", "other")[0] == 4
    assert Wrapper.read(old) == before
    told = json.loads(wrapgen("upgrade", "old", "other", "--force", "--json")[1])
    assert [each["runtime"] for each in told["wrappers"]] == [newest()] * 2
    assert told["written"] is True and told["diff"].startswith("--- old/")


def test_only_wrappers_are_upgraded(folder, wrapgen):
    """A folder that wrapgen did not build, and a Spark job, are told."""
    wrapgen("build", "--output", "job", "--spark")
    for name in ("job", "."):
        code, _, said = wrapgen("upgrade", name)
        assert code == 2 and "is not a wrapper that wrapgen built" in said


def test_a_newer_runtime_is_not_taken_back(folder, wrapgen):
    """A wrapper that a newer wrapgen built stays as it is, unless --force says otherwise."""
    wrapgen("build", "--output", "w")
    file = folder / "w" / runtime.VERSION_FILE
    file.write_text(file.read_text().replace(newest(), "99.0.0"))
    manifest = json.loads((folder / "w" / ".wrapgen.json").read_text())
    manifest["files"][runtime.VERSION_FILE] = _digest(file)
    (folder / "w" / ".wrapgen.json").write_text(json.dumps(manifest))
    code, _, said = wrapgen("build", "--output", "w")
    assert code == 4 and "built by a newer wrapgen: its runtime is 99.0.0" in said
    assert wrapgen("build", "--output", "w", "--force")[0] == 0


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_versions_compare_by_number():
    """1.10.0 is newer than 1.9.9."""
    assert runtime.is_older("1.9.9", "1.10.0") and not runtime.is_older("1.0.0", "1.0.0")


@pytest.mark.parametrize(
    "manifest", ["", "[]", "5", '{"files": 5}', '{"files": {}}', '{"files": ["algorithmia.conf"]}']
)
def test_any_manifest_is_read(folder, wrapgen, manifest):
    """A file of that name that no build wrote makes no wrapper, or one that `upgrade` says is edited."""
    (folder / "odd").mkdir()
    (folder / "odd" / ".wrapgen.json").write_text(manifest)
    (folder / "odd" / "src").symlink_to(folder)
    assert wrapgen("outdated", "odd")[0] in (0, 4)
    assert wrapgen("upgrade", "odd")[0] in (2, 3)

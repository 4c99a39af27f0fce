"""What must survive a power cut is made by `wrapgen/files.py`, which syncs; exceptions are listed here."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "wrapgen"
PARTS = ("run", "platform", "records")
CHANGES = {"mkdir", "rename", "write_text", "write_bytes", "touch", "makedirs", "symlink_to", "hardlink_to"}
NEEDS_NO_SYNC = {
    "run/integrations/spark.py": "files of one Spark job, in a temporary folder",
    "run/integrations/ray.py": "modules for the tasks of one job, in Ray's own temporary folder",
    "run/integrations/shipped_wrapper.py": "a wrapper for the tasks of one process, in a temporary folder",
    "run/ledger/bucket_folder.py": "a copy of a state that is in a bucket, in a temporary folder",
    "run/verify.py": "copies of what is in a bucket, in a temporary folder",
    "run/hosts/processes.py": "results of one call of a local process, read at once",
    "run/input/scan.py": "ids in a temporary folder, while the input is read",
    "run/ledger/folder.py": "descriptors of `open_file`, which syncs the folder",
    "platform/state.py": "the lock, whose content means nothing",
    "platform/web/render_process.py": "a pipe",
    "platform/__init__.py": "workers' folders, removed at every start",
    "platform/workers": "folders of workers and of their control groups, gone with the server",
    "platform/building/commands.py": "what a build uses while it runs",
    "platform/building/installers.py": "caches of the installers",
    "platform/building/builds.py": "a build's folder: the file system is synced before the build counts",
    "platform/building/virtualenvs.py": "an environment: the file system is synced before it is marked",
    "platform/storage/repositories.py": "a repository: the file system is synced before it gets its name",
    "platform/storage/folder_store.py": "files that come in or go out: renamed and synced, or thrown away",
    "platform/observe/server_log.py": "the log, which nothing relies on",
    "platform/building/template.py": "an archive in memory",
}
"""What changes files by itself, and why that may."""


def changes(path: Path) -> list[str]:
    """The calls in a file that make, rename or write files, with their lines."""
    found = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        modes = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
        writing = any(str(mode)[:1] in "wax" and len(str(mode)) < 4 for mode in modes)
        writes = name in ("open", "fdopen") and writing
        creates = name == "open" and any(getattr(one, "attr", "") == "O_CREAT" for one in ast.walk(node))
        is_path = isinstance(node.func, ast.Attribute)  # not dataclasses.replace
        renames = name == "replace" and is_path and len(node.args) == 1 and not node.keywords
        if (name in CHANGES and isinstance(node.func, ast.Attribute)) or writes or creates or renames:
            found.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {name}")
    return found


def test_files_that_must_last_are_changed_in_one_module():
    """Runner and platform make, rename and write files through functions that sync, or are listed."""
    paths = [path for part in PARTS for path in sorted((PACKAGE / part).rglob("*.py"))]
    found = [change for path in paths for change in changes(path)]
    assert not [change for change in found if not change.startswith(tuple(NEEDS_NO_SYNC))]


def test_no_exception_is_left_over():
    """Each exception has something that needs it."""
    for place in NEEDS_NO_SYNC:
        where = PACKAGE / place
        files = [where] if where.suffix else sorted(where.rglob("*.py"))
        assert any(changes(path) for path in files), place

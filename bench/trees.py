"""Source trees that are measured: the working tree, and commits in environments of their own.

A commit is checked out below the bench's cache and installed there with pip, with the versions of libraries
that the bench's own environment has, so that only wrapgen differs. The working tree is installed the same way
when it is measured beside a commit: what lies in an environment costs start-up.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path

from bench import peers
from bench.measure import Failed, environment

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = "0abe4b7"
"""Version 0.1.0, which this round of work is measured against."""

OPTIONS = (
    # command, what its --help names, what it is then given
    ("serve", "--isolation", ("--isolation", "none")),  # both sides alike: what 0.1.0 does unasked
    ("serve", "--allow-root-workers", ("--allow-root-workers",)),  # 0.1.0 starts as root without being told
)
"""What commits are started with besides the words that all of them understand, in order of the commits."""

SCRIPTS = {
    # what it measures, where commits have it, newest place first
    "engines": ("bench/engines.py",),
    "warm": ("bench/cases/warm_wrapgen.py",),
}
"""Programs that use wrapgen from within: each commit is measured by its own, which knows its modules."""


@dataclass(frozen=True)
class Tree:
    """Sources and the interpreter that runs them.

    Attributes:
        name: what tables call it: `working tree`, or the commit as it was asked for.
        root: the checkout.
        python: of the environment in which it is installed.
    """

    name: str
    root: Path
    python: Path

    def command(self, name: str, *words: str) -> list[str]:
        """The words that start one of its commands: never `-m`, which would take the sources around us."""
        program = str(self.python.parent / "wrapgen")
        added = [
            more for known, option, more in OPTIONS if known == name and option in help_of(program, name)
        ]
        return [program, name, *words, *chain.from_iterable(added)]

    def script(self, name: str) -> str:
        """The path of a program of its bench.

        Raises:
            Failed: the commit has none.
        """
        for place in SCRIPTS[name]:
            if (self.root / place).exists():
                return str(self.root / place)
        raise Failed(f"{self.name} does not measure {name}")


WORKING = Tree("working tree", ROOT, Path(sys.executable))


@cache
def help_of(program: str, name: str) -> str:
    """What a command says of its options."""
    command = [program, name, "--help"]
    return subprocess.run(command, capture_output=True, text=True, env=environment()).stdout


def working(folder: Path, extras: str) -> Tree:
    """The working tree in an environment of its own.

    Args:
        folder: of the cache.
        extras: of wrapgen's, as pip wants them.

    Raises:
        Failed: it can't be installed.
    """
    return _verified(replace(WORKING, python=_install(ROOT, folder / "working-tree", extras)))


def commit(revision: str, folder: Path, extras: str) -> Tree:
    """A commit, checked out and installed; with extras `""` it borrows the libraries of our environment.

    Raises:
        Failed: there is no such commit, or it can't be installed.
    """
    digest = resolve(revision)
    root = folder / digest[:12] / "tree"
    if not root.exists():
        part = root.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(["git", "archive", digest], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", str(part)], input=archive.stdout, check=True)
        part.rename(root)
    return _verified(Tree(revision, root, _install(root, root.parent, extras)))


def resolve(revision: str) -> str:
    """The commit's full name.

    Raises:
        Failed: there is no such commit here.
    """
    command = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"no commit {revision} here; a shallow clone lacks it: git fetch --unshallow")
    return done.stdout.strip()


def _install(root: Path, folder: Path, extras: str) -> Path:
    if not extras:
        return _borrow(root, folder / "environment")
    versions = folder / "versions.txt"
    folder.mkdir(parents=True, exist_ok=True)
    versions.write_text("".join(f"{line}\n" for line in _versions()))
    wanted = ["--editable", f"{root}[{extras}]"]
    state = (root / "pyproject.toml").read_bytes() + versions.read_bytes()
    at = folder / f"environment-{extras}"
    try:
        return peers.environment(at, folder.name, [*wanted, "--constraint", str(versions)], state)
    except Failed:  # a commit that needs other versions gets those that pip finds
        return peers.environment(at, folder.name, wanted, state)


def _versions() -> list[str]:
    found = {each.name: each.version for each in distributions()}
    return sorted(f"{name}=={version}" for name, version in found.items() if name != "wrapgen")


def _borrow(root: Path, folder: Path) -> Path:
    """An environment that has our libraries and programs and the tree's wrapgen: nothing is downloaded."""
    if not (python := folder / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    libraries = next(folder.glob("lib/python*/site-packages"))
    ours = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (libraries / "tree.pth").write_text("\n".join([str(root), *ours]) + "\n")
    program = python.with_name("wrapgen")
    program.write_text(f"#!{python}\nfrom wrapgen.cli.main import main\n\nmain()\n")
    program.chmod(0o755)
    for each in WORKING.python.parent.iterdir():  # uv, without which a platform installs with pip
        if not (place := python.with_name(each.name)).exists():
            place.symlink_to(each)
    return python


def _verified(tree: Tree) -> Tree:
    """The tree, once its interpreter is seen to import the tree's own sources."""
    command = [str(tree.python), "-c", "import wrapgen; print(wrapgen.__file__)"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=os.sep, env=environment())
    found = done.stdout.strip() or done.stderr.strip()[-160:]
    if not found.startswith(str(tree.root) + os.sep):
        raise Failed(f"{tree.name}: {tree.python} imports {found}")
    return tree

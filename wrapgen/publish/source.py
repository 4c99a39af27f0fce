"""An algorithm's source on the platform: pushing a project's files there with real git.

Works in a temporary clone of the algorithm's own repository; the project's folder is only read, and a `.git`
in it is never looked at. The key travels in the environment of git's child process: on no command line, in no
file and in no message.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import certifi

from wrapgen.client import Connection, Reference
from wrapgen.client.connection import read_authorities
from wrapgen.client.proxies import bypasses_proxy, is_loopback
from wrapgen.errors import Conflict, NotAuthorized, NotFound, PlatformError, Unreachable, UsageError
from wrapgen.publish.project import Project

BRANCH = "master"
"""The default branch of a repository that has no commit yet (platform contract, section 6)."""

TIMEOUT = 600.0
"""Seconds that one git command may take."""

MOST_FILES = 100_000
MOST_BYTES = 4 << 30
"""What a project may have: more is a folder that was named by mistake, or made to fill the disk."""

OUTPUT_LIMIT = 1024**2
"""Bytes that are kept of what a git command prints."""

_ASKPASS = """#!/bin/sh
case "$1" in
  Username*) printf '%s\\n' "$WRAPGEN_GIT_USERNAME" ;;
  *) printf '%s\\n' "$WRAPGEN_GIT_PASSWORD" ;;
esac
"""

_SETTINGS = {
    "commit.gpgSign": "false",
    "core.autocrlf": "false",
    "core.excludesFile": "",
    "core.hooksPath": "/dev/null",
    "core.fileMode": "true",
    "credential.helper": "",
    "http.followRedirects": "false",
    "push.gpgSign": "false",
}
"""The user's own settings that must not change what is pushed, or where the key goes."""


def repository(connection: Connection, reference: Reference) -> str:
    """The address of an algorithm's repository, as the vendor's `algo clone` builds it (__main__.py)."""
    return f"{connection.address.replace('//api.', '//git.')}/git/{reference.path}.git"


class StagedSource:
    """An algorithm's repository, with a project's files staged in a clone of it.

    Attributes:
        unchanged: the newest commit if it holds exactly these files; None if they are to be pushed.
    """

    def __init__(self, git: _Git) -> None:
        self._git = git
        head = git.head()
        self.unchanged = head if head is not None and not git.run("status", "--porcelain") else None

    def push(self, message: str) -> str:
        """Makes the files the newest commit, where they are not; returns its hash.

        Raises:
            Conflict: somebody else pushed in between, or the platform rejects the push.
            NotAuthorized, Unreachable: the repository can't be written to with this key.
        """
        if self.unchanged is not None:
            return self.unchanged
        self._git.commit(message)
        self._git.push()
        made = self._git.head()
        assert made is not None
        return made


@contextmanager
def staged(connection: Connection, account: str, project: Project) -> Iterator[StagedSource]:
    """Clones the algorithm's repository into a temporary folder and stages exactly the project's files.

    Args:
        connection: the platform.
        account: the account that the key belongs to.
        project: what to push.

    Raises:
        NotAuthorized, NotFound, Unreachable: the repository can't be read with this key.
        UsageError: git is missing, or the project has no files.
    """
    with tempfile.TemporaryDirectory(prefix="wrapgen-publish-") as folder:
        git = _Git(Path(folder), connection, account, repository(connection, project.reference))
        git.clone()
        _mirror(project, git.tree)
        git.run("add", "--all", ".")
        yield StagedSource(git)


def _mirror(project: Project, tree: Path) -> None:
    """Replaces the files of a work tree by the project's."""
    for entry in tree.iterdir():
        if entry.name == ".git":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    count, left = 0, MOST_BYTES
    for relative in project.files():
        count, left = count + 1, left - (project.folder / relative).stat().st_size
        if count > MOST_FILES or left < 0:
            raise UsageError(
                f"{project.folder} has more than {MOST_FILES:,} files, or {MOST_BYTES >> 30} GiB in them",
                hint="publish the folder of the algorithm alone; large files belong into hosted data",
            )
        target = tree / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(project.folder / relative, target)
        except OSError as error:
            raise UsageError(f"can't read {project.folder / relative}: {error.strerror}") from error
    if not count:
        raise UsageError(f"{project.folder} has no files to publish")


class _Git:
    """git in a temporary folder, cut off from the user's variables and hooks."""

    def __init__(self, folder: Path, connection: Connection, account: str, url: str) -> None:
        self.tree = folder / "tree"
        self._url = url
        self._account = account
        self._key = connection.key
        self._was_empty = False
        askpass = folder / "askpass"
        askpass.write_text(_ASKPASS)
        askpass.chmod(0o700)
        self._variables = {
            **_kept(os.environ),
            "GIT_ASKPASS": str(askpass),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C",
            "WRAPGEN_GIT_USERNAME": account,
            "WRAPGEN_GIT_PASSWORD": connection.key,
        }
        settings = dict(_SETTINGS)
        if is_loopback(url) or bypasses_proxy(urlsplit(url)):  # older versions of curl know no networks
            settings["http.proxy"] = ""
        if connection.ca_cert:
            # The variable, because it would win over the setting.
            self._variables["GIT_SSL_CAINFO"] = str(_bundle(folder, connection.ca_cert))
        self._settings = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def clone(self) -> None:
        """Fetches the newest commit; an empty repository gives an empty tree."""
        self.tree.mkdir()
        self._start("clone", "--quiet", "--depth", "1", "--no-tags", self._url, str(self.tree))
        self._was_empty = self.head() is None

    def head(self) -> str | None:
        """The hash of the newest commit; None when there is none."""
        try:
            return self.run("rev-parse", "--verify", "--quiet", "HEAD")
        except PlatformError:
            return None

    def commit(self, message: str) -> None:
        """Commits what is staged in the account's name."""
        identity = ("-c", f"user.name={self._account}", "-c", f"user.email={self._account}@localhost")
        self.run(*identity, "commit", "--quiet", "--allow-empty", "--message", message)

    def push(self) -> None:
        """Sends the newest commit to the default branch."""
        branch = BRANCH if self._was_empty else self.run("symbolic-ref", "--short", "HEAD")
        self.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")

    def run(self, *words: str) -> str:
        """One git command in the work tree; returns what it prints, stripped.

        Raises:
            PlatformError: of the class that fits what git says.
        """
        return self._start("-C", str(self.tree), *words)

    def _start(self, *words: str) -> str:
        try:
            code, printed, said = _run(["git", *self._settings, *words], self._variables)
        except FileNotFoundError as error:
            raise UsageError("publishing needs git, which is not installed", hint="install git") from error
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"git did not end within {TIMEOUT:g} s with {self._url}") from error
        if code:
            raise _failure(self._url, said.replace(self._key, "***"))
        return printed


def _run(command: list[str], variables: dict[str, str]) -> tuple[int, str, str]:
    """Exit code and the beginning of what was printed on both outputs, which holds the server's message."""
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
        ) as process,
        ThreadPoolExecutor(2) as pool,
    ):
        assert process.stdout is not None and process.stderr is not None
        printed, said = pool.submit(_beginning, process.stdout), pool.submit(_beginning, process.stderr)
        try:
            code = process.wait(TIMEOUT)
        except BaseException:
            process.kill()
            raise
    return code, printed.result(), said.result()


def _beginning(stream: IO[bytes]) -> str:
    kept = stream.read(OUTPUT_LIMIT)
    while stream.read(65_536):
        pass
    return kept.decode("utf-8", "replace").strip()


def _kept(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that git gets: without GIT_DIR and the like, which a hook that runs us would pass on."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith("GIT_") or name.startswith("GIT_SSL_")
    }


def _bundle(folder: Path, ca_cert: str) -> Path:
    """The usual authorities and the cluster's in one file, since git takes one or the other."""
    path = folder / "authorities.pem"
    try:
        path.write_text(Path(certifi.where()).read_text("utf-8") + "\n" + read_authorities(ca_cert), "utf-8")
    except OSError as error:
        raise UsageError(f"can't write {path}: {error}") from error
    return path


def _failure(url: str, said: str) -> PlatformError:
    text = said.lower()
    tail = "\n".join(said.splitlines()[-10:])
    if any(mark in text for mark in ("non-fast-forward", "fetch first", "cannot lock ref", "stale info")):
        return Conflict(f"somebody else pushed to {url} meanwhile", hint="publish again")
    if "rejected" in text or "hook declined" in text:
        return Conflict(f"{url} rejects the push:\n{tail}")
    if "authentication failed" in text or " 401" in text or " 403" in text or "could not read" in text:
        return NotAuthorized(f"git may not use {url} with this key:\n{tail}", hint="check the key's account")
    if "not found" in text or " 404" in text:
        return NotFound(f"there is no repository {url}:\n{tail}")
    return Unreachable(f"git failed with {url}:\n{tail}")

"""Bare git repositories, one per algorithm, named by its id so that no name can become a path.

All work is done by git itself, over the command line; serving them over HTTP is git's own http-backend, for
which this module makes the CGI variables. Reading HTTP and starting builds happen elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wrapgen.errors import NotFound, ServerFault, TooLarge
from wrapgen.files import make_folder, rename, sync_file_system, whole
from wrapgen.platform.domain.bounds import Bounds
from wrapgen.platform.storage import commit_size

BRANCH = "master"
"""The default branch of every repository (platform contract, section 6)."""

OUTPUT_BYTES = 64 * 1024 * 1024
"""Most bytes that are taken of what git says: of a file, a list of files, a history."""

_SETTINGS = """[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\thooksPath = /dev/null
[http]
\treceivepack = true
[receive]
\tdenyNonFastForwards = true
\tdenyDeletes = true
\tautogc = false
[uploadpack]
\tallowReachableSHA1InWant = true
[gc]
\tauto = 0
"""


_OLD_FAULTS = (
    *("badDate", "badDateOverflow", "badEmail", "badName", "badTagName", "badTimezone", "missingEmail"),
    *("missingNameBeforeEmail", "missingSpaceBeforeDate", "missingSpaceBeforeEmail", "missingTaggerEntry"),
    *("multipleAuthors", "nulInCommit", "zeroPaddedDate", "zeroPaddedFilemode"),
)
"""What git's check of a push lets pass: old tools wrote it, and it harms no one who clones."""

_SYNC = '[ "$1" != prepared ] || exec sync -f .'
"""What git runs around each change of a branch: what the branch will name is on the disk before."""

_LOOK = """said=$({} 2>&1) && exit
case $said in
refused:*) ;;
*) said="the platform can't look at the push (${{said##*
}}): push again, or ask its operator" ;;
esac
printf '%s\\n' "$said" >&2
exit 1"""
"""What git runs before it takes a push: whatever goes wrong, the pusher reads a line, and no traceback."""

_HASH = re.compile(r"[0-9a-f]{40}\Z")
_VIEW_SETTINGS = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"


@dataclass(frozen=True)
class Commit:
    """One entry of a history: the full hash, the author's name and the message."""

    id: str
    author: str
    message: str


@dataclass(frozen=True)
class File:
    """One file of a commit.

    Args:
        path: relative, POSIX.
        content: the id of what is in it.
        size: bytes.
    """

    path: str
    content: str
    size: int


class Repositories:
    """The repositories of one home.

    Args:
        root: the folder that holds them.
        variables: environment variables git may see (PATH).
        bounds: how large pushes and commits may be.
    """

    def __init__(self, root: Path, variables: Mapping[str, str], bounds: Bounds | None = None) -> None:
        self._root = root
        self._bounds = bounds or Bounds()
        self._hooks = hooks = root.with_name("hooks")  # what git runs for each push
        make_folder(root)
        make_folder(hooks)
        words = shlex.join([sys.executable, "-I", "-S", commit_size.__file__])
        for name, does in (("pre-receive", _LOOK.format(words)), ("reference-transaction", _SYNC)):
            with whole(hooks / name, 0o700, durable=False) as file:
                file.write(f"#!/bin/sh\n{does}\n".encode())
        self._variables = {
            "PATH": variables.get("PATH", os.defpath),
            "HOME": str(root),
            "LC_ALL": "C.UTF-8",
            # The settings of the server's user must not change what the platform does.
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            **_settings({"core.bigFileThreshold": "16m", "core.hooksPath": os.devnull}),
        }

    def create(self, algorithm_id: str, files: Mapping[str, bytes], *, author: str, message: str) -> str:
        """Makes a repository with one commit; the commit's hash.

        The repository appears whole or not at all.
        """
        part = self._root / f".{algorithm_id}.{uuid.uuid4().hex}"
        self._git("init", "--quiet", "--bare", "--template=", str(part))
        (part / "config").write_text(_SETTINGS, "utf-8")
        (part / "HEAD").write_text(f"ref: refs/heads/{BRANCH}\n", "ascii")
        self._git("fast-import", "--quiet", repository=part, stdin=_first_commit(files, author, message))
        sync_file_system(part)
        rename(part, self.path(algorithm_id))
        return self.head(algorithm_id)

    def keep(self, algorithm_id: str) -> None:
        """Returns when a push that has ended is on the disk."""
        sync_file_system(self.path(algorithm_id))

    def path(self, algorithm_id: str) -> Path:
        """Where the repository of an algorithm is."""
        return self._root / f"{algorithm_id}.git"

    def head(self, algorithm_id: str) -> str:
        """The newest commit of the default branch.

        Raises:
            NotFound: the repository is missing or has no such branch.
        """
        with contextlib.suppress(FileNotFoundError):  # packed, by somebody who worked on it by hand
            text = (self.path(algorithm_id) / "refs" / "heads" / BRANCH).read_text("ascii").strip()
            if _HASH.match(text):
                return text
        return self.commit(algorithm_id, f"refs/heads/{BRANCH}")

    def commit(self, algorithm_id: str, name: str) -> str:
        """The full hash of a commit that the repository has.

        Raises:
            NotFound: it has none of that name.
        """
        try:
            found = self._git(
                "rev-parse", "--verify", "--quiet", name + "^{commit}", repository=self.path(algorithm_id)
            )
        except ServerFault as error:
            raise NotFound(f"the repository has no commit {name}") from error
        return found.decode("ascii").strip()

    def history(self, algorithm_id: str, limit: int = 100) -> list[Commit]:
        """The newest commits of the default branch, newest first."""
        text = self._git(
            "log", f"-{limit}", "-z", "--format=%H%n%an%n%B", BRANCH, repository=self.path(algorithm_id)
        ).decode("utf-8", "replace")
        entries = (entry.split("\n", 2) for entry in text.split("\0") if entry)
        return [Commit(hash_, author, message.strip()) for hash_, author, message in entries]

    def files(self, algorithm_id: str, commit: str) -> list[File]:
        """The files of a commit, by path; a link is a file that holds where it points.

        Raises:
            TooLarge: it is over the limits of a push.
        """
        self._check(algorithm_id, commit)
        listed = self._git("ls-tree", "-r", "-z", "--long", commit, repository=self.path(algorithm_id))
        entries = (entry.partition(b"\t") for entry in listed.split(b"\0") if entry)
        split = [(head.split(), path.decode("utf-8", "replace")) for head, _, path in entries]
        return [File(path, head[2].decode(), int(head[3])) for head, path in split if head[1] == b"blob"]

    def content(self, algorithm_id: str, file: File) -> bytes:
        """What is in a file of `files`.

        Raises:
            TooLarge: it is over OUTPUT_BYTES.
        """
        return self._git("cat-file", "blob", file.content, repository=self.path(algorithm_id))

    def export(self, algorithm_id: str, commit: str, directory: Path) -> None:
        """Writes the files of a commit into an empty folder.

        Raises:
            TooLarge: it is over the limits of a push.
        """
        self._check(algorithm_id, commit)
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".index-") as index:
            where = {"GIT_INDEX_FILE": f"{index}/index", "GIT_WORK_TREE": str(directory)}
            self._git("read-tree", commit, repository=self.path(algorithm_id), extra=where)
            self._git("checkout-index", "--all", "--force", repository=self.path(algorithm_id), extra=where)

    def view(self, algorithm_id: str, commit: str) -> str:
        """A repository whose default branch ends at a commit, for reading one version; its name.

        It borrows all objects from the algorithm's own repository, inside which it lies.
        """
        name = f"{algorithm_id}.git/versions/{commit}.git"
        place = self._root / name
        if not place.exists():
            part = place.with_name(f".{commit}.{uuid.uuid4().hex}")
            for folder in ("objects/info", "refs/heads"):
                (part / folder).mkdir(parents=True)
            (part / "objects" / "info" / "alternates").write_text("../../../objects\n", "ascii")
            (part / "refs" / "heads" / BRANCH).write_text(f"{commit}\n", "ascii")
            (part / "HEAD").write_text(f"ref: refs/heads/{BRANCH}\n", "ascii")
            (part / "config").write_text(_VIEW_SETTINGS, "ascii")
            with contextlib.suppress(OSError):  # another request made it first
                part.rename(place)
            shutil.rmtree(part, ignore_errors=True)
        return name

    def delete(self, algorithm_id: str) -> None:
        """Removes a repository; it may be gone already."""
        shutil.rmtree(self.path(algorithm_id), ignore_errors=True)

    def keep_only(self, algorithm_ids: set[str]) -> None:
        """Removes what a crash left: half-made repositories, those of no algorithm, git's locks."""
        wanted = {f"{algorithm_id}.git" for algorithm_id in algorithm_ids}
        for entry in self._root.iterdir():
            if entry.is_dir() and entry.name not in wanted:
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.is_dir():
                self.unlock(entry.stem)

    def unlock(self, algorithm_id: str) -> None:
        """Removes what a push left that was ended, such as locks; none may be under way."""
        place = self.path(algorithm_id)
        for lock in (*place.glob("*.lock"), *place.glob("refs/**/*.lock")):
            lock.unlink(missing_ok=True)
        for unfinished in place.glob("objects/*incoming-*"):
            shutil.rmtree(unfinished, ignore_errors=True)

    def backend(self, repository: str, service_path: str, request: Mapping[str, str]) -> dict[str, str]:
        """The environment in which `git http-backend` answers one request.

        Args:
            repository: `<algorithm id>.git`, or the name of a view.
            service_path: what follows `NAME.git`, such as `/info/refs`.
            request: the CGI variables of the request (REQUEST_METHOD, QUERY_STRING, CONTENT_TYPE, ...).
        """
        bounds = self._bounds
        limits = (bounds.push_files, bounds.push_unpacked, bounds.push_depth, bounds.push_references)
        settings = {
            "core.bigFileThreshold": "16m",
            # An object that a power cut left empty is never written again: git takes it for there.
            "core.fsync": "all",
            "core.hooksPath": str(self._hooks),
            "receive.maxInputSize": str(bounds.push_bytes),
            # No entry `.git` or `..`, which git itself refuses to check out, and no such submodules.
            "receive.fsckObjects": "true",
            **{f"receive.fsck.{fault}": "ignore" for fault in _OLD_FAULTS},
        }
        return {
            **self._variables,
            **_settings(settings),
            **request,
            commit_size.LIMITS: " ".join(map(str, limits)),
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{repository}{service_path}",
        }

    def _check(self, algorithm_id: str, commit: str) -> None:
        bounds, where = self._bounds, {"GIT_DIR": str(self.path(algorithm_id))}
        said = commit_size.excess(
            commit, bounds.push_files, bounds.push_unpacked, bounds.push_depth, {**self._variables, **where}
        )
        if said:
            raise TooLarge(f"the commit has {said}")

    def _git(
        self,
        *words: str,
        repository: Path | None = None,
        stdin: bytes = b"",
        extra: Mapping[str, str] | None = None,
    ) -> bytes:
        where = {"GIT_DIR": str(repository)} if repository else {}
        variables = {**self._variables, **where, **(extra or {})}
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
            given.write(stdin)
            given.seek(0)
            with subprocess.Popen(
                ["sh", "-c", _LIMITED, str(self._bounds.git_memory >> 10), *words],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=variables,
            ) as git:
                assert git.stdout is not None
                timer = threading.Timer(self._bounds.git_seconds, git.kill)
                timer.start()
                found = git.stdout.read(OUTPUT_BYTES + 1)
                if len(found) > OUTPUT_BYTES:
                    git.kill()
            timer.cancel()
            if len(found) > OUTPUT_BYTES:
                raise TooLarge(f"git {words[0]} gives more than {OUTPUT_BYTES} bytes")
            if git.returncode != 0:
                errors.seek(0)
                said = errors.read(2000).decode("utf-8", "replace").strip()
                raise ServerFault(f"git {words[0]} failed: {said}")
        return found


_LIMITED = 'ulimit -v "$0"; exec git "$@"'
"""What a shell does to run git within KiB of memory: a commit may be larger than all files in it."""


def _settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings of git as the environment variables that win over those of a repository."""
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def _first_commit(files: Mapping[str, bytes], author: str, message: str) -> bytes:
    """A stream for git fast-import: one commit with all files, dated by git."""
    text = message.encode()
    who = f"{author} <{author}@localhost> now".encode()
    parts = [b"feature date-format=now\ncommit refs/heads/" + BRANCH.encode()]
    parts.append(b"committer " + who)
    parts.append(b"data %d\n%s" % (len(text), text))
    for path, content in sorted(files.items()):
        parts.append(b"M 100644 inline " + path.encode())
        parts.append(b"data %d\n%s" % (len(content), content))
    return b"\n".join(parts) + b"\n"

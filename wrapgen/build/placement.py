"""A generated wrapper and the folder it belongs in: what differs, what was edited by hand, and writing it.

A file counts as edited when its bytes are neither what is generated now nor what an earlier build noted in
the manifest, or when there is a link where an earlier build wrote a file. The hooks file is the user's: where
there is one, be it a link, it is never looked at; the wrapper needs one, so a missing one is written. Files
that no build wrote are left alone.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from wrapgen.build import runtime
from wrapgen.build.plan import HOOKS
from wrapgen.errors import EditedError, UsageError
from wrapgen.files import IGNORED_FOLDERS, MANIFEST
from wrapgen.wrapper import Change, Wrapper, refuse_link


@dataclass(frozen=True)
class Placement:
    """What it takes to make a folder hold a wrapper.

    Args:
        folder: the wrapper's own folder.
        wrapper: what is generated.
        changes: from what is on disk to what is generated; removed files are those an earlier build wrote.
        edited: paths of changes that would undo somebody's work.
        runtime: the version of the runtime that is there; None where no wrapper is.
    """

    folder: Path
    wrapper: Wrapper
    changes: tuple[Change, ...]
    edited: tuple[str, ...]
    runtime: str | None = None

    @classmethod
    def of(cls, wrapper: Wrapper, folder: str | os.PathLike[str]) -> Placement:
        """Compares a generated wrapper with what its folder holds; writes nothing.

        Raises:
            UsageError: the folder is a file, or can't be read.
        """
        root = Path(folder)
        if root.exists() and not root.is_dir():
            raise UsageError(
                f"{folder} is a file, where the wrapper's folder belongs", hint="choose another --output"
            )
        try:
            noted = _noted(root)
            present = Wrapper.read(root, only={*wrapper, *noted})
        except (OSError, ValueError) as error:
            hint = (
                "put a folder in its place, or choose another --output" if "is a link" in str(error) else ""
            )
            raise UsageError(f"the wrapper in {folder} can't be read: {error}", hint=hint) from error
        kept = {HOOKS} if os.path.lexists(root / HOOKS) else set()
        changes = tuple(change for change in present.diff(wrapper) if change.path not in kept)
        edited = tuple(change.path for change in changes if _is_edited(change, noted, root))
        return cls(root, wrapper, changes, edited, runtime.held(root))

    def write(self, *, force: bool = False) -> None:
        """Makes the folder hold the wrapper; other files in it stay.

        Args:
            force: also over what was edited by hand.

        Raises:
            EditedError: see `refuse_edited`; nothing is written.
            UsageError: the folder can't be written.
        """
        self.refuse_edited(force=force)
        written = {change.path: change.after for change in self.changes if change.after is not None}
        last = {MANIFEST: written.pop(MANIFEST)} if MANIFEST in written else {}
        try:
            for change in self.changes:
                if change.after is None:
                    refuse_link(self.folder, change.path)
                    (self.folder / change.path).unlink(missing_ok=True)
            Wrapper(written).write(self.folder)
            Wrapper(last).write(self.folder)
        except (OSError, ValueError) as error:
            raise UsageError(f"the wrapper can't be written to {self.folder}: {error}") from error

    def refuse_edited(self, *, force: bool = False) -> None:
        """Raises where `write` would undo somebody's work, or take the wrapper back to an older runtime.

        Raises:
            EditedError: something was edited by hand, or built by a newer wrapgen.
        """
        if force:
            return
        if self.edited:
            raise EditedError(
                f"{self.folder}: edited by hand: {', '.join(self.edited)}",
                hint=f"move your change to spec.yaml or {HOOKS}, or give --force to lose it",
            )
        made = runtime.version_of(self.wrapper)
        if self.runtime and runtime.is_older(made, self.runtime):
            raise EditedError(
                f"{self.folder} was built by a newer wrapgen: its runtime is {self.runtime}, here {made}",
                hint="pip install --upgrade wrapgen, or give --force to go back",
            )

    @property
    def older(self) -> str:
        """One line that says that the runtime there is older than the one generated; else empty."""
        made = runtime.version_of(self.wrapper)
        if self.runtime is None or not runtime.is_older(self.runtime, made):
            return ""
        return f"{self.folder}: the runtime there is {self.runtime}, the newest is {made}"

    def unified(self) -> str:
        """All changes as one unified diff, from what is on disk to what is generated."""
        return "".join(
            change.unified(str(self.folder), "generated")
            for change in self.changes
            if change.path != MANIFEST
        )


def _noted(folder: Path) -> dict[str, str]:
    """Digest by path of what may have been written by an earlier build."""
    return {path: digest for path, digest in runtime.noted(folder).items() if _is_inside(path)}


def _is_inside(path: str) -> bool:
    """Whether a path can be one of a wrapper's files: nothing else that a manifest names is touched."""
    try:
        Wrapper({path: b""})
    except ValueError:
        return False
    return IGNORED_FOLDERS.isdisjoint(path.split("/"))


def _is_edited(change: Change, noted: dict[str, str], root: Path) -> bool:
    if change.path == MANIFEST:
        return False
    if change.before is None:  # nothing there, or a link, which is never read
        return change.path in noted and (root / change.path).is_symlink()
    return noted.get(change.path) != hashlib.sha256(change.before).hexdigest()

"""Where the templates are, and reading them: from the package or the checkout, a user's laid over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from wrapgen.errors import UsageError
from wrapgen.wrapper import Wrapper


@cache
def find_templates() -> Path:
    """The folder of templates: inside the installed package if it is there, else the checkout's.

    Raises:
        UsageError: neither exists, so this is a broken installation.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_templates", package.parent / "templates"):
        if folder.is_dir():
            return folder
    raise UsageError("wrapgen's templates are missing", hint="install wrapgen again")


@cache
def read_templates(part: str = "algorithm") -> Mapping[str, bytes]:
    """One of our trees of templates, by POSIX path relative to it.

    Args:
        part: `algorithm`, or another folder of the templates.
    """
    return Wrapper.read(find_templates() / part)


def overlaid(folder: str | Path) -> Mapping[str, bytes]:
    """Our algorithm templates with a user's laid over them, file by file.

    A file of the same path takes ours away, also when one of the two ends in `.jinja`; an empty `NAME.omit`
    leaves NAME out; other files are added.

    Args:
        folder: the user's tree, in the shape of `templates/algorithm`.

    Raises:
        UsageError: there is no such folder, it is empty, or two names in it differ in case only.
    """
    if not Path(folder).is_dir():
        raise UsageError(
            f"there is no folder {folder}", hint="--templates takes a folder shaped like a wrapper"
        )
    try:
        theirs = Wrapper.read(folder)
    except ValueError as error:
        raise UsageError(
            f"the templates in {folder} can't be used: {error}", hint="rename the file"
        ) from None
    if not theirs:
        raise UsageError(f"the folder {folder} holds no templates")
    replaced = {path.removesuffix(".omit").removesuffix(".jinja") for path in theirs}
    kept = {
        path: text for path, text in read_templates().items() if path.removesuffix(".jinja") not in replaced
    }
    return kept | {path: text for path, text in theirs.items() if not path.endswith(".omit")}

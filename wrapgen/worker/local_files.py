"""What is too large for a call between a run and a process of its own: files in a folder that both know.

Plain Python 3.7+ with the standard library only, like the start file beside it, which loads it.
"""

import os
import re
import uuid
from typing import Any, Iterable

FILES = "WRAPGEN_FILES"
SCHEME = "local://"
NAME = re.compile(r"[0-9a-f]{32}\.jsonl\Z")


class LocalFiles:
    """The files of a wrapper; what is not in the folder is left to its own."""

    def __init__(self, files: Any, folder: str) -> None:
        self._files = files
        self._folder = folder
        self._runtime = type(files).read.__globals__  # an inline target may have taken its module's name

    def read(self, url: str, deadline: Any) -> Any:
        """The items of a file."""
        if not url.startswith(SCHEME):
            return self._files.read(url, deadline)
        name = url[len(SCHEME) :]
        if not NAME.match(name):
            raise self._runtime["InputError"](url + " is not a file of this run")
        with open(os.path.join(self._folder, name), "rb") as file:
            return self._runtime["read_items"](file.read(), True)

    def write(self, url: Any, lines: Iterable[str], deadline: Any) -> Any:
        """Stores results, for None in the folder; returns the URL."""
        if url is not None:
            return self._files.write(url, lines, deadline)
        name = uuid.uuid4().hex + ".jsonl"
        with open(os.path.join(self._folder, name), "w", encoding="ascii") as file:
            file.writelines(line + "\n" for line in lines)
        return SCHEME + name

    def require_owner(self) -> None:
        """As the wrapper's own."""
        self._files.require_owner()


def with_folder(state: Any) -> Any:
    """What `load` returned, with the folder of this process if it is a wrapper."""
    folder = os.environ.get(FILES)
    if folder and hasattr(getattr(state, "files", None), "require_owner"):
        state.files = LocalFiles(state.files, folder)
    return state

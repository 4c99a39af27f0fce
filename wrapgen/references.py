"""The parsers of `owner/name/version` and of URLs, with nothing but Python's own library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from wrapgen.errors import UsageError

FULL_VERSION = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}\Z")
"""`major.minor.revision`: a release, which never changes."""

_NUMBER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)\Z", re.ASCII)
_REFERENCE = re.compile(r"(?:algo://|/)?([A-Za-z][\w.-]*)/([A-Za-z]\w*)(?:/([\w.*]+))?/?\Z")


@dataclass(frozen=True, order=True)
class Number:
    """The number of a version, `major.minor.revision`; `0.0.0` stands for no version yet."""

    major: int = 0
    minor: int = 0
    revision: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.revision}"

    @classmethod
    def parse(cls, text: str) -> Number | None:
        """Reads three numbers with dots between; None for anything else."""
        match = _NUMBER.match(text)
        return cls(*(int(part) for part in match.groups())) if match else None

    @classmethod
    def of(cls, text: str | None) -> Number:
        """As `parse`, for comparing: anything else comes before every version."""
        return cls.parse(text or "") or cls()


@dataclass(frozen=True)
class Reference:
    """An algorithm's name, and a version of it where one is given: `owner/name[/version]`."""

    owner: str
    name: str
    version: str | None = None

    def __str__(self) -> str:
        return self.path + (f"/{self.version}" if self.version else "")

    @property
    def path(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"

    @property
    def is_full(self) -> bool:
        """Whether the version is a full `major.minor.revision`."""
        return bool(self.version and FULL_VERSION.match(self.version))

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Reads `owner/name`, `owner/name/version` or the same after `algo://`.

        Raises:
            UsageError: it is none of these.
        """
        match = _REFERENCE.match(text.strip())
        if match is None:
            spec = text.endswith((".yaml", ".yml"))
            hint = "write owner/name or owner/name/1.2.3"
            made = "; of a spec, `wrapgen build` and `wrapgen publish` make one" if spec else ""
            raise UsageError(f"not an algorithm: {text!r}", hint=hint + made)
        return cls(*match.groups())


def split_url(url: str) -> SplitResult:
    """The parts of a URL, whose port can be read.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # read for its ValueError
    except ValueError as error:
        raise UsageError(f"not a URL: {url!r} ({error})", hint="correct it where it comes from") from error
    return parts


def is_path(name: str) -> bool:
    """Whether a user who names a wrapper means a spec or a folder here, and no `owner/name` of a platform."""
    if name.endswith((".yaml", ".yml")) or name.startswith((".", "~")):
        return True
    return name.startswith("/") and Path(name).is_dir()


def is_service(name: str) -> bool:
    """Whether a user who names a wrapper means one that is served at a URL: `http://` or `https://`."""
    return name.lower().startswith(("http://", "https://"))

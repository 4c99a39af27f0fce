"""What an algorithm's requirements.txt asks for: only packages of the index, or things of its own too."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PLAIN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\s*\[[A-Za-z0-9._,\s-]*\])?"  # name and extras
    r"\s*(\(?\s*(===?|[<>!~]=?)\s*[A-Za-z0-9.*+!_-]+(\s*,\s*(===?|[<>!~]=?)\s*[A-Za-z0-9.*+!_-]+)*\s*\)?)?"
    r"\s*(;[A-Za-z0-9._<>=!~'\"()\s-]+)?(\s--hash=sha256:[0-9a-f]{64})*",
    re.ASCII,
)
_ARCHIVE = re.compile(r"\.(whl|zip|tar|tgz|tbz2?|tlz|txz|tar\.\w+)\b", re.IGNORECASE)
"""Installers take a name that ends so for a file beside the requirements."""


@dataclass(frozen=True)
class Requirements:
    """The lines of a requirements.txt, comments and blank ones left out.

    Args:
        lines: in their order.
        plain: each names a package of the index, and perhaps versions, a marker or digests; nothing else.
    """

    lines: tuple[str, ...]
    plain: bool

    @classmethod
    def read(cls, text: str) -> Requirements:
        """The requirements of a file's text; what isn't surely plain isn't."""
        stripped = (" ".join(re.sub(r"(^|\s)#.*", "", line).split()) for line in text.splitlines())
        lines = tuple(line for line in stripped if line)
        return cls(lines, all(_PLAIN.fullmatch(line) and not _ARCHIVE.search(line) for line in lines))

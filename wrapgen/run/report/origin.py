"""Where a session of a run came from, without anything secret: for the ledger, and for the report."""

from __future__ import annotations

import platform
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

_HIDDEN = "***"
_SECRET_OPTIONS = ("--api-key",)
_URL_SECRET = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_QUERY_SECRET = re.compile(
    r"(?i)([?&;](?:[\w.-]*(?:key|token|secret|signature|password|credential|sig)[\w.-]*)=)[^&;\s\"']+"
)
_API_KEY = re.compile(r"\bsim(?=\S*[A-Z])[A-Za-z0-9+/]{25}")


def origin(
    words: Sequence[str], *, version: str, address: str, output: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What the ledger keeps of the command that opened a session.

    Args:
        words: of the command line, after `wrapgen`.
        version: of wrapgen.
        address: of the platform.
        output: the output file.
        options: what holds for the session, defaults included.
    """
    return {
        "wrapgen": version,
        "python": platform.python_version(),
        "command": shlex.join(["wrapgen", *redacted(words)]),
        "address": cleaned(address),
        "output": output,
        "options": {name: value for name, value in options.items() if value is not None},
    }


def redacted(words: Sequence[str]) -> list[str]:
    """The words of a command line with every secret replaced by ***."""
    shown: list[str] = []
    hide = False
    for word in words:
        name, equals, _ = word.partition("=")
        if hide:
            shown.append(_HIDDEN)
        elif name in _SECRET_OPTIONS and equals:
            shown.append(f"{name}={_HIDDEN}")
        else:
            shown.append(cleaned(word, 2000))
        hide = not hide and word in _SECRET_OPTIONS
    return shown


def cleaned(text: object, most: int = 500) -> str:
    """A text without what looks like a credential, and not longer than `most` characters."""
    found = _URL_SECRET.sub(_HIDDEN, str(text)[: most * 4])
    found = _API_KEY.sub(_HIDDEN, _QUERY_SECRET.sub(rf"\g<1>{_HIDDEN}", found))
    return found if len(found) <= most else found[: most - 1] + "…"

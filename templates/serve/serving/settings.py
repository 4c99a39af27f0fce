"""What the environment says of serving; a number that it does not have is in ``defaults.py``.

WRAPPER_TOKEN           tokens that callers may give, with blanks between them
WRAPPER_TOKEN_FILE      instead: a file that holds them, such as a mounted secret
WRAPPER_OPEN            paths that need no token, with blanks between them, such as /metrics; / is for calls
WRAPPER_CALLS           calls that are executed at once
WRAPPER_WAITING         calls that may wait; the next one gets 503
WRAPPER_REPLICAS        processes behind one address at most: callers are told how many calls all take at once
WRAPPER_REQUEST_BYTES   bytes that a request may have
WRAPPER_RESPONSE_BYTES  bytes that an answer may have
WRAPPER_STOP_DELAY      seconds after SIGTERM in which /readyz says no, and calls are still taken
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Mapping, NamedTuple

from src import config

from . import defaults

_TOKEN = re.compile(r"[!-~]+\Z")


class Settings(NamedTuple):
    """What holds for the whole process."""

    tokens: list[str]
    open: list[str]
    calls: int
    waiting: int
    replicas: int
    request_bytes: int
    response_bytes: int
    stop_delay: float

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """The settings of an environment. Raises ``ValueError`` with one line that says what to do."""
        is_open = environ.get("WRAPPER_OPEN", "").split()
        tokens = _tokens(environ)
        if not tokens and "/" not in is_open:
            raise ValueError(
                "no token: set WRAPPER_TOKEN or WRAPPER_TOKEN_FILE, or WRAPPER_OPEN=/ to let everyone call"
            )
        return cls(
            tokens,
            is_open,
            _number(environ, "WRAPPER_CALLS", defaults.MAX_CALLS, 1),
            _number(environ, "WRAPPER_WAITING", defaults.MAX_WAITING, 0),
            _number(environ, "WRAPPER_REPLICAS", 1, 1),
            _number(environ, "WRAPPER_REQUEST_BYTES", config.LIMITS["request_bytes"], 1000),
            _number(environ, "WRAPPER_RESPONSE_BYTES", defaults.RESPONSE_BYTES, 1000),
            _number(environ, "WRAPPER_STOP_DELAY", 0, 0),
        )


def _tokens(environ: Mapping[str, str]) -> list[str]:
    text, path = environ.get("WRAPPER_TOKEN", ""), environ.get("WRAPPER_TOKEN_FILE", "")
    if path and not text:
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise ValueError(f"WRAPPER_TOKEN_FILE can't be read: {error}") from None
    tokens = text.split()
    if not all(map(_TOKEN.match, tokens)):
        raise ValueError("WRAPPER_TOKEN: only characters of ASCII that can be seen can be sent as a token")
    return tokens


def _number(environ: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = environ.get(name, "").strip() or str(default)
    if not re.match(r"[0-9]{1,12}\Z", text) or int(text) < least:
        raise ValueError(f"{name} must be a whole number from {least}, not {text[:40]!r}")
    return int(text)

"""Regular expressions of a schema on texts that come from items: bounded, as Python's own may try forever.

What is quick whatever the text is searched here; all else in a process of its own, which is ended when that
takes too long: Python can't stop a search of its own, and no other thread runs meanwhile.
"""

from __future__ import annotations

import functools
import json
import math
import re
import select
import subprocess
import sys
import threading
from typing import Any

SECONDS = 2.0  # that one search may take
QUICK = 1e6  # steps of a search that takes some milliseconds
_LITERALS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_UNKNOWN = re.compile(r"\)[*+{]|\(\?P=|\(\?\(|\(\?[a-zA-Z]*x")  # a repeated group, and what needs a parser
_SEARCHES = """
import json, re, sys
for line in sys.stdin:
    print(int(re.search(*json.loads(line)) is not None), flush=True)
"""


class Searcher:
    """Searches in another process, which is started when the first search needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Any = None

    def search(self, pattern: str, text: str) -> bool:
        """Whether the pattern is found in the text. Raises ``ValueError`` if that takes too long."""
        many, few = choices(pattern)
        if len(text) ** many * 2.0**few <= QUICK:
            return re.search(pattern, text) is not None
        with self._lock:
            try:
                answer = self._asked(json.dumps([pattern, text]).encode("ascii") + b"\n")
            except OSError as error:
                answer = str(error)
            if answer not in (b"0\n", b"1\n"):
                self.end()
                said = answer if isinstance(answer, str) else f"it takes more than {SECONDS:g} s"
                raise ValueError(f"the pattern {pattern[:100]!r} can't be searched for: {said}")
            return answer == b"1\n"

    def end(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _asked(self, line: bytes) -> Any:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _SEARCHES], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        self._process.stdin.write(line)
        self._process.stdin.flush()
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        return self._process.stdout.readline() if poll.poll(SECONDS * 1000) else None


@functools.lru_cache(maxsize=1000)
def choices(pattern: str) -> tuple[float, int]:
    """How often a search may choose among all places of a text, and how often between two."""
    bare = _LITERALS.sub("x", pattern)
    if _UNKNOWN.search(bare) or re.search(r"\\[1-9]", pattern):
        return math.inf, 0  # a group that repeats may divide a text in very many ways
    start = 0 if bare.startswith("^") and "|" not in bare else 1
    return start + len(re.findall(r"[*+]|\{\d*,", bare)), len(re.findall(r"[?|]", bare))


def names_in(schema: Any) -> list[str]:
    """The patterns by which a schema names properties, wherever they stand."""
    named = [one.get("patternProperties") for one in _objects(schema)]
    return [pattern for one in named if isinstance(one, dict) for pattern in one]


def keys_of(value: Any) -> Any:
    """The names of all properties in a value."""
    return (key for one in _objects(value) for key in one)


def _objects(value: Any) -> Any:
    level = [value]
    while level:
        one = level.pop()
        if isinstance(one, dict):
            yield one
            level += one.values()
        elif isinstance(one, list):
            level += one

"""The findings of an examination: one line each, saying what to do about a problem."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """The level of a finding."""

    OK = "ok"
    FAULT = "fault"
    UNCHECKED = "not checked"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        level: whether it is right.
        what: what was looked at, one word or two, such as `collection`.
        message: how it is.
        hint: what to do; empty where nothing is to be done.
    """

    level: Level
    what: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.what}: {self.level.value}: {self.message}{hint}"

    def as_json(self) -> dict[str, str]:
        """As `--json` prints it."""
        return {"level": self.level.value, "what": self.what, "message": self.message, "hint": self.hint}


def ok(what: str, message: str) -> Finding:
    """A finding without a problem."""
    return Finding(Level.OK, what, message)


def fault(what: str, message: str, hint: str) -> Finding:
    """A problem that will make calls fail; the hint says what to do."""
    return Finding(Level.FAULT, what, message, hint)


def unchecked(what: str, message: str, hint: str = "") -> Finding:
    """What could not be checked, which is not reported as ok."""
    return Finding(Level.UNCHECKED, what, message, hint)

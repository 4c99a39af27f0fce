"""What a send brings: an outcome for each item, or the reason why nothing is known of any. Values only."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

from wrapgen import protocol


class Fate(IntEnum):
    """What became of an item in one send: a result, a final error, or one after which it goes again."""

    OK = 1
    FAILED = 2
    AGAIN = 3


class LossKind(Enum):
    """Why a send brought no answer for its items; `ENDED`: its process ended, and had nothing else to do."""

    TIMEOUT = "timeout"
    TOO_LARGE = "too-large"
    REFUSED = "refused"
    LOST = "lost"
    ENDED = "ended"
    THROTTLED = "throttled"
    DOWN = "down"
    STOPPED = "stopped"
    UNSENT = "unsent"


class Outcome(NamedTuple):
    """What became of one item in one send.

    Fields: its fate; its result as it travels, or its error object, as JSON text; calls of the target made
    for it over all of its sends, as far as they are known.
    """

    fate: Fate
    body: str
    attempts: int


Lines = tuple[bytes, list[int]]
"""Outcomes as the spool keeps them, each a line, and the length of each."""

_FATE = itemgetter(0)


@dataclass(frozen=True)
class Reply:
    """An answer: an outcome for every item of the chunk, in its order, the wrapper's summary, seconds.

    `lines` are the outcomes as the spool keeps them, where they are made already; results are there alone.
    """

    outcomes: list[Outcome]
    summary: dict[str, Any]
    seconds: float = field(default=0.0, compare=False)
    lines: Lines | None = field(default=None, compare=False)

    @cached_property
    def clean(self) -> bool:
        """Whether every item has a result."""
        return not {Fate.FAILED, Fate.AGAIN}.intersection(map(_FATE, self.outcomes))

    @property
    def cost(self) -> float | None:
        """Money that the call spent; None where the wrapper does not say."""
        value: Any = self.summary.get("cost")
        return float(value) if type(value) in (int, float) and 0 <= value < math.inf else None

    def number(self, name: str) -> int:
        """A count of the wrapper's summary; 0 where it says none."""
        value = self.summary.get(name)
        return value if isinstance(value, int) else 0


@dataclass(frozen=True)
class Lost:
    """A send without outcomes: why, in the host's words, the wait that it asks for, and seconds taken."""

    fault: LossKind
    type: str
    message: str
    retry_after: float | None = None
    seconds: float = field(default=0.0, compare=False)

    def outcome(self, attempts: int) -> Outcome:
        """What becomes of an item that is given up for this."""
        return Outcome(Fate.FAILED, error_text(self.type, self.message, retryable=False), attempts)


def error_text(kind: str, message: str, *, retryable: bool) -> str:
    """An error object as outcomes carry it."""
    return protocol.dumps({"type": kind, "message": message, "retryable": retryable}).decode("ascii")


def without_progress(reply: Reply) -> Lost | None:
    """An answer in which nothing was tried is no answer: without this, sending might never end."""
    summary = reply.summary
    is_put_off = bool(summary.get("throttled")) and summary.get("attempts") == 0
    if summary.get("stopped") or any(outcome.fate is not Fate.AGAIN for outcome in reply.outcomes):
        return None
    if (summary.get("calls") or summary.get("throttled")) and not is_put_off:
        return None
    errors = [json.loads(outcome.body) for outcome in reply.outcomes]
    asked: Any = summary.get("retry_after")
    for fault, kind in _WITHOUT_PROGRESS:
        for error in errors:
            if error["type"] == kind:
                wait = float(asked) if fault is LossKind.THROTTLED and type(asked) in (int, float) else None
                return Lost(fault, kind, error["message"], wait, seconds=reply.seconds)
    fault = LossKind.THROTTLED if is_put_off else LossKind.TIMEOUT
    return Lost(fault, errors[0]["type"], errors[0]["message"], seconds=reply.seconds)


_WITHOUT_PROGRESS = (
    (LossKind.DOWN, "DatastoreError"),
    (LossKind.DOWN, "ServerError"),
    (LossKind.THROTTLED, "TooManyRequests"),
)
"""What an error of items that were not tried says of all others, the first that is there."""

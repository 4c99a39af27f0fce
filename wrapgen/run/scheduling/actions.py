"""What a scheduler says is to be done and to be kept, and the steps of a delivery. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from wrapgen.run.scheduling.chunks import Chunk
from wrapgen.run.scheduling.replies import Lost, Reply


class Phase(Enum):
    """How far a delivery is."""

    READING = "reading"
    DRAINING = "draining"
    STOPPING = "stopping"
    ENDED = "ended"


class Step(Enum):
    """What moves a delivery on."""

    MORE = "more"
    LAST = "last"
    STOP = "stop"
    END = "end"


PHASES: dict[tuple[Phase, Step], Phase] = {
    (Phase.READING, Step.MORE): Phase.READING,
    (Phase.READING, Step.LAST): Phase.DRAINING,
    (Phase.READING, Step.STOP): Phase.STOPPING,
    (Phase.DRAINING, Step.STOP): Phase.STOPPING,
    (Phase.STOPPING, Step.STOP): Phase.STOPPING,
    (Phase.ENDED, Step.STOP): Phase.ENDED,
    (Phase.DRAINING, Step.END): Phase.ENDED,
    (Phase.STOPPING, Step.END): Phase.ENDED,
}
"""Every step there is."""


class Cause(Enum):
    """Why a delivery stops early, as a reason begins."""

    TOLD = ""
    BUDGET = "budget"
    TARGET = "the target refuses everyone: "
    HOST = "host"
    COST = "cost"
    PATIENCE = "nothing worked for {:g} s: "


@dataclass(frozen=True)
class Stop:
    """Why sending ends before every item is finished: cause, message, and an error type if there is one."""

    cause: Cause
    message: str
    type: str = ""
    seconds: float = 0.0

    @property
    def reason(self) -> str:
        """It as a sentence."""
        prefix = self.cause.value if self.cause in (Cause.TARGET, Cause.PATIENCE) else ""
        return prefix.format(self.seconds) + ": ".join(filter(None, (self.type, self.message)))


@dataclass(frozen=True)
class Read:
    """The next chunk of at most `count` items is wanted: tell it with `add`."""

    count: int


@dataclass(frozen=True)
class Send:
    """A chunk is to be sent; `received` tells of its reply under this number."""

    seq: int
    chunk: Chunk


@dataclass(frozen=True)
class WaitUntil:
    """Nothing to do before a reply comes or this moment; None: before a reply comes."""

    moment: float | None


@dataclass(frozen=True)
class Finish:
    """Nothing is open and nothing more is to be done; `stop` says why it ended early."""

    stop: Stop | None


@dataclass(frozen=True)
class Settle:
    """A send brought outcomes: they are to be kept.

    `limit` is how many calls may be open by now, `gave_up` the error type of an item that had no answer.
    """

    seq: int
    chunk: Chunk
    reply: Reply
    limit: int
    gave_up: str = ""


@dataclass(frozen=True)
class Lose:
    """A send brought nothing: that is to be kept."""

    seq: int
    lost: Lost
    limit: int


@dataclass(frozen=True)
class Unsend:
    """A send never left: that is to be kept."""

    seq: int

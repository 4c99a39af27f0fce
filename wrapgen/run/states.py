"""A chunk's life and an item's, as tables; nothing else decides what follows what. No time, no I/O.

READY ──SEND──▶ OPEN ──ANSWER──▶ DONE
  ▲              │ ├──HALVE───▶ SPLIT    two chunks of half the items are READY in its place
  │              │ ├──GIVE_UP─▶ DONE     its one item has failed
  │              │ ├──AGAIN───▶ WAITING  this send counts against the chunk
  │              │ ├──HOLD────▶ WAITING  this send counts against nobody
  ├─STOP, RECALL,┘ │
  │         KILL   │
  └──────DUE───────┘ (from WAITING)
"""

from __future__ import annotations

from enum import Enum, IntEnum


class State(Enum):
    """Where a chunk is. A run keeps READY, OPEN and WAITING chunks in memory; the rest is on disk."""

    READY = "ready"
    OPEN = "open"
    WAITING = "waiting"
    SPLIT = "split"
    DONE = "done"


class Event(Enum):
    """What happens to a chunk."""

    SEND = "send"
    ANSWER = "answer"
    HALVE = "halve"
    AGAIN = "again"
    HOLD = "hold"
    GIVE_UP = "give-up"
    STOP = "stop"
    RECALL = "recall"
    KILL = "kill"
    DUE = "due"


class Fault(Enum):
    """Why a send brought no answer for its items."""

    TIMEOUT = "timeout"
    TOO_LARGE = "too-large"
    REFUSED = "refused"
    LOST = "lost"
    THROTTLED = "throttled"
    DOWN = "down"
    STOPPED = "stopped"
    UNSENT = "unsent"


class Fate(IntEnum):
    """What became of an item in one send: a result, a final error, or one after which it goes again."""

    OK = 1
    FAILED = 2
    AGAIN = 3


NEXT: dict[tuple[State, Event], State] = {
    (State.READY, Event.SEND): State.OPEN,
    (State.OPEN, Event.ANSWER): State.DONE,
    (State.OPEN, Event.HALVE): State.SPLIT,
    (State.OPEN, Event.GIVE_UP): State.DONE,
    (State.OPEN, Event.AGAIN): State.WAITING,
    (State.OPEN, Event.HOLD): State.WAITING,
    (State.OPEN, Event.STOP): State.READY,
    (State.OPEN, Event.RECALL): State.READY,
    (State.OPEN, Event.KILL): State.READY,
    (State.WAITING, Event.DUE): State.READY,
}
"""Every transition there is; any other is a mistake in the runner."""

# A chunk of one can't be halved; one that is spent has used up the sends that an item may lose.
_H, _A, _G, _HOLD, _S = Event.HALVE, Event.AGAIN, Event.GIVE_UP, Event.HOLD, Event.STOP
_R = Event.RECALL
_REACTIONS: dict[Fault, tuple[Event, Event, Event, Event]] = {
    #                many,  many spent, one,   one spent
    Fault.TIMEOUT: (_H, _H, _A, _G),
    Fault.TOO_LARGE: (_H, _H, _G, _G),
    Fault.REFUSED: (_H, _H, _G, _G),
    Fault.LOST: (_A, _H, _A, _G),
    Fault.THROTTLED: (_HOLD, _HOLD, _HOLD, _HOLD),
    Fault.DOWN: (_HOLD, _H, _HOLD, _G),
    Fault.STOPPED: (_S, _S, _S, _S),
    Fault.UNSENT: (_R, _R, _R, _R),
}


def step(state: State, event: Event) -> State:
    """The state that follows.

    Raises:
        KeyError: the table has no such transition.
    """
    return NEXT[state, event]


def reaction(fault: Fault, *, alone: bool, spent: bool) -> Event:
    """What a fault does to an open chunk.

    Args:
        fault: why no answer came.
        alone: the chunk holds a single item.
        spent: this was the last send that the chunk may lose at this size.
    """
    return _REACTIONS[fault][2 * alone + spent]

"""How long a call may still work: the soft stop, the time for one call of the target or one write."""

import threading
import time
from typing import Any  # noqa: F401 - for the type comments

LARGEST_MARGIN = 300.0


class TimeUp(Exception):
    """What was given some time took longer."""


def within(seconds, do, *arguments):
    # type: (float, Any, Any) -> None
    """Do something in a thread that is left alone when it takes longer than that many seconds.

    Raises what it raises, else ``TimeUp``.
    """
    ended = []  # type: list

    def run():
        # type: () -> None
        try:
            ended.append(do(*arguments))
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        thread.join(seconds)
    except RuntimeError:  # there are no more threads to be had
        run()
    if not ended:
        raise TimeUp("no answer within the {:.0f} s there were".format(seconds))
    if ended[0] is not None:
        raise ended[0]


class Deadline:
    """Counts from the start of one call of the wrapper.

    The margin kept for recording and answering is a tenth of the time or twice the slowest item so far,
    whichever is larger, at most 300 s and never more than half of what was left when work began.
    """

    def __init__(self, seconds, clock=time.monotonic):
        # type: (float, Any) -> None
        self.clock = clock
        self.start = clock()
        self._end = self.start + seconds
        self._begun = self.start
        self._slowest = 0.0
        self._lock = threading.Lock()
        self._stop = self._soft_stop()

    def begin(self):
        # type: () -> None
        """Work on the items starts now; reading them may have taken time already."""
        self._begun = self.clock()
        self._stop = self._soft_stop()

    def saw(self, seconds):
        # type: (float) -> None
        """An item took so long."""
        if seconds > self._slowest:
            with self._lock:
                self._slowest = max(self._slowest, seconds)
                self._stop = self._soft_stop()

    def _soft_stop(self):
        """The time, by the clock, at which open items are sealed."""
        half_way = self._begun + max(self._end - self._begun, 1.0) / 2  # so one item is always tried
        return max(self._end - self._margin(), half_way)

    def _margin(self):
        return min(max((self._end - self.start) / 10, 2 * self._slowest), LARGEST_MARGIN)

    def left(self):
        # type: () -> float
        """Seconds until the soft stop; not below zero."""
        return max(0.0, self._stop - self.clock())

    def left_for_records(self):
        # type: () -> float
        """Seconds to spend on a datastore that is away: the margin or what is left of it, less a tenth."""
        return max(0.0, min(self._margin() * 0.9, self._left_to_answer()))

    def left_for_write(self):
        # type: () -> float
        """Seconds that one write may take: all but a tenth of the margin, and one in any case."""
        return max(1.0, self._left_to_answer())

    def _left_to_answer(self):
        return self._end - self.clock() - self._margin() / 10

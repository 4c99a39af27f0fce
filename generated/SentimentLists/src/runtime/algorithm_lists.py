"""The target algorithm where it takes lists of items."""

from __future__ import annotations

import time
from typing import Any

from . import algorithm
from .items import Item
from .protocol import Failure, dumps


class Target(algorithm.Target):
    """The target algorithm: ``call`` sends one item and returns its result, ``call_list`` a list of them."""

    def call_list(self, items: list[Item], seconds: float) -> Any:
        """The target's result for the list of these items. Raises ``Failure``."""
        began, body = time.monotonic(), ""
        if items[0].encoded:
            body = "[" + ", ".join([item.encoded for item in items]) + "]"
        else:
            body = dumps([item.value for item in items])
        try:
            return self.send(items[0], body.encode("ascii"), "application/json", seconds)
        except Failure as failure:
            if failure.status == 504 and time.monotonic() - began < int(seconds) / 2:
                failure.may_split = False  # an outage of what is in between, and no list that takes too long
            raise

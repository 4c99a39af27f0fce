"""The one model behind every server of these tests: texts in, a label and a score out; some texts misbehave.

    poison...     an input error that concerns this text alone
    crash...      the server fails while it works on this text, every time
    busy N ...    unavailable the first N times that this text is seen
    slow N ...    answers after N seconds

Standard library only, Python 3.8 and newer: it runs inside each server's own environment.
"""

import os
import time
from collections import Counter

_SEEN = Counter()


class Poison(Exception):
    """A text that the model refuses."""


class Busy(Exception):
    """The model can't take this now."""


def score(text):
    """What the model says of a text.

    Raises:
        Poison, Busy, ZeroDivisionError: see above.
    """
    if not isinstance(text, str) or text.startswith("poison"):
        raise Poison(f"not a text to score: {text!r}")
    if text.startswith("crash"):
        raise ZeroDivisionError("division by zero")
    if text.startswith("slow "):
        time.sleep(float(text.split()[1]))
    if text.startswith("busy "):
        _SEEN[text] += 1
        if _SEEN[text] <= int(text.split()[1]):
            raise Busy("try again")
    note(text)
    return {"label": "long" if len(text) > 12 else "short", "score": len(text) / 100}


def note(text):
    """Keeps in the file of EXECUTIONS, if there is one, that this text was scored."""
    path = os.environ.get("EXECUTIONS")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(text.replace("\n", " ") + "\n")

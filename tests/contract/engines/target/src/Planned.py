"""A target whose every answer is planned by its input.

A text comes back in capitals, unless it is ``fail`` and an error type. An object with ``n`` gives its square;
before that it can note the call in a file (``note``), wait until somebody opens a named pipe for
writing (``gate``), take some time (``seconds``), or fail (``fail``, an error type).
"""

import time
from pathlib import Path

from Algorithmia import ADK


class Planned(Exception):
    """A failure of the type that the input asks for."""

    def __init__(self, error_type):
        super().__init__("as planned")
        self.error_type = error_type


def apply(input):
    """What the input says."""
    if isinstance(input, str):
        if input.startswith("fail "):
            raise Planned(input[5:])
        return input.upper()
    if "note" in input:
        with Path(input["note"]).open("a") as file:
            file.write("{}\n".format(input["n"]))
    if "gate" in input:
        Path(input["gate"]).read_text()
    if "seconds" in input:
        time.sleep(input["seconds"])
    if "fail" in input:
        raise Planned(input["fail"])
    return {"n": input["n"], "square": input["n"] ** 2}


algorithm = ADK(apply)
algorithm.init()

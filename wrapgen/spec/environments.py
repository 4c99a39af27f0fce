"""The hosted language runtimes that a spec may name, as far as they are known without a platform."""

from __future__ import annotations

import re

OLDEST = (3, 7)
NEWEST = (3, 13)
"""First and last Python that generated code is run on by the tests."""


def python_of(environment: str) -> tuple[int, int] | None:
    """The Python that an environment's name says, such as (3, 8) for `python38-gpu`; None if it says none."""
    match = re.match(r"python3(\d{1,2})(?!\d)", environment)
    return (3, int(match[1])) if match else None


def is_tested(environment: str) -> bool:
    """Whether generated code is tested on that Python; an environment that names none counts as tested."""
    python = python_of(environment)
    return python is None or OLDEST <= python <= NEWEST

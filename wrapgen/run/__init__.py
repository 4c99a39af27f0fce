"""Pushing a whole input set through a wrapper; `from wrapgen import run` calls it as a library.

The package can be called because its name is the function's: `run(...)` is `wrapgen.run.library.run(...)`.
"""

import sys
from types import ModuleType
from typing import Any


class _Run(ModuleType):
    """This module, made callable."""

    def __call__(self, *positional: Any, **named: Any) -> Any:
        from wrapgen.run.library import run

        return run(*positional, **named)


sys.modules[__name__].__class__ = _Run

"""wrapgen: a short YAML spec becomes a deployable wrapper algorithm, and a run of a million items.

`run` pushes items through a wrapper, or that of a spec; the other names are what it takes and gives. Each is
loaded when used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wrapgen.client import connect
    from wrapgen.errors import WrapgenError
    from wrapgen.run import run
    from wrapgen.run.input.items import Selection
    from wrapgen.run.library import ItemOutcome, Outcomes
    from wrapgen.run.settings import Options

__all__ = [
    "ItemOutcome",
    "Options",
    "Outcomes",
    "Selection",
    "WrapgenError",
    "__version__",
    "connect",
    "run",
]

__version__ = "0.1.0"

_HOMES = {
    "ItemOutcome": "run.library",
    "Options": "run.settings",
    "Outcomes": "run.library",
    "Selection": "run.input.items",
    "WrapgenError": "errors",
    "connect": "client",
}


def local_wrapper(spec: Any) -> Any:
    """The wrapper of a spec, for `run`: the layer of runs does not know how a spec becomes one."""
    return import_module("wrapgen.local").local_wrapper(spec)


def __getattr__(name: str) -> Any:
    if name == "run":
        return import_module("wrapgen.run")
    if name in _HOMES:
        return getattr(import_module(f"wrapgen.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'wrapgen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

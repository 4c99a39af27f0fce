"""wrapgen: a short YAML spec becomes a deployable wrapper algorithm, and a run of a million items."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # At run time this is the package `wrapgen.run` itself, which can be called and loads nothing before that.
    from wrapgen.run.library import run

__all__ = ["__version__", "run"]

__version__ = "0.1.0"

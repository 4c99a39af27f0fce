"""wrapgen: a short YAML spec becomes a deployable wrapper algorithm, and a run of a million items."""

__all__ = ["__version__"]

__version__ = "0.1.0"

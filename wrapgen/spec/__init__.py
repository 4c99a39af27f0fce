"""The user's YAML: read, checked whole, and turned into a frozen `Spec`. Generates nothing."""

from wrapgen.spec.load import check, load, parse
from wrapgen.spec.model import Spec
from wrapgen.spec.validate import warnings

__all__ = ["Spec", "check", "load", "parse", "warnings"]

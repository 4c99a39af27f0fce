"""From a spec to a wrapper: which files, which values, rendered; and what a folder differs in.

`generate` is pure; `Placement` is the one place that writes a wrapper over another. What is generated besides
wrappers is in `engines`.
"""

from wrapgen.build.generation import generate
from wrapgen.build.inline import left_out
from wrapgen.build.placement import Placement
from wrapgen.build.templates import overlaid

__all__ = ["Placement", "generate", "left_out", "overlaid"]

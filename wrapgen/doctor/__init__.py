"""The examination before a run: each problem is one line that says what to do.

Changes nothing but a file that is written to a collection and removed again; sends no item to any target.
"""

from wrapgen.doctor.finding import Finding, Level

__all__ = ["Finding", "Level"]

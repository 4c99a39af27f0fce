"""From a folder to a released algorithm: create, push, wait for the build, try it, release.

Knows any algorithm project; what a wrapper's spec asks for is read here and built elsewhere.
"""

from wrapgen.publish.project import Project
from wrapgen.publish.publishing import Published, publish

__all__ = ["Project", "Published", "publish"]

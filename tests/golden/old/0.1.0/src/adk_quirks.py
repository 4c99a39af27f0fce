"""Where the vendor's ADK needs help. Each quirk names the upstream file."""

import sys
import traceback

import Algorithmia  # noqa: F401

# isort: split
# Not before Algorithmia, or Algorithmia.ADK becomes a module (upstream Algorithmia/__init__.py).
import adk.io


class _Traceback:
    """The one function that the ADK uses, taking the argument that Python 3.10 removed."""

    @staticmethod
    def format_exception(etype, value, tb):
        return traceback.format_exception(etype, value, tb)


def mend():
    # type: () -> None
    """Let an exception in ``apply`` or ``load`` become an answer on Python 3.10 and newer.

    Upstream ``adk/io.py`` calls ``traceback.format_exception(etype=...)``, which 3.10 refuses: the worker
    process then ends without an answer.
    """
    if sys.version_info >= (3, 10):
        adk.io.traceback = _Traceback

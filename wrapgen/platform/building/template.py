"""What a new algorithm's repository holds: it answers a greeting, and runs without a change.

`__ALGO__` and `__USER__` stand for names, in file names and contents (platform contract, section 6).
"""

from __future__ import annotations

import gzip
import io
import tarfile
from functools import cache

_MAIN = '''\
"""Greets the caller: the smallest algorithm. apply() answers one call."""

import Algorithmia
from Algorithmia import ADK

# Calls made with this client act for the caller of this algorithm.
client = Algorithmia.client()


def apply(input):
    """Return a greeting for a name."""
    return "hello " + input


algorithm = ADK(apply)
algorithm.init("__ALGO__")
'''

_TEST = '''\
"""Run with: python -m pytest src"""

from . import __ALGO__


def test_greets():
    """A name is answered with a greeting."""
    assert __ALGO__.apply("Jane") == "hello Jane"
'''

PYTHON: dict[str, str] = {
    ".adk": "",
    # The misspelt key is the platform's own (langpacks, libraries/python3-runtime).
    "algorithmia.conf": """{
  "username": "__USER__",
  "algoname": "__ALGO__",
  "langauge": "python3"
}
""",
    "requirements.txt": "algorithmia>=2.0.5\nalgorithmia-adk>=1.2.4,<1.4\n",
    "src/__init__.py": "",
    "src/__ALGO__.py": _MAIN,
    "src/__ALGO___test.py": _TEST,
}
"""Path and text of each file of the Python template."""


def files(*, owner: str, name: str) -> dict[str, bytes]:
    """The first commit of an algorithm: path and bytes of each file."""

    def filled(text: str) -> str:
        return text.replace("__ALGO__", name).replace("__USER__", owner)

    return {filled(path): filled(text).encode() for path, text in PYTHON.items()}


@cache  # needs no key
def archive() -> bytes:
    """The template as a gzip-compressed tar with its placeholders; the same bytes every time."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
    ):
        for path, text in PYTHON.items():
            member = tarfile.TarInfo(path)
            content = text.encode()
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()

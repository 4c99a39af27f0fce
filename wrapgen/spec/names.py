"""What names, references and paths in a spec may look like, and why not. Pure text, no files, no YAML.

Each `check_*` returns nothing when the text is right, else raises `Refused`: what is wrong, what to write.
"""

from __future__ import annotations

import keyword
import re
import sys
from typing import TypeAlias

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
"""The platform's `ResourceName` (platform contract, section 9)."""

OWNER_LENGTH, ALGORITHM_LENGTH = 30, 200
_VERSION = re.compile(
    r"([0-9]{1,9}(\.([0-9]{1,9}|\*)){0,2}|[0-9]+\.[0-9]+\.x|latest|latestPrivate|[0-9a-f]{40})\Z"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_API_KEY = re.compile(r"sim[A-Za-z0-9]{20,}\Z")
_STEP = re.compile(
    r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[([0-9]{1,9})\]|\[\*\]|\.\*|\['([^'\\\]]+)'\]|\[\"([^\"\\\]]+)\"\]"
)

WRAPPER_MODULES = frozenset(
    (
        "adk",
        "algorithmia",
        "algorithmia_api_client",
        "boto3",
        "botocore",
        "certifi",
        "chardet",
        "charset_normalizer",
        "config",
        "conftest",
        "dateutil",
        "greenlet",
        "hooks",
        "idna",
        "iniconfig",
        "jmespath",
        "main",
        "packaging",
        "pluggy",
        "psycopg2",
        "pyaml",
        "pymysql",
        "pytest",
        "requests",
        "runtime",
        "s3transfer",
        "setuptools",
        "six",
        "spec",
        "sqlalchemy",
        "src",
        "tests",
        "toml",
        "typing_extensions",
        "urllib3",
        "yaml",
    )
)
"""Modules that stand beside, or are imported by, a wrapper's main module or its tests, with all that the
client and the drivers depend on; compared without case."""

_GONE = frozenset({"asynchat", "asyncore", "cgi", "crypt", "distutils", "imp", "smtpd", "telnetlib", "uu"})
_STANDARD = frozenset(name.lower() for name in sys.stdlib_module_names) | _GONE
_KEYWORDS = frozenset(word.lower() for word in keyword.kwlist)

Steps: TypeAlias = tuple[str | int | None, ...]
"""A path into an item: names, list indexes, and None for "every element"."""


class Refused(ValueError):
    """A text is not what the spec allows: `message` says why, `hint` what to write."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def check_name(text: str, what: str, most: int) -> None:
    """A name of the platform: letters, digits and `_`, a letter first, at most `most` characters."""
    if not NAME.match(text):
        raise Refused(
            f"{what} {shown(text)} has other characters than letters, digits and _, or no letter first",
            "write a name like SentimentBatch",
        )
    if len(text) > most:
        raise Refused(f"{what} {text} is {len(text)} characters long; the platform allows {most}")


def check_reference(text: str) -> None:
    """`owner/name[/version]`, with or without `algo://`."""
    bare = text.removeprefix("algo://").strip("/") if text.startswith("algo://") else text
    parts = bare.split("/")
    if len(parts) not in (2, 3):
        raise Refused(
            f"{shown(text)} is not owner/name/version", "write for example nlp/SentimentAnalysis/1.0.5"
        )
    check_name(parts[0], "the owner", OWNER_LENGTH)
    check_name(parts[1], "the name", ALGORITHM_LENGTH)
    version = parts[2] if len(parts) == 3 else None
    if version is not None and not _VERSION.match(version):
        raise Refused(f"{shown(version)} is not a version", "write major.minor.revision, such as 1.0.5")


def check_wrapper_name(text: str) -> None:
    """`owner/Name`, where Name can be a Python module that shadows nothing."""
    parts = text.split("/")
    if text.startswith(".my/"):
        raise Refused(
            "the wrapper's owner can't be .my: the name must be the same for every caller", "name the account"
        )
    if len(parts) != 2:
        hint = (
            "leave the version out: publishing gives it"
            if len(parts) == 3
            else "write for example acme/SentimentBatch"
        )
        raise Refused(f"{shown(text)} is not owner/Name", hint)
    check_name(parts[0], "the owner", OWNER_LENGTH)
    check_name(parts[1], "the name", ALGORITHM_LENGTH)
    lower = parts[1].lower()
    for words, what in (
        (_KEYWORDS, "a keyword of Python"),
        (_STANDARD, "a module of Python's standard library"),
        (WRAPPER_MODULES, "a module that the wrapper itself uses"),
    ):
        if lower in words:
            raise Refused(
                f"the name {parts[1]} would shadow {lower}, {what}", f"write for example {parts[1]}Batch"
            )
    if lower.startswith("test_") or lower.endswith("_test"):
        raise Refused(f"the name {parts[1]} would be taken for a test module", "choose another name")


def check_variable(text: str) -> None:
    """The name of an environment variable."""
    if "://" in text or "=" in text or _API_KEY.match(text):
        raise Refused(
            "this is a value, where the name of an environment variable belongs",
            "write for example DATABASE_URL",
        )
    if not _VARIABLE.match(text):
        raise Refused(
            f"{shown(text)} is not the name of an environment variable", "write for example DATABASE_URL"
        )


def check_environment(text: str) -> None:
    """A hosted Python 3 runtime, such as `python38` or `python39-gpu`."""
    match = re.match(r"python3(\d{1,2})?([-_.][A-Za-z0-9._-]{1,40})?\Z", text)
    if not match:
        raise Refused(f"{shown(text)} is not a Python 3 environment", "write for example python38")
    if match[1] and int(match[1]) < 6:
        raise Refused(f"{text} is older than generated code runs on", "write python37 or newer")


def check_source(text: str) -> None:
    """A local folder, relative to the spec, so that the spec means the same on every machine."""
    if not text or text.startswith(("/", "~")) or re.match(r"[A-Za-z]:|\\\\", text):
        raise Refused(
            f"{shown(text)} is not a folder relative to the spec", "write for example ./my_algorithm"
        )
    if not re.fullmatch(r"[\w./ -]{1,200}", text) or text.strip() != text:
        raise Refused(
            f"{shown(text)} has characters that a folder here can't have", "write for example ./my_algorithm"
        )
    if text.strip("./") == "":
        raise Refused(
            f"{text} would be the spec's own folder or one above it", "write for example ./my_algorithm"
        )


def parse_path(text: str) -> Steps:
    """Reads a JSON path: `$.user.name`, `$['odd key']`, `$.list[0]`, `$.list[*].name`.

    Returns:
        its steps, None meaning every element; `$` alone has none.
    """
    if not text.startswith("$"):
        hint = (
            f"write $.{text}" if re.fullmatch(r"[A-Za-z_][\w.]*", text) else "write for example $.user.name"
        )
        raise Refused(f"{shown(text)} is not a path: a path starts with $", hint)
    steps: list[str | int | None] = []
    position = 1
    while position < len(text):
        match = _STEP.match(text, position)
        if not match:
            rest = shown(text[position:])
            raise Refused(
                f"the path {shown(text)} can't be read from {rest} on", "write for example $.users[*].name"
            )
        name, index, single, double = match.groups()
        steps.append(int(index) if index is not None else name or single or double)
        position = match.end()
    return tuple(steps)


def shown(text: str) -> str:
    """A user's text as a message may show it: short, on one line, in quotes, ASCII."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")

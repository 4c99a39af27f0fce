"""YAML as a tree of plain JSON values that keeps the place of each key and value.

Built from the parser's events, one by one, so that depth, size and repetition are bounded while reading and
not afterwards. Scalars are read as YAML 1.2 reads them; what YAML 1.1 and 1.2 read differently is refused
instead of guessed. Knows nothing of what a spec may say (`model`, `validate`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from wrapgen.errors import Problem

Path: TypeAlias = tuple[str | int, ...]
Place: TypeAlias = tuple[int, int]

MAX_BYTES = 1_000_000
"""Largest spec, in bytes; a real one is under 2,000."""

LONGEST = 240
"""Most characters of a message or a hint."""

LONGEST_NUMBER = 40
"""Most characters of a number; no number of a spec has as many."""

MAX_DEPTH = 50
MAX_NODES = 20_000
"""Deepest nesting and most values, aliases counted as often as they are used: what stops a YAML bomb."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9_]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_TRAPS = (
    (
        re.compile(r"(yes|no|on|off)\Z", re.I),
        "older YAML reads it as true or false",
        "write true or false",
    ),
    (re.compile(r"[-+]?0o?[0-9][0-9_]*\Z"), "some YAML reads it as an octal number", "drop the leading zero"),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9]*)?\Z"),
        "older YAML reads it as base 60",
        "count it out",
    ),
    (re.compile(r"\d{4}-\d\d?-\d\d?([Tt ].*)?\Z"), "older YAML reads it as a date", "write a number"),
    (
        re.compile(r"[-+]?([0-9]+[eE][-+]?|[0-9.]+[eE])[0-9]+\Z"),
        "older YAML reads it as text",
        "write all digits",
    ),
    (re.compile(r"[-+]?\.(inf|nan)\Z", re.I), "JSON has no such number", "write a number"),
)
"""What YAML 1.1 and 1.2, or YAML and JSON, read differently: the reason, and what to write instead."""

_WORDS: dict[Path, str] = {("log",): "off"}
"""By a key's path: the word that it may be in spite of the traps, which can't mean anything else there."""

_STANDARD = "tag:yaml.org,2002:"


class _Stop(Exception):
    """Reading can't go on; the problem is in the list already."""


@dataclass
class Tree:
    """A document: its value, and the 1-based (line, column) of every key and value.

    Args:
        value: dicts, lists, str, int, float, bool and None.
        keys: where the key (or the list's element) at a path is written.
        values: where the value at a path starts.
        problems: everything found wrong while reading.
    """

    value: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where `path` is written, or else its nearest written parent."""
        while path:
            place = (self.keys if key else self.values).get(path)
            if place:
                return place
            path, key = path[:-1], True
        return (1, 1)

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        """Adds a problem at the value (or the key) of a path."""
        self.problems.append(Problem(*self.place(path, key=key), _short(message), _short(hint)))


@dataclass
class _Anchored:
    """What an alias means: a value, and how many values it holds."""

    value: Any
    size: int


def read(text: str) -> Tree:
    """Reads one YAML document; every problem found is in the tree's list.

    Args:
        text: the document, decoded.
    """
    try:
        return _read(text, _LOADER)
    except _TooDeep:
        return _read(text, yaml.SafeLoader)


class _TooDeep(Exception):
    """The C library gave up on nesting that it only looked ahead at, before any of it became an event."""


def _read(text: str, loader: Any) -> Tree:
    tree = Tree()
    reader = _EventReader(tree, yaml.parse(text, Loader=loader))
    try:
        reader.document()
    except _Stop:
        pass
    except yaml.MarkedYAMLError as error:
        # Seen in libyaml 0.2.6, which PyYAML 6.0.4 carries; the loader in Python has no such limit.
        if "maximum nesting depth" in str(error.problem) and loader is not yaml.SafeLoader:
            raise _TooDeep from error
        tree.problems.extend(_tabs(text) or [_syntax(error)])
    except (yaml.YAMLError, RecursionError) as error:
        tree.problems.append(Problem(1, 1, f"this is not YAML: {error}"))
    return tree


class _EventReader:
    def __init__(self, tree: Tree, events: Iterator[Any]) -> None:
        self.tree = tree
        self.events = events
        self.anchors: dict[str, _Anchored] = {}
        self.nodes = 0

    def next(self) -> Any:
        return next(self.events)

    def fail(self, event: Any, message: str, hint: str = "") -> None:
        line, column = _place(event)
        self.tree.problems.append(Problem(line, column, _short(message), _short(hint)))

    def stop(self, event: Any, message: str, hint: str = "") -> _Stop:
        self.fail(event, message, hint)
        return _Stop()

    def document(self) -> None:
        self.next()  # the stream's start
        event = self.next()
        if isinstance(event, yaml.StreamEndEvent):
            return
        self.tree.value = self.node(self.next(), (), 0)
        self.next()  # the document's end
        event = self.next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self.stop(
                event, "a spec is one YAML document, and here a second one starts", "remove the ---"
            )

    def count(self, event: Any, amount: int = 1) -> None:
        self.nodes += amount
        if self.nodes > MAX_NODES:
            raise self.stop(
                event, f"more than {MAX_NODES:,} values, aliases included", "a spec is a few lines"
            )

    def node(self, event: Any, path: Path, depth: int) -> Any:
        self.count(event)
        if depth > MAX_DEPTH:
            raise self.stop(event, f"nested more than {MAX_DEPTH} deep")
        self.tree.values[path] = _place(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        before = self.nodes
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event, path)
        elif event.tag not in (None, "!", _STANDARD + "map", _STANDARD + "seq"):
            raise self.stop(event, f"the tag {_show(event.tag)} has no meaning in a spec", "remove it")
        elif isinstance(event, yaml.MappingStartEvent):
            value = self.mapping(path, depth)
        else:
            value = self.sequence(path, depth)
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(value, 1 + self.nodes - before)
        return value

    def alias(self, event: Any) -> Any:
        anchored = self.anchors.get(event.anchor)
        if anchored is None:
            raise self.stop(event, f"*{_show(event.anchor)} names nothing before it", "write the value out")
        self.count(event, anchored.size)
        return anchored.value

    def mapping(self, path: Path, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.key(event)
            where = (*path, key)
            if key in result:
                line, _ = self.tree.keys[where]
                self.fail(
                    event, f"the key {_show(key)} is given twice, first on line {line}", "keep one of them"
                )
                self.node(self.next(), (*path, key, "(again)"), depth + 1)
                continue
            self.tree.keys[where] = _place(event)
            result[key] = self.node(self.next(), where, depth + 1)
        return result

    def sequence(self, path: Path, depth: int) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            where = (*path, len(result))
            self.tree.keys[where] = _place(event)
            result.append(self.node(event, where, depth + 1))
        return result

    def key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self.stop(event, "a key must be a plain word", "write  key: value")
        if event.value == "<<" and event.implicit[0]:
            raise self.stop(event, "merge keys (<<) are not part of YAML 1.2", "write the keys out")
        return str(event.value)

    def scalar(self, event: Any, path: Path = ()) -> Any:
        text: str = event.value
        if event.tag not in (None, "!", _STANDARD + "str"):
            self.fail(event, f"the tag {_show(event.tag)} has no meaning in a spec", "write the plain value")
            return text
        if event.tag or not event.implicit[0] or _WORDS.get(path) == text:
            return text
        for pattern, reason, hint in _TRAPS:
            if pattern.match(text):
                self.fail(event, f"{_show(text)} is ambiguous: {reason}", f"{hint}, or put it in quotes")
                return text
        return self.plain(event, text)

    def plain(self, event: Any, text: str) -> Any:
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text.lower() in ("true", "false") and text in (text.lower(), text.title(), text.upper()):
            return text.lower() == "true"
        if len(text) > LONGEST_NUMBER:  # keeps int() away from a million digits
            if any(number.match(text) for number in (_NUMBER, _HEX, _FLOAT)):
                said = f"{len(text)} characters are too long for a number"
                self.fail(event, said, "put it in quotes, or write a shorter one")
            return text
        if _NUMBER.match(text):
            return int(text.replace("_", ""))
        if _HEX.match(text):
            return int(text, 16)
        if _FLOAT.match(text):
            number = float(text.replace("_", ""))
            if math.isinf(number):
                self.fail(event, f"{text} is too large for a number", "write it as text, in quotes")
            return number
        return text


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _short(text: str) -> str:
    """A message that quotes a long text keeps its start and its end."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 100]} ... {text[-90:]}"


def _show(key: str) -> str:
    return key if re.fullmatch(r"[\w.$:+-]{1,60}", key, re.ASCII) else ascii(key[:60])


def _tabs(text: str) -> list[Problem]:
    return [
        Problem(number, line.index("\t") + 1, "a tab in the indentation", "YAML indents with spaces only")
        for number, line in enumerate(text.splitlines(), 1)
        if "\t" in line[: len(line) - len(line.lstrip())] and line.strip()
    ]


def _syntax(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    said = error.problem or "it can't be read"
    context = f", {error.context}" if error.context else ""
    hint = "check indentation and quotes"
    if "mapping values are not allowed" in said:
        hint = 'text that holds ": " needs quotes, and keys of one section the same indentation'
    elif "cannot start any token" in said or "found unexpected" in said:
        hint = "put text that starts with a special character in quotes"
    return Problem(*where, f"this is not YAML: {said}{context}", hint)

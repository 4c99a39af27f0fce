"""From rows to items: the whole row, one field of it, a template, or what failed before. Writes nothing."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, count, repeat
from typing import Any

from wrapgen import protocol
from wrapgen.errors import RunError, UsageError
from wrapgen.run.input.source import Row, Source
from wrapgen.run.input.values import Unsendable, field_of, id_of, plain, refused_item, within_limits
from wrapgen.run.remote_files import InputFile
from wrapgen.run.scheduling.chunks import Entry

_PERHAPS_ERROR = (b'{"$', b'{"\\', b"{ ", b"{\t", b"{\r")
"""How an item may start that an error object looks like: a key can be written with escapes."""

_FILE = "$file"
"""The field of a row that is the name of its file."""

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


@dataclass(frozen=True)
class Selection:
    """What of a row is the item, and what is its id; all of it kept in the ledger.

    Args:
        field: the item is this field of the row (`text`, or `user.text` for a nested one); None: no field.
            Here, in the template and as id `$file` is the name of the row's file.
        template: the item is this JSON text with `{field}` replaced; None: no template.
        id: the field that is the id; None: the run index is.
    """

    field: str | None = None
    template: str | None = None
    id: str | None = None


class Items(ABC):
    """The items of a run, in run order, the same each time.

    Args:
        source: their rows.

    Attributes:
        name: what a user calls the input.
        several: whether the rows may be from more than one file.
        run: the run that the items belong to already, or None for a run of their own.
    """

    run: str | None = None

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.several = source.several
        self._source = source

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Every item.

        Raises:
            RunError: a row can't be read or holds no such item; names the place.
        """

    @abstractmethod
    def rows(self) -> Iterator[tuple[int, Any, str]]:
        """Run index, decoded row and file of every item, for joining it with its outcome."""

    @abstractmethod
    def selection(self) -> dict[str, Any]:
        """What besides the rows makes the items these; kept in the ledger."""

    def sizes(self) -> Iterator[int] | None:
        """Bytes of every item as it travels, if that is all that is to know of them: none has an id.

        Raises:
            RunError: as `entries` does.
        """
        return None

    @property
    def paths(self) -> Sequence[InputFile]:
        """The files that the rows are in; none where they are in no file."""
        return self._source.paths

    def origin(self) -> dict[str, str | None]:
        """Where the rows can be found again: see `Source.origin`."""
        return self._source.origin()

    def fingerprint(self) -> str:
        """Something that changes whenever the rows do."""
        return self._source.fingerprint()


class Selected(Items):
    """The rows of a source, each made into an item.

    Args:
        source: the input.
        selection: what of a row is the item.
    """

    def __init__(self, source: Source, selection: Selection) -> None:
        super().__init__(source)
        self._selection = selection

    def entries(self) -> Iterator[Entry]:
        """Every row as an item, its number as its run index.

        Raises:
            RunError: a row has no such field, or its id is neither text nor a whole number.
            UsageError: the template is not JSON, or stands beside a field.
        """
        texts = self._texts()
        if texts is None:
            return self._selected()
        columns = zip(count(), texts, repeat(None), repeat(0), repeat(0), strict=False)
        return map(tuple.__new__, repeat(Entry), columns)  # without a call of Python code

    def sizes(self) -> Iterator[int] | None:
        """Bytes of every row, where it is the item as it stands."""
        texts = self._texts()
        return None if texts is None else map(len, texts)

    def _texts(self) -> Iterator[bytes] | None:
        texts = self._source.texts() if self._selection == Selection() else None
        return None if texts is None else chain.from_iterable(map(_travelling, texts))

    def _selected(self) -> Iterator[Entry]:
        make = _maker(self._selection)
        pick_id = self._selection.id
        named = _FILE in json.dumps(asdict(self._selection))
        for index, (row, file) in enumerate(self._rows()):
            looked = _named(row, file) if named else row
            try:
                if isinstance(row.value, Unsendable):
                    item = refused_item(row.value, f"row {row.place:,}")
                elif len(item := make(row if make is _whole else looked)) > protocol.SHORT:
                    item = within_limits(item)
                id_ = None if pick_id is None else id_of(field_of(looked.value, pick_id))
            except LookupError as error:
                raise RunError(f"{self.name}, row at {row.place}: {error.args[0]}") from error
            yield Entry(index, item, id_)

    def _rows(self) -> Iterator[tuple[Row, str]]:
        for file, rows in self._source.parts():
            yield from zip(rows, repeat(file))  # one of them never ends

    def rows(self) -> Iterator[tuple[int, Any, str]]:
        """Every row, numbered from 0."""
        return ((index, row.value, file) for index, (row, file) in enumerate(self._rows()))

    def selection(self) -> dict[str, Any]:
        """Field, template and id."""
        return asdict(self._selection)


FAILED_ITEM = {"run", "index", "try", "id", "error", "input"}
"""The fields of a line that tells a failed item."""


class Reopened(Items):
    """The failed items of an earlier run, from its errors file: the same run, ids and indexes, later tries.

    Args:
        source: JSON Lines as `output.write_errors` writes them.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.several = False
        first = next(source.rows(), None)
        self.run = None if first is None else str(self._read(first)["run"])

    def entries(self) -> Iterator[Entry]:
        """Every failed item, to be sent with a higher try than it had.

        Raises:
            RunError: a line is of another run or no line of an errors file.
        """
        for row in self._source.rows():
            line = self._read(row)
            if line["run"] != self.run:
                raise RunError(
                    f"{self.name}:{row.place}: of run {line['run']}, the lines before of {self.run}"
                )
            yield Entry(
                line["index"], within_limits(protocol.dumps(line["input"])), line["id"], 0, line["try"]
            )

    def _read(self, row: Row) -> dict[str, Any]:
        line = row.value
        kinds = {"run": str, "id": str, "index": int, "try": int}
        if not isinstance(line, dict) or any(not isinstance(line.get(k), kind) for k, kind in kinds.items()):
            raise RunError(
                f"{self.name}:{row.place}: not a line of an errors file",
                hint="for an input of your own say --format jsonl",
            )
        if "input" not in line:
            raise RunError(f"{self.name}:{row.place}: the line holds no input")
        return line

    def rows(self) -> Iterator[tuple[int, Any, str]]:
        """The failed inputs under their indexes."""
        return ((line["index"], line["input"], "") for line in map(self._read, self._source.rows()))

    def selection(self) -> dict[str, Any]:
        """Nothing."""
        return {}


def _named(row: Row, file: str) -> Row:
    """A row whose fields hold the name of its file."""
    return row._replace(value={**(row.value if isinstance(row.value, dict) else {}), _FILE: file})


def _maker(selection: Selection) -> Callable[[Row], bytes]:
    """What makes an item of a row: one that JSON can't say becomes an item that fails and says its column."""
    field, template = selection.field, selection.template
    if field is not None and template is not None:
        raise UsageError("give --field or --template, not both")
    if field is None and template is None:
        return _whole
    pattern = _pattern(template) if template is not None else None
    names = [field] if field is not None else list(_fields(pattern))

    def item(row: Row) -> bytes:
        try:
            return _encoded(_fill(pattern, row.value) if field is None else field_of(row.value, field))
        except protocol.ProtocolError:
            return refused_item({name: field_of(row.value, name) for name in names}, f"row {row.place:,}")

    return item


def _pattern(template: str) -> Any:
    try:
        return json.loads(template)
    except ValueError as error:
        raise UsageError(
            f"the template is not JSON: {error}", hint="""such as --template '{"document": "{text}"}'"""
        ) from error


def _fields(template: Any) -> Iterator[str]:
    """The fields that a template names."""
    if isinstance(template, str):
        yield from filter(None, _PLACE.findall(template))
    elif isinstance(template, (dict, list)):
        for part in template.values() if isinstance(template, dict) else template:
            yield from _fields(part)


def _whole(row: Row) -> bytes:
    """The row as it is. JSON rows are items as in `$batch`: $binary and $literal mean what they do there."""
    value, raw, place = row
    if raw is not None:
        return _literal(raw)
    try:
        return _encoded(value)
    except protocol.ProtocolError:
        return refused_item(value, f"row {place:,}")


def _encoded(value: Any) -> bytes:
    try:
        return protocol.dumps(protocol.to_wire(value))
    except protocol.ProtocolError:
        return protocol.dumps(protocol.to_wire(plain(value)))


def _travelling(texts: list[bytes]) -> list[bytes]:
    found = _literals(texts)
    if max(map(len, texts), default=0) <= protocol.SHORT:
        return found
    return [within_limits(text) if len(text) > protocol.SHORT else text for text in found]


def _literals(texts: list[bytes]) -> list[bytes]:
    # Comparing is quick, and says no of nearly all: what may be an error object is between the two.
    if min(texts, default=b"~") > b'{"]':
        return texts
    return [text if text < b"{" else _literal(text) for text in texts]


def _literal(text: bytes) -> bytes:
    if not text.startswith(_PERHAPS_ERROR):
        return text
    value = json.loads(text)
    return b'{"$literal":' + text + b"}" if value.keys() == {"$error"} else text


def _fill(template: Any, row: Any) -> Any:
    if isinstance(template, dict):
        return {key: _fill(value, row) for key, value in template.items()}
    if isinstance(template, list):
        return [_fill(value, row) for value in template]
    if not isinstance(template, str):
        return template
    whole = _PLACE.fullmatch(template)
    if whole and whole[1]:
        # Alone in its string, a field keeps its type.
        return field_of(row, whole[1])

    def put(match: re.Match[str]) -> str:
        if not match[1]:
            return match[0][0]
        value = plain(field_of(row, match[1]))
        return value if isinstance(value, str) else protocol.dumps(value).decode("ascii")

    return _PLACE.sub(put, template)

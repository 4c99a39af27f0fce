"""Reading a spec: from bytes or a file to a `Spec`, or to one `SpecError` with every problem in it.

The only file access of the spec layer is here: the spec itself and, for an inline target, its source folder.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

from wrapgen.errors import Problem, SpecError
from wrapgen.files import IGNORED_FOLDERS, INLINE_FOLDER
from wrapgen.spec import names
from wrapgen.spec import tree as trees
from wrapgen.spec.model import Spec
from wrapgen.spec.validate import validate, warnings

MAX_SOURCE_BYTES = 50_000_000
"""Most bytes of an inline target's folder."""

OWN_FOLDER = "name the algorithm's own folder"
"""What to do about a source that is none."""

_TOLD = ("node_modules", "venv")
"""Those of the ignored whose names a folder of source might have."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufffe\uffff]")


def load(path: str | os.PathLike[str]) -> Spec:
    """Reads the spec in a file, and the source folder that it may name.

    Args:
        path: the file, or a folder that holds `spec.yaml`.

    Raises:
        SpecError: it is missing, unreadable or wrong; carries every problem found.
    """
    return check(path)[0]


def check(path: str | os.PathLike[str]) -> tuple[Spec, list[Problem]]:
    """As `load`, with the warnings beside the spec."""
    file = Path(path)
    file = file / "spec.yaml" if file.is_dir() else file
    spec, found = _parse(_bytes(file), str(file), beside=file.parent)
    if spec.target.source:
        folder = _source_folder(file.parent, spec.target.source)
        spec._source_files, spec._source_left_out = _source(spec, folder)
        spec.__dict__.pop("digest", None)
    return spec, found


def parse(text: bytes, path: str = "spec.yaml") -> Spec:
    """Reads a spec from its bytes; touches no file.

    Args:
        text: the whole file.
        path: what messages call it.

    Raises:
        SpecError: it is wrong; carries every problem found.
    """
    return _parse(text, path)[0]


def _parse(text: bytes, path: str, beside: Path | None = None) -> tuple[Spec, list[Problem]]:
    """The spec and its warnings; with its folder, a missing source is reported with all else."""
    if len(text) > trees.MAX_BYTES:
        raise SpecError(path=path, problems=[_too_large(len(text))])
    tree = trees.read(_decode(text, path))
    if tree.problems and tree.value is None:
        raise SpecError(path=path, problems=tree.problems)
    attached = _attached(tree, beside)
    spec = validate(tree, attached)
    if spec is None:
        if beside is not None:
            _tell_missing_source(tree, beside)
        raise SpecError(path=path, problems=tree.problems)
    spec._source_text = text
    spec._attached = attached
    spec._place = (path, *tree.place(("target", "source")))
    return spec, warnings(spec, tree)


def _attached(tree: trees.Tree, beside: Path | None) -> dict[str, bytes]:
    """The files that a target names: a preset, schemas. What can't be read is a problem of the spec."""
    target = tree.value.get("target") if isinstance(tree.value, dict) else None
    found: dict[str, bytes] = {}
    target = target if isinstance(target, dict) else {}
    for key in ("protocol", "item_schema", "result_schema"):
        name = target.get(key)
        if beside is None or not isinstance(name, str) or not name.endswith((".json", ".yaml", ".yml")):
            continue
        try:
            if (beside / name).exists() and not (beside / name).is_file():
                raise ValueError("it is not a file")
            with (beside / name).open("rb") as stream:
                found[name] = stream.read(trees.MAX_BYTES + 1)
            if key != "protocol":
                _check_schema(found[name])
        except (OSError, ValueError) as error:
            said = f"target.{key}: {names.shown(name)} can't be read: "
            said += str(getattr(error, "strerror", None) or error)
            tree.problem(("target", key), said, "name a file beside the spec")
    return found


def _check_schema(text: bytes) -> None:
    """Raises `ValueError` for what is no JSON Schema; only wrappers need the library that knows all of it."""

    def refuse(number: str) -> NoReturn:
        raise ValueError(f"it is no JSON: {number}")

    if len(text) > trees.MAX_BYTES:
        raise ValueError(f"it has more than {trees.MAX_BYTES:,} bytes")
    try:
        schema = json.loads(text.decode("utf-8"), parse_constant=refuse)
        json.dumps(schema, allow_nan=False)
        is_deep = _depth(schema) > trees.MAX_DEPTH
    except RecursionError:
        is_deep = True
    if is_deep:
        raise ValueError(f"it is nested more than {trees.MAX_DEPTH} deep")
    if not isinstance(schema, dict) or not isinstance(schema.get("$schema", ""), str):
        raise ValueError("it is no JSON Schema, which is an object")
    for part in _parts(schema):
        reference, named = part.get("$ref"), part.get("patternProperties")
        if (
            isinstance(reference, str)
            and "$id" not in str(schema)
            and not _leads_somewhere(reference, schema)
        ):
            raise ValueError(
                f"it refers to {names.shown(reference)}, which is not in it, and nothing is fetched"
            )
        for pattern in (part.get("pattern"), *(named if isinstance(named, dict) else ())):
            _check_pattern(pattern)
    with contextlib.suppress(ImportError):
        from jsonschema import SchemaError, validators

        try:
            validators.validator_for(schema, default=validators.Draft202012Validator).check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"it is no JSON Schema: {error.message}") from None


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema with all those inside of it, but not what stands in values that are data."""
    if isinstance(schema, dict):
        yield schema
    inner = schema if isinstance(schema, list) else ()
    if isinstance(schema, dict):
        inner = [one for key, one in schema.items() if key not in ("const", "default", "enum", "examples")]
    for one in inner:
        yield from _parts(one)


def _check_pattern(pattern: Any) -> None:
    """Raises `ValueError` for what Python can't search for, which is what checks items."""
    try:
        re.compile(pattern if isinstance(pattern, str) else "")
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"its pattern {names.shown(pattern)} is none that Python knows: {error}") from None


def _leads_somewhere(reference: str, schema: Any) -> bool:
    """Whether a reference is to a part of the schema, to an anchor, or to a known schema of schemas."""
    if not reference.startswith("#/"):
        return reference.startswith(("#", "http://json-schema.org/", "https://json-schema.org/"))
    steps = unquote(reference[2:]).split("/")
    with contextlib.suppress(LookupError, TypeError, ValueError):
        for step in steps:
            at: Any = int(step) if isinstance(schema, list) else step.replace("~1", "/").replace("~0", "~")
            schema = schema[at]
        return True
    return False


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _too_large(size: int) -> Problem:
    return Problem(
        1, 1, f"the file has {size:,} bytes, and a spec has at most {trees.MAX_BYTES:,}", "is this the spec?"
    )


def _bytes(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if size > trees.MAX_BYTES:  # refused by its size, without reading it
            raise SpecError(path=str(file), problems=[_too_large(size)])
        with file.open("rb") as stream:
            return stream.read(trees.MAX_BYTES + 1)  # a pipe has no size
    except FileNotFoundError:
        hint = "wrapgen init writes one"
        raise SpecError(path=str(file), problems=[Problem(1, 1, "there is no such file", hint)]) from None
    except (OSError, ValueError) as error:
        said = f"the file can't be read: {getattr(error, 'strerror', None) or error}"
        raise SpecError(path=str(file), problems=[Problem(1, 1, said)]) from None


def _decode(text: bytes, path: str) -> str:
    """The text without its byte order mark.

    Raises:
        SpecError: it is not UTF-8, or holds characters that YAML forbids.
    """
    encoding = json.detect_encoding(text)
    if not encoding.startswith("utf-8"):
        problem = Problem(1, 1, f"the file is encoded in {encoding[:6].upper()}", "save it as UTF-8")
        raise SpecError(path=path, problems=[problem])
    try:
        decoded = text.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place(text[: error.start].decode("utf-8", "replace"))
        said = f"the byte 0x{text[error.start]:02x} is not UTF-8"
        raise SpecError(path=path, problems=[Problem(line, column, said, "save the file as UTF-8")]) from None
    bad = [
        Problem(
            *_place(decoded[: match.start()]),
            f"the character U+{ord(match[0]):04X} can't stand in YAML",
            "remove it",
        )
        for _, match in zip(range(20), _FORBIDDEN.finditer(decoded), strict=False)
    ]
    if bad:
        raise SpecError(path=path, problems=bad)
    return decoded


def _place(before: str) -> trees.Place:
    line = before.count("\n") + 1
    return line, len(before) - (before.rfind("\n") + 1) + 1


def source_error(spec: Spec, message: str, hint: str) -> SpecError:
    """What is wrong with an inline target's folder, at the line of the spec that names it."""
    path, line, column = spec.source_place
    return SpecError(path=path, problems=[Problem(line, column, f"target.source: {message}", hint)])


def _source_folder(beside: Path, source: str) -> Path:
    """An inline target's folder: beside the spec, or the copy inside a generated wrapper."""
    copy = beside / INLINE_FOLDER
    return copy if (beside / ".wrapgen.json").is_file() and copy.is_dir() else beside / source


def _tell_missing_source(tree: trees.Tree, beside: Path) -> None:
    """Adds to a wrong spec's problems that there is no such folder, unless its name is wrong already."""
    path = ("target", "source")
    target = tree.value.get("target") if isinstance(tree.value, dict) else None
    source = target.get("source") if isinstance(target, dict) else None
    if not isinstance(source, str) or any((p.line, p.column) == tree.place(path) for p in tree.problems):
        return
    with contextlib.suppress(OSError, ValueError):  # no name that a folder could have
        if not _source_folder(beside, source).is_dir():
            tree.problem(path, f"target.source: there is no folder {source} beside the spec", OWN_FOLDER)


def _source(spec: Spec, folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """The files of an inline target's folder, and what of it is left out.

    Raises:
        SpecError: there is no such folder, or it holds nothing, too much or what can't be read.
    """
    source = spec.target.source
    try:
        if not folder.is_dir():
            raise source_error(spec, f"there is no folder {source} beside the spec", OWN_FOLDER)
        files, left_out = _read(spec, folder)
    except OSError as error:
        where = names.shown(os.path.relpath(error.filename or folder, folder))
        said = f"{where} in {source} can't be read: {error.strerror or error}"
        raise source_error(spec, said, "make it readable, or move it away") from None
    if not any(name.endswith(".py") for name in files):
        raise source_error(spec, f"{source} holds no Python file", OWN_FOLDER)
    return files, left_out


def _read(spec: Spec, folder: Path) -> tuple[dict[str, bytes], list[str]]:
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    total = 0
    for path in sorted(_paths(folder, left_out)):
        relative = path.relative_to(folder).as_posix()
        if path.is_symlink() and (path.is_dir() or not _leads_into(path, folder)):
            inside = _leads_into(path, folder)
            where = "to a folder" if inside else f"that leads out of {spec.target.source}"
            said = f"{names.shown(relative)} is a link {where}"
            raise source_error(spec, said, "put a copy in its place, or remove it")
        if not path.is_file():
            if not path.is_dir():
                left_out.append(f"{names.shown(relative)} is left out: it is not a file")
            continue
        total += path.stat().st_size
        if total > MAX_SOURCE_BYTES:
            said = f"{spec.target.source} holds more than {MAX_SOURCE_BYTES:,} bytes"
            raise source_error(spec, said, "move data out of it")
        files[relative] = path.read_bytes()
    return files, left_out


def _paths(folder: Path, left_out: list[str]) -> Iterator[Path]:
    """All that may be source under a folder, without following a link to another; tells what it skips."""

    def fail(error: OSError) -> NoReturn:
        raise error

    for place, folders, files in os.walk(folder, onerror=fail):
        here = Path(place)
        for name in (*folders, *files):
            path = here / name
            compiled = name.endswith(".pyc")
            if name not in IGNORED_FOLDERS and not compiled:
                yield path
            elif compiled or (name in _TOLD and not (path / "pyvenv.cfg").is_file()):
                shown = names.shown(path.relative_to(folder).as_posix())
                left_out.append(
                    f"{shown} is left out: a wrapper holds no {'.pyc file' if compiled else name}"
                )
        folders[:] = [name for name in folders if name not in IGNORED_FOLDERS]


def _leads_into(link: Path, folder: Path) -> bool:
    return Path(os.path.realpath(link)).is_relative_to(os.path.realpath(folder))

"""Presets: how a protocol becomes requests and results, as data; ours, and a user's own beside the spec.

A user's file is read as strictly as a spec, because the code of a wrapper is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path as File
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError

from wrapgen.spec import tree as trees
from wrapgen.spec.names import Refused, shown
from wrapgen.spec.section import Section
from wrapgen.spec.target import AUTH_SOURCES, AnswerPath, Target

FOLDER = File(__file__).parent / "presets"
SUFFIXES = (".yaml", ".yml")
Setting = Literal["model", "format", "columns", "params", "inputs"]
SETTINGS: tuple[str, ...] = get_args(Setting)
"""The keys of a target that only some presets take."""

OWN = ("request", "result", "parse", "match", "item_error", "content_type", "answer", "reports", "auth")
"""The keys that a preset gives and a spec may replace."""


class _Part(Section):
    """What a preset says; the values of `OWN`, headers and errors are checked as those of a target."""

    request: Any = None
    result: Any = None
    parse: Any = None
    match: Any = None
    item_error: Any = None
    content_type: Any = None
    answer: Any = None
    reports: Any = None
    auth: dict[str, Any] | None = None
    headers: dict[str, Any] = Field({})
    errors: list[dict[str, Any]] = Field([])
    path: list[str | list[str]] = Field([])
    suffix: Annotated[str, Field(pattern=r"^[!-~]*$")] = ""
    tensors: bool = False
    correct: bool = False
    most_tokens: list[AnswerPath] = Field([])
    takes: list[Setting] = Field([])
    needs: list[Setting] = Field([])


class _WithSchema(_Part):
    request: dict[str, Any] = Field({})


class _Preset(_Part):
    lists: _Part | None = None
    formats: dict[str, _Part] | None = Field(None, min_length=1)
    with_schema: _WithSchema | None = Field(None, alias="schema")


PRESET_KEYS = tuple(field.alias or name for name, field in _Preset.model_fields.items())


@cache
def built_in() -> dict[str, dict[str, Any]]:
    """Our presets by name."""
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}


def presets(attached: Mapping[str, bytes]) -> dict[str, Any]:
    """The presets among the files beside a spec; what is none is the `Refused` that says why."""
    found: dict[str, Any] = {}
    for path, content in attached.items():
        if path.endswith(SUFFIXES):
            try:
                found[path] = _read(content)
            except Refused as refused:
                found[path] = refused
    return found


def find_preset(name: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """A preset by its name, or by its file beside the spec.

    Raises:
        Refused: there is none, or its file is wrong.
    """
    is_file = name.endswith(SUFFIXES)
    found = own.get(name) if is_file else built_in().get(name)
    if found is None:
        hint = f"there are {', '.join(built_in())}, or ./NAME.yaml beside the spec"
        raise Refused(f"there is no preset {shown(name)}", hint)
    if isinstance(found, Refused):
        raise Refused(f"the preset {shown(name)}: {found.message}", found.hint)
    preset: dict[str, Any] = found
    return preset


def check_filled(address: str, keys: Mapping[str, Any]) -> None:
    """What a preset of the user's fills in has to be what a target may say.

    Raises:
        Refused: it is not.
    """
    said = {key: value for key, value in keys.items() if key != "result"}
    try:
        Target.model_validate({"endpoint": address, **said})
    except ValidationError as error:
        raise _refused(error) from None
    sources = [key for key in AUTH_SOURCES if keys.get("auth", {}).get(key) is not None]
    if "auth" in keys and len(sources) != 1:
        raise Refused("auth: credentials come from one source", f"write one of {', '.join(AUTH_SOURCES)}")


def _read(content: bytes) -> dict[str, Any]:
    try:
        tree = trees.read(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Refused("it is not UTF-8", "save it as UTF-8") from None
    if len(content) > trees.MAX_BYTES:
        raise Refused(f"it has more than {trees.MAX_BYTES:,} bytes", "is this a preset?")
    for problem in tree.problems[:1]:
        raise Refused(f"line {problem.line}: {problem.message}", problem.hint)
    if not isinstance(tree.value, dict):
        raise Refused("it holds no section", f"the keys of a preset are {', '.join(PRESET_KEYS)}")
    for key in sorted(set(tree.value) - set(PRESET_KEYS)):
        raise Refused(f"unknown key {shown(key)}", f"the keys of a preset are {', '.join(PRESET_KEYS)}")
    try:
        _Preset.model_validate(tree.value)
    except ValidationError as error:
        raise _refused(error) from None
    if "schema" in tree.value and not isinstance(tree.value.get("request"), dict):
        raise Refused("it has a schema, and no request to add it to", "write request: {...}")
    return {key: value for key, value in tree.value.items() if value is not None}


def _refused(error: ValidationError) -> Refused:
    """The first of what is wrong, with its place."""
    detail = error.errors(include_url=False)[0]
    place = ".".join(map(str, detail["loc"])) if detail["type"] != "extra_forbidden" else ""
    kind, context = detail["type"].removesuffix("_type"), detail.get("ctx", {})
    said = f" must be {_KINDS[kind]}" if kind in _KINDS else f": {context.get('said', detail['msg'])}"
    said = said if place else f"unknown key {shown('.'.join(map(str, detail['loc'])))}"
    return Refused(f"{place}{said}", context.get("hint") or "wrapgen docs endpoints says what a preset holds")


_KINDS = {
    "list": "a list",
    "dict": "an object",
    "model": "an object",
    "bool": "true or false",
    "string": "text",
}

"""A target's endpoint with its preset filled in: what a request says and how an answer is read, as one value.

A preset is data (`presets/NAME.yaml`, or a file beside the spec); the spec's own keys win over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path as File
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import yaml
from pydantic import ValidationError

from wrapgen.spec import mapping
from wrapgen.spec.mapping import MISSING, Each, Ref, Report, Template, parse_result, parse_template
from wrapgen.spec.names import Refused, parse_path, shown
from wrapgen.spec.target import Target
from wrapgen.spec.tree import Path

FOLDER = File(__file__).parent / "presets"
AWS_SCHEME = "sagemaker"
SETTINGS = ("model", "format", "columns", "params", "inputs")
"""The keys of a target that only some presets take."""

OWN = ("request", "result", "parse", "match", "item_error", "content_type", "answer", "reports", "auth")
"""The keys that a preset gives and a spec may replace."""

_MORE = ("path", "suffix", "lists", "formats", "schema", "tensors", "correct", "most_tokens")
PRESET_KEYS = (*OWN, *_MORE, "takes", "needs", "errors", "headers")


_KINDS: dict[str, type] = {
    **dict.fromkeys(("takes", "needs", "path", "most_tokens"), list),
    **dict.fromkeys(("lists", "formats", "schema"), dict),
    **dict.fromkeys(("tensors", "correct"), bool),
    "suffix": str,
}
_KIND_NAMES = {list: "a list", dict: "an object", bool: "true or false", str: "text"}
_VALIDATED = (*OWN[2:], "errors", "headers")
"""What a preset says in the words of a target."""


class Expanded(NamedTuple):
    """An endpoint as the wrapper calls it.

    Args:
        url: the address of one request, its query included.
        keys: the target's keys with the preset filled in, as `check --explain` prints them.
        request, result, match, item_error, headers: what they say, as trees of `mapping`.
        lists: whether one request carries a list of items.
        preset: what else the preset says, such as `tensors` and `correct`.
    """

    url: str
    keys: dict[str, Any]
    request: Template
    result: Template
    match: tuple[Ref, Ref] | None
    item_error: Ref | None
    headers: dict[str, Template]
    lists: bool
    preset: dict[str, Any]


@cache
def built_in() -> dict[str, dict[str, Any]]:
    """Our presets by name."""
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}


def presets(attached: Mapping[str, bytes]) -> dict[str, Any]:
    """The presets among the files beside a spec; what is no YAML is None."""
    found: dict[str, Any] = {}
    for path, content in attached.items():
        if path.endswith((".yaml", ".yml")):
            try:
                found[path] = yaml.safe_load(content)
            except (yaml.YAMLError, UnicodeDecodeError):
                found[path] = None
    return found


def find_preset(name: str, own: Mapping[str, Any]) -> dict[str, Any] | None:
    """A preset by its name, or by its file beside the spec; None if there is none."""
    found = own.get(name) if name.endswith((".yaml", ".yml")) else built_in().get(name)
    return found if isinstance(found, dict) else None


def expand(target: Mapping[str, Any], own: Mapping[str, Any], report: Report) -> Expanded | None:
    """The endpoint that a target describes; None if it describes none that can be called.

    Args:
        target: the section as written, or as validated.
        own: presets beside the spec, by the path that the spec gives.
        report: is called for each problem.
    """
    url, name = target.get("endpoint"), target.get("protocol") or "json"
    if not isinstance(url, str) or not isinstance(name, str):
        return None
    preset = find_preset(name, own)
    if preset is None:
        _report_unknown(name, report)
        return None
    if name in own:
        wrong = next(_wrong_with(preset), "")
        if wrong:
            hint = "wrapgen docs endpoints says what a preset holds"
            report(("target", "protocol"), Refused(f"the preset {shown(name)}: {wrong}", hint))
            return None
    if urlsplit(url).scheme == AWS_SCHEME:
        aws = built_in()[AWS_SCHEME]
        auth = {**aws["auth"], "region": urlsplit(url).netloc}
        preset = {**preset, "auth": auth, "errors": [*preset.get("errors", ()), *aws["errors"]]}
    for path, refused in _check_settings(target, preset, name):
        report(path, refused)
    facts = {key: target.get(key) for key in SETTINGS}
    if isinstance(facts["model"], str):
        facts["model"] = {"name": facts["model"]}
    chosen = _chosen(target, preset)
    if chosen is None:
        return None
    keys = _filled(target, chosen, facts)
    return _parsed(target, _address(url, chosen, facts), keys, chosen, report)


def explained(target: Mapping[str, Any], expanded: Expanded) -> dict[str, Any]:
    """The target with its preset filled in: a valid section itself, unless code has to read the answer."""
    read_by_code = [key for key in ("tensors", "correct") if expanded.preset.get(key)]
    kept = [key for key in target if key not in (*SETTINGS, *expanded.keys) or read_by_code]
    made = {key: target[key] for key in kept}
    if not read_by_code:
        is_aws = urlsplit(made["endpoint"]).scheme == AWS_SCHEME
        made.update({} if is_aws else {"endpoint": expanded.url}, protocol="json")
    return {**made, **expanded.keys}


def _wrong_with(preset: Mapping[Any, Any], above: str = "") -> Iterator[str]:
    """What is wrong with a preset that stands beside a spec."""
    for key, value in preset.items():
        if key not in PRESET_KEYS:
            yield f"unknown key {shown(f'{above}{key}')}"
        elif key in _KINDS and not isinstance(value, _KINDS[key]):
            yield f"{above}{key} must be {_KIND_NAMES[_KINDS[key]]}"
        elif key in ("takes", "needs") and not set(map(str, value)) <= set(SETTINGS):
            yield f"{above}{key} may name {', '.join(SETTINGS)}"
        elif key == "formats":
            for name, one in value.items():
                kept = isinstance(one, dict)
                yield from _wrong_with(one, f"{key}.{name}.") if kept else [f"{key}.{name} must be an object"]
        elif key in ("lists", "schema"):
            yield from _wrong_with(value, f"{key}.")
    known = {key: preset[key] for key in _VALIDATED if preset.get(key) is not None}
    try:
        Target.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        yield f"{above}{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _report_unknown(name: str, report: Report) -> None:
    hint = f"there are {', '.join(built_in())}, or ./NAME.yaml beside the spec"
    report(("target", "protocol"), Refused(f"there is no preset {shown(name)}", hint))


def _check_settings(
    target: Mapping[str, Any], preset: dict[str, Any], name: str
) -> Iterator[tuple[Path, Refused]]:
    formats = preset.get("formats", {})
    chosen = formats.get(target.get("format"), {}) if isinstance(target.get("format"), str) else {}
    for key in SETTINGS:
        if target.get(key) is not None and key not in preset.get("takes", ()):
            yield ("target", key), Refused(f"the protocol {name} has no {key}", f"remove {key}")
    for key in (*preset.get("needs", ()), *chosen.get("needs", ())):
        if target.get(key) is None:
            yield ("target",), Refused(f"the protocol {name} needs {key}", f"add {key}: to target")
    if formats and target.get("format") not in formats:
        listed = ", ".join(formats)
        said = f"the protocol {name} has several formats of a request"
        yield (
            ("target", "format") if target.get("format") else ("target",),
            Refused(said, f"write format: {listed}"),
        )


def _chosen(target: Mapping[str, Any], preset: dict[str, Any]) -> dict[str, Any] | None:
    """The preset as it is for this format, for lists or single items, and with a schema of results or not."""
    chosen = dict(preset)
    if "formats" in preset:
        if target.get("format") not in preset["formats"]:
            return None
        chosen.update(preset["formats"][target["format"]])
    if target.get("result_schema") and "schema" in preset:
        given = dict(preset["schema"])
        chosen["request"] = {**chosen["request"], **given.pop("request", {})}
        chosen.update(given)
    written = parse_template(target.get("request"), (), lambda _path, _refused: None)
    if "lists" in preset and (_is_more_than_one(target.get("batch_size")) or mapping.takes_lists(written)):
        chosen.update(preset["lists"])
    return chosen


def _is_more_than_one(size: Any) -> bool:
    return isinstance(size, int) and size > 1


def _filled(target: Mapping[str, Any], chosen: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """The target's keys, with what the preset says where the spec is silent."""
    keys: dict[str, Any] = {}
    for key in OWN:
        given, written = mapping.substituted(chosen.get(key), facts), target.get(key)
        if isinstance(given, dict) and isinstance(written, dict) and (key == "request" or "aws" in written):
            written = {**given, **written}
        keys[key] = given if written is None else written
    if chosen.get("tensors"):
        keys["request"] = _tensors(keys["request"], target.get("inputs"))
    keys["headers"] = {**chosen.get("headers", {}), **(target.get("headers") or {})}
    own = [{"status": 200, **rule} for rule in target.get("errors") or ()]
    keys["errors"] = own + [rule for rule in chosen.get("errors", ()) if {"status": 200, **rule} not in own]
    return {key: value for key, value in keys.items() if value not in (None, [], {}, MISSING)}


def _tensors(request: Any, inputs: Any) -> Any:
    """The request with each input's value as a tensor: the first axis is that of the items."""
    tensors = []
    for one in inputs if isinstance(inputs, (list, tuple)) else ():
        if not isinstance(one, dict):
            continue
        shape = ["$count" if size == -1 else size for size in one.get("shape") or [-1]]
        rest = {key: one[key] for key in ("name", "datatype") if key in one}
        extra = {"parameters": one["parameters"]} if one.get("parameters") else {}
        tensors.append({**rest, "shape": shape, **extra, "data": {mapping.EACH: one.get("value", "$item")}})
    return {**request, "inputs": tensors} if isinstance(request, dict) else request


def _address(url: str, preset: dict[str, Any], facts: dict[str, Any]) -> str:
    """The URL of a request: the endpoint's, with the preset's path unless it ends with that already."""
    parts = urlsplit(url)
    if parts.scheme == AWS_SCHEME:
        name = parts.path.strip("/")
        return f"https://runtime.sagemaker.{parts.netloc}.amazonaws.com/endpoints/{name}/invocations"
    segments: list[str] = []
    for one in preset.get("path", ()):
        found = mapping.substituted(one, facts)
        if isinstance(one, list):
            segments += found if len(found) == len(one) else []
        else:
            segments.append(found)
    tail = "".join("/" + quote(str(segment), safe="") for segment in segments)
    tail = tail and tail + preset.get("suffix", "")
    path = parts.path.rstrip("/") if tail else parts.path or "/"
    if not path.endswith(tail):
        path += tail
    return f"{parts.scheme}://{parts.netloc}{path}" + (f"?{parts.query}" if parts.query else "")


def _parsed(
    target: Mapping[str, Any], url: str, keys: dict[str, Any], preset: dict[str, Any], report: Report
) -> Expanded:
    at = ("target",)
    request = parse_template(keys.get("request", "$item"), (*at, "request"), report)
    mapping.check_scope(request, (*at, "request"), report)
    lists = mapping.takes_lists(request)
    _check_together(target, keys, request, report)
    result = None
    if keys.get("result") in ("whole", "first"):
        hint = "write where the results stand in an answer, such as $.predictions[*]"
        report((*at, "result"), Refused(f"result: {keys['result']} is about an algorithm", hint))
    elif not preset.get("tensors"):
        result = parse_result(keys.get("result", "$"), (*at, "result"), report)
        mapping.check_result(result, (*at, "result"), report, lists)
    headers = {
        key: parse_template(value, (*at, "headers", key), report)
        for key, value in keys.get("headers", {}).items()
    }
    for where, one in mapping.walk(headers, (*at, "headers")):
        if isinstance(one, Each) or (lists and _names_item(one)):
            report(where, Refused("a header is one text for the whole request", "write $call.key, or a text"))
    error = keys.get("item_error")
    item_error = parse_result(error, (*at, "item_error"), report) if isinstance(error, str) else None
    match = _match(keys.get("match"), lists, report)
    return Expanded(url, keys, request, result, match, item_error, headers, lists, preset)


def _check_together(
    target: Mapping[str, Any], keys: dict[str, Any], request: Template, report: Report
) -> None:
    """What a request says against what else the target says of lists, bodies and answers."""
    lists, size = mapping.takes_lists(request), target.get("batch_size")
    if _is_more_than_one(size) and not lists:
        said = f"batch_size is {size}, and the request carries no list of items"
        hint = "write $items, $items[*].text or {$each: ...} in the request, or remove batch_size"
        report(("target", "request" if "request" in target else "batch_size"), Refused(said, hint))
    for number, one in enumerate(target.get("inputs") or ()):
        shape = one.get("shape") if isinstance(one, dict) else None
        if _is_more_than_one(size) and shape is not None and list(shape)[:1] != [-1]:
            said = "the first axis of a tensor is that of the items, and their number varies"
            report(("target", "inputs", number, "shape"), Refused(said, "write -1 as its first number"))
    kind, answer = keys.get("content_type", "json"), keys.get("answer", "json")
    if "json" not in kind and isinstance(request, dict):
        said = f"{kind} is made of text or bytes, and this request is an object"
        report(("target", "request"), Refused(said, "write $item, or {$each: ...} with a text for each line"))
    result = keys.get("result", "$")
    if answer != "json" and result not in (["$", "$[*]"] if answer == "lines" else ["$"]):
        said = f"an answer that is read as {answer} has nothing inside"
        report(("target", "result"), Refused(said, "write result: $" + "[*]" * (answer == "lines")))
    error = keys.get("item_error")
    if lists and isinstance(error, str) and "[*]" not in error and ".*" not in error:
        said = "the request carries a list of items, and this is one error, not one for each"
        hint = "write for example $.errors[*]; an error of the whole answer belongs in errors:"
        report(("target", "item_error"), Refused(said, hint))
    for number, rule in enumerate(target.get("errors") or ()):
        for key in ("path", "status_in", "message") if isinstance(rule, dict) else ():
            if _is_many(rule.get(key)):
                said = "an error of an answer is one value, and * stands for many"
                hint = "name one element, such as [0]; errors of items belong in item_error:"
                report(("target", "errors", number, key), Refused(said, hint))


def _is_many(path: Any) -> bool:
    try:
        return isinstance(path, str) and None in parse_path(path)
    except Refused:  # which the model tells
        return False


def _names_item(template: Template) -> bool:
    return any(ref.root == "item" for _, ref in mapping.references(template))


def _match(value: Any, lists: bool, report: Report) -> tuple[Ref, Ref] | None:
    """By which values of an answer and of the items results are matched."""
    if not isinstance(value, dict):
        return None
    answer, item = value.get("answer"), value.get("item")
    try:
        steps = parse_path(answer if isinstance(answer, str) else "")
        if None not in steps:
            raise Refused("the answer has one id for each item", "write for example $.results[*].id")
        found = parse_template(item, (), report) if item != "$position" else Ref("position", ())
        if not isinstance(found, Ref):
            raise Refused("an item's id is one value of it", "write for example $item.id, or $position")
    except Refused as refused:
        report(("target", "match"), refused)
        return None
    if not lists:
        report(("target", "match"), Refused("one item's answer needs no match", "remove match"))
    return Ref("answer", steps), found

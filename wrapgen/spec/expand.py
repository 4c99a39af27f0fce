"""A target's endpoint with its preset filled in: what a request says and how an answer is read, as one value.

A preset is data (`presets/NAME.yaml`, or a file beside the spec); the spec's own keys win over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from wrapgen.spec import mapping
from wrapgen.spec.mapping import MISSING, Each, Ref, Report, Template, Text, parse_result, parse_template
from wrapgen.spec.names import Refused, parse_path, shown
from wrapgen.spec.preset import OWN, SETTINGS, built_in, check_filled, find_preset
from wrapgen.spec.tree import Path

AWS_SCHEME = "sagemaker"


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
    try:
        preset = find_preset(name, own)
    except Refused as none:
        report(("target", "protocol"), none)
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
    try:
        keys = _filled(target, chosen, facts)
        address = _address(url, chosen, facts)
        if name in own:
            check_filled(address, _filled({}, chosen, facts))
    except Refused as refused:
        report(("target", "protocol"), Refused(f"the preset {shown(name)}: {refused.message}", refused.hint))
        return None
    return _parsed(target, address, keys, chosen, report)


def explained(target: Mapping[str, Any], expanded: Expanded) -> dict[str, Any]:
    """The target with its preset filled in: a valid section itself, unless code has to read the answer."""
    read_by_code = [key for key in ("tensors", "correct") if expanded.preset.get(key)]
    kept = [key for key in target if key not in (*SETTINGS, *expanded.keys) or read_by_code]
    made = {key: target[key] for key in kept}
    if not read_by_code:
        is_aws = urlsplit(made["endpoint"]).scheme == AWS_SCHEME
        made.update({} if is_aws else {"endpoint": expanded.url}, protocol="json")
    return {**made, **expanded.keys}


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
        if not isinstance(one, list):
            one, found = [one], [found]
            if found == [MISSING]:
                raise Refused(f"its path needs {one[0]}", "put it in brackets to leave it out")
        if any(isinstance(part, (dict, list)) for part in found):
            raise Refused(f"its path can't hold {one}", "write for example $target.model.name")
        segments += found if len(found) == len(one) else []
    tail = "".join("/" + _quoted(str(segment)) for segment in segments)
    tail = tail and tail + preset.get("suffix", "")
    path = parts.path.rstrip("/") if tail else parts.path or "/"
    if not path.endswith(tail):
        path += tail
    return f"{parts.scheme}://{parts.netloc}{path}" + (f"?{parts.query}" if parts.query else "")


def _quoted(segment: str) -> str:
    """One segment of a path, whatever it is made of."""
    if segment in (".", ".."):
        raise Refused(f"a path can't hold {shown(segment)} as a name", "write the model's name on the server")
    return quote(segment, safe="")


def _parsed(
    target: Mapping[str, Any], url: str, keys: dict[str, Any], preset: dict[str, Any], report: Report
) -> Expanded:
    at = ("target",)
    request = parse_template(keys.get("request", "$item"), (*at, "request"), report)
    mapping.check_scope(request, (*at, "request"), report)
    for root in ("item_schema", "result_schema"):
        if root not in target and any(ref.root == root for _, ref in mapping.references(request)):
            said = f"the request holds ${root}, and there is none"
            report((*at, "request"), Refused(said, f"add {root}: FILE.json to target"))
    lists = mapping.takes_lists(request)
    _check_together(target, keys, request, report)
    result = None
    if keys.get("result") in ("whole", "first"):
        hint = "write where the results stand in an answer, such as $.predictions[*]"
        report((*at, "result"), Refused(f"result: {keys['result']} is about an algorithm", hint))
    elif preset.get("tensors"):
        _check_output(keys.get("result", {}), report)
    else:
        result = parse_result(keys.get("result", "$"), (*at, "result"), report)
        mapping.check_result(result, (*at, "result"), report, lists)
    headers = {
        key: parse_template(value, (*at, "headers", key), report)
        for key, value in keys.get("headers", {}).items()
    }
    for key, one in headers.items():
        where = (*at, "headers", key)
        if isinstance(one, Each) or (lists and _names_item(one)):
            report(where, Refused("a header is one text for the whole request", "write $call.key, or a text"))
        parts = one.parts if isinstance(one, Text) else [one]
        if any(isinstance(part, str) and not (part.isascii() and part.isprintable()) for part in parts):
            report(
                where, Refused("a header is one line of ASCII", "write it without line breaks and accents")
            )
    error = keys.get("item_error")
    item_error = parse_result(error, (*at, "item_error"), report) if isinstance(error, str) else None
    match = _match(keys.get("match"), lists, report)
    return Expanded(url, keys, request, result, match, item_error, headers, lists, preset)


def _check_output(result: Any, report: Report) -> None:
    """Of tensors a result is one output by its name."""
    known = isinstance(result, dict) and set(result) <= {"output", "parse"}
    if not known or not isinstance(result.get("output", ""), str) or result.get("parse", "json") != "json":
        hint = "write result: {output: NAME}, with parse: json if it holds JSON"
        report(("target", "result"), Refused("a result of tensors is one output by its name", hint))


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
    _check_errors(keys.get("errors", ()), report)
    _check_price(target.get("price"), keys.get("reports"), report)


def _check_price(price: Any, reports: Any, report: Report) -> None:
    """What costs money has to be counted: by what answers report of it."""
    reported = reports if isinstance(reports, dict) else {}
    for kind, name in (("input", "tokens_in"), ("output", "tokens_out")):
        cost = price.get(kind) if isinstance(price, dict) else 0
        if isinstance(cost, (int, float)) and cost > 0 and not reported.get(name):
            said = f"tokens have a price, and nothing says where an answer reports them ({name})"
            hint = f"write reports: {{{name}: $.usage.{name}}} with the path of your server, or remove it"
            report(("target", "price", kind), Refused(said, hint))


def _check_errors(rules: Any, report: Report) -> None:
    """Each tells one thing that is wrong with an answer."""
    for number, rule in enumerate(rules):
        if not rule.get("path") and (rule.get("value") is not None or _holds_200(rule.get("status", 200))):
            said = "this error would be every answer with its status, good ones too"
            report(("target", "errors", number), Refused(said, "write path:, where in the answer it shows"))
        for key in ("path", "status_in", "message") if isinstance(rule, dict) else ():
            if _is_many(rule.get(key)):
                said = "an error of an answer is one value, and * means many"
                hint = "name one element, such as [0]; errors of items belong in item_error:"
                report(("target", "errors", number, key), Refused(said, hint))


def _holds_200(status: Any) -> bool:
    return 200 in (status if isinstance(status, (list, tuple)) else [status])


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
        if not isinstance(found, Ref) or found.root not in ("item", "position"):
            raise Refused("an item's id is one value of it", "write for example $item.id, or $position")
    except Refused as refused:
        report(("target", "match"), refused)
        return None
    if not lists:
        report(("target", "match"), Refused("one item's answer needs no match", "remove match"))
    return Ref("answer", steps), found

"""`src/mapping.py` of an endpoint's wrapper: the spec's mapping as plain Python.

Knows Python and the trees of `spec.mapping`; what a target's keys mean was decided in `spec.expand`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from wrapgen.build.header import header_of
from wrapgen.build.literals import literal
from wrapgen.spec import Spec
from wrapgen.spec.expand import Expanded
from wrapgen.spec.mapping import Each, Ref, Template, Text, references, walk
from wrapgen.spec.names import Steps, parse_path

PATH = "src/mapping.py"
_HELPERS = ("at", "element", "elements", "matched", "rows", "text")


def mapping_module(spec: Spec) -> bytes:
    """The text of the module, as the formatters would have it."""
    expanded = spec.expanded
    functions = [*_requests(expanded), *_results(expanded), *_beside(expanded)]
    body = "\n\n\n".join(functions)
    keyed = any(ref.root == "call" for _, ref in _all_references(expanded))
    says = "How an item becomes a request, and an answer its result, as spec.yaml says."
    head = [
        f'"""{says}\n\n{header_of(spec)}\n"""',
        "from __future__ import annotations",
        "\n".join([*(["import json"] if "json.loads(" in body else []), "from typing import Any"]),
        *_own_imports(body),
        f"LISTS = {expanded.lists}  # whether one request carries a list of items\n"
        f"KEYED = {keyed}  # whether a request names a key that is the same for every attempt",
    ]
    return ("\n\n".join(head) + "\n\n\n" + body + "\n").encode("ascii")


def _own_imports(body: str) -> list[str]:
    names = sorted(name for name in _HELPERS if re.search(rf"\b{name}\(", body))
    lines = ["from . import config"] if "config." in body else []
    modules = [("json_paths", names), ("tensors", ["tensors"] if re.search(r"\btensors\(", body) else [])]
    lines += [f"from .runtime.{module} import {', '.join(found)}" for module, found in modules if found]
    return ["\n".join(lines)] if lines else []


def _all_references(expanded: Expanded) -> Iterable[tuple[Any, Ref]]:
    yield from references(expanded.request)
    yield from references(expanded.headers)


def _function(signature: str, says: str, *lines: str) -> str:
    return f'def {signature}:\n    """{says}"""\n' + "\n".join("    " + line for line in lines)


def _requests(expanded: Expanded) -> list[str]:
    """`taken`, `request` and `headers`."""
    found: list[str] = []
    if expanded.lists:
        each = _each(expanded.request)
        values = [_expression(one.of, _Names(item="item"), 4) for one in each]
        value = values[0] if len(values) == 1 else _collection("()", values, 4, len("return "))
        found.append(
            _function("taken(item: Any) -> Any", "What a request takes of one item.", f"return {value}")
        )
        names = _Names(each=each)
        signature = "request(taken: list[Any], key: str) -> Any"
        says = "The body of a request, of what it takes of each item."
    else:
        names = _Names(item="item")
        signature, says = "request(item: Any, key: str) -> Any", "The body of a request for one item."
    made = _expression(expanded.request, names, 4, len("return "))
    found.append(_function(signature, says, f"return {made}"))
    texts = {key: Text((one,)) if isinstance(one, Ref) else one for key, one in expanded.headers.items()}
    texts = {key: one for key, one in texts.items() if isinstance(one, Text)}
    if texts:
        made = _expression(texts, names, 4, len("return "))
        signature = signature.replace("request", "headers").replace("-> Any", "-> dict[str, str]")
        found.append(_function(signature, "The headers of a request that depend on it.", f"return {made}"))
    return found


def _each(template: Template) -> list[Each]:
    """What a request takes of each item, each part once."""
    found: list[Each] = []
    for _, one in walk(template):
        if isinstance(one, Each) and one not in found:
            found.append(one)
    return found


def _results(expanded: Expanded) -> list[str]:
    """`each` and `result`."""
    if expanded.preset.get("tensors"):
        return _tensor_results(expanded)
    if not expanded.lists:
        value = _expression(expanded.result, _Names(answer="answer"), 4, len("return "))
        said = _function("said(answer: Any) -> Any", "What the model said.", f"return {value}")
        corrects = bool(expanded.preset.get("correct"))
        value = "said(answer)" if corrects else value
        result = _result("result(answer: Any) -> Any", "The result in an answer.", value, expanded)
        return [said, result] if corrects else [result]
    axes: list[Steps] = []
    for _, ref in references(expanded.result):
        if None in ref.steps and _axis(ref.steps) not in axes:
            axes.append(_axis(ref.steps))
    columns = [f"elements({_chain('answer', axis)})" for axis in axes]
    made = columns[0] if len(columns) == 1 else "rows" + _collection("()", columns, 4, len("return rows"))
    if expanded.match:
        answer, item = expanded.match
        axis = _axis(answer.steps)
        ids = _loop(_chain("answer", axis), "one", _chain("one", answer.steps[len(axis) + 1 :]))
        wanted = "range(len(items))"
        if item.root == "item":
            wanted = _loop("items", "item", _chain("item", item.steps), is_list=True)
        made = "matched" + _collection("()", [made, ids, wanted], 4, len("return matched"))
    says = "What an answer holds for each item, in the order of the items."
    names = _Names(answer="answer", axes=axes)
    value = _expression(expanded.result, names, 4, len("return "))
    return [
        _function("each(answer: Any, items: list[Any]) -> list[Any]", says, f"return {made}"),
        _result("result(one: Any, answer: Any) -> Any", "The result of one of them.", value, expanded),
    ]


def _result(signature: str, says: str, value: str, expanded: Expanded) -> str:
    return _function(
        signature,
        says,
        f"return json.loads({value})" if expanded.keys.get("parse") == "json" else f"return {value}",
    )


def _tensor_results(expanded: Expanded) -> list[str]:
    wanted = expanded.keys.get("result")
    name = wanted.get("output") if isinstance(wanted, dict) else None
    says = "What the output tensors hold for each item, in the order of the items."
    made = f"tensors(answer, len(items), {literal(name)})"
    parsed = Expanded(**{**expanded._asdict(), "keys": {"parse": (wanted or {}).get("parse")}})
    return [
        _function("each(answer: Any, items: list[Any]) -> list[Any]", says, f"return {made}"),
        _result("result(one: Any, answer: Any) -> Any", "The result of one of them.", "one", parsed),
    ]


def _beside(expanded: Expanded) -> list[str]:
    """`item_errors`, `own_error` and `reported`, where the spec asks for them."""
    found: list[str] = []
    if expanded.item_error is not None:
        steps = expanded.item_error.steps
        axis = _axis(steps)
        inner = ", ".join(["one", *map(literal, steps[len(axis) + 1 :])])
        told = f"{_at('answer', axis)} or []"  # an answer may leave out what there is none of
        made = f"elements({told})"
        if len(steps) > len(axis) + 1:
            made = _loop(told, "one", f"at({inner})")
        if None not in steps:
            made = f"[{_at('answer', steps)}]"
        says = "The error that an answer tells of each item."
        found.append(_function("item_errors(answer: Any) -> list[Any]", says, f"return {made}"))
    rules = [line for rule in expanded.keys.get("errors", ()) for line in _rule(rule)]
    if rules:
        says = (
            "What the server's own errors mean: meaning, type, status and message; None for any other answer."
        )
        found.append(_function("own_error(status: int, answer: Any) -> Any", says, *rules, "return None"))
    reports = expanded.keys.get("reports")
    if reports:
        names = ("version", "tokens_in", "tokens_out")
        values = [_at("answer", parse_path(reports[name])) if reports.get(name) else "None" for name in names]
        says = "The version, and the tokens in and out, that an answer reports."
        made = _collection("()", values, 4, len("return "))
        found.append(_function("reported(answer: Any) -> Any", says, f"return {made}"))
    return found


def _rule(rule: dict[str, Any]) -> list[str]:
    """The two lines for one of the spec's errors."""
    status, value = rule.get("status", 200), rule.get("value")
    tests = [
        f"status in {literal(list(status))}" if isinstance(status, (list, tuple)) else f"status == {status}"
    ]
    if rule.get("path"):
        found = _at("answer", parse_path(rule["path"]))
        if value is None:
            tests.append(f"{found} is not None")
        elif isinstance(value, (list, tuple)):
            tests.append(f"{found} in {literal(list(value))}")
        else:
            tests.append(f"{found} == {literal(value)}")
    told = [
        literal(rule["means"]),
        literal(rule.get("type") or ""),
        *(
            _at("answer", parse_path(rule[key])) if rule.get(key) else "None"
            for key in ("status_in", "message")
        ),
    ]
    return [f"if {' and '.join(tests)}:", f"    return {_collection('()', told, 8, len('return '))}"]


def _axis(steps: Steps) -> Steps:
    """The part of a path that leads to the list of the items' results."""
    return steps[: steps.index(None)] if None in steps else steps


class _Names:
    """What the roots of a tree are called in the function that is being written."""

    def __init__(
        self,
        item: str = "",
        answer: str = "",
        each: list[Each] | None = None,
        axes: list[Steps] | None = None,
    ) -> None:
        self.item, self.answer, self.each, self.axes = item, answer, each or [], axes

    def chain(self, ref: Ref) -> str:
        if ref.root in ("item", "answer"):
            if self.axes is not None and None in ref.steps:
                axis = _axis(ref.steps)
                one = "one" if len(self.axes) == 1 else f"one[{self.axes.index(axis)}]"
                return _chain(one, ref.steps[len(axis) + 1 :])
            return _chain(getattr(self, ref.root), ref.steps)
        return {"call": "key", "count": "len(taken)"}.get(ref.root) or f"config.{ref.root.upper()}"

    def taken(self, each: Each) -> str:
        return "taken" if len(self.each) == 1 else f"[one[{self.each.index(each)}] for one in taken]"


def _expression(template: Template, names: _Names, indent: int, before: int = 0) -> str:
    """Python that makes the value of a tree; `indent` is that of its line, `before` what stands before it."""
    if isinstance(template, Ref):
        return names.chain(template)
    if isinstance(template, Each):
        return names.taken(template)
    if isinstance(template, Text):
        parts = [literal(one) if isinstance(one, str) else _texted(one, names) for one in template.parts]
        return " + ".join(parts)
    if isinstance(template, dict) and template:
        pairs: list[str] = []
        for key, one in template.items():
            name = f"{literal(key)}: "
            pairs.append(name + _expression(one, names, indent + 4, len(name)))
        return _collection("{}", pairs, indent, before)
    if isinstance(template, (list, tuple)) and template:
        inner = [_expression(one, names, indent + 4) for one in template]
        return _collection("[]", inner, indent, before)
    return literal(template)


def _texted(ref: Ref, names: _Names) -> str:
    return "key" if ref.root == "call" else f"text({names.chain(ref)})"


def _chain(base: str, steps: Steps) -> str:
    """A path as Python: `item["a"]`, `element(item, 0)`, `[one["x"] for one in elements(item["a"])]`."""
    for number, step in enumerate(steps):
        if step is None:
            rest = steps[number + 1 :]
            return _loop(base, "each", _chain("each", rest)) if rest else f"elements({base})"
        base = f"element({base}, {step})" if isinstance(step, int) else f"{base}[{literal(step)}]"
    return base


def _loop(over: str, name: str, value: str, is_list: bool = False) -> str:
    over = over if is_list else f"elements({over})"
    return over if value == name else f"[{value} for {name} in {over}]"


def _at(base: str, steps: Steps) -> str:
    return f"at({', '.join([base, *map(literal, steps)])})" if steps else base


def _collection(brackets: str, elements: list[str], indent: int, before: int = 0) -> str:
    """On one line where that is short, else an element a line, each with a comma, which formatters keep."""
    flat = f"{brackets[0]}{', '.join(elements)}{brackets[1]}"
    if "\n" not in flat and indent + before + len(flat) < 100:
        return flat
    inner = " " * (indent + 4)
    return brackets[0] + "\n" + "".join(f"{inner}{one},\n" for one in elements) + " " * indent + brackets[1]

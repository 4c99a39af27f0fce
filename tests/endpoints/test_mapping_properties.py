"""The compiled mapping against a reference interpreter: any items, any answers, any paths."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wrapgen.build.mapping import mapping_module
from wrapgen.errors import SpecError
from wrapgen.spec import parse
from wrapgen.spec.mapping import path_text

UNMAPPED = (LookupError, TypeError, ValueError, RecursionError)
SOURCE = Path(__file__).parents[2] / "templates/algorithm/src/runtime/json_paths.py"
_spec = importlib.util.spec_from_file_location("mapping_paths", SOURCE)
paths = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(paths)

KEYS = st.sampled_from(["a", "b", "text", "odd key", "x-y", "0", "class", "é"])
TEXTS = st.sampled_from(
    ["", "a", "$", "$$", "{", "}", '"', "'", "\\", "\n", "é", "€😀", "$5", "a $item b", "#", ": "]
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2), TEXTS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
STEPS = st.lists(st.one_of(KEYS, st.integers(0, 2), st.none()), max_size=3).map(tuple)


class Missing(Exception):
    """The reference finds nothing at a path."""


def follow(value: Any, steps: tuple[Any, ...]) -> Any:
    """The value at a path, as docs/spec.md says it."""
    for number, step in enumerate(steps):
        if step is None:
            if not isinstance(value, list):
                raise Missing
            return [follow(one, steps[number + 1 :]) for one in value]
        if not isinstance(value, list if isinstance(step, int) else dict):
            raise Missing
        try:
            value = value[step]
        except LookupError:
            raise Missing from None
    return value


def written(value: Any) -> Any:
    """A value as the spec writes it so that it means itself."""
    if isinstance(value, str):
        doubled = re.sub(r"(\$+)(?=\{)", r"\1\1", value)
        return f"${doubled}" if re.match(r"\$+(?![${])", value) else doubled
    if isinstance(value, dict):
        return {key: written(one) for key, one in value.items()}
    return [written(one) for one in value] if isinstance(value, list) else value


@st.composite
def templates(draw: Any, lists: bool, depth: int = 0) -> tuple[Any, Any]:
    """A request as it is written, and a function that makes it of the items."""
    kinds = [
        "literal",
        "value",
        "value",
        *([] if lists else ["text"]),
        *(["dict", "list"] if depth < 2 else []),
    ]
    kind = draw(st.sampled_from(kinds))
    steps = draw(STEPS)
    if kind == "literal":
        value = draw(VALUES)
        return written(value), lambda items: value
    if kind == "text":
        steps = tuple(step for step in steps if step != "}")
        start, end = draw(TEXTS), draw(TEXTS)
        before = re.sub(r"(\$+)(?=\{|\Z)", r"\1\1", f"x{start}")
        text = before + "${item" + path_text(steps) + "}" + re.sub(r"(\$+)(?=\{)", r"\1\1", end)

        def made(items: list[Any]) -> str:
            found = follow(items[0], steps)
            return f"x{start}" + (found if isinstance(found, str) else json.dumps(found)) + end

        return text, made
    if kind == "value":
        if not lists:
            return f"$item{path_text(steps)}", lambda items: follow(items[0], steps)
        if draw(st.booleans()):
            return f"$items[*]{path_text(steps)}", lambda items: [follow(one, steps) for one in items]
        inner, value = draw(templates(lists=False, depth=2))
        return {"$each": inner}, lambda items: [value([one]) for one in items]
    parts = draw(st.lists(templates(lists=lists, depth=depth + 1), min_size=1, max_size=3))
    if kind == "list":
        return [one for one, _ in parts], lambda items: [value(items) for _, value in parts]
    keys = draw(st.lists(KEYS, min_size=len(parts), max_size=len(parts), unique=True))
    text = {key: one for key, (one, _) in zip(keys, parts, strict=True)}
    return text, lambda items: {key: value(items) for key, (_, value) in zip(keys, parts, strict=True)}


def compiled(target: dict[str, Any]) -> Any:
    """The functions that a target is compiled into."""
    spec = {
        "version": 1,
        "target": {"endpoint": "http://h", **target},
        "wrapper": {"name": "acme/Scorer", "mode": "batch"},
    }
    text = json.dumps(spec, ensure_ascii=True).replace("\\ud83d\\ude00", "😀")
    source = mapping_module(parse(text.encode())).decode()
    names: dict[str, Any] = dict(vars(paths))
    exec(source.replace("from .runtime.json_paths import", "import json  #"), names)
    return names


FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FAST
@given(template=templates(lists=False), item=VALUES)
def test_a_request_for_one_item(template, item):
    """Compiled or interpreted, a request is the same, and nothing is found where nothing stands."""
    text, value = template
    made = compiled({"request": {"k": text}, "result": "$"})
    try:
        expected = value([item])
    except Missing:
        with pytest.raises(UNMAPPED):
            made["request"](item, "")
    else:
        assert made["request"](item, "") == {"k": expected}


@FAST
@given(template=templates(lists=True), items=st.lists(VALUES, min_size=1, max_size=3))
def test_a_request_for_a_list(template, items):
    """The same for a request that carries a list; an item that lacks something fails by itself."""
    text, value = template
    try:
        made = compiled({"request": {"k": text}, "result": "$[*]"})
    except SpecError as error:  # nothing in it is a list of items
        assert "carries" not in str(error)
        return
    if not made["LISTS"]:
        return
    taken = []
    for item in items:
        try:
            value([item])
        except Missing:
            with pytest.raises(UNMAPPED):
                made["taken"](item)
            return
        taken.append(made["taken"](item))
    assert made["request"](taken, "") == {"k": value(items)}


@FAST
@given(paths_of=st.lists(STEPS, min_size=1, max_size=3), answer=VALUES)
def test_a_result_of_one_item(paths_of, answer):
    """A path, or an object of paths, is found in an answer as the reference finds it."""
    single = len(paths_of) == 1
    written = [f"${path_text(steps)}" for steps in paths_of]
    result = written[0] if single else {f"k{number}": one for number, one in enumerate(written)}
    made = compiled({"request": "$item", "result": result})
    try:
        found = [follow(answer, steps) for steps in paths_of]
    except Missing:
        with pytest.raises(UNMAPPED):
            made["result"](answer)
    else:
        expected = found[0] if single else {f"k{number}": one for number, one in enumerate(found)}
        assert made["result"](answer) == expected


@FAST
@given(
    tails=st.lists(st.tuples(st.sampled_from(["a", "b"]), STEPS), min_size=1, max_size=3),
    columns=st.dictionaries(st.sampled_from(["a", "b"]), st.lists(VALUES, max_size=3), max_size=2),
)
def test_results_of_a_list(tails, columns):
    """Columns of an answer become one result for each item; lists of different lengths are refused."""
    result = {f"k{n}": f"$.{axis}[*]{path_text(steps)}" for n, (axis, steps) in enumerate(tails)}
    made = compiled({"request": "$items", "result": result, "batch_size": 9})
    used = {axis for axis, _ in tails}
    if used - set(columns) or len({len(columns[axis]) for axis in used}) > 1:
        with pytest.raises(UNMAPPED):
            made["each"](columns, [])
        return
    rows = made["each"](columns, [])
    assert len(rows) == len(columns[tails[0][0]])
    for number, row in enumerate(rows):
        found = {f"k{n}": (columns[axis][number], steps) for n, (axis, steps) in enumerate(tails)}
        check_row(made["result"], row, columns, found)


def check_row(result: Any, row: Any, answer: Any, found: dict[str, Any]) -> None:
    """One result of a list, compiled and interpreted."""
    try:
        expected = {key: follow(value, steps) for key, (value, steps) in found.items()}
    except Missing:
        with pytest.raises(UNMAPPED):
            result(row, answer)
    else:
        assert result(row, answer) == expected

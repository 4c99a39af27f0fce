"""Patterns of a schema on texts that somebody else writes: no item can make a search take forever."""

from __future__ import annotations

import importlib.util
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model import Reply

from wrapgen.errors import SpecError

EVIL = [
    (r"^(a+)+$", "a" * 40 + "!"),
    (r"^(a|a)*$", "a" * 40 + "!"),
    (r"^(a|a?)+$", "a" * 40 + "!"),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 40),
    (r"(x+x+)+y", "x" * 60),
    (r"^(.*a){20}$", "a" * 60 + "!"),
    (r"(a+){1,30}b", "a" * 60),
    ("^" + "a?" * 40 + "a" * 40 + "$", "a" * 40),
    (r"a*a*a*a*a*a*a*b", "a" * 3000),
    (r"(?x) ^ (a+) + $", "a" * 40 + "!"),
]
COMMON = [
    r"^\d{4}-\d{2}-\d{2}$",
    r"^[A-Z]{3}$",
    r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
    r"^\+[1-9]\d{1,14}$",
    r"^(red|green|blue)$",
    r"^[0-9a-f]{8}-[0-9a-f]{4}$",
    r"^https?://",
    r"[\])+*]",
]


@pytest.fixture
def patterns(monkeypatch: Any) -> Iterator[Any]:
    """The runtime's module, by itself, with a short limit."""
    path = Path(__file__).parents[2] / "templates/algorithm/src/runtime/patterns.py"
    spec = importlib.util.spec_from_file_location("patterns", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SECONDS", 0.2)
    module.searcher = module.Searcher()
    yield module
    module.searcher.end()


@pytest.mark.parametrize(("pattern", "text"), EVIL)
def test_a_search_that_takes_forever_is_ended(patterns, pattern, text):
    """It is an error that names the pattern, and the next search works."""
    with pytest.raises(ValueError, match="takes more than"):
        patterns.searcher.search(pattern, text)
    patterns.SECONDS = 60.0
    assert patterns.searcher.search(r"^(ab)+$", "ababab") is True
    assert patterns.searcher.search(r"^(ab)+$", "ababa") is False


@pytest.mark.parametrize("pattern", COMMON)
def test_common_patterns_are_searched_for_here(patterns, pattern):
    """What schemas usually hold costs no process for texts of a usual length, and finds what Python finds."""
    for text in ("2026-11-30", "EUR", "a@b.example", "+4912345", "red", "https://x", "", "]", "é\n"):
        assert patterns.searcher.search(pattern, text) is (re.search(pattern, text) is not None)
    assert patterns.searcher._process is None


def test_the_other_process_finds_what_python_finds(patterns):
    """Texts of any length and kind travel as they are."""
    patterns.SECONDS = 60.0
    for text in ("a", "a" * 500_000, "ä\ud800\n\0", 'x"\\', ""):
        for pattern in (r"^(a|b)*$", r"(\w\s*)+", r"^(.|\n)*\Z"):
            assert patterns.searcher.search(pattern, text) is (re.search(pattern, text) is not None)


SCHEMAS = {
    "a property": {"properties": {"text": {"type": "string", "pattern": "^(a+)+$"}}},
    "recursive, of a named dialect": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"text": {"pattern": "^(a+)+$"}, "inner": {"$ref": "#"}},
    },
    "draft 7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"a": {"pattern": "^(a+)+$"}},
        "properties": {"text": {"$ref": "#/definitions/a"}, "inner": {"$ref": "#"}},
    },
    "names": {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": True},
    "no other names": {"properties": {"inner": {"allOf": [{"patternProperties": {"^(a+)+$": True}}]}}},
    "property names": {"propertyNames": {"pattern": "^(inner|text|(a+)+)$"}},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_item_that_stalls_a_schema_fails_alone(model, build, name):
    """It is an InputError within seconds, costs no call, and the items beside it get their results."""
    wrapper = build("endpoint: URL\nitem_schema: item.json", {"item.json": json.dumps(SCHEMAS[name])})
    wrapper.state.target.schemas.__class__.__init__.__globals__["patterns"].SECONDS = 0.2
    model.answer = lambda request: Reply("ok")
    evil = "a" * 40 + "!"
    item = {evil: 1} if "names" in name else {"text": evil}
    if name.startswith(("recursive", "draft", "no other")):
        item = {"inner": item if "other" not in name else {evil: 1}}
    began = time.monotonic()
    answered = wrapper.batch([{}, item, {"text": "aaa"}])
    assert time.monotonic() - began < 60
    error = answered["$results"][1]["$error"]
    assert (error["type"], error["attempts"]) == ("InputError", 0)
    assert "takes more than" in error["message"]
    assert (answered["$results"][0], answered["$results"][2]) == ("ok", "ok")
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    "schema", [{"pattern": "("}, {"properties": {"x": {"patternProperties": {"[": {}}}}}]
)
def test_a_pattern_that_python_does_not_know_is_refused_with_the_spec(build, schema):
    """It would fail each item."""
    with pytest.raises(SpecError, match="none that Python knows"):
        build("endpoint: URL\nitem_schema: item.json", {"item.json": json.dumps(schema)})

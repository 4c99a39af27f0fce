"""From rows to items: fields, templates, ids, and what failed before."""

from __future__ import annotations

import json

import pytest

from wrapgen.errors import RunError, UsageError
from wrapgen.run.input.items import Reopened, Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.input.source import Row

ROW = {
    "id": 7,
    "text": "hello",
    "user": {"name": "ann", "tags": ["x", "y"]},
    "a.b": 1,
    "blob": {"$binary": "AA=="},
}


def items_of(row, **selection):
    """The item of one row."""
    (entry,) = Selected(MemorySource([row]), Selection(**selection)).entries()
    return json.loads(entry.item)


@pytest.mark.parametrize(
    ("selection", "item"),
    [
        ({"field": "text"}, "hello"),
        ({"field": "user.name"}, "ann"),
        ({"field": "user.tags.1"}, "y"),
        ({"field": "a.b"}, 1),
        ({"field": "blob"}, {"$literal": {"$binary": "AA=="}}),
        ({"template": '{"document": "{text}"}'}, {"document": "hello"}),
        ({"template": '{"n": "{id}", "t": "{id}: {text}!"}'}, {"n": 7, "t": "7: hello!"}),
        ({"template": '["{user}", 1, null, "{{text}}"]'}, [ROW["user"], 1, None, "{text}"]),
    ],
)
def test_an_item_is_made_of_a_row(selection, item):
    """A field is taken as it is; a template keeps types where a field stands alone in its text."""
    assert items_of(ROW, **selection) == item


def test_a_row_that_looks_like_an_error_is_user_data():
    """A JSON row with the sole key $error goes out as $literal; bytes and literals stay what they are."""
    lines = [b'{"$error": 1}', b'{"$binary": "AA=="}', b'{"$literal": {"$error": 1}}']

    class Source(MemorySource):
        def rows(self):
            return (Row(json.loads(line), line, number) for number, line in enumerate(lines))

        def texts(self):
            return iter([lines[:1], [], lines[1:]])

    items = Selected(Source([0, 0, 0]), Selection())
    found = [entry.item for entry in items.entries()]
    assert found == [b'{"$literal":{"$error": 1}}', lines[1], lines[2]]


def test_ids_come_from_a_field():
    """Texts and whole numbers are ids."""
    entries = Selected(MemorySource([{"k": "a"}, {"k": 5}]), Selection(id="k")).entries()
    assert [entry.id for entry in entries] == ["a", "5"]


@pytest.mark.parametrize(
    ("rows", "selection", "says"),
    [
        ([{"a": 1}], {"field": "b"}, "row at 1: there is no field 'b'"),
        ([{"text": 1, "id": 2}], {"field": "Text"}, "no field 'Text'; there are: 'text', 'id'"),
        ([{"user": {"name": 1}}], {"field": "user.mail"}, "no field 'user.mail'; there are: 'name'"),
        ([{str(n): 1 for n in range(50)}], {"id": "x"}, "'29', ..."),
        ([{"a": 1}, {}], {"id": "a"}, "row at 2: there is no field 'a'"),
        ([{"a": 1.5}], {"id": "a"}, "the id must be text or a whole number, not 1.5"),
        ([{"a": True}], {"id": "a"}, "not true"),
        ([{"a": "\ud800"}], {"id": "a"}, r"row at 1: the id '\ud800' is not text"),
        (["text"], {"template": '"{a}"'}, "there is no field 'a'"),
    ],
)
def test_a_row_without_the_field_names_its_place(rows, selection, says):
    """What a row does not hold is one message with its place."""
    with pytest.raises(RunError) as caught:
        list(Selected(MemorySource(rows), Selection(**selection)).entries())
    assert says in caught.value.message


@pytest.mark.parametrize("selection", [{"template": "{text}"}, {"template": "1", "field": "a"}])
def test_impossible_selections_are_refused(selection):
    """A template must be JSON and can't stand beside a field."""
    with pytest.raises(UsageError):
        list(Selected(MemorySource([{}]), Selection(**selection)).entries())


def test_failed_items_go_again_under_their_keys():
    """An errors file gives run, ids, indexes and tries back, and no attempts."""
    line = {"run": "r1", "index": 41, "try": 3, "id": "x", "error": {}, "input": {"$literal": {"$error": 1}}}
    items = Reopened(MemorySource([line]))
    (entry,) = items.entries()
    assert items.run == "r1"
    assert (entry.index, entry.id, entry.tries, entry.attempts) == (41, "x", 3, 0)
    assert json.loads(entry.item) == line["input"]


@pytest.mark.parametrize(
    "lines",
    [
        [{"run": "r1", "index": 0, "try": 1, "id": "0"}],
        [{"index": 0, "try": 1, "id": "0", "input": 1}],
        [
            {"run": "r1", "index": 0, "try": 1, "id": "0", "input": 1},
            {"run": "r2", "index": 1, "try": 1, "id": "1", "input": 1},
        ],
    ],
)
def test_other_files_are_no_errors_files(lines):
    """Lines that lack something, or of several runs, are refused."""
    with pytest.raises(RunError):
        list(Reopened(MemorySource(lines)).entries())

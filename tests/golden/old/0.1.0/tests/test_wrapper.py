"""Tests of this wrapper that need no network: the real code, with a target and a datastore that stand in.

Run them with ``python -m unittest`` in the folder above.
"""

import importlib
import json
import unittest
from pathlib import Path
from unittest import mock

import Algorithmia
from src import answer, hooks, protocol

NAME = json.loads((Path(__file__).resolve().parent.parent / "algorithmia.conf").read_text())["algoname"]
with mock.patch.object(Algorithmia.ADK, "init"):  # it would wait for requests
    wrapper = importlib.import_module("src." + NAME)


class Broken(protocol.Failure):
    """What the stand-in raises for an item that it can't do."""

    called = True


class Denied(protocol.Failure):
    """What the stand-in raises when nobody may call it."""

    called = stops = True


class Target:
    """Answers each item with ``{"echo": item}``: alone or in a list, as the target does."""

    def call(self, value, seconds):
        """One call; ``seconds`` is the time it is given."""
        assert 0 < seconds <= wrapper.LIMITS["item_timeout"]
        return [self.echo(value)] if wrapper.TARGET["result"] == "first" else self.echo(value)

    def call_list(self, items, seconds):
        """One call for a list of items."""
        assert 0 < seconds <= wrapper.LIMITS["item_timeout"]
        assert len(items) <= wrapper.TARGET["batch_size"]
        return [self.echo(item.value) for item in items]

    def echo(self, item):
        """The result for one item."""
        if item == "broken":
            raise Broken("InputError", "not this one")
        if item == "denied":
            raise Denied("AuthenticationError", "not you", True)
        return {"echo": item}


class Datastore:
    """Keeps the records it is given."""

    def __init__(self):
        self.records = []

    def write(self, records, piece):
        """Store one piece."""
        del piece
        self.records.extend(record.fields for record in records)


class Files:
    """Items and results in memory, by URL."""

    def __init__(self):
        self.content = {}

    def read(self, url, deadline):
        """The items at a URL."""
        assert deadline.left() > 0
        return iter(self.content[url])

    def write(self, url, lines, deadline):
        """Store results."""
        assert deadline.left_for_write() > 0
        url = url or "data://.algo/temp/results.jsonl"
        self.content[url] = [json.loads(line.decode("ascii")) for line in lines]
        return url


class WrapperTest(unittest.TestCase):
    """What callers rely on."""

    def setUp(self):
        self.datastore, self.files = Datastore(), Files()
        self.state = {"target": Target(), "files": self.files, "datastore": self.datastore, "copies": {}}
        self.open_context(mock.patch.object(wrapper, "ITEM_ID", "random"))
        for name in ("before", "after", "error"):  # the echo is compared as it is
            if hasattr(hooks, name):
                self.open_context(mock.patch.object(hooks, name, None))

    def open_context(self, context):
        """As ``enterContext`` of Python 3.11."""
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def call(self, value):
        """The answer, as it goes over the wire."""
        return json.loads(json.dumps(wrapper.apply(value, self.state)))

    def test_describes_itself(self):
        facts = self.call({"$batch": []})["$summary"]["wrapper"]
        self.assertEqual(facts["protocol"], protocol.PROTOCOL)
        self.assertEqual(facts["limits"], wrapper.LIMITS)

    def test_a_bare_item(self):
        self.assertEqual(self.call({"text": "x"}), {"echo": {"text": "x"}})
        with self.assertRaises(protocol.Failure) as caught:
            self.call("broken")
        self.assertEqual(caught.exception.error_type, "InputError")

    def test_a_bare_list(self):
        items = [1, "two", None, {"three": 3}]
        expected = [{"echo": item} for item in items] if wrapper.BARE_LISTS else {"echo": items}
        self.assertEqual(self.call(items), expected)
        if wrapper.BARE_LISTS:
            self.assertEqual(self.call([]), [])

    def test_a_batch_keeps_its_order_and_one_bad_item_harms_no_other(self):
        items = [*range(50), "broken", *range(50)]
        answered = self.call({"$batch": items, "$run": "run", "$try": 2})
        for item, result in zip(items, answered["$results"]):
            if item == "broken":
                self.assertEqual(result["$error"]["type"], "InputError")
            else:
                self.assertEqual(result, {"echo": item})
        self.assertEqual(answered["$summary"]["succeeded"], 100)
        self.assertEqual(answered["$summary"]["failed"], 1)

    def test_every_item_is_recorded_under_its_key(self):
        answered = self.call({"$batch": ["a", "broken"], "$run": "run", "$ids": ["x", "y"]})
        if "recorded" not in answered["$summary"]:
            self.skipTest("this wrapper records nothing")
        by_id = {fields["id"]: fields for fields in self.datastore.records}
        self.assertEqual(set(by_id), {"x", "y"})
        self.assertIn("result", by_id["x"])
        self.assertEqual(by_id["y"]["error"]["type"], "InputError")

    def test_items_and_results_by_url(self):
        self.files.content["data://a/in/items.jsonl"] = ["a", "b"]
        call = {"$batch": "data://a/in/items.jsonl", "$output": "data://a/out/results.jsonl"}
        self.assertEqual(self.call(call)["$results"], "data://a/out/results.jsonl")
        self.assertEqual(self.files.content["data://a/out/results.jsonl"], [{"echo": "a"}, {"echo": "b"}])

    def test_an_answer_that_is_too_large_goes_to_a_file(self):
        with mock.patch.dict(wrapper.LIMITS, response_bytes=answer.ENVELOPE + 300):
            answered = self.call({"$batch": ["x" * 100] * 10})
        self.assertEqual(len(self.files.content[answered["$results"]]), 10)

    @unittest.skipIf("module" in wrapper.TARGET, "code in process is called without a key")
    def test_nobody_goes_on_when_the_key_is_refused(self):
        answered = self.call({"$batch": ["denied"] * 20})
        self.assertEqual(answered["$summary"]["stopped"]["type"], "AuthenticationError")
        self.assertEqual(answered["$summary"]["untried"], 20)

    def test_wrong_instructions_are_refused(self):
        for call in ({"$batch": 5}, {"$batch": [1], "x": 1}, {"$batch": [1], "$ids": []}):
            with self.assertRaises(protocol.InputError):
                self.call(call)


if __name__ == "__main__":
    unittest.main()

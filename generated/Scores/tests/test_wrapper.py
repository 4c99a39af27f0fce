"""What callers of this wrapper rely on, whatever its spec turned on. Run with ``python -m unittest``."""

from __future__ import annotations

import json
import unittest
from unittest import mock

from src import config
from src.runtime import VERSION, answer, protocol

from .standins import FOLDER, WrapperTest

BARE_LISTS = config.MODE != "log" and config.TARGET["input"] == "item"


class CallTest(WrapperTest):
    """The three forms of a call, and what goes wrong with items."""

    def test_describes_itself(self) -> None:
        facts = self.call({"$batch": []})["$summary"]["wrapper"]
        self.assertEqual((facts["protocol"], facts["runtime"]), (protocol.PROTOCOL, VERSION))
        self.assertEqual((facts["spec"], facts["mode"]), (config.SPEC, config.MODE))

    def test_a_bare_item(self) -> None:
        self.assertEqual(self.call({"text": "x"}), {"echo": {"text": "x"}})
        with self.assertRaises(protocol.Failure) as caught:
            self.call("broken")
        self.assertEqual(caught.exception.error_type, "InputError")

    def test_a_bare_list(self) -> None:
        items = [1, "two", None, {"three": 3}]
        expected = [{"echo": item} for item in items] if BARE_LISTS else {"echo": items}
        self.assertEqual(self.call(items), expected)
        if BARE_LISTS:
            self.assertEqual(self.call([]), [])

    @unittest.skipUnless(BARE_LISTS, "a list is one item here")
    def test_a_failed_item_of_a_bare_list(self) -> None:
        if config.ON_ERROR == "raise":
            with self.assertRaises(protocol.Failure):
                self.call([1, "broken", 2])
        else:
            self.assertEqual(self.call([1, "broken"])[1]["$error"]["type"], "InputError")

    def test_a_batch_keeps_its_order_and_one_bad_item_harms_no_other(self) -> None:
        items = [*range(50), "broken", *range(50, 100)]
        answered = self.call({"$batch": items, "$run": "run", "$try": 2})
        for item, result in zip(items, answered["$results"]):
            if item == "broken":
                self.assertEqual(result["$error"]["type"], "InputError")
            else:
                self.assertEqual(result, {"echo": item})
        self.assertEqual(answered["$summary"]["succeeded"], 100)
        self.assertEqual(answered["$summary"]["failed"], 1)

    def test_items_and_results_by_url(self) -> None:
        self.files.content["data://a/in/items.jsonl"] = ["a", "b"]
        call = {"$batch": "data://a/in/items.jsonl", "$output": "data://a/out/results.jsonl"}
        self.assertEqual(self.call(call)["$results"], "data://a/out/results.jsonl")
        self.assertEqual(self.files.content["data://a/out/results.jsonl"], [{"echo": "a"}, {"echo": "b"}])

    def test_an_answer_that_is_too_large_goes_to_a_file(self) -> None:
        with mock.patch.dict(config.LIMITS, response_bytes=answer.ENVELOPE + 300):
            answered = self.call({"$batch": [f"{n}" + "x" * 100 for n in range(10)]})
        self.assertEqual(len(self.files.content[answered["$results"]]), 10)

    @unittest.skipIf("module" in config.TARGET, "code in process is called without a key")
    def test_nobody_goes_on_when_the_key_is_refused(self) -> None:
        answered = self.call({"$batch": ["denied"] * 20, "$ids": [f"{n}" for n in range(20)]})
        self.assertEqual(answered["$summary"]["stopped"]["type"], "AuthenticationError")
        self.assertEqual(answered["$summary"]["untried"], 20)

    def test_wrong_instructions_are_refused(self) -> None:
        for call in ({"$batch": 5}, {"$batch": [1], "x": 1}, {"$batch": [1], "$ids": []}):
            with self.assertRaises(protocol.InputError):
                self.call(call)


class FolderTest(unittest.TestCase):
    """What the platform reads when it builds."""

    def test_the_files_that_the_platform_needs_are_there(self) -> None:
        self.assertTrue((FOLDER / ".adk").is_file())
        cases = json.loads((FOLDER / "TEST_CASES.json").read_text())
        self.assertEqual(cases[0]["input"], {"$batch": []})


if __name__ == "__main__":
    unittest.main()

"""What is recorded of each item, and what becomes of a call when that fails."""

from __future__ import annotations

from src import config
from src.runtime import protocol

from .standins import RECORDS, WrapperTest


class RecordsTest(WrapperTest):
    """One record per item, before the call answers."""

    def test_every_item_is_recorded_under_its_key(self) -> None:
        self.call({"$batch": ["a", "broken"], "$run": "run", "$ids": ["x", "y"], "$index": [7, 9], "$try": 2})
        by_id = {record["id"]: record for record in self.datastore.records}
        self.assertEqual(set(by_id), {"x", "y"})
        self.assertEqual(by_id["x"]["result"], {"echo": "a"})
        self.assertEqual(by_id["y"]["error"]["type"], "InputError")
        self.assertEqual([by_id[key]["index"] for key in "xy"], [7, 9])
        for record in by_id.values():
            self.assertEqual((record["run"], record["try"]), ("run", 2))
            self.assertEqual(record["target"], config.TARGET["reference"])
            self.assertTrue(record["wrapper"].startswith(f"{config.WRAPPER}@sha256:"))

    def test_a_bare_item_is_recorded_too(self) -> None:
        self.call("an item")
        self.assertEqual([record["result"] for record in self.datastore.records], [{"echo": "an item"}])

    def test_a_record_holds_of_the_item_what_the_spec_says(self) -> None:
        record = self.record("an item", **{"$ids": ["x"]})
        if RECORDS["input"] == "keep":
            self.assertEqual(record["input"], "an item")
        elif RECORDS["input"] == "hash":
            self.assertEqual(list(record["input"]), ["$sha256"])
        else:
            self.assertNotIn("input", record)

    def test_a_datastore_that_is_unavailable(self) -> None:
        self.datastore.error = protocol.Failure("DatastoreError", "closed")
        call = {"$batch": ["a", "b"], "$ids": ["x", "y"]}
        if RECORDS["on_failure"] == "ignore":
            answered = self.call(call)
            self.assertEqual(answered["$results"], [{"echo": "a"}, {"echo": "b"}])
            self.assertEqual(answered["$summary"]["unrecorded"], 2)
        else:
            with self.assertRaises(protocol.Failure) as caught:
                self.call(call)
            self.assertEqual(caught.exception.error_type, "DatastoreError")
            self.assertTrue(caught.exception.retryable)

"""What the spec redacts stands in no record: in no item, result, message or id."""

from __future__ import annotations

import json
from typing import Any

from src.runtime.protocol import ATTEMPT, Failure

from .standins import RECORDS, WrapperTest, place

SECRET = "a-secret-value"


class RedactionTest(WrapperTest):
    """An item for each path that is redacted, with a secret there."""

    with_ids = True

    def test_no_record_has_it_and_the_caller_gets_everything(self) -> None:
        self.target.result = lambda item: item
        for path in RECORDS["redact"]:
            item = place(path, SECRET)
            with self.subTest(path=path):
                self.assertEqual(self.call({"$batch": [item], "$ids": ["x"]})["$results"], [item])
                self.assertEqual(self.target.got[-1], item)
                self.assertNotIn(SECRET, json.dumps(self.datastore.records))
                self.assertIn("result", self.datastore.records[-1])

    def test_no_message_has_it(self) -> None:
        def refuse(item: Any) -> Any:
            raise Failure("InputError", f"can't take {json.dumps(item)}", effect=ATTEMPT)

        self.target.result = refuse
        for path in RECORDS["redact"]:
            with self.subTest(path=path):
                record = self.record(place(path, SECRET), **{"$ids": ["x"]})
                self.assertEqual(record["error"]["type"], "InputError")
                self.assertNotIn(SECRET, json.dumps(record))

    def test_no_id_has_it(self) -> None:
        self.target.result = lambda item: item
        for path in RECORDS["redact"]:
            with self.subTest(path=path):
                try:
                    record = self.record(place(path, SECRET))
                except Failure:
                    continue  # the spec takes ids from elsewhere in the item
                self.assertNotIn(SECRET, json.dumps(record))

"""What identifies an item where the caller names neither ``$run`` nor ``$ids``."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

from .standins import RECORDS, WrapperTest, place, wrapper


class IdsTest(WrapperTest):
    """The ids of records, from the item's content or from a place in it."""

    with_ids = True

    def item(self, text: str) -> Any:
        """An item that another text makes another item."""
        return {"text": text} if RECORDS["id"] == "content" else place(RECORDS["id"], text)

    def test_equal_items_share_an_id_and_others_do_not(self) -> None:
        first, again, other = [self.record(self.item(text))["id"] for text in ("a", "a", "b")]
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        if RECORDS["id"] != "content" and not RECORDS["id_key_env"]:
            self.assertEqual(first, "a")

    def test_the_caller_may_name_them(self) -> None:
        self.assertEqual(self.record(self.item("a"), **{"$ids": ["mine"]})["id"], "mine")

    def test_nobody_finds_an_id_without_the_secret(self) -> None:
        if not RECORDS["id_key_env"]:
            self.skipTest("ids are made without a secret")
        before = self.record(self.item("a"))["id"]
        self.assertNotIn("a-secret", before)
        with mock.patch.dict(os.environ, {RECORDS["id_key_env"]: "another secret"}):
            self.state = wrapper.assemble(self.target, self.files, self.datastore)
        self.assertNotEqual(self.record(self.item("a"))["id"], before)

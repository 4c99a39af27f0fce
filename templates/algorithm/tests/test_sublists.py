"""Lists of items for the target: as large as it takes, and halved around an item that it can't take."""

from __future__ import annotations

from typing import Any
from unittest import mock

from src import config

from .standins import Target, WrapperTest


class SublistsTest(WrapperTest):
    """A batch larger than the target's lists."""

    def test_lists_are_full_and_answers_come_back_in_order(self) -> None:
        most: Any = config.TARGET["batch_size"]
        size = min(most, 200)
        items = list(range(2 * size + 1))
        with mock.patch.dict(config.TARGET, batch_size=size):
            answered = self.call({"$batch": items, "$run": "run"})
        self.assertEqual(answered["$results"], [{"echo": item} for item in items])
        self.assertEqual(answered["$summary"]["calls"], 3)

    def test_an_item_that_the_target_refuses_is_found(self) -> None:
        items = [0, 1, "broken", 3]
        results = self.call({"$batch": items, "$run": "run"})["$results"]
        self.assertEqual(results[2]["$error"]["type"], "InputError")
        self.assertEqual([results[n] for n in (0, 1, 3)], [Target.echo(n) for n in (0, 1, 3)])

    def test_an_answer_of_another_length_is_no_answer(self) -> None:
        with mock.patch.object(Target, "call_list", lambda *_: []):
            results = self.call({"$batch": [1, 2], "$run": "run"})["$results"]
        self.assertEqual([result["$error"]["type"] for result in results], ["ParsingError"] * 2)

"""Items that have a recorded result are answered with it; the target is not called again."""

from __future__ import annotations

from .standins import WrapperTest


class AlreadyTest(WrapperTest):
    """A run that is sent twice."""

    def test_a_run_sent_twice_is_paid_once(self) -> None:
        call = {"$batch": ["a", "broken", "b"], "$run": "run", "$ids": ["x", "y", "z"]}
        first = self.call(call)["$results"]
        again = self.call(call)
        self.assertEqual(again["$results"], first)
        self.assertEqual(sorted(self.target.got, key=str), ["a", "b", "broken", "broken"])
        self.assertEqual(again["$summary"]["already"]["items"], 2)

    def test_another_run_is_another_matter(self) -> None:
        for run in ("one", "two"):
            self.call({"$batch": ["a"], "$run": run, "$ids": ["x"]})
        self.assertEqual(self.target.got, ["a", "a"])

"""One task of Spark: every Arrow batch of a partition with two columns more. Runs on executors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wrapgen.run.integrations.table_plan import TablePlan


class Task:
    """The function that Spark maps over the Arrow batches of a partition.

    Args:
        plan: what holds for every task.
        at_once: how many tasks run at once.
    """

    def __init__(self, plan: TablePlan, at_once: int) -> None:
        self._plan = plan
        self._at_once = at_once

    def share(self, partition: int) -> int:
        """Calls that one task may keep open, so that all that run at once come to the whole."""
        whole, rest = divmod(self._plan.concurrency, self._at_once)
        return max(1, whole + (partition % self._at_once < rest))

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Every row with two columns more: its result, and its error or null."""
        from pyspark import TaskContext  # only there when a task runs

        context = TaskContext.get()
        attempt, partition = (context.attemptNumber(), context.partitionId()) if context else (0, 0)
        for batch in batches:
            if batch.num_rows:
                rows = self._plan.items(batch)
                yield self._plan.extended(batch, self._plan.score(rows, attempt, self.share(partition)))

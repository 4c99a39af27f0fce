"""One task of Ray Data: every row of a block with two columns more. Runs on workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wrapgen.errors import WrapgenError
from wrapgen.run.hosts.description import Description
from wrapgen.run.integrations.table_plan import TablePlan, WrapperCalls

SLICE = 10_000
"""Rows of a block that share one lease of calls."""

REPORT_SECONDS = 2.0
"""Between two reports of a lease, by which an actor that was started anew learns of it."""


class BlockTask:
    """The function that Ray Data maps over the blocks of a data set.

    Args:
        plan: what holds for every task.
        at_once: calls of the wrapper that one task keeps open, at most.
        first: the try of a task's first attempt, from 0.
    """

    def __init__(self, plan: TablePlan, at_once: int, first: int = 0) -> None:
        self._plan = plan
        self._at_once = at_once
        self._first = first

    def __call__(self, budget: Any, block: Any) -> Iterator[Any]:
        """Every row with two columns more: its result, and its error or null.

        Args:
            budget: the actor that divides the calls among the tasks that run.
            block: an Arrow table.
        """
        import pyarrow as pa
        import ray

        task = ray.get_runtime_context().get_task_id()
        attempt = ray.get(budget.begin.remote(task))
        batches = block.combine_chunks().to_batches(max_chunksize=SLICE)
        for batch in batches or [pa.RecordBatch.from_pylist([], block.schema)]:
            rows = self._plan.items(batch)
            calls = ray.get(budget.acquire.remote(task, attempt, self._at_once)) if rows else 1
            try:
                with _reporting(budget, task, attempt, calls):
                    outcomes = self._plan.score(rows, self._first + attempt, calls) if rows else []
            finally:
                budget.release.remote(task, attempt, calls)
            yield pa.Table.from_batches([self._plan.extended(batch, outcomes)])


@contextmanager
def _reporting(budget: Any, *lease: Any) -> Iterator[None]:
    """Reports a lease now and then while the block runs, and never after it."""
    import ray

    ended = threading.Event()

    def work() -> None:
        while not ended.wait(REPORT_SECONDS):
            ray.get(budget.report.remote(*lease))

    thread = threading.Thread(target=work, name="wrapgen-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def describe(calls: WrapperCalls, reference: str) -> tuple[Description | None, str, str]:
    """What a wrapper says of itself to a worker; without that, why not, and what to do."""
    try:
        return calls.host(reference).describe(), "", ""
    except WrapgenError as error:
        return None, error.message, error.hint or ""

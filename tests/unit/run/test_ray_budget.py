"""The budget of calls that tasks of Ray share: the actor's own class, without a cluster."""

from __future__ import annotations

import asyncio
import time

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("ray")

from wrapgen.run.integrations.ray import _budget_class


def _run(scenario, *, restarted=False):
    async def whole():
        await asyncio.wait_for(scenario(_budget_class()(4, restarted)), 60)

    asyncio.run(whole())


async def _begun(coroutine):
    """A task that has run until it waits."""
    task = asyncio.ensure_future(coroutine)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


def test_what_waits_for_an_attempt_that_is_over_gets_no_calls():
    """A worker is killed while it waits: its request takes nothing, and all calls come back in the end."""

    async def scenario(budget):
        other = await budget.begin("other")
        assert await budget.acquire("other", other, 4) == 4
        first = await budget.begin("task")
        orphan = await _begun(budget.acquire("task", first, 4))
        second = await budget.begin("task")
        assert (first, second) == (0, 1)
        assert await orphan == 0 and budget.waiting == 0
        again = await _begun(budget.acquire("task", second, 4))
        await budget.release("other", other, 4)
        got = await again
        assert got == 4 and budget.free == 0
        await budget.release("task", first, 4)  # sent before the worker was killed, and late
        assert budget.free == 0
        await budget.release("task", second, got)
        assert budget.free == 4 and not budget.held

    _run(scenario)


def test_an_attempt_that_begins_again_frees_what_the_one_before_held():
    """A worker is killed while it has calls: they are free for all, and a late request for it gets none."""

    async def scenario(budget):
        assert await budget.acquire("task", await budget.begin("task"), 3) == 3
        assert await budget.begin("task") == 1 and budget.free == 4
        assert await budget.acquire("task", 0, 3) == 0 and budget.free == 4

    _run(scenario)


def test_calls_of_one_task_add_up():
    """A task may ask again before what it gave back has arrived; nothing is lost or given back twice."""

    async def scenario(budget):
        await budget.begin("task")
        assert [await budget.acquire("task", 0, 2) for _ in range(2)] == [2, 2]
        await budget.release("task", 0, 2)
        assert (budget.free, budget.held) == (2, {"task": 2})
        await budget.release("task", 0, 2)
        assert (budget.free, budget.held) == (4, {})

    _run(scenario)


def test_a_budget_that_was_started_anew_learns_attempts_and_leases_from_its_tasks():
    """It leases nothing before tasks could tell what they have; it counts on from the attempt that asks."""

    async def scenario(budget):
        assert budget.known > time.monotonic()
        asked = await _begun(budget.acquire("new", await budget.begin("new"), 4))
        for _ in range(2):
            await budget.report("task", 2, 3)
        assert not asked.done() and (budget.free, budget.held["task"]) == (1, 3)
        assert await asked == 1 and budget.free == 0
        await budget.release("task", 2, 3)
        assert budget.free == 3 and await budget.begin("task") == 3
        await budget.report("task", 2, 3)  # of the attempt that is over
        await budget.release("task", 2, 3)
        assert budget.free == 3

    _run(scenario, restarted=True)

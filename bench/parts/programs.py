"""Which programs part 1 runs: the file that a user would write, who runs it, and what it needs around it."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bench.options import Bench
from bench.peers import CACHE

CASES = Path(__file__).resolve().parent.parent / "cases"
OURS = "wrapgen"


@dataclass(frozen=True)
class Program:
    """One line of the table.

    Attributes:
        name: what the table calls it.
        group: programs that do the same thing: `inline`, `one` text a call, `lists`, or `chat` completions.
        file: in `cases/`.
        peer: whose environment runs it; `wrapgen` is ours.
        needs: servers: `platform`, `fastapi`, `mlserver`, `chat`.
        wrapper: the spec in `cases/wrapgen/` of the wrapper that it calls, if it does.
        hosted: the algorithm in `cases/` that it wants on the platform, hand-written.
        more: further files that the user writes for it.
        words: further environment variables, `NAME=value`.
        commands: lines that are typed, not written in a file.
    """

    name: str
    group: str
    file: str
    peer: str = "clients"
    needs: tuple[str, ...] = ()
    wrapper: str = ""
    hosted: str = ""
    more: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    commands: int = 0

    @property
    def lines(self) -> int:
        """Lines that the user had to write for it, comments and docstrings left out."""
        files = [self.file, *self.more, *([f"wrapgen/{self.wrapper}.yaml"] if self.wrapper else [])]
        return sum(written(CASES / file) for file in files) + self.commands


def written(path: Path) -> int:
    """Lines of a file that say something: no comment, no docstring, not empty."""
    text = path.read_text("utf-8")
    lines = {number for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    lines -= {number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith("#")}
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and (
                ast.get_docstring(node) is not None
            ):
                lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def _run(name: str, group: str, wrapper: str, *words: str) -> Program:
    # Two commands besides the run: wrapgen build, wrapgen publish.
    return Program(name, group, "wrapgen/run.sh", OURS, ("platform",), wrapper, words=words, commands=2)


def _spec(name: str, group: str, spec: str, *needs: str, options: str = "") -> Program:
    """A run of a spec, without a platform: one command."""
    words = (f"SPEC={spec}", f"WORDS={options}", f"WRAPGEN_CACHE={CACHE / 'specs'}")
    more = (f"wrapgen/{spec}.yaml",)
    return Program(name, group, "wrapgen/run_spec.sh", OURS, needs, more=more, words=words)


GUIDE = ("guide_wrapper/src/GuideBatch.py",)
MLSERVER = {"peer": "mlserver", "needs": ("mlserver",), "more": ("mlserver_input.py",)}
SPARK = {"peer": "spark", "needs": ("platform",)}
QUIET = ("RAY_USAGE_STATS_ENABLED=0", "RAY_AUTH_MODE=disabled")
RAY = {"peer": "ray", "needs": ("platform",), "words": QUIET}

PROGRAMS = (
    Program("plain loop", "inline", "plain_loop.py"),
    Program("multiprocessing.Pool", "inline", "pool.py"),
    _run("wrapgen run, inline, one call at a time", "inline", "inline", "WORDS=--workers 1"),
    _run("wrapgen run, inline", "inline", "inline"),
    _spec("wrapgen run spec.yaml, inline, one process", "inline", "inline", options="--processes 1"),
    _spec("wrapgen run spec.yaml, inline", "inline", "inline"),
    Program("Spark mapInPandas, inline", "inline", "spark_inline.py", "spark"),
    Program(
        "Ray Data, inline",
        "inline",
        "ray_data.py",
        "ray",
        words=QUIET,
    ),
    Program("the guide's serial loop", "one", "guide_loop.py", needs=("platform",)),
    Program(
        "the guide's batch wrapper",
        "one",
        "guide_batches.py",
        needs=("platform",),
        hosted="guide_wrapper",
        more=GUIDE,
    ),
    Program("thread pool of 16, vendor's client", "one", "threads_one.py", needs=("platform",)),
    Program("aiohttp to the platform", "one", "aiohttp_platform_one.py", needs=("platform",)),
    Program("aiohttp to FastAPI", "one", "aiohttp_fastapi_one.py", needs=("fastapi",)),
    Program("mlserver infer, one text a call", "one", "mlserver_infer.sh", **MLSERVER, words=("BATCH=1",)),
    _spec("wrapgen run spec.yaml, FastAPI", "one", "endpoint_one", "fastapi"),
    _spec("wrapgen run spec.yaml, MLServer", "one", "endpoint_mlserver_one", "mlserver"),
    Program("Spark mapInPandas, a call per row", "one", "spark_one.py", **SPARK),
    Program("our Spark connector, parallel", "one", "spark_wrapgen.py", **SPARK, wrapper="parallel"),
    Program("Ray map_batches, a call per row", "one", "ray_one.py", **RAY),
    Program("our Ray connector, parallel", "one", "ray_wrapgen.py", **RAY, wrapper="parallel"),
    _run("wrapgen run, serial", "one", "serial"),
    _run("wrapgen run, parallel", "one", "parallel"),
    Program("aiohttp to the platform, lists", "lists", "aiohttp_platform_lists.py", needs=("platform",)),
    Program("aiohttp to FastAPI, lists", "lists", "aiohttp_fastapi_lists.py", needs=("fastapi",)),
    Program("thread pool of 16 to FastAPI, lists", "lists", "threads_fastapi_lists.py", needs=("fastapi",)),
    Program("mlserver infer, batches of 100", "lists", "mlserver_infer.sh", **MLSERVER, words=("BATCH=100",)),
    _spec("wrapgen run spec.yaml, FastAPI, lists", "lists", "endpoint_lists", "fastapi"),
    _spec("wrapgen run spec.yaml, MLServer, lists", "lists", "endpoint_mlserver_lists", "mlserver"),
    Program("Spark mapInPandas, lists", "lists", "spark_lists.py", **SPARK),
    Program("our Spark connector, sub-batches", "lists", "spark_wrapgen.py", **SPARK, wrapper="lists"),
    Program("Ray map_batches, lists", "lists", "ray_lists.py", **RAY),
    Program("our Ray connector, sub-batches", "lists", "ray_wrapgen.py", **RAY, wrapper="lists"),
    _run("wrapgen run, sub-batches", "lists", "lists"),
    _run("wrapgen run, sub-batches, recorded", "lists", "recorded"),
    Program("LiteLLM's batch_completion", "chat", "litellm_batch.py", "litellm", ("chat",)),
    Program("the openai client, async", "chat", "openai_async.py", "openai", ("chat",)),
    _spec("wrapgen run spec.yaml, chat", "chat", "endpoint_chat", "chat"),
)
"""In the order of the table."""

SMOKE = {"the guide's serial loop", "wrapgen run, sub-batches"}
"""What needs nothing but our own environment."""

QUICK = {
    "wrapgen run, inline",
    "wrapgen run, parallel",
    "wrapgen run, sub-batches",
    "wrapgen run, sub-batches, recorded",
}
"""Items through a wrapper: in its own process, one text a call, lists, and lists that are recorded."""

AIMED = QUICK | {
    each.name
    for each in PROGRAMS
    if re.search(
        "Pool|plain loop|spec.yaml|FastAPI|infer|LiteLLM|openai|of 16|one call at|a call per", each.name
    )
    or re.search("guide's serial|aiohttp|Spark.*lists|Ray.*lists|our (Spark|Ray)", each.name)
}
"""What the aims of a run compare, for a quick bench of this part with its peers."""


def chosen(bench: Bench, names: Collection[str]) -> list[Program]:
    """Which of the named programs a bench measures: those over a generated wrapper, and peers if it may."""
    picked = (AIMED if bench.peers else QUICK) if bench.quick else SMOKE if bench.smoke else names
    return [
        each
        for each in PROGRAMS
        if each.name in names
        and each.name in picked
        and re.search(bench.programs, each.name)
        and (bench.peers or (each.peer == OURS and not set(each.needs) - {"platform"}))
    ]

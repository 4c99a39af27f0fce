"""Writes the lock files beside it, with hashes: `make lock`, or `make lock LOCK=--upgrade` for newer ones.

`platform.txt` is what the demo needs, `dev.txt` what the tests add, `spark.txt` and `ray.txt` what Spark and
Ray add. Together they are one solution for Python 3.10 to 3.13 and every system, and complete: pip installs
them with --no-deps and --require-hashes. `lowest.txt` is another environment: the lowest versions that
pyproject.toml allows, and what runs the tests in it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LAYERS = {
    "platform": ["platform"],
    "dev": ["platform", "dev"],
    "ray": ["platform", "dev", "ray"],
    "spark": ["platform", "dev", "spark"],
}
"""Files, and the extras of wrapgen of which each has what `platform` and `dev` before it lack."""

TOOLS = ("editables", "hatchling", "setuptools", "wheel")
"""What builds wrapgen and pyspark, the one package without a wheel: nothing is fetched for that."""

FLOORS = ["parquet", "platform", "s3", "sql", "sqs"]
"""Extras whose lowest versions are tested; Spark's would be half a gigabyte more."""

TESTERS = ("flask", "flask-cors", "hypothesis", "jsonschema", "moto", "pillow", "pytest", "pytest-xdist")
HEAD = "# Written by `make lock`: versions and hashes of what pyproject.toml asks for.\n"
PIN = re.compile(r"(?P<name>[a-z0-9._-]+)(\[[^]]*\])?==\S+")

Blocks = dict[str, str]
"""Lines of a lock by name of the package; one that has several versions has several pins in its lines."""


def main() -> None:
    """Writes all files."""
    upgrade = sys.argv[1:]
    everything = compile_(["platform", "dev", "ray", "spark"], _known(), upgrade)
    written: set[str] = set()
    for name, extras in LAYERS.items():
        wanted = compile_(extras, _pins(everything), [], hashes=False)
        layer = {each: everything[each] for each in wanted if each not in written}
        if name in ("platform", "dev"):  # which all have
            written |= layer.keys()
        _write(name, layer)
    tools = _pins({name: everything[name] for name in (*TOOLS, *TESTERS)}).splitlines()
    lowest = ["--resolution", "lowest-direct", *upgrade]
    _write("lowest", compile_(FLOORS, _read("lowest"), lowest, more=tools))


def compile_(
    extras: list[str], known: str, options: list[str], *, hashes: bool = True, more: Sequence[str] = TOOLS
) -> Blocks:
    """What uv resolves; versions that are known already stay."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "pyproject.toml", "-"]
    command += [word for extra in extras for word in ("--extra", extra)]
    command += ["--universal", "--python-version", "3.10", "--quiet", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", *options]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "lock.txt"
        output.write_text(known, "utf-8")
        command += ["--output-file", str(output), *(["--generate-hashes"] if hashes else [])]
        subprocess.run(command, cwd=ROOT, input="\n".join(more), text=True, check=True)
        return blocks(output.read_text("utf-8"))


def blocks(text: str) -> Blocks:
    """A lock's lines by package."""
    found: Blocks = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if pin := PIN.match(line):
            name = pin["name"]
        if name and not line.startswith("#"):
            found[name] = found.get(name, "") + line
    return found


def _pins(lock: Blocks) -> str:
    """The pins without hashes."""
    lines = [line.rstrip(" \\") for text in lock.values() for line in text.splitlines() if PIN.match(line)]
    return "\n".join(lines) + "\n"


def _known() -> str:
    return "".join(_read(name) for name in LAYERS)


def _read(name: str) -> str:
    path = HERE / f"{name}.txt"
    return path.read_text("utf-8") if path.exists() else ""


def _write(name: str, lock: Blocks) -> None:
    (HERE / f"{name}.txt").write_text(HEAD + "".join(lock[each] for each in sorted(lock)), "utf-8")


if __name__ == "__main__":
    main()

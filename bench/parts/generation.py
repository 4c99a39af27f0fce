"""Part 4: generating a project, cold (a new process, an empty folder) and warm (again in that process)."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import measure, peers
from bench.measure import Failed
from bench.options import Bench, in_turn
from bench.parts.programs import CASES
from bench.parts.surroundings import Surroundings

PART = "generation"
NAME = "SentimentLists"
RUNS = 5
"""Cold starts in a round; the first of all is not counted, for it fills the disk's cache."""

ROOT = CASES.parent.parent
PROJECT = ROOT / "generated" / NAME


@dataclass(frozen=True)
class Generator:
    """How one generator is called.

    Attributes:
        peer: whose environment; empty is ours.
        program: its command.
        module: what its command line imports.
        words: what follows the command; SOURCE and OUTPUT are replaced.
        warm: the program in `cases/` that generates again and again.
    """

    peer: str
    program: str
    module: str
    words: tuple[str, ...]
    warm: str


GENERATORS = {
    "wrapgen build": Generator(
        "", "wrapgen", "wrapgen.cli.main", ("build", "SOURCE", "--output", "OUTPUT"), "wrapgen"
    ),
    "copier": Generator(
        "copier",
        "copier",
        "copier._cli",
        ("copy", "--quiet", "--defaults", "--data", f"name={NAME}", "SOURCE", "OUTPUT"),
        "copier",
    ),
    "cookiecutter": Generator(
        "cookiecutter",
        "cookiecutter",
        "cookiecutter.cli",
        ("--no-input", "--output-dir", "OUTPUT", "SOURCE", f"name={NAME}"),
        "cookiecutter",
    ),
    "datamodel-code-generator": Generator(
        "datamodel-code-generator",
        "datamodel-codegen",
        "datamodel_code_generator.__main__",
        ("--input", "SOURCE", "--input-file-type", "jsonschema", "--output", "OUTPUT/model.py"),
        "datamodel",
    ),
}


def minutes(bench: Bench) -> float:
    """About how long it takes."""
    return 0.5 + bench.rounds * 0.4


def measure_all(sides: Sequence[Surroundings]) -> None:
    """Measures what the store does not have yet."""
    sources = _sources(sides[0].bench, sides[0].bench.work / "generation")
    for name, each in GENERATORS.items():
        for side in sides:
            if _measures(side.bench, each) and not side.bench.store.has(PART, name):
                _try(side.bench, name, each, sources[each.warm])
    for number in range(sides[0].bench.rounds):
        for name, each in GENERATORS.items():
            for side in in_turn(sides, number):
                store = side.bench.store
                note = store.get(PART, name)
                if note and not note.get("failed") and len(note["rounds"]) <= number:
                    try:
                        note["rounds"].append(_round(side.bench, each, sources[each.warm]))
                    except Exception as error:
                        note["failed"] = measure.reason(error)
                    store.put(PART, name, note)
        sides[0].bench.say(f"  round {number + 1}")


def _measures(bench: Bench, generator: Generator) -> bool:
    return not generator.peer or (bench.peers and not bench.smoke)


def _try(bench: Bench, name: str, generator: Generator, source: Path) -> None:
    """Generates once, which fills the disk's cache; what fails is noted."""
    note: dict[str, object] = {"rounds": []}
    try:
        _once(bench, generator, source)
    except Exception as error:
        note["failed"] = measure.reason(error)
        bench.say(f"  {name}: failed: {note['failed']}")
    bench.store.put(PART, name, note)


def _round(bench: Bench, generator: Generator, source: Path) -> dict[str, object]:
    """Milliseconds of each thing, several times."""
    python, program = _paths(bench, generator)
    runs = 1 if bench.smoke else RUNS
    bare = min(_timed([str(python), "-c", "pass"]) for _ in range(runs))
    found: dict[str, object] = {
        "cold": [_once(bench, generator, source) for _ in range(runs)],
        "help": [_timed([str(program), "--help"]) for _ in range(runs)],
        "import": [_timed([str(python), "-c", f"import {generator.module}"]) - bare for _ in range(runs)],
    }
    output = _empty(bench)
    script = str(CASES / f"warm_{generator.warm}.py") if generator.peer else bench.tree.script("warm")
    words = [str(python), script, str(source), str(output), str(runs + 1)]
    done = subprocess.run(words, capture_output=True, text=True, env=measure.environment(), cwd=bench.work)
    found["warm"] = json.loads(done.stdout.splitlines()[-1])[1:] if done.returncode == 0 else []
    return found


def _once(bench: Bench, generator: Generator, source: Path) -> float:
    _, program = _paths(bench, generator)
    output = _empty(bench)
    words = [word.replace("SOURCE", str(source)).replace("OUTPUT", str(output)) for word in generator.words]
    taken = _timed([str(program), *words])
    if not any(output.rglob("*.*")):
        raise Failed("nothing was generated")
    return taken


def _timed(command: list[str]) -> float:
    """Milliseconds that a command takes."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=measure.environment())
    taken = 1000 * (time.perf_counter() - began)
    if done.returncode:
        raise Failed(f"exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-160:]}")
    return round(taken, 2)


def _paths(bench: Bench, generator: Generator) -> tuple[Path, Path]:
    """Interpreter and command."""
    python = peers.python(generator.peer) if generator.peer else bench.tree.python
    return python, python.parent / generator.program


def _empty(bench: Bench) -> Path:
    output = bench.work / "generated"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    return output


def _sources(bench: Bench, folder: Path) -> dict[str, Path]:
    """What each generator starts from: our spec, the same project as a template, and a JSON Schema."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = subprocess.run(bench.tree.command("schema"), capture_output=True, text=True, check=True)
    (folder / "spec.schema.json").write_text(schema.stdout)
    copier, cookiecutter = folder / "copier", folder / "cookiecutter"
    copier.mkdir(exist_ok=True)
    (copier / "copier.yml").write_text("name:\n  type: str\n")
    for path in sorted(PROJECT.rglob("*")):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        name, text = path.relative_to(PROJECT).as_posix(), path.read_text("utf-8")
        rendered = NAME in text
        plain = _template(text, "name") if rendered else text  # what has no variable is copied as it is
        _put(copier / (name.replace(NAME, "{{ name }}") + ".jinja" * rendered), plain)
        at = cookiecutter / "{{cookiecutter.name}}" / name.replace(NAME, "{{cookiecutter.name}}")
        _put(at, _template(text, "cookiecutter.name"))
    (cookiecutter / "cookiecutter.json").write_text(json.dumps({"name": NAME}))
    return {
        "wrapgen": PROJECT / "spec.yaml",
        "copier": copier,
        "cookiecutter": cookiecutter,
        "datamodel": folder / "spec.schema.json",
    }


def _template(text: str, variable: str) -> str:
    """A file as a template that names the project by a variable; what looks like a template is left alone."""
    if NAME not in text and not any(mark in text for mark in ("{{", "{%", "{#")):
        return text
    return "{% raw %}" + text.replace(NAME, f"{{% endraw %}}{{{{ {variable} }}}}{{% raw %}}") + "{% endraw %}"


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")

"""The public surface: what packages export, which way imports point, and how quickly the command starts."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wrapgen
from wrapgen.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PRINTERS = {
    ("cli", "progress.py"),  # above its bar, what is visible
    ("observe", "error_log.py"),  # a server's last resort, with an error of the system
    ("observe", "server_log.py"),
}
FOUND = pkgutil.walk_packages(wrapgen.__path__, "wrapgen.")
PACKAGES = ["wrapgen", *(name for _, name, is_package in FOUND if is_package)]


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_exported_is_there_and_documented(name):
    """Every name in a package's `__all__` exists, in order, and says what it is."""
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert len(exported) == len(set(exported))
    for word in exported:
        assert hasattr(module, word), f"{name}.{word}"
    assert module.__doc__


PROGRAM = """
import sys, wrapgen
before = len([name for name in sys.modules if name.startswith("wrapgen.")])
print(sorted(dir(wrapgen)), before)
print(wrapgen.run.__doc__.splitlines()[0])
import wrapgen.run.session as session
from wrapgen.run.hosts import answers
from wrapgen import run
print(run is wrapgen.run, session.__name__, answers.__name__)
help(run)
"""


def test_the_library_has_a_front_door():
    """`import wrapgen` loads nothing; `wrapgen.run` is a function with a signature; its modules are found."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    names, first, modules, *told = done.stdout.splitlines()
    assert names == f"{sorted(wrapgen.__all__)} 0" and len(wrapgen.__all__) < 12
    assert first == "Pushes items through a wrapper; nothing is lost, nothing is recorded twice."
    assert modules == "True wrapgen.run.session wrapgen.run.hosts.answers"
    text = "\n".join(told)
    assert (
        "run(reference: 'str | PathLike[str] | Spec', items: 'Iterable[Any] | str | PathLike[str]', *,"
        in text
    )
    assert "PACKAGE CONTENTS" not in text and len(told) < 50


def test_imports_point_down():
    """import-linter's contracts hold."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_one_file_with_help(name):
    """`wrapgen/cli/<name>.py` holds a click command whose help says what it does."""
    module = importlib.import_module(f"wrapgen.cli.{name}")
    assert module.command.help, name


def test_one_module_prints():
    """What a terminal would obey is made visible in one place: nothing else in the package prints."""
    found = []
    for path in sorted((ROOT / "wrapgen").rglob("*.py")):
        if path.name == "terminal.py" or path.parent.name in (
            "worker",
            "workers",
        ):  # a worker's output is the algorithm's
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            written = re.fullmatch(
                r"print|click\.s?echo|.*\.print|sys\.std(out|err)\.(buffer\.)?write(lines)?", called
            )
            if written and path.parts[-2:] not in PRINTERS:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {called}")
    assert not found


def test_nothing_that_is_printed_names_a_file_that_an_installed_wrapgen_lacks():
    """Messages, help, pages and what is generated name commands: docs/ and examples/ are in no wheel."""
    named = re.compile(r"\b((docs|examples|tests|bench)/[\w.-]|templates/[\w-]+[./])")
    written = [
        (path, path.read_text("utf-8"))
        for path in sorted([*(ROOT / "templates").rglob("*"), *(ROOT / "wrapgen").rglob("*.html")])
        if path.is_file() and not {"tests", "__pycache__"} & {*path.parts}
    ]
    said = [
        (path, node.value)
        for path in sorted((ROOT / "wrapgen").rglob("*.py"))
        for node in _messages(ast.parse(path.read_bytes()))
    ]
    found = [
        (str(path.relative_to(ROOT)), match[0])
        for path, text in written + said
        for match in named.finditer(text)
    ]
    assert not found


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (
            ["--help"],
            {"pydantic", "jinja2", "yaml", "rich", "urllib3", "starlette", "Algorithmia", "sqlalchemy"},
        ),
        (["build", "--help"], {"pydantic", "jinja2", "yaml", "urllib3", "starlette", "Algorithmia"}),
        (
            ["check", "examples/sentiment/spec.yaml"],
            {"jinja2", "rich", "urllib3", "starlette", "Algorithmia"},
        ),
        (
            ["build", "examples/sentiment/spec.yaml", "--check"],
            {"rich", "urllib3", "starlette", "Algorithmia", "sqlalchemy", "asyncio"},
        ),
    ],
    ids=["help", "build help", "check", "build"],
)
def test_a_command_loads_only_what_it_needs(words, unwanted):
    """Starting stays quick because nothing heavy is imported that the command does not use."""
    program = (
        "import sys; from wrapgen.cli.main import main; code = main(sys.argv[1:]);"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True)
    assert not unwanted & set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(("words", "seconds"), [(["--help"], 0.6), (["build", "--check"], 1.6)])
def test_starting_is_cheap(words, seconds, tmp_path):
    """A start takes little CPU: several times the aim, because it is counted on whatever machine this is."""
    spec = ROOT / "examples" / "sentiment" / "spec.yaml"
    words = [words[0], str(spec), *words[1:], "--output", str(tmp_path)] if words[0] == "build" else words
    assert min(_cpu_seconds([sys.executable, "-m", "wrapgen", *words]) for _ in range(3)) < seconds


def _cpu_seconds(words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, cwd=ROOT, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("typed", "meant"), [("biuld", "build"), ("version", "--version"), ("help", "--help")]
)
def test_a_mistyped_command_is_answered_with_the_right_one(typed, meant):
    """`wrapgen biuld` says what was probably meant, without a traceback."""
    done = subprocess.run([sys.executable, "-m", "wrapgen", typed], capture_output=True, text=True)
    meant = {"biuld": "build"}.get(typed, f"--{typed}")
    assert (done.returncode, f"did you mean {meant!r}?" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("closed", [">/dev/full", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_takes_nothing_ends_no_command_in_a_traceback(closed: str) -> None:
    """With standard streams that are closed or full, the exit code still tells what is wrong."""
    script = f"{sys.executable} -m wrapgen show nothing --json {closed}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr


def _messages(tree: ast.AST) -> Iterator[ast.Constant]:
    """Every text of a module but its docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node

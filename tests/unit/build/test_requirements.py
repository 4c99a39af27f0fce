"""Inline requirements: what installs for the author installs from the wrapper, or check says why."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from wrapgen.build import generate, left_out
from wrapgen.build.requirement_lines import canonical
from wrapgen.errors import SpecError
from wrapgen.spec import load

SPEC = """version: 1
target: {source: ./own}
wrapper: {name: acme/Own, mode: %s}
"""
CASES = sorted((Path(__file__).resolve().parents[2] / "golden").glob("*/spec.yaml"))
OURS = ["algorithmia>=2.0.5,<3", "algorithmia-adk>=1.2.4,<2", "requests>=2.20"]
PINNED = "algorithmia==2.0.6 --hash=sha256:a\nalgorithmia-adk==1.2.4 \\\n  --hash=sha256:b\n"


@pytest.fixture
def author(tmp_path: Path):
    """Makes an inline folder of an author and gives its spec."""

    def make(files: dict[str, str | bytes], mode: str = "batch"):
        for name, content in {"src/Own.py": "def apply(input):\n    return input\n", **files}.items():
            path = tmp_path / "own" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (tmp_path / "spec.yaml").write_text(SPEC % mode)
        return load(tmp_path / "spec.yaml")

    return make


def required(spec) -> list[str]:
    """The wrapper's requirements after those of its own."""
    lines = generate(spec)["requirements.txt"].decode().splitlines()
    assert lines[: len(OURS)] == OURS
    return lines[len(OURS) :]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "idna>=3\nsix\n"),
        ("utf-8-sig", "idna>=3\r\nsix\r\n"),
        ("utf-16", "idna>=3\nsix\n"),
        ("utf-32", "idna>=3\nsix\n"),
        ("latin-1", "# -*- coding: latin-1 -*-\n# für uns\nidna>=3\nsix # é\n"),
    ],
)
def test_each_encoding_that_pip_reads_is_read(author, encoding, text):
    """A byte order mark, UTF-16 as PowerShell writes it, and a coding comment give the same lines."""
    assert required(author({"requirements.txt": text.encode(encoding)})) == ["idna>=3", "six"]


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        ({"requirements.txt": "-r base.txt\n", "base.txt": "idna\n"}, ["idna"]),
        (
            {"requirements.txt": "-rreq/a.txt", "req/a.txt": "-r b.txt\nsix", "req/b.txt": "idna"},
            ["idna", "six"],
        ),
        (
            {"requirements.txt": "--requirement=a.txt\nsix\n", "a.txt": "-r requirements.txt\nidna"},
            ["idna", "six"],
        ),
        ({"requirements.txt": "-c c.txt\nidna\n", "c.txt": "idna==3.7\n"}, ["-c inline/c.txt", "idna"]),
        (
            {"requirements.txt": "--constraint  c/c.txt", "c/c.txt": "-c d.txt", "c/d.txt": ""},
            ["-c inline/c/c.txt"],
        ),
        (
            {"requirements.txt": "-c https://example.org/c.txt\nidna"},
            ["-c https://example.org/c.txt", "idna"],
        ),
        ({"requirements.txt": "-e .\n"}, ["-e ./inline"]),
        ({"requirements.txt": "-e ./pkg[fast]\n", "pkg/setup.py": ""}, ["-e ./inline/pkg[fast]"]),
        ({"requirements.txt": "-e git+https://e.org/x.git#egg=x"}, ["-e git+https://e.org/x.git#egg=x"]),
        (
            {"requirements.txt": "./w/x-1-py3-none-any.whl", "w/x-1-py3-none-any.whl": ""},
            ["./inline/w/x-1-py3-none-any.whl"],
        ),
        (
            {"requirements.txt": "w/x.whl ; python_version > '3'", "w/x.whl": ""},
            ["./inline/w/x.whl ; python_version > '3'"],
        ),
        ({"requirements.txt": "x.tar.gz", "x.tar.gz": ""}, ["./inline/x.tar.gz"]),
        ({"requirements.txt": "x @ ./w/x.whl", "w/x.whl": ""}, ["x @ ./inline/w/x.whl"]),
        ({"requirements.txt": "x @ file:w/x.whl", "w/x.whl": ""}, ["x @ file:./inline/w/x.whl"]),
        ({"requirements.txt": "${PROJECT_ROOT}/x.whl", "x.whl": ""}, ["${PROJECT_ROOT}/inline/x.whl"]),
        ({"requirements.txt": "x @ https://e.org/x.whl"}, ["x @ https://e.org/x.whl"]),
        (
            {"requirements.txt": "--no-index -f wheels\n", "wheels/a.whl": ""},
            ["--no-index -f ./inline/wheels"],
        ),
        (
            {"requirements.txt": "-r r/a.txt", "r/a.txt": "--find-links w", "r/w/a.whl": ""},
            ["--find-links ./inline/r/w"],
        ),
        (
            {"requirements.txt": "--extra-index-url https://e.org/s --pre\n"},
            ["--extra-index-url https://e.org/s --pre"],
        ),
        (
            {
                "requirements.txt": "six \\\n  --hash=sha256:a \\\n  --hash=sha256:b\n"
                + PINNED
                + "requests==2.32.0 --hash=sha256:c"
            },
            None,
        ),
        (
            {"requirements.txt": "idna[all]>=3,<4 ; python_version>'3.6' # why\n#six\n\n"},
            ["idna[all]>=3,<4 ; python_version>'3.6'"],
        ),
    ],
)
def test_every_line_leads_to_what_it_led_to(author, files, lines):
    """-r, -c, -e, links, wheels and addresses: paths lead into the copy, everything else stays as it was."""
    spec = author(files)
    if lines is None:
        made = generate(spec)["requirements.txt"].decode().splitlines()
        assert len(made) == 4 and all("--hash=" in line for line in made)
        return
    assert sorted(required(spec)) == sorted(lines)
    assert not left_out(spec)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"requirements.txt": "six\n-r base.txt\n"}, "requirements.txt:2: there is no file base.txt"),
        ({"requirements.txt": "-r ../base.txt\n"}, "requirements.txt:1: ../base.txt is not in ./own"),
        (
            {"requirements.txt": "-r a.txt", "a.txt": "\n/elsewhere/x.whl"},
            "a.txt:2: /elsewhere/x.whl is not in ./own",
        ),
        ({"requirements.txt": "x @ file:///elsewhere/x.whl\n"}, "is not in ./own"),
        ({"requirements.txt": "-e ../shared"}, "../shared is not in ./own"),
        ({"requirements.txt": "C:/x/x.whl"}, "is not in ./own"),
        ({"requirements.txt": "wheels/x.whl"}, "there is no wheels/x.whl in the folder"),
        ({"requirements.txt": "${HOME}/x.whl"}, "is not in ./own"),
        ({"requirements.txt": "idna".encode("utf-16-le")}, "in an encoding that pip can't tell"),
        ({"requirements.txt": b"six # \xff"}, "it can't be decoded"),
        ({"requirements.txt": '-f "wheels'}, "can't be read: No closing quotation"),
        ({"requirements.txt": "requests==2.2.1"}, "requests==2.2.1, and the wrapper needs requests>=2.20"),
        (
            {"requirements.txt": "-c c.txt", "c.txt": "algorithmia<2"},
            "c.txt:1: algorithmia<2, and the wrapper",
        ),
        (
            {"requirements.txt": "six --hash=sha256:a"},
            "asks for hashes, and the wrapper also needs algorithmia",
        ),
    ],
)
def test_what_can_not_be_installed_is_told_with_its_line(author, files, said):
    """A path out of the folder, a missing file, an unreadable text and a conflict are told."""
    with pytest.raises(SpecError, match=r"spec.yaml:2:18: target.source: ") as caught:
        generate(author(files))
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("line", "made", "told"),
    [
        ("algorithmia>=1.0.0,<2.0", "algorithmia>=2.0.5,<3", True),
        ("algorithmia==1.*", "algorithmia>=2.0.5,<3", True),
        ("algorithmia~=1.4", "algorithmia>=2.0.5,<3", True),
        ("Algorithmia == 2.0.6", "algorithmia>=2.0.5,<3,==2.0.6", False),
        ("algorithmia~=2.0", "algorithmia>=2.0.5,<3,~=2.0", False),
        ("algorithmia!=2.0.7", "algorithmia>=2.0.5,<3,!=2.0.7", False),
        ("algorithmia", "algorithmia>=2.0.5,<3", False),
    ],
)
def test_one_line_for_a_project_of_both(author, line, made, told):
    """Bounds are joined; a client that the wrapper can't use is replaced by its own, and that is told."""
    spec = author({"requirements.txt": f"{line}\nsix\n"})
    assert generate(spec)["requirements.txt"].decode().splitlines() == [made, *OURS[1:], "six"]
    said = [problem.message for problem in left_out(spec)]
    assert said == (
        [f"target.source: requirements.txt:1: {line} is left out: the wrapper needs {OURS[0]}"]
        if told
        else []
    )


def test_what_a_folder_loses_is_told(author, tmp_path):
    """A venv that is none, compiled modules and requirements in other files are warnings; caches are not."""
    files = {"venv/data.txt": "", "old.pyc": "", "__pycache__/x.pyc": "", "pyproject.toml": ""}
    (tmp_path / "own" / "deep" / "venv").mkdir(parents=True)
    (tmp_path / "own" / "deep" / "venv" / "pyvenv.cfg").touch()
    said = [problem.message.removeprefix("target.source: ") for problem in left_out(author(files))]
    assert said == [
        "'venv' is left out: a wrapper holds no venv",
        "'old.pyc' is left out: a wrapper holds no .pyc file",
        "pyproject.toml is not read for requirements: a platform installs requirements.txt",
    ]


def test_a_module_may_have_test_in_its_name(author):
    """Latest.py is the algorithm, although its name holds the word test; test_own.py is none."""
    files = {
        "src/Own.py": "",
        "src/Latest.py": "def apply(input): ...\n",
        "test_own.py": "def apply(input): ...\n",
    }
    assert "src.Latest" in "".join(map(str, generate(author(files)).values()))


def test_a_package_may_be_the_algorithm(author):
    """What algorithmia.conf names may be a folder with an __init__.py, as it may be when hosted."""
    files = {"src/Own.py": "", "src/Big/__init__.py": "from .core import apply\n", "src/Big/core.py": ""}
    spec = author({**files, "algorithmia.conf": '{"algoname": "Big"}'})
    assert "src.Big" in "".join(map(str, generate(spec).values()))


def test_a_program_in_the_folder_stays_one(author, tmp_path):
    """A script with a first line that names its interpreter can be executed from the wrapper too."""
    generate(author({"tool.sh": "#!/bin/sh\necho hello\n"})).write(tmp_path / "made")
    assert (tmp_path / "made" / "inline" / "tool.sh").stat().st_mode & 0o100
    assert not (tmp_path / "made" / "README.md").stat().st_mode & 0o100


def test_a_link_to_a_folder_is_refused(author, tmp_path):
    """A linked folder would be left out; the problem names it instead."""
    author({"data/x.txt": ""})
    (tmp_path / "own" / "more").symlink_to("data")
    with pytest.raises(SpecError, match="'more' is a link to a folder"):
        load(tmp_path / "spec.yaml")


_DISTRIBUTIONS = {"adk": "algorithmia-adk", "psycopg2": "psycopg2-binary"}
"""By module: the project that brings it, where the name is another."""


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_everything_that_is_imported_is_required(case):
    """Each module outside of Python's library that a wrapper's code imports is in its requirements."""
    wrapper = generate(load(case))
    required = {
        canonical(re.split(r"[<>=!~]", line)[0]) for line in wrapper["requirements.txt"].decode().split()
    }
    for path, text in wrapper.items():
        if not path.endswith(".py") or path.startswith("inline/"):
            continue
        for name in _imported(ast.parse(text)) - sys.stdlib_module_names - {"src"}:
            assert canonical(_DISTRIBUTIONS.get(name, name)) in required, f"{path} imports {name}"


def _imported(tree: ast.AST) -> set[str]:
    """The top-level names that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    return found
